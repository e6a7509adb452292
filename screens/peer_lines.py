"""What the panel and `w` say of one peer. Pure: a fleet, a moment and a width in, lines out."""

from datetime import tzinfo

from engine.model.channel import SLOT_S, SLOTS, Change, Channel, ChannelState
from engine.model.finding import Finding, arranged, causes
from engine.model.moment import Moment
from engine.model.packets import Heartbeat
from engine.model.peer import Peer, Standing
from engine.model.repair import Level
from engine.state import Fleet
from screens import format as say
from screens.glyphs import CHANNEL, SEVERITY
from screens.needs import subject_peer, told
from screens.roll import Condition, Link, Plan, condition, links, no_plan, peer_of
from screens.spans import Span, Spans, cell, cells, fit, sides, wrap

MEANING = {
    Standing.ALIVE: "It answers.",
    Standing.SUSPECT: "It missed a ping; others are asked whether they hear it.",
    Standing.UNREACHABLE: "Nobody hears it. Mail is kept and goes by whatever still works.",
    Standing.STALE: "It has been silent for long. Mail is kept.",
    Standing.OFFLINE: "It is away. Mail is kept until it returns or expires.",
    Standing.UNKNOWN: "It has not been heard since this node started.",
    Standing.LEFT: "It left the fleet.",
}
SPARK = 10
# The last things that happened to a peer.
STORY = 6


def panel(
    fleet: Fleet, node_id: str, now: Moment, size: int, plan: Plan = no_plan, zone: tzinfo | None = None
) -> list[Spans]:
    """All that is known of a peer, the state first."""
    if not node_id:
        return []
    lines = [*head(fleet, node_id, now, size), ()]
    if node_id != fleet.me.id:
        lines += [*_channels(fleet, node_id, now, size, plan), ()]
    beat = _beat(fleet, node_id)
    lines += [*_work(beat, size), *_machine(fleet, node_id, beat, now, size), ()]
    lines += _addresses(fleet, node_id, size)
    return [*lines, *_findings(fleet, node_id, size), *_story(fleet, node_id, size, zone)]


def head(fleet: Fleet, node_id: str, now: Moment, size: int) -> list[Spans]:
    """Name and role, and the state in a sentence."""
    member = fleet.member(node_id)
    how = condition(fleet, node_id)
    role = member.role if member else "unknown"
    name: Spans = ((f"{how.look.glyph} ", how.look.ink), (fleet.name_of(node_id), "title"))
    return [sides(name, ((str(role), "dim"),), size), *wrap(state(how, now), size, how.look.ink)]


def state(how: Condition, now: Moment) -> str:
    """`degraded 40 s: nats slow`."""
    since = f" {say.age((now.wall_ms - how.since_ms) / 1_000)}" if how.since_ms else ""
    return f"{how.look.word}{since}{f': {how.why}' if how.why else ''}"


def heard(peer: Peer, now: Moment) -> str:
    """How long ago it was heard; the wall clock only where the other one did not run."""
    if peer.heard_mono is not None:
        return f"{say.age(now.mono - peer.heard_mono)} ago"
    return f"{say.age((now.wall_ms - peer.heard_ms) / 1_000)} ago" if peer.heard_ms else say.NEVER


def _channels(fleet: Fleet, node_id: str, now: Moment, size: int, plan: Plan) -> list[Spans]:
    order = plan(node_id)
    found = links(fleet, node_id)
    lines = [_link(fleet, node_id, one, now, size, one.channel in order[:1]) for one in found if _is_used(one)]
    return [*lines, *_unused([one for one in found if not _is_used(one)], size, "faint")]


def _story(fleet: Fleet, node_id: str, size: int, zone: tzinfo | None) -> list[Spans]:
    """What happened between us lately, over all channels, newest first: what broke, what was done, what healed."""
    told: list[tuple[int, Spans]] = []
    for channel in Channel:  # in their own order: of one moment the map would tell in another each time
        if health := fleet.channels.get((node_id, channel)):
            told += [(one.at_ms, _change(channel, one)) for one in health.changes[-STORY:] if _matters(one)]
    for repair in fleet.repairs.values():
        if repair.peer == node_id:
            steps = (one for one in repair.steps if one.level > Level.NOTED)
            told += [(one.at_ms, ((f"{repair.channel} L{one.level:d} {one.what}", "heal"),)) for one in steps]
    lines: list[Spans] = []
    for at_ms, what in sorted(told, key=lambda one: one[0], reverse=True)[:STORY]:
        lines.append(fit((((f"{say.stamp(at_ms, zone)}  ", "dim")), *what), size))
    return [(), *lines] if lines else []


def _change(channel: Channel, one: Change) -> Spans:
    look = CHANNEL[one.new]
    return ((f"{look.glyph} ", look.ink), (f"{channel} ", ""), (one.reason or look.word, "dim"))


def _matters(one: Change) -> bool:
    """The steps of finding out and of healing are in the channel's own history; here it is well, or it is not."""
    first = one.old is ChannelState.UNKNOWN and one.new is ChannelState.HEALTHY
    return one.new in (ChannelState.HEALTHY, ChannelState.BROKEN, ChannelState.QUARANTINED) and not first


def _is_used(one: Link) -> bool:
    return one.state not in (ChannelState.ABSENT, ChannelState.UNKNOWN)


def _link(fleet: Fleet, node_id: str, one: Link, now: Moment, size: int, first: bool) -> Spans:
    look = CHANNEL[one.state]
    name: Spans = ((one.channel, "under" if first else ""), (" " * (6 - cells(one.channel)), ""))
    if one.held:
        return (*name, (" – held back by you", "dim"))
    if one.ms is None or one.state in (ChannelState.BROKEN, ChannelState.QUARANTINED):
        return (*name, (f" {look.glyph} ", look.ink), (f"{look.word} {one.why}"[: size - 9], look.ink))
    points = fleet.health(node_id, one.channel).curve
    curve = say.trace(points, int(now.mono // SLOT_S), SLOTS, max(1, min(SPARK, size - 18)))
    value = cell(say.latency(one.ms), 7, right=True)
    return (*name, (f" {look.glyph} ", look.ink), (value, ""), (f"  {curve}", "dim"))


def _beat(fleet: Fleet, node_id: str) -> Heartbeat | None:
    return fleet.me.look if node_id == fleet.me.id else peer_of(fleet, node_id).beat


def _work(beat: Heartbeat | None, size: int) -> list[Spans]:
    if beat is None:
        return [(("no heartbeat yet", "dim"),)]
    lines: list[Spans] = []
    if beat.branch:
        dirty: Span = (f"  {beat.dirty} changed", "warn") if beat.dirty else ("  clean", "dim")
        room = size - cells(beat.head[:7]) - cells(dirty[0]) - 2
        lines.append(((cell(beat.branch, min(room, cells(beat.branch))), "accent"), (f"  {beat.head[:7]}", ""), dirty))
    if beat.cwd:
        lines.append(((beat.cwd if cells(beat.cwd) <= size else "…" + beat.cwd[1 - size :], "dim"),))
    return lines


def _machine(fleet: Fleet, node_id: str, beat: Heartbeat | None, now: Moment, size: int) -> list[Spans]:
    facts: list[str] = []
    if beat:
        up = now.mono - fleet.me.started_mono if node_id == fleet.me.id else beat.uptime_s
        facts += [f"load {beat.load:.1f}", f"up {say.age(up)}"]
        facts += [say.count(beat.sessions, "session")] if beat.sessions else []
        facts.append(f"fleet {beat.version}")
    if node_id != fleet.me.id:
        peer = peer_of(fleet, node_id)
        facts.append(f"heard {heard(peer, now)}")
        if peer.offset_ms is not None:
            facts.append(f"clock {say.offset(peer.offset_ms)}")
        if peer.rtt_ms is not None:
            facts.append(f"gossip {say.latency(peer.rtt_ms)}")
    elif fleet.broker.url:
        facts.append(f"broker {fleet.broker.state} at {fleet.broker.url}")
    return flow(facts, size)


def flow(facts: list[str], size: int, ink: str = "dim") -> list[Spans]:
    """Short facts side by side, as many as fit on a line, none broken."""
    lines: list[str] = []
    for fact in facts:
        if lines and cells(lines[-1]) + 3 + cells(fact) <= size:
            lines[-1] += "   " + fact
        else:
            lines.append(fact)
    return [line for text in lines for line in wrap(text, size, ink)]


def _addresses(fleet: Fleet, node_id: str, size: int) -> list[Spans]:
    own = fleet.me.addresses if node_id == fleet.me.id else fleet.addresses_of(node_id)
    lines: list[Spans] = []
    for one in own:
        ports = (("http", one.http), ("nats", one.nats), ("leaf", one.leaf), ("udp", one.udp))
        lines += flow([one.host, *(f"{name} {port}" for name, port in ports if port)], size)
    return lines


def _findings(fleet: Fleet, node_id: str, size: int) -> list[Spans]:
    own = [one for one in causes(told(fleet)) if subject_peer(fleet, one.subject) == node_id]
    return [line for one in own for line in ((), *finding(one, size))]


def finding(one: Finding, size: int) -> list[Spans]:
    """A finding: title, why, next step."""
    look = SEVERITY[one.severity]
    lines: list[Spans] = [((f" {look.glyph} {look.word} ", look.ink), (f" {one.title}", "strong"))]
    if one.detail:
        lines += wrap(one.detail, size, "", "  ")
    if one.next_step:
        steps = wrap(one.next_step, size - 4, "accent")
        lines += [(("    " if at else "  → ", "accent"), *line) for at, line in enumerate(steps)]
    return lines


def findings(fleet: Fleet, size: int) -> list[Spans]:
    """Every finding, causes before symptoms."""
    lines: list[Spans] = []
    for one in arranged(told(fleet)):
        inside = "    " * one.depth
        lines += [((inside, ""), *line) if inside else line for line in finding(one.finding, size - len(inside))]
        lines.append(())
    return lines[:-1] or [(("This node has found nothing wrong by itself.", "good"),)]


def why(fleet: Fleet, node_id: str, now: Moment, size: int, plan: Plan = no_plan) -> list[Spans]:
    """Why a peer is as it is, in sentences."""
    how = condition(fleet, node_id)
    name = fleet.name_of(node_id)
    lines: list[Spans] = [((f"{how.look.glyph} {name} ", how.look.ink), (state(how, now), ""))]
    if node_id == fleet.me.id:
        lines += wrap("This is the node you are looking from. It needs no channel to itself.", size)
        return lines + _findings(fleet, node_id, size)
    peer = peer_of(fleet, node_id)
    meaning = "Out of reach: this node was revoked." if fleet.revoked else MEANING[peer.standing]
    lines += wrap(f"{meaning} Last heard {heard(peer, now)}.", size)
    order = plan(node_id)
    if order:
        lines += wrap(f"The next message goes by {', then '.join(order)}.", size)
    waiting = fleet.mail.lanes.get(node_id)
    if waiting and waiting.open:
        lines += wrap(f"{say.count(len(waiting.open), 'message')} to it not yet receipted.", size)
    lines.append(())
    found = links(fleet, node_id)
    for one in found:
        if one.state is not ChannelState.ABSENT:
            lines += _reason(one, size)
    absent = [one for one in found if one.state is ChannelState.ABSENT]
    return [*lines, *_unused(absent, size, "dim"), *_findings(fleet, node_id, size)]


def _unused(found: list[Link], size: int, ink: str) -> list[Spans]:
    """The channels that carry nothing, those with one reason together."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in found:
        reasons.setdefault((CHANNEL[one.state].glyph, _said(one)), []).append(one.channel)
    told = [f"{glyph} {' '.join(names)}: {why}" for (glyph, why), names in reasons.items()]
    return [line for text in told for line in wrap(text, size, ink)]


def _said(one: Link) -> str:
    return one.why or ("never tried" if one.state is ChannelState.UNKNOWN else CHANNEL[one.state].word)


def _reason(one: Link, size: int) -> list[Spans]:
    look = CHANNEL[one.state]
    said = _said(one)
    if one.held:
        said = f"held back by you (x lets it back in); {said}"
    words = wrap(said, size - 24, "" if _is_used(one) else "dim")
    start: Spans = ((cell(one.channel, 7), ""), (cell(f"{look.glyph} {look.word}", 14), look.ink))
    return [(*start, *words[0]), *(((" " * 21, ""), *line) for line in words[1:])]
