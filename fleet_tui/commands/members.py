"""Members from the command line (edge): init, invite, join, revoke, leave, peers, role."""

import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from engine.errors import FleetError
from fleet_tui import plain
from fleet_tui.call import Call
from fleet_tui.commands import home, node, onboard
from fleet_tui.place import program
from screens import format

# A code is checked with its issuer over the network, on every address it names.
JOIN_S = 90.0
# A code takes no more lines in the narrowest terminal.
LINES = 64


def init(call: Call) -> int:
    """Make the home and name the machine; the node makes keys and a fleet of one at its first start."""
    made = home.make(call.home, call.args.name)
    next_step = f"Next: `{program(call.home)}` opens the control room."
    call.show(made, [f"{made['name']} lives in {made['home']}", next_step])
    return 0


def invite(call: Call) -> int:
    """A single-use code, and the one command for the other side; no argument holds the code, for `ps` shows those."""
    made = call.node.post("/invite", {"role": call.args.role, "ttl": call.args.ttl})
    until = format.clock(made["expires_at"])
    joins = f"  echo '{made['code']}' | fleet join -"
    call.show(made, ["On the other machine:", "", joins, "", f"Valid once, until {until}."])
    return 0


def join(call: Call) -> int:
    """Join the fleet that a code is from; the node is started if none runs. A person sees the ten checks at once."""
    from engine.membership.invite import parse  # only here, for it brings the ciphers along

    code = _typed(call, parse) if call.args.code == "-" else call.args.code
    parse(code)
    node.ensure(call)
    asked = call.node.get("/status")["node"]["name"]
    status = call.node.post("/join", {"code": code}, JOIN_S)
    name = status["node"]["name"]
    taken = f", for {asked} is the name of another there" if name != asked else ""
    done = f"{name} is now in {status['fleet']['name']}{taken}."
    call.show(status, [done, "", *plain.peers(status["peers"], call.width)])
    if call.as_json:
        return 0
    call.say("")
    return onboard.ticked(call, "")


def _typed(call: Call, parse: Callable[[str], object]) -> str:
    """Standard input until it is a code: a screen shows it, and the command around it, folded over several lines."""
    if sys.stdin.isatty():
        call.tell("paste the code; ctrl+d gives up")
    code = ""
    for line in islice(sys.stdin, LINES):
        typed = f"{code}{line.strip()} ".replace("'", "")
        code = typed.removeprefix("fleet join ").removeprefix("echo ").partition("|")[0]
        with suppress(FleetError):
            parse(code)
            break
    return code


def revoke(call: Call) -> int:
    """Put a machine out: it is refused on every channel as soon as the roster arrives."""
    call.confirm(
        f"{call.args.peer} will be refused by every member, for good; it can only join again by invite. Go on?"
    )
    peers = call.node.post("/revoke", {"name": call.args.peer})
    call.show(peers, [f"{call.args.peer} is revoked.", "", *plain.peers(peers, call.width)])
    return 0


def leave(call: Call) -> int:
    """Take this machine out of its fleet; it is a fleet of one again."""
    waiting = call.node.get("/status")["outbox"]["waiting"]
    lost = f"; {format.count(waiting, 'message')} waiting in the outbox will be given up" if waiting else ""
    call.confirm(f"This machine leaves its fleet; the others keep what it sent{lost}. Go on?")
    status = call.node.post("/leave", {}, JOIN_S)
    call.show(status, plain.folded(status["left"]["story"], call.width))
    return 0


def peers(call: Call) -> int:
    """The other machines."""
    listed = call.node.get("/peers")
    call.show(listed, plain.peers(listed, call.width))
    return 0


def role(call: Call) -> int:
    """Give a member a role."""
    status = call.node.post("/role", {"name": call.args.peer, "role": call.args.role})
    call.show(status, [f"{call.args.peer} is {call.args.role}.", "", *plain.peers(status["peers"], call.width)])
    return 0
