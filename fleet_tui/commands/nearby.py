"""Machines nearby, from the command line (edge): wake one, look for others, keep a tunnel to one."""

from engine.errors import Fault, FleetError
from fleet_tui import plain
from fleet_tui.call import Call

# What the node itself needs beyond the waiting that was asked for: the health check, and the packets.
SLACK_S = 60.0


def wake(call: Call) -> int:
    """Switch a machine on; 5 when its node was not heard in time: a packet that was sent is no machine awake."""
    wait_s = call.args.wait
    call.node.get("/preview", to=call.args.peer)  # raises for whom nobody knows, before anybody is told to wait
    call.tell(f"waking {call.args.peer}" + (f", up to {wait_s:g} s …" if wait_s else " …"))
    woken = call.node.post("/wake", {"name": call.args.peer, "wait": wait_s}, wait_s + SLACK_S)
    call.show(woken, plain.woken(woken))
    return 0


def discover(call: Call) -> int:
    """Who else is there; who of them is a member already."""
    call.tell("looking around …")
    found = call.node.get("/discover")
    for source, why in found["failed"].items():
        call.tell(f"{source} could not be asked: {why}")
    call.show(found["machines"], plain.suggestions(found["machines"]))
    return 0


def tunnel(call: Call) -> int:
    """Keep a tunnel, list them, or keep one no more."""
    args = call.args
    if args.what == "list":
        kept = call.node.get("/tunnels")
        call.show(kept, plain.tunnels(kept, call.width))
        return 0
    if not args.peer:
        step = f"`fleet tunnel {args.what} PEER`"
        raise FleetError("usage.peer", "To which peer?", "no name is given", step, Fault.THEIRS)
    if args.what == "add":
        line = call.node.post("/tunnels", {"name": args.peer, "ssh": args.ssh})
        how = f"It cannot open yet: {line['reason']}. It is tried on and on; " if line["reason"] else ""
        step = "`--ssh HOST` names a host as ssh knows it; " if how and not args.ssh else ""
        said = plain.folded(f"{how}{step}`fleet tunnel list` shows when it is up.", call.width)
        call.show(line, [*plain.tunnels([line], call.width), "", *said])
    else:
        kept = call.node.post("/tunnels/remove", {"name": args.peer})
        call.show(kept, [f"No tunnel to {args.peer} is kept.", "", *plain.tunnels(kept, call.width)])
    return 0
