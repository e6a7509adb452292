"""Repairs from the command line (edge): what is under way, begin one, approve its commands, mend this node."""

from typing import Any

from engine.errors import FleetError
from engine.security.peercred import user
from fleet_tui import plain
from fleet_tui.call import Call
from screens import format

# Longer than any plan may take: each command has its own deadline in the node.
APPROVE_S = 600.0
MEND_S = 300.0


def repair(call: Call) -> int:
    """The one verb of repairs; what is asked of it decides which."""
    args = call.args
    if args.local:
        return _local(call)
    if args.approve:
        return _approve(call)
    if not args.peer:
        return _list(call)
    ask = {"name": args.peer, "channel": args.channel, "level": args.level, "by": user()}
    begun = call.node.post("/repair", ask)
    call.show(begun, lines([begun]))
    return 0


def _list(call: Call) -> int:
    found = call.node.get("/repairs")
    call.show(found, lines(found))
    return 0


def _local(call: Call) -> int:
    """One action of the closed table, here; exits with an error when it was not done."""
    done = call.node.post("/mend", {"action": call.args.local}, MEND_S)
    call.show(done, [f"done: {done['note']}"])
    return 0


def _approve(call: Call) -> int:
    """Show the commands, ask, run them; 1 when one of them failed."""
    waiting = [one for one in call.node.get("/repairs") if one["plan"] and _meant(call, one)]
    if len(waiting) != 1:
        why = (
            "several repairs wait: name one with PEER and --channel"
            if waiting
            else "no repair of it waits for a person"
        )
        raise FleetError("usage.plan", "Nothing to approve", why, "`fleet repair` lists what is under way")
    found = waiting[0]
    call.tell(*plan(found))
    question = f"Run {format.count(len(found['plan']), 'command')} from this node?"
    # With `--json` nothing was told yet, and nobody says yes to what he has not seen.
    call.confirm("\n".join((*plan(found), question)) if call.as_json else question)
    name = "" if found["peer"] == _own_name(call) else found["peer"]
    # What was shown, and nothing else: a plan is made anew when its repair is.
    ask = {"name": name, "channel": found["channel"], "digest": found["digest"], "by": user()}
    done = call.node.post("/repair/approve", ask, APPROVE_S)
    call.show(done, [line for one in done for line in _ran(one)])
    return 0 if all(one["status"] == 0 for one in done) else 1


def _meant(call: Call, one: dict[str, Any]) -> bool:
    return call.args.peer in (None, one["peer"]) and call.args.channel in (None, one["channel"])


def _own_name(call: Call) -> str:
    return str(call.node.get("/status")["node"]["name"])


def lines(found: list[dict[str, Any]]) -> list[str]:
    """Repairs as text: a line each, its steps under it, and what may be approved."""
    told = [line for one in found for line in (*_one(one), "")]
    return told[:-1] or ["Nothing is under repair."]


def _one(one: dict[str, Any]) -> list[str]:
    what = f"{one['channel']} to {one['peer']}   L{one['level']}"
    if one["held_s"] is not None:
        what += f"   held for {format.age(one['held_s'])}"
    elif one["next_s"] is not None:
        # Overdue: a machine that nobody has heard since the break is not asked.
        due = f"in {format.countdown(one['next_s'])}" if one["next_s"] > 0 else "once its machine is heard"
        what += f"   next rung {due}"
    steps = plain.table(
        (format.stamp(step["at"]), f"L{step['level']}", plain.printable(step["what"]), plain.printable(step["outcome"]))
        for step in one["steps"]
    )
    return [f"{what}   {one['left']} left this hour", *steps, *plan(one)]


def plan(one: dict[str, Any]) -> list[str]:
    """The commands that wait for a person."""
    if not one["plan"]:
        return []
    numbered = enumerate(one["plan"], 1)
    said = [line for at, step in numbered for line in (f"  {at}. {step['does']}:", f"     {step['command']}")]
    return ["", "For you to approve (`--approve`):", *said]


def _ran(one: dict[str, Any]) -> list[str]:
    status = "not done in time" if one["status"] is None else "done" if one["status"] == 0 else f"exit {one['status']}"
    said = [f"  {line}" for line in plain.printable(one["output"]).splitlines()]
    return [f"{one['does']}: {status}", *said]
