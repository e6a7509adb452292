"""The last hop: when a letter is typed into its session's terminal, and what its sender is told of it.

    Addressed ─► a hop in the store, the seed file anew ─► [allowed here: the oldest open hops of the session]
    idle, nothing in hand, the gap over ─► TYPING is durable ─► Type ─► Typed(POSTED) ─► Typed(SEEN)
    busy, asking, half typed, in copy-mode, too soon, no terminal ─► HELD with the reason; again when that ends
    its time to live ends before that ─► EXPIRED, told as held for good
    TYPING at a start ─► Seek ─► SEEN, or UNKNOWN and never typed again

The store is the truth about hops: what is to be typed is read from it, because a message may arrive a second time under
another number. Each change is told to the sender by a durable message of its own, for its number may be closed long
ago. What a terminal shows is the edge's to say; nothing here looks.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from immutables import Map

from engine.effects import Arm, Effect, LoadHops, Raise, Resolve, Save, Seek, Type, WriteSeed
from engine.model.channel import Channel
from engine.model.envelope import Envelope, Kind
from engine.model.hop import RUNG_OF, Hop, HopState, Place
from engine.model.moment import Moment
from engine.model.packets import Climb, Climbs, pack
from engine.model.records import AddHop, MoveHop, Record, SetCursor
from engine.model.ways import Seat
from engine.signals import Addressed, Fetched, Glimpsed, HopsLoaded, Posted, Rang, Reachable, Seated, Signal, Typed
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

TIMER = "hop."
# What peers may know of a session that is in use; the rest is its owner's business.
ANNOUNCED = {"idle": "idle", "busy": "busy", "half_typed": "busy", "asking": "asking"}
NO_TERMINAL = "no terminal is allowed for this session: it waits for the session's own hook"
LIVED = "expired: its time to live ended before it could be typed, so it is not typed any more"
# A packet of climbs has room for so many, and each reason for so much.
CLIMBS_LIMIT, REASON_LIMIT = 128, 200
WORD_S = 10.0


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The last hops after one signal."""
    return _HEARD[type(signal)](fleet, signal, now)


def _addressed(fleet: Fleet, signal: Addressed, now: Moment) -> Step:
    """A page of the store tells which of them are new."""
    records: list[Record] = []
    told: list[tuple[Hop, str]] = []
    sessions = dict.fromkeys(letter.session for letter in signal.letters)
    for letter in signal.letters:
        seated = letter.session in fleet.places
        state, why = (HopState.WAITING, "") if seated else (HopState.HELD, NO_TERMINAL)
        records.append(AddHop(letter, state, now.wall_ms, why))
        if not seated:
            told.append((Hop(letter.msg_id, letter.src, state, why, now.wall_ms, now.wall_ms), ""))
    effects: list[Effect] = [Save(tuple(records)), *climbs(fleet, told, now)]
    for session in sessions:
        fleet, more = _load(fleet, session)
        effects += [WriteSeed(session), *more]
    return fleet, effects


def _load(fleet: Fleet, session: str) -> Step:
    place = fleet.places.get(session)
    if place is None:
        return fleet, []
    place = msgspec.structs.replace(place, turn=place.turn + 1, loading=True)
    return _with(fleet, session, place), [LoadHops(session, place.turn)]


def _loaded(fleet: Fleet, signal: HopsLoaded, now: Moment) -> Step:
    """A page that something has overtaken tells of hops as they were; another is on its way."""
    place = fleet.places.get(signal.session)
    if place is None or signal.turn != place.turn:
        return fleet, []
    typed_ms = max(place.typed_ms, signal.typed_ms)
    known = {(one.msg_id, one.src): one.ends_at for one in place.open}
    open_ = tuple(
        msgspec.structs.replace(one, ends_at=known.get((one.msg_id, one.src), _ends_at(one, now)))
        for one in signal.hops
    )
    place = msgspec.structs.replace(place, open=open_, loading=False, typed_ms=typed_ms)
    return _go_on(_with(fleet, signal.session, place), signal.session, now)


def _seated(fleet: Fleet, signal: Seated, now: Moment) -> Step:
    """Sessions were opted in or out: what waited for one that is new is looked at."""
    kept = {session: fleet.places.get(session, Place()) for session in signal.sessions}
    fresh = [session for session in signal.sessions if session not in fleet.places]
    fleet, effects = _announced(msgspec.structs.replace(fleet, places=Map(kept)))
    for session in fresh:
        fleet, more = _load(fleet, session)
        effects += more
    return fleet, effects


def _glimpsed(fleet: Fleet, signal: Glimpsed, now: Moment) -> Step:
    place = fleet.places.get(signal.session)
    if place is None:
        return fleet, []
    fleet = _with(fleet, signal.session, msgspec.structs.replace(place, state=signal.state, why=signal.why))
    fleet = _worded(fleet, signal.session, now)
    fleet, announced = _announced(fleet)
    fleet, effects = _go_on(fleet, signal.session, now)
    return fleet, [*announced, *effects]


def _rang(fleet: Fleet, signal: Rang, now: Moment) -> Step:
    session = signal.key.removeprefix(TIMER)
    return _go_on(fleet, session, now) if signal.key.startswith(TIMER) and session in fleet.places else (fleet, [])


def _worded(fleet: Fleet, session: str, now: Moment) -> Fleet:
    """An agent turns busy and idle all day, and each word hurries a heartbeat: one in ten seconds will do."""
    place = fleet.places[session]
    word = ANNOUNCED.get(place.state, "unknown")
    if word == place.word or now.mono - place.word_at < WORD_S:
        return fleet
    return _with(fleet, session, msgspec.structs.replace(place, word=word, word_at=now.mono))


def _announced(fleet: Fleet) -> Step:
    """Peers learn which sessions can be typed into, and how they are."""
    seats = tuple(Seat(name, place.word) for name, place in sorted(fleet.places.items()))
    ways = msgspec.structs.replace(fleet.me.ways, seats=seats)
    return fleet, [Raise(Reachable(ways))] if ways != fleet.me.ways else []


def _go_on(fleet: Fleet, session: str, now: Moment) -> Step:
    """The next thing for a session: one at a time, the oldest first."""
    place = fleet.places[session]
    if place.typing or place.loading or not place.open:
        return fleet, []
    first = place.open[0]
    if over := [one for one in place.open if one.ends_at <= now.mono and one.state is not HopState.TYPING]:
        return _expired(fleet, session, place, over, now)
    if first.state is HopState.TYPING:
        return _with(fleet, session, msgspec.structs.replace(place, typing=first.msg_id)), [Seek(session, first)]
    rest_s = _rest_s(fleet, place, now)
    if not place.why and not rest_s:
        return _begun(fleet, session, place, first, now)
    ends = [one.ends_at for one in place.open]
    at = min([now.mono + rest_s, *ends] if rest_s and not place.why else ends)
    effects: list[Effect] = [Arm(TIMER + session, at)] if at < float("inf") else []
    gap = f"something was typed into it less than {fleet.config.text.gap_s:g} s ago"
    fleet, held = _held(fleet, session, place, place.why or gap, now)
    return fleet, [*effects, *held]


def _ends_at(hop: Hop, now: Moment) -> float:
    """The monotonic end of its life. Taken once, and never longer than it was when it came: a clock that jumps
    meanwhile moves nothing."""
    if not hop.ends_ms:
        return float("inf")
    left_ms = min(max(0, hop.ends_ms - now.wall_ms), hop.ends_ms - hop.came_ms)
    return now.mono + left_ms / 1000


def _expired(fleet: Fleet, session: str, place: Place, over: list[Hop], now: Moment) -> Step:
    """Nothing is typed after its end; what is left is looked at anew."""
    told = [_moved(one, HopState.EXPIRED, LIVED, now) for one in over]
    open_ = tuple(one for one in place.open if one not in over)
    fleet, more = _load(_with(fleet, session, msgspec.structs.replace(place, open=open_)), session)
    records = tuple(MoveHop(one.msg_id, one.src, one.state, one.at_ms, one.reason) for one in told)
    return fleet, [Save(records), *climbs(fleet, [(one, "") for one in told], now), *more]


def _rest_s(fleet: Fleet, place: Place, now: Moment) -> float:
    """Seconds until something may be typed again; a clock that went back costs one gap at most."""
    gap_s = fleet.config.text.gap_s
    passed_s = (now.wall_ms - place.typed_ms) / 1000
    return gap_s - passed_s if 0 <= passed_s < gap_s else gap_s if -gap_s < passed_s < 0 else 0.0


def _begun(fleet: Fleet, session: str, place: Place, hop: Hop, now: Moment) -> Step:
    """The intent first: should we die while typing, nobody types it again."""
    typed = _moved(hop, HopState.TYPING, "", now)
    place = msgspec.structs.replace(
        place,
        open=(typed, *place.open[1:]),
        turn=place.turn + 1,
        typing=hop.msg_id,
        typed_ms=now.wall_ms,
        before_ms=place.typed_ms,
    )
    record = MoveHop(hop.msg_id, hop.src, typed.state, typed.at_ms, "", now.wall_ms)
    return _with(fleet, session, place), [Save((record,)), Type(session, typed)]


def _held(fleet: Fleet, session: str, place: Place, why: str, now: Moment) -> Step:
    """All that is open waits for the same; whoever is not told yet is told."""
    known = [(one.state, one.reason) == (HopState.HELD, why) for one in place.open]
    if all(known):
        return fleet, []
    told = [one if old else _moved(one, HopState.HELD, why, now) for one, old in zip(place.open, known, strict=True)]
    place = msgspec.structs.replace(place, open=tuple(told), turn=place.turn + 1)
    moved = [one for one, old in zip(told, known, strict=True) if not old]
    records = tuple(MoveHop(one.msg_id, one.src, one.state, one.at_ms, why) for one in moved)
    return _with(fleet, session, place), [Save(records), *climbs(fleet, [(one, "") for one in moved], now)]


def _typed(fleet: Fleet, signal: Typed, now: Moment) -> Step:
    """Typing came so far. Withheld, nothing was typed: it waits on, and the gap is as it was."""
    session = signal.session
    place = fleet.places.get(session)
    if not signal.over and place is not None:
        return _on_the_way(fleet, session, place, signal, now)
    known = next((one for one in place.open if one.msg_id == signal.hop.msg_id), signal.hop) if place else signal.hop
    hop = _moved(known, signal.state, signal.reason, now)
    withheld = signal.state is HopState.HELD
    typed_ms = 0 if withheld else place.typed_ms if place else now.wall_ms
    record = MoveHop(hop.msg_id, hop.src, hop.state, hop.at_ms, hop.reason, typed_ms)
    effects: list[Effect] = [Save((record,)), *climbs(fleet, [(hop, Channel.TEXT)], now), WriteSeed(session)]
    if place is None:
        return fleet, effects
    place = msgspec.structs.replace(
        place,
        typing="",
        typed_ms=place.before_ms if withheld else place.typed_ms,
        state=signal.screen or place.state,
        why=signal.why if signal.screen else place.why,
    )
    fleet, more = _load(_with(fleet, session, place), session)
    return fleet, [*effects, *more]


def _on_the_way(fleet: Fleet, session: str, place: Place, signal: Typed, now: Moment) -> Step:
    """A rung on the way to the end is told and not kept: after a crash the end is still looked for."""
    told = [_moved(one, signal.state, signal.reason, now) for one in place.open if one.msg_id == signal.hop.msg_id]
    moved = {one.msg_id: one.at_ms for one in told}
    open_ = tuple(msgspec.structs.replace(one, at_ms=moved.get(one.msg_id, one.at_ms)) for one in place.open)
    fleet = _with(fleet, session, msgspec.structs.replace(place, open=open_))
    return fleet, climbs(fleet, [(one, Channel.TEXT) for one in told], now)


def _fetched(fleet: Fleet, signal: Fetched, now: Moment) -> Step:
    """The session itself took them: nothing of it is typed any more, but what is in hand."""
    place = fleet.places.get(signal.session)
    in_hand = place.typing if place else ""
    moved = [_moved(one, signal.state, signal.reason, now) for one in signal.hops if one.msg_id != in_hand]
    records: list[Record] = [MoveHop(one.msg_id, one.src, one.state, one.at_ms, one.reason) for one in moved]
    if signal.row:
        records.append(SetCursor(signal.session, signal.row))
    effects: list[Effect] = [Save(tuple(records))] if records else []
    effects += [Resolve(signal.ticket), *climbs(fleet, [(one, "") for one in moved], now), WriteSeed(signal.session)]
    fleet, more = _load(fleet, signal.session) if moved else (fleet, [])
    return fleet, [*effects, *more]


def _moved(hop: Hop, state: HopState, reason: str, now: Moment) -> Hop:
    """Later than before, whatever the clock says: the sender tells two words of the same height apart by it."""
    at_ms = max(now.wall_ms, hop.at_ms + 1)
    return msgspec.structs.replace(hop, state=state, reason=reason[:REASON_LIMIT], at_ms=at_ms)


def _with(fleet: Fleet, session: str, place: Place) -> Fleet:
    return msgspec.structs.replace(fleet, places=fleet.places.set(session, place))


def climbs(fleet: Fleet, told: Iterable[tuple[Hop, str]], now: Moment) -> list[Effect]:
    """What senders are told of these hops, each with the channel it went: a durable message a sender."""
    words: dict[str, list[Climb]] = {}
    for hop, channel in told:
        rung, member = RUNG_OF.get(hop.state), fleet.member(hop.src)
        if rung is None or member is None or not member.present:
            continue
        after_ms = max(0, hop.at_ms - hop.came_ms)
        words.setdefault(hop.src, []).append(Climb(hop.msg_id, rung, hop.at_ms, after_ms, channel, hop.reason))
    return [
        Raise(Posted(_word(fleet, src, tuple(said[start : start + CLIMBS_LIMIT]), now), ticket=0))
        for src, said in words.items()
        for start in range(0, len(said), CLIMBS_LIMIT)
    ]


def _word(fleet: Fleet, dst: str, said: tuple[Climb, ...], now: Moment) -> Envelope:
    """Its id is that of the first message it tells of and the moment: one hop moves once in a turn."""
    msg_id = f"{said[0].msg_id[-26:]}-{int(now.mono * 1e6)}"
    return fleet.envelope(dst, Kind.RUNG, msg_id, now.wall_ms, pack(Climbs(said)))


_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {
    Addressed: _addressed,
    HopsLoaded: _loaded,
    Seated: _seated,
    Glimpsed: _glimpsed,
    Rang: _rang,
    Typed: _typed,
    Fetched: _fetched,
}
