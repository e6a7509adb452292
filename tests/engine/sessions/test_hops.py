"""The last hop as a conversation: one letter at a time, the intent before the deed, a word to the sender for each."""

from typing import Any

import msgspec

from engine import effects as e
from engine.config import Config, TextConfig
from engine.mail import inbox
from engine.mail.lanes import ends_ms
from engine.model.channel import Channel
from engine.model.envelope import Kind, Rung
from engine.model.hop import TEXT_ONLY, Addressee, Hop, HopState, marker, session_of
from engine.model.packets import Climbs, unpack
from engine.model.roster import Role
from engine.model.ways import Seat
from engine.sessions import hops
from engine.signals import Addressed, Arrived, Fetched, Glimpsed, HopsLoaded, Posted, Rang, Reachable, Seated, Typed
from engine.state import Fleet
from tests.engine.script import T0_MS, Script, fleet, letter, moment, parcel

BUSY = "the session is busy"


class Told(Script):
    """A script of this room alone that also knows what senders are told."""

    def climbs(self) -> list[str]:
        """What the last signal tells senders."""
        posted = [one.signal for one in self.effects if isinstance(one, e.Raise) and isinstance(one.signal, Posted)]
        said = [(one.envelope.dst, unpack(Kind.RUNG, one.envelope.body)) for one in posted]
        return [f"{dst}: {one.msg_id} {one.rung} {one.channel or '-'}" for dst, all_ in said for one in all_.climbs]

    def done(self) -> list[str]:
        """What the last signal made the node do, words to others and timers left out."""
        return [line for line in self.lines if not line.startswith(("raise", "ring"))]

    def hear(self, signal: Any, at: float | None = None) -> list[str]:
        """One signal; what it says of our ways is true from then on."""
        self.lines = super().hear(signal, at)
        raised = [one.signal for one in self.effects if isinstance(one, e.Raise)]
        for reachable in raised:
            if isinstance(reachable, Reachable):
                me = msgspec.structs.replace(self.fleet.me, ways=reachable.ways)
                self.fleet = msgspec.structs.replace(self.fleet, me=me)
        return self.lines


def seated(*msg_ids: str, typed_ms: int = 0, screen: str = "idle", why: str = "", gap_s: float = 30.0) -> Told:
    """A session `work` that was opted in, with these open hops."""
    script = Told(fleet("A", "B", "C", config=Config(text=TextConfig(gap_s=gap_s))), hops.step)
    script.hear(Seated(("work",)))
    script.hear(Glimpsed("work", screen, why))
    waiting = tuple(Hop(one, "B", came_ms=T0_MS, at_ms=T0_MS) for one in msg_ids)
    script.hear(HopsLoaded("work", 1, waiting, typed_ms))
    return script


def typed(script: Told, msg_id: str, state: HopState, reason: str = "", over: bool = True, screen: str = "") -> None:
    hop = next(one for one in script.fleet.places["work"].open if one.msg_id == msg_id)
    script.hear(Typed("work", hop, state, reason, over, screen, BUSY if screen == "busy" else ""))


def page(script: Told, *msg_ids: str, state: HopState = HopState.WAITING) -> list[str]:
    """The page that was asked for last comes."""
    why = BUSY if state is HopState.HELD else ""
    waiting = tuple(Hop(one, "B", state, why, came_ms=T0_MS, at_ms=T0_MS) for one in msg_ids)
    return script.hear(HopsLoaded("work", script.fleet.places["work"].turn, waiting, 0))


def test_an_idle_session_is_typed_into() -> None:
    """The intent is durable before anything is typed; the rungs go to the sender as the terminal proves them."""
    script = seated("m1", "m2")
    assert script.done() == ["save m1 typing", "type m1 into work"]
    typed(script, "m1", HopState.POSTED, over=False)
    assert script.done() == []
    assert script.climbs() == ["B: m1 posted text"]
    typed(script, "m1", HopState.SEEN, screen="busy")
    assert script.done() == ["save m1 seen", "seed work", "load hops of work, turn 3"]
    assert script.climbs() == ["B: m1 seen text"]


def test_one_at_a_time_and_not_too_often() -> None:
    """The next one is held for the rest of the gap, is told so once, and goes when it is over."""
    script = seated("m1", "m2")
    typed(script, "m1", HopState.SEEN)
    page(script, "m2")
    assert script.lines[0] == "ring hop.work at 30.000"
    assert script.climbs() == ["B: m2 held -"]
    for at_s in (10.0, 29.999):
        script.hear(Glimpsed("work", "idle"), at=at_s)
        assert "ring hop.work at 30.000" in script.lines
        assert script.done() == []
    script.hear(Glimpsed("work", "idle"), at=30.0)
    assert script.done() == ["save m2 typing", "type m2 into work"]


def test_the_gap_survives_a_restart() -> None:
    """What was typed before the node ended counts; a clock that went back costs one gap and no more."""
    assert seated("m1", typed_ms=T0_MS - 10_000).lines[0] == "ring hop.work at 20.000"
    assert seated("m1", typed_ms=T0_MS + 20_000).lines[0] == "ring hop.work at 30.000"
    assert seated("m1", typed_ms=T0_MS + 3_600_000).done() == ["save m1 typing", "type m1 into work"]
    assert seated("m1", typed_ms=T0_MS - 30_000).done() == ["save m1 typing", "type m1 into work"]


def test_a_busy_session_holds_and_is_tried_when_that_ends() -> None:
    """Held with the reason, told once, whatever is looked at in between; typed as soon as it is idle."""
    script = seated("m1", "m2", screen="busy", why=BUSY)
    assert script.done() == ["save m1 held, m2 held"]
    assert script.climbs() == ["B: m1 held -", "B: m2 held -"]
    script.hear(Glimpsed("work", "busy", BUSY), at=1.0)
    assert script.done() == []
    assert script.hear(Glimpsed("work", "asking", "the session is asking"), at=2.0)
    assert script.climbs() == ["B: m1 held -", "B: m2 held -"]
    script.hear(Glimpsed("work", "idle"), at=3.0)
    assert "type m1 into work" in script.lines


def mortal(*lives: tuple[str, int]) -> Told:
    """A session that asks its user something, with letters that live so many seconds from now (0: for ever)."""
    script = Told(fleet("A", "B", config=Config(text=TextConfig(gap_s=30.0))), hops.step)
    script.hear(Seated(("work",)))
    script.hear(Glimpsed("work", "asking", "the session is asking"))
    ends = {one: T0_MS + life_s * 1000 if life_s else 0 for one, life_s in lives}
    script.hear(HopsLoaded("work", 1, tuple(Hop(one, "B", came_ms=T0_MS, ends_ms=at) for one, at in ends.items()), 0))
    return script


def test_nothing_is_typed_after_its_end() -> None:
    """While it is held its sender hears that it lived, with the reason; later it is not typed, and the rest is."""
    script = mortal(("m1", 4), ("m2", 0))
    assert script.lines[0] == "ring hop.work at 4.000"
    script.hear(Rang("hop.work"), at=4.0)
    assert script.done() == ["save m1 expired", "load hops of work, turn 3"]
    (said,) = [one.signal for one in script.effects if isinstance(one, e.Raise)]
    assert isinstance(said, Posted)
    (climb,) = unpack(Kind.RUNG, said.envelope.body).climbs
    assert (climb.msg_id, climb.rung, climb.reason) == ("m1", Rung.HELD, hops.LIVED)
    page(script, "m2", state=HopState.HELD)
    script.hear(Glimpsed("work", "idle"), at=36.0)
    assert script.done() == ["save m2 typing", "type m2 into work"]


def test_an_end_that_came_with_idleness_counts() -> None:
    """The very look that shows the session idle comes too late."""
    script = mortal(("m1", 4))
    script.hear(Glimpsed("work", "idle"), at=4.0)
    assert script.done()[:1] == ["save m1 expired"]


def test_a_clock_that_jumps_ends_nothing() -> None:
    """When a life ends is taken once; a page read after the jump tells of the same lives."""
    script = mortal(("m1", 60))
    at = moment(1.0)
    later = msgspec.structs.replace(at, wall_ms=at.wall_ms + 86_400_000)
    known = script.fleet.places["work"].open[0]
    place = msgspec.structs.replace(script.fleet.places["work"], turn=7)
    value = msgspec.structs.replace(script.fleet, places=script.fleet.places.set("work", place))
    again = msgspec.structs.replace(known, ends_at=float("inf"))
    value, _ = hops.step(value, HopsLoaded("work", 7, (again,), 0), later)
    assert [one.ends_at for one in value.places["work"].open] == [known.ends_at] == [moment(60.0).mono]
    assert value.places["work"].open[0].state is HopState.HELD


def test_how_long_a_letter_that_arrives_still_lives() -> None:
    """Its age is what the clocks say, nothing at least and its whole life at most."""
    one = msgspec.structs.replace(letter("m", "B", "A"), created_ms=T0_MS, ttl_s=4)
    assert [ends_ms(one, T0_MS + late) - T0_MS for late in (0, 1_000, 9_000, -5_000)] == [4_000, 4_000, 9_000, -1_000]
    assert ends_ms(msgspec.structs.replace(one, ttl_s=0), T0_MS) == 0


def test_what_was_withheld_costs_no_gap() -> None:
    """The terminal changed between the look and the deed: nothing was typed, and it waits for the next idle look."""
    script = seated("m1")
    typed(script, "m1", HopState.HELD, BUSY, screen="busy")
    assert script.done()[:1] == ["save m1 held"]
    page(script, "m1", state=HopState.HELD)
    assert script.done() == []
    script.hear(Glimpsed("work", "idle"), at=1.0)
    assert "type m1 into work" in script.lines


def test_typing_at_a_start_is_sought_and_never_repeated() -> None:
    """An intent without an end is looked for in the terminal; nobody types it again, whatever comes of that."""
    script = Told(fleet("A", "B"), hops.step)
    script.hear(Seated(("work",)))
    script.hear(Glimpsed("work", "idle"))
    left = Hop("m1", "B", HopState.TYPING, came_ms=T0_MS, at_ms=T0_MS)
    assert script.hear(HopsLoaded("work", 1, (left,), 0)) == ["seek m1 in work"]
    script.hear(Glimpsed("work", "idle"), at=60.0)
    assert script.done() == []
    typed(script, "m1", HopState.UNKNOWN, "unknown outcome: the node ended")
    assert script.done()[:1] == ["save m1 unknown"]
    assert script.climbs() == ["B: m1 held text"]


def test_a_page_that_was_overtaken_is_not_believed() -> None:
    """It may show as waiting what is being typed now."""
    script = seated("m1")
    assert script.hear(HopsLoaded("work", 1, (Hop("m1", "B"),), 0)) == []
    assert script.fleet.places["work"].typing == "m1"


def test_a_session_nobody_allowed() -> None:
    """Its letter has its hop, its seed file, and a sender who knows why it goes no further."""
    script = Told(fleet("A", "B"), hops.step)
    script.hear(Addressed((Addressee("m1", "B", "work"), Addressee("m2", "B", "work"))))
    assert script.done() == ["save hop m1 to work held, hop m2 to work held", "seed work"]
    assert script.climbs() == ["B: m1 held -", "B: m2 held -"]


def test_a_session_that_is_allowed_asks_the_store() -> None:
    """A letter may come a second time under another number: only the store knows whether it was typed."""
    script = seated()
    script.hear(Addressed((Addressee("m1", "B", "work"),)))
    assert script.done() == ["save hop m1 to work waiting", "seed work", "load hops of work, turn 2"]
    assert script.climbs() == []


def test_what_its_hook_took_is_not_typed() -> None:
    """Fetched letters are queued, the cursor is durable with them, and the verb that asked is answered after that."""
    script = seated("m1", "m2", screen="busy", why=BUSY)
    open_ = script.fleet.places["work"].open
    script.hear(Fetched("work", 7, open_, HopState.FETCHED, "its hook took it", ticket=3))
    assert script.done() == [
        "save m1 fetched, m2 fetched, work read to 7",
        "ticket 3: ",
        "seed work",
        "load hops of work, turn 3",
    ]
    assert script.climbs() == ["B: m1 queued -", "B: m2 queued -"]


def test_what_is_in_hand_is_typed_to_its_end() -> None:
    """A hook that takes a letter while it is typed does not change what the typing will prove."""
    script = seated("m1")
    script.hear(Fetched("work", 7, script.fleet.places["work"].open, HopState.FETCHED, "its hook took it"))
    assert script.done()[:1] == ["save work read to 7"]
    assert script.climbs() == []


def test_a_session_that_was_forbidden() -> None:
    """Nothing is typed any more; what was in hand still says how it ended."""
    script = seated("m1", "m2")
    hop = script.fleet.places["work"].open[0]
    script.hear(Seated(()))
    script.hear(Typed("work", hop, HopState.SEEN))
    assert script.done() == ["save m1 seen", "seed work"]
    assert script.hear(Glimpsed("work", "idle"), at=60.0) == []


def test_peers_know_how_sessions_are_and_not_more() -> None:
    """Idle, busy, asking or unknown; a change is told at most every ten seconds."""

    def announced(script: Told) -> tuple[Seat, ...] | None:
        said = any(isinstance(one, e.Raise) and isinstance(one.signal, Reachable) for one in script.effects)
        return script.fleet.me.ways.seats if said else None

    script = Told(fleet("A", "B"), hops.step)
    script.hear(Seated(("work",)))
    assert announced(script) == (Seat("work", "unknown"),)
    script.hear(Glimpsed("work", "half_typed", "its prompt is half typed"))
    assert announced(script) == (Seat("work", "busy"),)
    script.hear(Glimpsed("work", "idle"), at=1.0)
    assert announced(script) is None
    script.hear(Glimpsed("work", "idle"), at=10.0)
    assert announced(script) == (Seat("work", "idle"),)
    script.hear(Seated(()), at=11.0)
    assert announced(script) == ()


def test_words_are_told_to_those_who_are_there() -> None:
    """A sender that has left hears nothing; a word of many travels in packets that fit."""
    value = fleet("A", "B")
    gone = msgspec.structs.replace(value.roster.members[1], left_ms=1, role=Role.WORKER)
    left = msgspec.structs.replace(value, roster=msgspec.structs.replace(value.roster, members=(gone,)))
    told = [(Hop(f"m{number}", "B", HopState.SEEN, at_ms=number), "") for number in range(300)]
    assert hops.climbs(left, told, moment()) == []
    packets = hops.climbs(value, told, moment())
    said = [unpack(Kind.RUNG, one.signal.envelope.body) for one in packets if isinstance(one, e.Raise)]
    assert [len(one.climbs) for one in said if isinstance(one, Climbs)] == [128, 128, 44]
    assert len({one.signal.envelope.msg_id for one in packets if isinstance(one, e.Raise)}) == 3  # type: ignore[union-attr]


def arrived(*threads: str) -> list[str]:
    """What the inbox says of letters with these threads."""
    letters = tuple(parcel(f"m{at}", at + 1, thread=thread) for at, thread in enumerate(threads))
    script: Fleet = fleet("A", "B")
    _, effects = inbox.step(script, Arrived(letters, Channel.NATS), moment())
    raised = [one.signal for one in effects if isinstance(one, e.Raise)]
    return [letter.session for one in raised if isinstance(one, Addressed) for letter in one.letters]


def test_which_letters_name_a_session() -> None:
    """A thread that is a session's name, in small letters, with or without the wish to be typed only."""
    assert arrived("", "work", "a conversation", TEXT_ONLY + "mac", "Work", "../x", "x" * 65) == ["work", "mac"]
    assert session_of("text:../etc") == ""
    assert marker("01M8218X6HV1C1ZKHYH6R91M2C") == "[fleet H6R91M2C]"
    assert Rung.HELD < Rung.POSTED
