"""`fleet` without a command (edge): the control room, or what can be had of it without a terminal."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.daemon.lock import holder
from engine.errors import Fault, FleetError
from fleet_tui.call import Call
from fleet_tui.place import program
from fleet_tui.stub import main_attach


def attach(home: Path, options: Mapping[str, str] | None = None) -> int:
    """The control room of `home`'s node on this terminal; the node is started if none runs."""
    return main_attach(home, _run_node, options=options)


def _run_node(home: Path, ready: Callable[[], None]) -> int:
    """In the node's own process: only there is any of it imported."""
    from fleet_tui.parts import behind_a_screen

    return behind_a_screen(home, ready)


def run(call: Call) -> int:
    """Open it; with `--daemon` be the node, with `--no-detach` be both; without a terminal print the status."""
    args = call.args
    shown = not (args.plain or call.as_json) and sys.stdin.isatty() and sys.stdout.isatty()
    if call.readonly and (args.daemon or args.no_detach or (shown and not holder(call.home))):
        raise _starts(call.home)
    if args.tcp:
        os.environ["FLEET_API_TCP"] = "true"
    if args.daemon:
        from fleet_tui.parts import in_foreground

        return in_foreground(call.home)
    if args.no_detach:
        from fleet_tui.parts import in_one_process

        return in_one_process(call.home, _options(call))
    return attach(call.home, _options(call)) if shown else _printed(call)


def _starts(home: Path) -> FleetError:
    """What only looks starts no node."""
    why, own = "with --readonly no node is started", program(home)
    step = f"`{own} up` starts it, then `{own} --readonly` looks at it"
    return FleetError("refused.readonly", "Nothing is changed here", why, step, Fault.THEIRS)


def _printed(call: Call) -> int:
    from fleet_tui.commands import node

    status = node.status(call)
    call.tell("", "This is no terminal to paint on; `fleet --help` lists the commands that print.")
    return status


def _options(call: Call) -> dict[str, str]:
    """What the screens have to know of how they were called."""
    return {name: "1" for name in ("readonly", "ascii") if getattr(call.args, name)}
