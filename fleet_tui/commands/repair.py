"""Repairs from the command line (edge): what is under way, begin one, approve its commands, mend this node;
and what was broken off, once a person has seen to it."""

from typing import Any

from engine.errors import Fault, FleetError
from engine.security.peercred import user
from fleet_tui import plain
from fleet_tui.call import Call
from screens import format

# Longer than any plan may take: each command has its own deadline in the node.
APPROVE_S = 600.0
MEND_S = 300.0
# What a client says of a node that ended before it answered.
GONE = ("node.gone", "node.absent")


def repair(call: Call) -> int:
    """The one verb of repairs; what is asked of it decides which."""
    args = call.args
    if args.local:
        return _local(call)
    if args.approve:
        return _approve(call)
    if args.dismiss:
        return _dismiss(call)
    if not args.peer:
        return _list(call)
    ask = {"name": args.peer, "channel": args.channel, "level": args.level, "by": user()}
    begun = call.node.post("/repair", ask)
    call.show(begun, lines([begun]))
    return int(skipped(begun, args.level))


def skipped(one: dict[str, Any], level: int) -> bool:
    """Whether nothing could be done on the rung that was asked for; its line says why."""
    return next((step["outcome"] == "skipped" for step in reversed(one["steps"]) if step["level"] == level), False)


def _list(call: Call) -> int:
    found = call.node.get("/repairs")
    over = any(not one["level"] for one in found)
    call.show(found, lines(found, _own_name(call) if over else ""))
    return 0


def _local(call: Call) -> int:
    """One action of the closed table, here; exits with an error when it was not done."""
    done = call.node.post("/mend", {"action": call.args.local}, MEND_S)
    call.show(done, [f"done: {done['note']}"])
    return 0


def _approve(call: Call) -> int:
    """Show the commands, ask, run them; 1 when one of them failed."""
    meant = [one for one in call.node.get("/repairs") if _meant(call, one)]
    waiting = [one for one in meant if one["plan"] and not one["working"]]
    going = next((one["approval"] for one in meant if one["working"] and one["approval"]), None)
    if going and not waiting:
        step = "`fleet repair` tells how it goes on"
        raise FleetError("usage.plan", "It runs already", _since(going), step, Fault.THEIRS)
    if len(waiting) != 1:
        why = (
            "several repairs wait: name one with PEER and --channel"
            if waiting
            else "no repair of it waits for a person"
        )
        raise FleetError("usage.plan", "Nothing to approve", why, "`fleet repair` lists what is under way")
    found = waiting[0]
    call.tell(*plan(found, "These run from this node, one after another:"))
    question = f"Run {format.count(len(found['plan']), 'command')} from this node?"
    # With `--json` nothing was told yet, and nobody says yes to what he has not seen.
    call.confirm("\n".join((*plan(found, "To run:"), question)) if call.as_json else question)
    name = "" if found["peer"] == _own_name(call) else found["peer"]
    # What was shown, and nothing else: a plan is made anew when its repair is.
    ask = {"name": name, "channel": found["channel"], "digest": found["digest"], "by": user()}
    call.tell("They run now.")
    try:
        done = call.node.post("/repair/approve", ask, APPROVE_S)
    except FleetError as error:
        if error.code not in GONE:
            raise
        why = f"{error.detail}; whatever ran of them was broken off, and nothing of it is run again by itself"
        step = "`fleet up`; its findings then say how far they came, and what to do"
        raise FleetError(error.code, "The node ended while they ran", why, step, Fault.WORLD) from None
    well = all(one["status"] == 0 for one in done)
    call.show(done, [*(line for one in done for line in _ran(one)), _outcome(found, name, well)])
    return 0 if well else 1


def _outcome(found: dict[str, Any], name: str, well: bool) -> str:
    """The last word on an approval."""
    if well:
        return "It helped: nothing of it waits for you."
    shown = f"`fleet repair {name} --channel {found['channel']} --level 4` shows them" if name else "they are shown"
    return f"It did not help. Nothing waits for you now; {shown} again."


def _dismiss(call: Call) -> int:
    """Approved commands that were broken off are shown no more."""
    ask = {"name": call.args.peer or "", "channel": call.args.channel, "by": user()}
    gone = call.node.post("/repair/dismiss", ask)
    call.show(gone, [f"dismissed: {one['channel']} to {one['peer']}, {_since(one)}" for one in gone])
    return 0


def _since(word: dict[str, Any]) -> str:
    """A word for a plan: whose, and what became of it so far."""
    given = f"approved by {word['by']}"
    if word["state"] == "running":
        return f"{given}, running since {format.stamp(word['at'])}"
    count = len(word["plan"])
    far = "how far is not known" if word["ran"] is None else f"{word['ran']} of {count} had gone well"
    return f"{given}, broken off {format.day(word['ended'])}, {far}"


def _meant(call: Call, one: dict[str, Any]) -> bool:
    return call.args.peer in (None, one["peer"]) and call.args.channel in (None, one["channel"])


def _own_name(call: Call) -> str:
    return str(call.node.get("/status")["node"]["name"])


def lines(found: list[dict[str, Any]], own: str = "") -> list[str]:
    """Repairs as text: a line each, its steps under it, and what may be approved. `own`: what this node is called."""
    told = [line for one in found for line in (*(_one(one) if one["level"] else _over(one, own)), "")]
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
    return [f"{what}   {one['left']} left this hour", *steps, *_word(one)]


def _over(one: dict[str, Any], own: str) -> list[str]:
    """Approved commands without a ladder. Those of this node itself are shown anew by no rung that can be asked for."""
    pair = f"fleet repair {one['peer']} --channel {one['channel']}"
    shows = not one["working"] and one["peer"] != own
    again = [f"`{pair} --level 4` shows them again, `--approve` then runs them"] if shows else []
    return [f"{one['channel']} to {one['peer']}   its repair has ended", *_word(one), *again]


def _word(one: dict[str, Any]) -> list[str]:
    """What a person has approved, and may."""
    word = one["approval"]
    lines = [] if one["working"] else plan(one, "For you to approve (`--approve`):")
    if not word:
        return lines
    told = plan(word, f"{_since(word)[0].upper()}{_since(word)[1:]}:")
    step = f"`fleet repair {one['peer']} --channel {one['channel']} --dismiss` once you have seen to it"
    return [*told, *([step] if word["state"] != "running" else ()), *lines]


def plan(one: dict[str, Any], head: str) -> list[str]:
    """Commands under their heading."""
    if not one["plan"]:
        return []
    numbered = enumerate(one["plan"], 1)
    said = [line for at, step in numbered for line in (f"  {at}. {step['does']}:", f"     {step['command']}")]
    return ["", head, *said]


def _ran(one: dict[str, Any]) -> list[str]:
    status = "not done in time" if one["status"] is None else "done" if one["status"] == 0 else f"exit {one['status']}"
    said = [f"  {line}" for line in plain.printable(one["output"]).splitlines()]
    return [f"{one['does']}: {status}", *said]
