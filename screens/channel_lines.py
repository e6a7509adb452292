"""What the panel and `w` say of one (peer, channel) pair: the machine with its present state lit, and why. Pure."""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from engine.model.channel import CHANNELS, KEPT_FAILS, Change, Channel, ChannelHealth, ChannelState, Verdict
from engine.model.moment import Moment
from engine.state import Fleet
from screens import format as say
from screens.glyphs import CHANNEL, OUTCOME
from screens.peer_lines import flow
from screens.repair_lines import ladder
from screens.roll import Plan, no_plan
from screens.spans import Span, Spans, cells, fit, sides, wrap

# The way through the machine, with the words on its arrows for where there is room.
WAY = (
    (ChannelState.HEALTHY, "1 fail"),
    (ChannelState.DEGRADED, "3 in a row"),
    (ChannelState.BROKEN, "an answer"),
    (ChannelState.HEALING, "3 answers"),
)
KEPT = 16
PAIR_FROM = 96


def nothing(query: str, size: int) -> list[Spans]:
    """Instead of rows: that nothing matches, or that nobody is there yet and how somebody comes."""
    if query:
        return wrap("Nothing matches. esc shows all again.", size, "dim")
    return [
        *wrap("Nobody to reach yet: this node is alone.", size, "title"),
        *wrap("i prints a line that brings another machine in; its channels stand here.", size, "dim"),
    ]


def machine(state: ChannelState, size: int) -> Spans:
    """The states in their order, the present one lit; those beside the way stand alone."""
    if state not in [one for one, _ in WAY]:
        look = CHANNEL[state]
        return (("[", "dim"), (f" {look.glyph} {look.word} ", look.ink), ("]", "dim"))
    told = _way(state, True)
    return told if sum(cells(text) for text, _ in told) <= size else fit(_way(state, False), size)


def _way(state: ChannelState, told: bool) -> Spans:
    spans: list[Span] = []
    for one, arrow in WAY:
        look = CHANNEL[one]
        lit = one is state
        spans.append((f"[{look.glyph} {look.word}]" if lit else look.word, f"{look.ink} strong" if lit else "faint"))
        spans.append((f" ─{arrow}→ " if told else " → ", "faint"))
    return (*spans, (CHANNEL[ChannelState.HEALTHY].word, "faint"))


def title(fleet: Fleet, peer: str, channel: Channel, now: Moment, size: int) -> Spans:
    """Whose channel it is, its state and since when."""
    health = fleet.health(peer, channel)
    look = CHANNEL[health.shown]
    reason = _reason(health)
    name: Spans = (
        (f"{look.glyph} ", look.ink),
        (f"{fleet.name_of(peer)} · {channel}", "title"),
        (f"  {_word(health)}", look.ink),
        (f"  {reason}" if reason else "", "dim"),
    )
    since = f"since {say.age((now.wall_ms - health.since_ms) / 1_000)}" if health.since_ms else ""
    if health.state is ChannelState.HEALING and health.broke_ms:
        since = f"broke {say.age((now.wall_ms - health.broke_ms) / 1_000)} ago"
    return sides(name, ((since, "dim"),), size)


def _word(health: ChannelHealth) -> str:
    """Its state in words: what is only tried again is broken."""
    return f"{CHANNEL[health.shown].word}{', trying again' if health.retried else ''}"


def _reason(health: ChannelHealth) -> str:
    """Why it is so; while it is tried again, why it broke."""
    return health.trouble if health.retried else health.reason


def panel(fleet: Fleet, peer: str, channel: Channel, now: Moment, size: int, zone: tzinfo | None = None) -> list[Spans]:
    """State machine, facts and the last changes."""
    if not peer:
        return []
    health = fleet.health(peer, channel)
    lines = [title(fleet, peer, channel, now, size), machine(health.shown, size)]
    if health.held:
        lines += wrap("held back by you: the cascade passes it over; x lets it back in", size, "warn")
    lines += ladder(fleet, peer, channel, now, size)
    lines += flow(facts(fleet, peer, channel, now), size)
    # A try that nothing answered yet is no change: in vain, it leaves none behind.
    made = health.changes[:-1] if health.retried else health.changes
    return [*lines, (), *changes(made, size, zone)] if made else lines


def facts(fleet: Fleet, peer: str, channel: Channel, now: Moment) -> list[str]:
    """The numbers behind the state."""
    health = fleet.health(peer, channel)
    window = fleet.config.health.window_s
    recent = sum(now.mono - at <= window for at in health.fails)
    spec = CHANNELS[channel]
    failed = say.count(recent, "failure") if recent < KEPT_FAILS else f"{recent} or more failures"
    said = [f"P{spec.number} {spec.speed.name.lower()}", f"{failed} in {say.age(window)}"]
    if health.streak:
        said.append(f"{health.streak} in a row")
    if health.good:
        said.append(f"{health.good} of {fleet.config.health.heal_probes} probes well")
    if health.retry_at > now.mono:
        said.append(f"tries again in {say.countdown(health.retry_at - now.mono)}")
    if health.ok_at is not None:
        said.append(f"worked {say.age(now.mono - health.ok_at)} ago")
    ms = health.latency_ms
    if ms is not None:
        said.append(f"{say.latency(ms)} {say.spark(health.latencies, 16)}")
    return said


def changes(made: tuple[Change, ...], size: int, zone: tzinfo | None = None) -> list[Spans]:
    """The last changes, newest first; in two columns where there is room."""
    last = [_change(one, zone) for one in reversed(made[-KEPT:])]
    if size < PAIR_FROM:
        return [fit(one, size) for one in last]
    half = -(-len(last) // 2)
    wide = size // 2 - 1
    right = [*last[half:], *[()] * (half * 2 - len(last))]
    return [(*fit(one, wide), ("  ", ""), *fit(two, wide)) for one, two in zip(last[:half], right, strict=True)]


def _change(one: Change, zone: tzinfo | None) -> Spans:
    look = CHANNEL[one.new]
    return (
        (f"{say.stamp(one.at_ms, zone)}  ", "dim"),
        (f"{look.glyph} {look.word:<11} ", look.ink),
        (one.reason, ""),
    )


def why(fleet: Fleet, peer: str, channel: Channel, now: Moment, size: int, plan: Plan = no_plan) -> list[Spans]:
    """Why the channel is in its state, and whether the next message would take it."""
    health = fleet.health(peer, channel)
    look = CHANNEL[health.shown]
    order = plan(peer)
    lines: list[Spans] = [((f"{look.glyph} {channel} to {fleet.name_of(peer)} is {_word(health)}", look.ink),), ()]
    unsaid = "it was never tried" if health.state is ChannelState.UNKNOWN else "no reason was given"
    lines += wrap(REASONS[health.shown].format(channel=channel, why=_reason(health) or unsaid), size)
    if health.held:
        lines += wrap("You hold it back: the cascade passes it over until x lets it in again.", size, "warn")
    elif channel in order:
        place = PLACES[min(order.index(channel), len(PLACES) - 1)]
        lines += wrap(f"The next message tries it {place}; the order is {', '.join(order)}.", size)
    elif order:
        lines += wrap(f"The next message does not try it; the order is {', '.join(order)}.", size)
    return [*lines, (), *flow(facts(fleet, peer, channel, now), size)]


def answered(checks: Mapping[str, Mapping[str, Any]]) -> str:
    """How the round trips of a check ended, those that came back first: `nats 3 ms, http 5 ms; relay no answer`."""
    came = [f"{on} {say.latency(one['ms'])}" for on, one in checks.items() if one["outcome"] == Verdict.CONFIRMED]
    set_up = {on: one["outcome"] for on, one in checks.items() if one["state"] != ChannelState.ABSENT}
    tried = {on: OUTCOME[outcome].word for on, outcome in set_up.items() if outcome in UNANSWERED}
    parts = [", ".join(came), ", ".join(f"{on} {word}" for on, word in tried.items())]
    return "; ".join(filter(None, parts)) or "no channel could be tried"


# How a try ended of which the peer did not say yes.
UNANSWERED = (Verdict.LOST, Verdict.REFUSED, Verdict.LANDED, Verdict.BARRED)
PLACES = ("first", "second", "third", "late")
REASONS = {
    ChannelState.HEALTHY: "The last tries were answered in time.",
    ChannelState.DEGRADED: "It works, but not as it should: {why}. It is still used, after healthier ones.",
    ChannelState.BROKEN: "The last tries failed: {why}. It is not used; probes look after it, ever more rarely.",
    ChannelState.HEALING: "It answers again after it was broken ({why}). Three good probes make it healthy.",
    ChannelState.QUARANTINED: "{why}. Nothing goes over it until a person has looked: a changed key is never accepted.",
    ChannelState.UNKNOWN: "What was not measured is not claimed. What is known: {why}.",
    ChannelState.ABSENT: "It cannot be used here: {why}.",
}
