"""The command line (edge): arguments in, one command called, an exit status out.

    0 done   1 failed   2 usage   3 no node running   4 refused   5 timed out, and the work goes on

Whatever goes wrong leaves in the same form: what happened, why, and the next step on stderr; with `--json` as
`{"error":{…}}` on stdout too, where the answer would have been. No traceback reaches a person: one that nobody expected
is saved and its file named. Why argparse: `docs/decisions/0031-argparse.md`.
"""

import argparse
import errno
import os
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

from engine.errors import Fault, FleetError, exit_code
from fleet_tui import __version__, harmless
from fleet_tui.call import Call
from fleet_tui.place import program
from fleet_tui.verbs import BY_NAME, VERBS, Verb, channel

INTERRUPTED = 130
WIDEST = 100
GLOBAL: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--home",), {"metavar": "DIR", "help": "whose node (default: FLEET_HOME, else this user's own)"}),
    (("--json",), {"action": "store_true", "help": "answer in JSON"}),
    (("--readonly",), {"action": "store_true", "help": "look only: nothing is changed, on any machine"}),
    (("--plain",), {"action": "store_true", "help": "print instead of painting"}),
    (("--ascii",), {"action": "store_true", "help": "no signs beyond ASCII"}),
)
DEFAULTS: dict[str, Any] = {
    "home": None,
    "json": False,
    "readonly": False,
    "plain": False,
    "ascii": False,
    "yes": False,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Do one command; returns the exit status."""
    given = sys.argv[1:] if argv is None else list(argv)
    call: Call | None = None
    try:
        args = _parsed(given)
        call = Call(args)
        return _done(call)
    except FleetError as error:
        return complain(_of_this_home(error, call), as_json="--json" in given)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough; the interpreter must not complain when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return complain(_of_the_machine(error), as_json="--json" in given)
    except Exception as error:  # noqa: BLE001 - the last frame of a command: whatever it was is told
        return complain(_nobody_expected(error, call), as_json="--json" in given)


def complain(error: FleetError, *, as_json: bool) -> int:
    """Tell what went wrong; returns the exit status."""
    if as_json:
        text = harmless.as_json({"error": facts(error)})
        if not (sys.stdout.isatty() and sys.stderr.isatty()):
            with suppress(BrokenPipeError):
                print(text, flush=True)
    else:
        text = f"fleet: {error.title}" + (f": {error.detail}" if error.detail else "")
        text = harmless.line(text + (f"\n  {error.next_step}" if error.next_step else ""))
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
    return exit_code(error.code)


def facts(error: FleetError) -> dict[str, str | float]:
    """The parts of an error as JSON has them."""
    said = error.facts()
    found: dict[str, str | float] = {
        name: str(getattr(said, name)) for name in ("code", "title", "detail", "next_step", "fault")
    }
    return found if said.retry_after_s is None else found | {"retry_after_s": said.retry_after_s}


def parser(only: Collection[str] = BY_NAME) -> argparse.ArgumentParser:
    """The command line, from the table of verbs, with the arguments of these commands."""
    shared = argparse.ArgumentParser(formatter_class=_Help, add_help=False, argument_default=argparse.SUPPRESS)
    for flags, how in GLOBAL:
        shared.add_argument(*flags, **how)
    top = _Parser(
        prog="fleet",
        description="A control room for AI coding sessions on many machines. Without a command it opens on this "
        "machine's node, which it starts if none runs.",
        epilog="`fleet COMMAND --help` tells more; exit codes: 0 done, 1 failed, 2 usage, 3 no node, 4 refused, "
        "5 timed out while work goes on.",
        parents=[shared],
    )
    top.add_argument("--version", action="version", version=f"fleet {__version__}")
    top.add_argument("--daemon", action="store_true", help="this machine's node, headless, in the foreground")
    top.add_argument("--tcp", action="store_true", help="with --daemon: the control API on loopback TCP too")
    top.add_argument("--no-detach", action="store_true", help="the control room and the node in this one process")
    commands: Any = top.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", prog="fleet", parser_class=_VerbParser
    )
    for verb in VERBS:
        how = {"help": verb.help, "description": verb.help, "epilog": verb.examples}
        sub = commands.add_parser(verb.name, parents=[shared], **how)
        if verb.name in only:
            for flags, how in verb.args:
                sub.add_argument(*flags, **how)
    return top


def _parsed(given: Sequence[str]) -> argparse.Namespace:
    said = BY_NAME.keys() & set(given)  # filling in all thirty would take longer than the question to the node
    return parser(said).parse_args(given, argparse.Namespace(**DEFAULTS))


def _done(call: Call) -> int:
    verb = BY_NAME.get(call.args.command or "")
    if verb is None:
        return int(import_module("fleet_tui.commands.room").run(call))
    if call.readonly and verb.would_change(call.args):
        said, step = f"`{verb.name}` with --readonly", "leave --readonly out"
        step = f"{verb.looks}, or {step}" if verb.looks else step
        raise FleetError("refused.readonly", "Nothing is changed here", said, step, Fault.THEIRS)
    return _run(verb, call)


def _run(verb: Verb, call: Call) -> int:
    module, _, function = verb.run.partition(":")
    return int(getattr(import_module(f"fleet_tui.commands.{module}"), function)(call) or 0)


class _Help(argparse.HelpFormatter):
    """As wide as the terminal, up to what reads well. argparse asks for the width with each argument, and the way it
    asks imports three compressors."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=_width())

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Examples stay the lines they are: they are copied."""
        return text if "\n" in text else super()._fill_text(text, width, indent)


def _width() -> int:
    try:
        return min(os.get_terminal_size(1).columns - 2, WIDEST)
    except OSError:
        return WIDEST


class _Parser(argparse.ArgumentParser):
    """Mistakes in the arguments leave like every other error."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"formatter_class": _Help} | how)

    def error(self, message: str) -> NoReturn:
        title = "The command does not fit"
        raise FleetError("usage.arguments", title, _shorter(message), f"`{self.prog} --help` shows what does")


class _VerbParser(_Parser):
    """A command's own arguments, flags and words in any order: `send birch --wait on_host hello`."""

    _sorting = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """argparse itself would give `hello` to nobody, because `TEXT …` may be empty (bpo-15112)."""
        if self._sorting:
            return super().parse_known_args(args, namespace)
        self._sorting = True
        try:
            found, left = self.parse_known_intermixed_args(args, namespace)
        finally:
            self._sorting = False
        if left:  # the whole program would say so too, and point to its own help
            hint = ""
            if "--channel" in self._option_string_actions and _is_channel(left[0]):
                hint = f"; a channel is named by --channel {left[0]}"
            self.error(f"not understood: {' '.join(left)}{hint}")
        return found, left


def _is_channel(word: str) -> bool:
    try:
        return bool(channel(word))
    except argparse.ArgumentTypeError:
        return False


def _shorter(message: str) -> str:
    """argparse lists thirty commands where the one that was meant would do."""
    if "argument COMMAND: invalid choice: " not in message:
        return message
    import difflib

    said = message.split("'")[1]
    near = difflib.get_close_matches(said, BY_NAME, 1)
    return f"there is no command `{said}`" + (f"; did you mean `{near[0]}`?" if near else "")


def _of_this_home(error: FleetError, call: Call | None) -> FleetError:
    """A next step for a node names the home that was asked for: typed as it stands, it would start another node."""
    if call is None or not error.code.startswith("node."):
        return error
    step = error.next_step.replace("`fleet ", f"`{program(call.home)} ")
    return FleetError(error.code, error.title, error.detail, step, error.fault)


def _of_the_machine(error: OSError) -> FleetError:
    where = f"{error.filename}: " if error.filename else ""
    next_step = _STEPS.get(error.errno or 0, "see that the path is there and yours, or choose another with --home")
    return FleetError("world.os", "The machine said no", f"{where}{error.strerror or error}", next_step, Fault.WORLD)


_FULL = "make room on the disk, or choose a path on another with --home"
_CLOSED = "see whose the path is with `ls -ld`, or choose another with --home"
_STEPS = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL, errno.EACCES: _CLOSED, errno.EPERM: _CLOSED, errno.EROFS: _CLOSED}


def _nobody_expected(error: Exception, call: Call | None) -> FleetError:
    detail = type(error).__name__
    if call is not None:
        from fleet_tui.crash import save_crash

        with suppress(OSError):
            detail = f"{detail}; the traceback is in {save_crash(call.home, error)}"
    return FleetError("internal", "Fleet made a mistake", detail, "please report it", Fault.OURS)
