"""What rooms say of a repair: the ladder with its rung in progress and its countdown, and the commands. Pure."""

import shlex
from collections.abc import Sequence
from datetime import tzinfo

from engine.health.remedies import askable, startable
from engine.model.channel import Channel, ChannelState
from engine.model.moment import Moment
from engine.model.repair import DOES, Level, Ran, Repair, above
from engine.model.repair import left as remaining
from engine.state import Fleet
from screens import format as say
from screens.spans import Span, Spans, sides, width, words, wrap

# What a rung is called while it has not been reached.
NAMES = {Level.NOTED: "noted", Level.ASKED: "asked", Level.AGENT: "agent", Level.PERSON: "you"}
MEANS = {
    Level.NOTED: "notes it, and {then}",
    Level.ASKED: "asks {name} to {does}",
    Level.AGENT: "starts the repair agent of {name}",
    Level.PERSON: "shows the commands that you can approve",
}
ILL = (ChannelState.DEGRADED, ChannelState.BROKEN, ChannelState.HEALING, ChannelState.QUARANTINED)
HEAD = "repair  "
# How a step ended, as a sign.
MARKS = {"done": (" ✓", "good"), "already": (" –", "dim"), "held": (" ‖", "warn"), "skipped": (" –", "dim")}
FAILED = (" ✗", "bad")


def repair_of(fleet: Fleet, peer: str, channel: Channel) -> Repair | None:
    """The repair under way of this pair; of our own broker, where P1 works to nobody."""
    found = fleet.repairs.get((peer, channel))
    return found or (fleet.repairs.get((fleet.me.id, channel)) if channel is Channel.NATS else None)


def level_of(fleet: Fleet, peer: str, channel: Channel) -> int:
    """The rung in progress; 0 without a repair."""
    found = repair_of(fleet, peer, channel) if fleet.repairs else None
    return int(found.level) if found else 0


def unaskable(fleet: Fleet, peer: str, channel: Channel) -> str:
    """Why nothing can be asked about a channel of a peer, by the ladder's own rule; empty where it can."""
    if askable(fleet, peer, channel):
        return ""
    ended = "its node has ended: a repair of ssh starts it"
    return ended if startable(fleet, peer) else "nobody hears it, so there is nobody to ask"


def unrepairable(fleet: Fleet, peer: str) -> str:
    """Why nothing to a peer can be repaired: of its channels the one is asked for that the engine would take."""
    chosen = Channel.SSH if startable(fleet, peer) else fleet.worst(peer)
    return unaskable(fleet, peer, chosen) if chosen else "no channel to it is broken"


def left(fleet: Fleet, peer: str, now: Moment) -> tuple[int, int]:
    """Escalations that remain for a peer in this hour, and how many an hour has."""
    limit = fleet.config.repair.per_hour
    return remaining(fleet.mending.escalations.get(peer, ()), now.mono, limit), limit


def ladder(fleet: Fleet, peer: str, channel: Channel, now: Moment, size: int) -> list[Spans]:
    """The four rungs, those behind with their outcome, the present one lit with its countdown, and what the hour has
    left. Nothing for a channel that is well, nor where there is nobody to ask."""
    repair = repair_of(fleet, peer, channel)
    if repair is None and (fleet.health(peer, channel).state not in ILL or not askable(fleet, peer, channel)):
        return []
    subject = repair.peer if repair else peer
    remain, limit = left(fleet, subject, now)
    rest: Spans = ((f"{remain} of {limit} left", "dim" if remain else "warn"),)
    parts = [_rung(fleet, repair, level, now) for level in Level]
    return [*_flow(parts, rest, size), *_waiting(repair, size)]


def _rung(fleet: Fleet, repair: Repair | None, level: Level, now: Moment) -> Spans:
    on = repair is not None and repair.level is level
    off = level not in fleet.config.repair.levels
    step = next((one for one in reversed(repair.steps) if one.level is level), None) if repair else None
    if repair is None or step is None:
        return ((f"L{level:d} {NAMES[level]}{' (off)' if off else ''}", "faint"),)
    spans: list[Span] = [(f"L{level:d} {_short(step.what)}", "strong" if on else "dim")]
    if step.outcome:
        spans.append(MARKS.get(step.outcome, FAILED))
    if on:
        spans.append((f" {say.countdown((now.wall_ms - step.at_ms) / 1_000)}", "dim"))
        spans += _next(repair, now)
    return tuple(spans)


def _short(what: str) -> str:
    """The fact without its reason, which the title of the panel gives already."""
    return "noted" if what.startswith("noted:") else what.partition(": ")[0]


def _next(repair: Repair, now: Moment) -> list[Span]:
    if repair.working:
        return [("  its commands run", "accent")]
    if repair.held_until > now.mono:
        return [(f"  held for {say.age(repair.held_until - now.mono)}", "warn")]
    if repair.level is not Level.PERSON and now.mono < repair.due < float("inf"):
        return [(f"  next in {say.countdown(repair.due - now.mono)}", "accent")]
    return []


def _waiting(repair: Repair | None, size: int) -> list[Spans]:
    if repair is None or not repair.plan or repair.working:
        return []
    what = say.count(len(repair.plan), "command")
    verb = "waits" if len(repair.plan) == 1 else "wait"
    return wrap(f"{what} {verb} for you: A shows them, and runs them if you say so", size, "warn")


def _flow(parts: list[Spans], rest: Spans, size: int) -> list[Spans]:
    """The rungs side by side, as many as fit on a line, none broken; `rest` at the end of the first line it fits on."""
    indent: Spans = ((" " * len(HEAD), ""),)
    lines: list[Spans] = [((HEAD, "dim"), *_cut(parts[0], size - len(HEAD)))]
    for part in parts[1:]:
        part = _cut(part, size - len(HEAD))
        if width(lines[-1]) + 3 + width(part) <= size:
            lines[-1] = (*lines[-1], ("   ", ""), *part)
        else:
            lines.append((*indent, *part))
    if width(lines[-1]) + 3 + width(rest) <= size:
        lines[-1] = sides(lines[-1], rest, size)
    else:
        lines.append(sides(indent, rest, size))
    return lines


def _cut(part: Spans, size: int) -> Spans:
    """A rung that is wider than the panel loses its end."""
    if width(part) <= size:
        return part
    return wrap(words(part), size, part[0][1])[0]


def steps(repair: Repair, size: int, zone: tzinfo | None = None) -> list[Spans]:
    """Everything that was done, newest first."""
    lines: list[Spans] = []
    for one in reversed(repair.steps):
        said = f"{one.what}{f': {one.said}' if one.said not in ('', 'done') else ''}"
        told = wrap(said, max(10, size - 14))
        start: Spans = ((f"{say.stamp(one.at_ms, zone)}  ", "dim"), (f"L{one.level:d}  ", "accent"))
        lines += [(*start, *told[0]), *(((" " * 14, ""), *line) for line in told[1:])]
    return lines


def plan_text(fleet: Fleet, repair: Repair) -> str:
    """The question before a plan runs: what is touched, and each command with what it does."""
    name = "this node" if repair.ours else fleet.name_of(repair.peer)
    commands = [f"{at}. {one.does}:\n   {shlex.join(one.argv)}" for at, one in enumerate(repair.plan, 1)]
    said = f"These run from {fleet.me.name}, one after another, and stop at the first that fails. They change {name}"
    proof = f"Then a round trip over {repair.channel} is measured: only that says whether they helped."
    return "\n".join([f"{said}; no other machine is touched.", proof, "", *commands])


def meaning(fleet: Fleet, peer: str, channel: Channel, level: Level) -> str:
    """What choosing a rung does."""
    repair = repair_of(fleet, peer, channel)
    does = DOES[repair.action] if repair and repair.action else "repair itself"
    then = "goes on from there by itself" if above(Level.NOTED, fleet.config.repair.levels) else "leaves it at that"
    return MEANS[level].format(name=fleet.name_of(peer), does=does, then=then)


def outputs(ran: Sequence[Ran], size: int) -> list[Spans]:
    """What each command of a plan did, and said."""
    lines: list[Spans] = []
    for one in ran:
        how, ink = (
            ("done", "good")
            if one.status == 0
            else ("not done in time", "bad")
            if one.status is None
            else (f"exit {one.status}", "bad")
        )
        lines += wrap(f"{one.does}: {how}", size, ink)
        lines += wrap(one.command, size, "dim", "  ") if one.command else []
        said = "".join(sign if sign in "\n" or sign.isprintable() else " " for sign in one.output).strip()
        lines += [*wrap(said, size, "", "  "), ()] if said else [()]
    return lines[:-1]
