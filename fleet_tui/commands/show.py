"""`fleet demo` from the command line (edge): start it, show it, tell it, end it."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from engine.errors import FleetError
from fleet_tui import demo as demos
from fleet_tui.call import Call
from fleet_tui.demo_script import Done, Script


def demo(call: Call) -> int:
    """A fleet of several nodes, and the control room on the first; with `--script` the story, without a screen."""
    root = Path(call.args.home).absolute() if call.args.home else None
    if call.args.stop:
        return _stop(call, root or demos.usual_root())
    if call.args.script:
        return _tell(call, root or Path(tempfile.mkdtemp(prefix="fleet-demo-", dir="/tmp")))
    return _show(call, root or demos.usual_root())


def _tell(call: Call, root: Path) -> int:
    if call.args.nodes < 3:
        raise FleetError("usage.nodes", "The story needs three nodes", str(call.args.nodes), "leave --nodes out")
    made = demos.prepared(root, call.args.nodes)
    with _ended(made, keep=call.args.keep):
        call.tell(f"A fleet in {root}, with everything real.", "")
        if call.as_json:
            done = Script(made).run(lambda one: None)
            call.show({"steps": [one._asdict() for one in done]}, ())
        else:
            Script(made).run(lambda one: call.say(*_line(one)))
    if call.args.keep:
        call.tell("", *_how_to_end(call, made))
    else:
        call.tell("", "All nodes stopped, their homes removed.")
    return 0


def _show(call: Call, root: Path) -> int:
    running = demos.found(root)
    made = running or demos.prepared(root, call.args.nodes)
    with _ended(made, keep=True, unless_ready=True):
        names = ", ".join(node.name for node in made.nodes)
        call.tell(f"{'Found' if running else 'Starting'} {names} in {root} …")
        made.start()
        made.join()
        made.await_together()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        with _ended(made, keep=call.args.keep):
            from fleet_tui import plain

            status = made.first.api.get("/status")
            call.show(status, plain.status(status))
        return 0
    call.tell("", *_guide(made), "")
    with _ended(made, keep=True, unless_ready=True):
        input("Enter opens the control room on atlas. ")
        from fleet_tui.commands.room import attach

        code = attach(made.first.home, {name: "1" for name in ("readonly", "ascii") if getattr(call.args, name)})
    if not call.args.keep and _asked("Stop the demo's nodes?"):
        made.end()
        call.tell("All nodes stopped, their homes removed.")
    else:
        call.tell(*_how_to_end(call, made))
    return code


def _stop(call: Call, root: Path) -> int:
    made = demos.found(root)
    if made is None:
        raise FleetError("usage.demo", "No demo to stop", f"none in {root}", "name its folder with --home")
    made.end()
    names = [node.name for node in made.nodes]
    call.show({"stopped": names}, [f"{', '.join(names)} stopped, {root} removed."])
    return 0


@contextmanager
def _ended(made: demos.Demo, *, keep: bool, unless_ready: bool = False) -> Iterator[None]:
    """End the demo after the block, also on ctrl+c and SIGTERM. `keep`: not when the block came to its end, nor, but
    for `unless_ready`, when it failed: then there is something to look at."""

    def asked(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except BaseException:
        if unless_ready or not keep:
            made.end()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if not keep:
        made.end()


def _line(one: Done) -> list[str]:
    return [f"✓ {one.title}   {one.ms / 1_000:.1f} s", f"    {one.saw}"]


def _guide(made: demos.Demo) -> list[str]:
    first, second = made.nodes[0], made.nodes[min(1, len(made.nodes) - 1)]
    broker = second.api.get("/status")["broker"]["pid"]
    return [
        f"{len(made.nodes)} nodes, each with its own home, keys and broker. Things to try:",
        "",
        "  m                 write a message; w on it tells what became of it",
        "  2                 every channel to every peer",
        f"  kill -9 {broker:<9} {second.name}'s nats-server, from another terminal: the next message goes by http",
        f"  {_program()} --home {second.home} down",
        f"                    stop {second.name}; what you send it waits, and arrives when it is `up` again",
        f"  {_program()} --home {second.home} send {first.name} hello",
        "                    write from the other side",
        "  D                 leave the control room; the nodes go on",
    ]


def _how_to_end(call: Call, made: demos.Demo) -> list[str]:
    where = "" if made.root == demos.usual_root() else f" --home {made.root}"
    return [
        f"The nodes go on. `{_program()} demo{where}` comes back,",
        f"`{_program()} demo{where} --stop` ends them and removes their homes.",
    ]


def _program() -> str:
    return "./fleet" if Path("fleet").is_file() else "fleet"


def _asked(question: str) -> bool:
    print(f"{question} [Y/n] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("", "y", "yes")
