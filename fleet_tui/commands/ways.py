"""Channels from the command line (edge): look at them, try them, hold them back."""

from fleet_tui import plain
from fleet_tui.call import Call

CHECK_S = 60.0


def channels(call: Call) -> int:
    """Every channel to every peer, or to one."""
    grid = call.node.get("/channels", peer=call.args.peer)
    call.show(grid, plain.channels(grid, call.width))
    return 0


def check(call: Call) -> int:
    """A round trip on every channel, or what came of one of them; 1 when none came back."""
    only = call.args.channel
    asked = call.node.post("/check", {"name": call.args.peer}, CHECK_S)
    answers = {name: one for name, one in asked.items() if only in (None, name)}
    call.show(answers, plain.check(call.args.peer, answers, call.width))
    return 0 if any(one["outcome"] == "confirmed" for one in answers.values()) else 1


def probe(call: Call) -> int:
    """Ask for a probe; the answer shows in the channels."""
    call.node.post("/probe", {"name": call.args.peer, "channel": call.args.channel})
    call.show({}, [f"asked; `fleet channels {call.args.peer}` shows what came back"])
    return 0


def hold(call: Call) -> int:
    """Keep a channel out of the cascade, or let it back in."""
    args = call.args
    grid = call.node.post("/hold", {"name": args.peer, "channel": args.channel, "held": not args.off})
    call.show(grid, plain.channels(grid, call.width))
    return 0
