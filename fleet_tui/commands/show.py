"""`fleet demo` from the command line (edge): start it, show it, tell it, end it."""

import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from engine.errors import FleetError
from fleet_tui import demo as demos
from fleet_tui import plain
from fleet_tui.call import Call
from fleet_tui.demo_script import Done, Script, performed
from fleet_tui.drill import Drill
from fleet_tui.drill_script import DrillScript

# So many nodes it takes to tell the story: two, and one for the way round.
TOLD_BY = 3
# Where the guide says what a key does.
SAID_AT = 20


def demo(call: Call) -> int:
    """A fleet of several nodes, and the control room on the first; with `--script` the story, without a screen."""
    root = Path(call.args.home).absolute() if call.args.home else None
    if call.args.stop:
        return _stop(call, root or demos.usual_root())
    # The story and the drill have a way round; before any folder is made.
    demos.check_count(call.args.nodes, TOLD_BY if call.args.script or call.args.drill else 1)
    if call.args.script:
        return _tell(call, root or Path(tempfile.mkdtemp(prefix="fleet-demo-", dir="/tmp")))
    return _show(call, root or demos.usual_root())


def _tell(call: Call, root: Path) -> int:
    """The story, from nothing to nothing."""
    made = demos.prepared(root, call.args.nodes)
    began = time.monotonic()
    with _ended(made, keep=call.args.keep):
        call.tell(f"A fleet in {root}: real processes, keys, brokers and messages.", "")
        steps = DrillScript(made) if call.args.drill else Script(made)
        try:
            done = performed(steps.steps(), lambda one: None if call.as_json else call.say(*_line(one)))
        finally:
            if isinstance(steps, DrillScript):
                steps.heal()  # a node that stands still could not be ended in order
    if call.as_json:
        call.show({"steps": [one._asdict() for one in done]}, ())
    over = f"{time.monotonic() - began:.0f} s. All nodes stopped, their homes removed."
    call.tell("", *(_how_to_end(made) if call.args.keep else [over]))
    return 0


def _show(call: Call, root: Path) -> int:
    """The control room on the first node, which goes on until it is told to end."""
    painted = sys.stdin.isatty() and sys.stdout.isatty()
    if not painted and not call.args.keep:
        step = "`fleet demo --script` needs none; `--keep` starts the nodes and leaves them running"
        raise FleetError("usage.terminal", "No terminal to paint on", "the demo opens a control room", step)
    running = demos.found(root)
    made = running or demos.prepared(root, call.args.nodes)
    with _ended(made, keep=True, kept_if_broken=False):
        names = ", ".join(node.name for node in made.nodes)
        call.tell(f"{'Found' if running else 'Starting'} {names} in {root} …")
        made.start()
        made.join()
        made.await_together()
        code = (_drilled if call.args.drill else _painted)(call, made) if painted else _printed(call, made)
        ends = painted and not call.args.keep and _asked("Stop the demo's nodes?")
    if ends:
        made.end()
    call.tell(*(["All nodes stopped, their homes removed."] if ends else _how_to_end(made)))
    return code


def _painted(call: Call, made: demos.Demo) -> int:
    call.tell("", *(part for line in _guide(made) for part in plain.folded(line, call.width, SAID_AT)), "")
    print("Enter opens the control room. ", end="", file=sys.stderr, flush=True)
    sys.stdin.readline()
    from fleet_tui.commands.room import attach

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGWINCH)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        return attach(made.first.home, {"ascii": "1"} if call.args.ascii else {})
    finally:
        # The stub heard all signals for as long as the terminal was lent; here ctrl+c means what it always means.
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)


def _drilled(call: Call, made: demos.Demo) -> int:
    from fleet_tui.drill_room import Room

    drill = Drill(made)
    try:
        Room(call, drill).run()
    finally:
        drill.heal()
    return 0


def _printed(call: Call, made: demos.Demo) -> int:
    status = made.first.api.get("/status")
    call.show(status, plain.status(status))
    return 0


def _stop(call: Call, root: Path) -> int:
    made = demos.found(root)
    if made is None:
        raise FleetError("usage.demo", "No demo to stop", f"none in {root}", "name its folder with --home")
    made.end()
    names = [node.name for node in made.nodes]
    call.show({"stopped": names}, [f"{', '.join(names)} stopped, {root} removed."])
    return 0


@contextmanager
def _ended(made: demos.Demo, *, keep: bool, kept_if_broken: bool | None = None) -> Iterator[None]:
    """End the demo after the block, whichever way that ends, unless it is kept; SIGTERM and SIGHUP are a ctrl+c."""

    def interrupted(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGTERM, signal.SIGHUP)}
    kept = keep if kept_if_broken is None else kept_if_broken
    try:
        yield
        kept = keep
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if not kept:
            made.end()


def _line(one: Done) -> list[str]:
    return [f"✓ {one.title}   {one.ms / 1_000:.1f} s", f"    {one.saw}"]


def _guide(made: demos.Demo) -> list[str]:
    first, second = made.nodes[0], made.nodes[min(1, len(made.nodes) - 1)]
    broker = demos.until(second.api, demos.broker_up, f"{second.name}'s broker")["broker"]["pid"]
    return [
        f"{len(made.nodes)} nodes, each with its own home, keys and broker. Things to try:",
        "",
        "  m                 write a message; 6 lists it, w there tells what became of it",
        "  2                 every channel to every peer",
        "  x (in 2)          hold nats back: the next message goes another way; x again lets it in",
        f"  kill -STOP {broker:<6} {second.name}'s nats-server, from another terminal:",
        "                    2 shows nats break and, some ten seconds later, heal",
        f"  {_program()} --home {second.home} down",
        f"                    stop {second.name}; what you send it waits, and arrives when it is `up` again",
        f"  {_program()} --home {second.home} send {first.name} hello",
        "                    write from the other side",
        "  D                 leave the control room; the nodes go on",
    ]


def _how_to_end(made: demos.Demo) -> list[str]:
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
