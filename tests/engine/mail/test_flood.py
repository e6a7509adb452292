"""A flood as a conversation: what is taken, what is told to come later, and what its sender makes of that."""

import msgspec
import pytest

from engine.config import Config, LimitsConfig
from engine.effects import Answer, Publish, Save
from engine.mail import flood, welcome
from engine.mail.inbox import NO_ROOM
from engine.mail.receipts import stream_of
from engine.model.channel import Channel, Verdict
from engine.model.envelope import Kind, Rung
from engine.model.mail import Parcel
from engine.model.packets import BUSY, Climb, Climbs, Note, pack
from engine.model.records import AddTry
from engine.signals import Arrived, Posted, Rang, StoreFilled, StoreFreed
from tests.engine.script import EPOCH, Script, fleet, letter, parcel, receipt, tried

TEN = Config(limits=LimitsConfig(flood=10))


def node(*names: str, config: Config = TEN) -> Script:
    return Script(fleet("A", *(names or ("B", "C")), config=config))


def came(*parcels: Parcel) -> Arrived:
    return Arrived(parcels, Channel.NATS, 9)


def batch(first: int, last: int, src: str = "B", **facts: object) -> Arrived:
    return came(*(parcel(f"{src}{seq}", seq, src=src, **facts) for seq in range(first, last + 1)))


def test_beyond_the_bound_nothing_is_taken_and_the_sender_is_told() -> None:
    """Ten a minute: of twelve at once ten are kept, and two are answered busy under their numbers."""
    script = node()
    said = script.hear(batch(1, 12))
    assert said[0].endswith("inbox B10, stream B 5000:10")
    assert "answer 9: to B receipt 5000:10, busy 5000/11, busy 5000/12" in said
    assert not stream_of(script.fleet, "B", EPOCH).holds(11)


def test_greetings_are_counted() -> None:
    """They are kept like letters, and each is answered by one of ours."""
    said = node().hear(batch(1, 12, kind=Kind.HELLO, body=welcome.HELLO))
    assert "answer 9: to B receipt 5000:10, busy 5000/11, busy 5000/12" in said


def test_words_of_a_session_are_counted_by_the_letters_they_name() -> None:
    """Whoever invents letters of ours has a hundred looked up for each number; beyond the bound it is told to wait, and
    an honest word comes later and takes effect then."""
    script = node()
    words = [pack(Climbs(tuple(Climb(f"m{seq}-{at}", Rung.SEEN, 1) for at in range(8)))) for seq in range(1, 4)]
    said = script.hear(came(*(parcel(f"r{seq}", seq, kind=Kind.RUNG, body=words[seq - 1]) for seq in (1, 2, 3))))
    assert sum(line.count("climbs") for line in said) == 16
    assert "answer 9: to B receipt 5000:2, busy 5000/3" in said
    later = script.hear(came(parcel("r3", 3, kind=Kind.RUNG, body=words[2])), at=60.0)
    assert sum(line.count("climbs") for line in later) == 8


def test_it_comes_later_and_is_taken_then() -> None:
    """The bucket fills evenly: six seconds make room for one more."""
    script = node()
    script.hear(batch(1, 11))
    assert script.asked(Answer, batch(11, 12), at=6.0) == ["answer 9: to B receipt 5000:11, busy 5000/12"]
    assert script.asked(Answer, batch(12, 12), at=12.0) == ["answer 9: to B receipt 5000:12"]


def test_everybody_else_has_a_bucket_of_their_own() -> None:
    """What one member sends takes nothing from another, even in the same delivery."""
    script = node()
    script.hear(batch(1, 15))
    both = came(parcel("b16", 16), parcel("c1", 1, src="C"))
    assert script.asked(Save, both) == ["save inbox c1, stream C 5000:1"]


def test_what_is_known_or_the_fleets_own_is_not_counted() -> None:
    """The same number again costs only a receipt; an empty SKIP closes its number in the middle of a flood."""
    script = node()
    for _ in range(5):
        script.hear(batch(1, 8))
    assert script.asked(Answer, batch(9, 11)) == ["answer 9: to B receipt 5000:10, busy 5000/11"]
    assert script.asked(Answer, batch(11, 11, kind=Kind.SKIP, body=b"")) == ["answer 9: to B receipt 5000:11"]


def test_a_full_disk_takes_no_letters() -> None:
    """The room that was kept back is for settling: letters are answered busy with the reason and are no flood, what is
    known gets its receipt, a SKIP closes its number, a word on our letters is kept; with room again they are taken."""
    script = node(config=Config())
    script.hear(batch(1, 2))
    script.hear(StoreFilled(0))
    assert script.hear(batch(1, 3)) == ["answer 9: to B receipt 5000:2, busy 5000/3"]
    assert not script.fleet.mail.inflows["B"].refused_at
    word = pack(Climbs((Climb("m1", Rung.SEEN, 1),)))
    said = script.hear(came(parcel("s3", 3, kind=Kind.SKIP, body=b""), parcel("r4", 4, kind=Kind.RUNG, body=word)))
    assert said[0] == "save stream B 5000:4"
    assert "save m1 at B climbs to seen" in said
    script.hear(StoreFreed())
    assert script.asked(Save, batch(5, 5)) == ["save inbox B5, stream B 5000:5"]


def test_the_sender_is_told_that_the_disk_is_full() -> None:
    """Its message rests, and why is in its story."""
    script = Script(fleet("A", "B"))
    script.hear(Posted(letter("m1"), 1))
    script.hear(receipt(seq=1, notes=(Note(EPOCH, 1, BUSY, NO_ROOM),)))
    kept = [record for effect in script.effects if isinstance(effect, Save) for record in effect.records]
    assert [one.note for one in kept if isinstance(one, AddTry)] == ["the peer is busy: its disk is full"]


def test_a_bound_of_none() -> None:
    """0 takes everything and keeps no bucket."""
    script = node(config=Config(limits=LimitsConfig(flood=0)))
    script.hear(batch(1, 500))
    assert stream_of(script.fleet, "B", EPOCH).watermark == 500
    assert not script.fleet.mail.inflows


@pytest.mark.slow
def test_a_burst_at_full_speed_passes_by_default() -> None:
    """Four thousand a second for ten seconds is work, not a flood."""
    script, seq = node(config=Config()), 0
    for tick in range(40):
        script.hear(batch(seq + 1, seq + 1_000), at=tick / 4)
        seq += 1_000
    assert stream_of(script.fleet, "B", EPOCH).watermark == seq


def test_a_finding_names_the_member_once_and_ends_with_the_flood() -> None:
    """Told at the first refusal, kept while there are more, gone when nothing was refused for a minute."""
    script = node()
    assert "tell found mail.flood" in script.hear(batch(1, 11))
    assert "B sends more than 10" in script.fleet.findings[flood.FLOODS, "B"].detail
    assert script.asked(Publish, batch(12, 12), at=3.0) == []
    assert script.hear(Rang(flood.TIMER), at=60.0) == ["ring flood at 63.000"]
    assert script.hear(Rang(flood.TIMER), at=63.0) == ["tell gone mail.flood"]
    assert not script.fleet.findings
    assert not script.fleet.mail.inflows


def test_a_second_flood_is_a_second_finding() -> None:
    """After the end it is told anew."""
    script = node()
    script.hear(batch(1, 11))
    script.hear(Rang(flood.TIMER), at=60.0)
    assert "tell found mail.flood" in script.hear(batch(11, 30), at=61.0)


# ------------------------------------------------------------------------------------------------------- at the sender


def busy(seq: int, *numbers: int) -> Arrived:
    return receipt(seq=seq, notes=tuple(Note(EPOCH, number, BUSY) for number in numbers))


def test_a_sender_that_is_told_rests_the_message_and_tries_no_other_channel() -> None:
    """Busy is no failure of the channel: the try is written down as refused, and the next cascade comes by itself."""
    script = Script(fleet("A", "B"))
    script.hear(Posted(letter("m1"), ticket=1))
    script.hear(tried(Channel.NATS, Verdict.CONFIRMED, (EPOCH, 1, "m1")))
    said = script.hear(busy(1, 1), at=0.001)
    assert said[0] == "save lazily try of m1 nats refused"
    assert not [line for line in said if line.startswith("deliver")]
    (waiting,) = script.fleet.mail.lanes["B"].open.values()
    assert (waiting.flying, waiting.tried, waiting.landed) == ((), (), frozenset())
    assert "deliver m1 #1 to B over nats" in script.hear(Rang("mail.B"), at=waiting.due)


def test_what_a_place_that_stores_had_of_it_is_gone() -> None:
    """The copy there was read and not taken: that channel may carry it again."""
    script = Script(fleet("A", "B", up=(Channel.SEED,)))
    script.hear(Posted(letter("m1"), ticket=1))
    script.hear(tried(Channel.SEED, Verdict.LANDED, (EPOCH, 1, "m1")))
    assert next(iter(script.fleet.mail.lanes["B"].open.values())).landed
    script.hear(busy(1, 1), at=0.5)
    assert not next(iter(script.fleet.mail.lanes["B"].open.values())).landed


def test_an_alert_that_is_not_taken_is_told() -> None:
    """Whoever sits at the sender hears of it as of any cascade that came to nothing."""
    script = Script(fleet("A", "B"))
    script.hear(Posted(letter("m1", kind=Kind.ALERT), ticket=1))
    assert "notify of B" in script.hear(busy(1, 1))


@pytest.mark.parametrize("seq", [0, 7])
def test_a_note_of_a_number_that_is_not_open_says_nothing(seq: int) -> None:
    """Late notes change nothing."""
    script = Script(fleet("A", "B"))
    script.hear(Posted(letter("m1"), ticket=1))
    before = script.fleet.mail.lanes["B"].open
    script.hear(busy(1, seq))
    assert script.fleet.mail.lanes["B"].open is before


def test_a_skip_under_way_is_not_rested() -> None:
    """Only messages of people are counted, so a note about the message before it is old."""
    script = Script(fleet("A", "B"))
    script.hear(Posted(letter("m1", ttl_s=1), ticket=1))
    script.hear(Rang("mail.B"), at=2.0)
    before = script.fleet.mail.lanes["B"].open
    assert next(iter(before.values())).skipping
    script.hear(busy(1, 1), at=2.0)
    assert script.fleet.mail.lanes["B"].open == before
    assert msgspec.structs.asdict(script.fleet.mail)["dead"] == 1
