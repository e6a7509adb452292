"""The inbox as a conversation, and what it holds against naive models of that."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.effects import Answer, Deliver, Publish, Save
from engine.mail import inbox
from engine.mail.pulses import WINDOW
from engine.mail.receipts import LINES_A_FRAME, covered, line, lines, missing, stream_of, to_bytes
from engine.model.channel import Channel
from engine.model.envelope import AHEAD_LIMIT, KINDS, OPEN_LIMIT, Envelope, Kind
from engine.model.mail import AckLine, Parcel, Stream
from engine.model.packets import Forward, Receipt, pack
from engine.signals import Arrived
from tests.engine.script import EPOCH, T0_MS, Script, fleet, heartbeat, moment, parcel

NATS = Channel.NATS
THEIRS = EPOCH


def came(*parcels: Parcel, via: Channel = NATS, token: int = 9) -> Arrived:
    return Arrived(parcels, via, token)


def held(script: Script, epoch: int = THEIRS) -> Stream:
    return stream_of(script.fleet, "B", epoch)


def node(*names: str) -> Script:
    return Script(fleet("A", *(names or ("B",))))


# ------------------------------------------------------------------------------------------------------ exactly once


def test_row_and_watermark_in_one_transaction_then_told_then_acknowledged() -> None:
    """Durable before visible, visible before acknowledged."""
    assert node().hear(came(parcel("m1", 1))) == [
        "save inbox m1, stream B 5000:1",
        "tell m1 came from B over nats",
        "answer 9: to B receipt 5000:1",
    ]


def test_known_numbers_get_only_the_receipt_again() -> None:
    """The same number a second time, whatever carried it: nothing to keep, nothing to tell, the same receipt."""
    script = node()
    script.hear(came(parcel("m1", 1)))
    assert script.hear(came(parcel("m1", 1), via=Channel.HTTP, token=10)) == [
        "answer 10: to B receipt 5000:1",
    ]


def test_a_batch_is_one_transaction_and_one_receipt_a_sender() -> None:
    """What came together is kept together."""
    script = node("B", "C")
    batch = came(parcel("m1", 1), parcel("m3", 3), parcel("c1", 1, src="C"), parcel("m1", 1))
    said = script.hear(batch)
    assert said[0] == "save inbox m1, inbox m3, inbox c1, stream B 5000:1+02, stream C 5000:1"
    assert said[-1] == "answer 9: to B receipt 5000:1+02; to C receipt 5000:1"


def test_numbers_out_of_order_close_up() -> None:
    """Gaps are named bit by bit and the watermark moves over what became contiguous."""
    script = node()
    marks = []
    for seq in (3, 1, 5, 2, 4):
        script.hear(came(parcel(f"m{seq}", seq)))
        marks.append((held(script).watermark, held(script).above))
    assert marks == [(0, 0b100), (1, 0b10), (1, 0b1010), (3, 0b10), (5, 0)]


def test_epochs_of_one_sender_are_streams_of_their_own() -> None:
    """Number 1 of another epoch is another message."""
    script = node()
    script.hear(came(parcel("old", 1, src_epoch=THEIRS - 1)))
    assert "save inbox new, stream B 5000:1" in script.hear(came(parcel("new", 1)))


def test_a_receipt_names_the_epochs_just_delivered() -> None:
    """However many epochs are open, the sender hears of the one it sent, so even the oldest can be settled."""
    script = node()
    for epoch in range(1, 11):
        script.hear(came(parcel(f"m{epoch}", 1, src_epoch=epoch)))
    assert len(lines(script.fleet, "B")) == LINES_A_FRAME
    (said,) = script.asked(Answer, came(parcel("m1", 1, src_epoch=1)))
    assert said == "answer 9: to B receipt 1:1, 10:1, 9:1, 8:1, 7:1"


def test_a_way_without_a_way_back() -> None:
    """Where nothing can be answered the receipt leaves over the best channel of our own."""
    assert node().asked(Deliver, came(parcel("m1", 1), token=0)) == ["deliver receipt 5000:1 to B over nats"]


def test_a_receipt_that_a_relay_brought_is_not_answered() -> None:
    """Two nodes must not thank each other through a third for ever; one that came straight is answered, once."""
    thanks = parcel("r1", 3, kind=Kind.RECEIPT, body=pack(Receipt()))
    relayed = msgspec.structs.replace(thanks, relay="C")
    assert node("B", "C").asked(Answer, came(relayed)) == []
    assert node("B", "C").asked(Answer, came(thanks)) == ["answer 9: to B receipt "]


@pytest.mark.parametrize("kind", [kind for kind, spec in KINDS.items() if spec.durable and spec.public])
def test_every_kind_of_people_lands_in_the_inbox(kind: Kind) -> None:
    """What people send is kept, whatever it is for."""
    assert node().asked(Save, came(parcel("m1", 1, kind=kind))) == ["save inbox m1, stream B 5000:1"]


def test_what_brought_the_newest_is_named() -> None:
    """Mail that came over a way without an answer is named in the lines, under its number; what another way had brought
    before is not."""
    script = node()
    script.hear(came(parcel("m1", 1)))
    script.hear(Arrived((parcel("m1", 1), parcel("m2", 2)), Channel.SEED))
    assert lines(script.fleet, "B") == (AckLine(THEIRS, 2, b"", ((2, "seed"),)),)


def test_time_to_live_is_the_senders_business() -> None:
    """A message that came is taken, however old: the clock of neither side decides."""
    script = node()
    assert script.asked(Publish, came(parcel("m1", 1, ttl_s=1, created_ms=T0_MS - 10**9)))


# --------------------------------------------------------------------------------------------- closed, and far ahead


def test_below_the_floor_nothing_is_taken() -> None:
    """An epoch its sender has closed: a replay, counted, and its sender is told, should its store have gone back."""
    script = node()
    script.hear(heartbeat(seq=1, floor=THEIRS))
    said = script.hear(came(parcel("m1", 7, src_epoch=THEIRS - 1)))
    assert said[0] == "answer 9: to B receipt 4999:0, 5000:0, closed 4999/7"
    assert "tell rejected replayed from B" in said
    assert not any("inbox" in one for one in said)
    assert script.fleet.refusals.counts["replayed"] == 1


def test_a_floor_forgets_the_streams_below_it() -> None:
    """Closed epochs cost nothing any more; floors only rise, and never above who announced them."""
    script = node()
    script.hear(came(parcel("old", 1, src_epoch=THEIRS - 1), parcel("new", 1)))
    assert "save lazily floor B 5000" in script.hear(heartbeat(seq=1, floor=THEIRS))
    assert set(script.fleet.mail.streams["B"]) == {THEIRS}
    script.hear(heartbeat(seq=2, floor=THEIRS - 3))
    script.hear(heartbeat(seq=3, floor=THEIRS + 3))
    assert script.fleet.mail.floors["B"] == THEIRS


def test_lines_name_the_floor() -> None:
    """A sender that forgot its newer epochs learns of them even where nothing of them is held."""
    script = node()
    script.hear(heartbeat(seq=1, floor=THEIRS))
    assert lines(script.fleet, "B") == (AckLine(THEIRS, 0),)
    assert lines(script.fleet, "C") == ()


def test_a_number_too_far_ahead_waits() -> None:
    """Not taken and not refused: its sender keeps it. What we remember of a stream stays bounded."""
    script = node()
    assert script.hear(came(parcel("m", AHEAD_LIMIT + 1))) == ["answer 9: to B receipt 5000:0"]
    assert script.asked(Publish, came(parcel("m", AHEAD_LIMIT)))
    assert held(script).above.bit_length() == AHEAD_LIMIT
    assert AHEAD_LIMIT > 2 * OPEN_LIMIT


def test_number_zero_is_none() -> None:
    """A durable message without a number cannot be known again: it is not taken."""
    assert not any("inbox" in one for one in node().hear(came(parcel("m", 0))))


# --------------------------------------------------------------------------------------------------------------- skips


def skip(msg_id: str, seq: int) -> Parcel:
    return parcel(msg_id, seq, kind=Kind.SKIP, body=b"")


def test_a_skip_is_held_and_is_nothing_else() -> None:
    """It closes its number; a message that comes later under it is too late."""
    script = node()
    assert script.hear(came(skip("m1", 1))) == ["save stream B 5000:1", "answer 9: to B receipt 5000:1"]
    assert not any("inbox" in one for one in script.hear(came(parcel("m1", 1))))


def test_a_skip_after_its_message_is_told() -> None:
    """The sender gave up what we have: we say so, each time."""
    script = node()
    script.hear(came(parcel("m1", 1), parcel("m2", 2)))
    for token in (10, 11):
        assert script.asked(Answer, came(skip("m1", 1), token=token)) == [
            f"answer {token}: to B receipt 5000:2, on_host 5000/1"
        ]


def test_a_skip_after_itself_is_no_message() -> None:
    """The same SKIP over two channels: the number is held, and nobody says that the message is."""
    script = node()
    script.hear(came(skip("m1", 1)))
    assert script.asked(Answer, came(skip("m1", 1), token=10)) == ["answer 10: to B receipt 5000:1"]


def test_of_numbers_taken_before_the_start_nothing_is_claimed() -> None:
    """After a restart only the numbers are known, not what they were: the SKIP is acknowledged, no more."""
    script = node()
    script.hear(came(parcel("m1", 1)))
    mail = msgspec.structs.replace(script.fleet.mail, letters=fleet("A", "B").mail.letters)
    script.fleet = msgspec.structs.replace(script.fleet, mail=mail)
    assert script.asked(Answer, came(skip("m1", 1))) == ["answer 9: to B receipt 5000:1"]


# -------------------------------------------------------------------------------------------------------------- pulses


def ping(seq: int, epoch: int = THEIRS, kind: Kind = Kind.PING) -> Parcel:
    return Parcel(Envelope("B", epoch, seq, "A", f"p{seq}", kind))


def test_a_ping_is_answered_and_nothing_is_saved() -> None:
    """A pulse is worth nothing a minute later."""
    assert node().hear(came(ping(1))) == ["answer 9: to B receipt "]


def test_a_receipt_is_not_answered_where_nobody_waits() -> None:
    """Or two nodes would thank each other for ever."""
    script = node()
    receipt_of_b = Parcel(
        Envelope("B", THEIRS, 1, "A", "r", Kind.RECEIPT, body=pack(inbox.unpack(Kind.RECEIPT, b"\x90")))
    )
    assert script.asked(Deliver, came(receipt_of_b, token=0)) == []
    assert script.asked(Deliver, came(ping(2), token=0)) == ["deliver receipt  to B over nats"]


def test_a_replayed_pulse_is_refused_and_counted() -> None:
    """The same number of the same epoch, or one far behind: counted, shown, without effect."""
    script = node()
    script.hear(came(ping(2_000)))
    for seq, count in ((2_000, 1), (1_999, 1), (2_000 - WINDOW, 2), (1_999, 3)):
        script.hear(came(ping(seq)))
        assert script.fleet.refusals.counts.get("replayed", 0) == count


def test_a_pulse_of_an_earlier_life_is_refused() -> None:
    """A restarted peer begins anew, and nothing of its last life counts any more."""
    script = node()
    script.hear(came(ping(500, THEIRS)))
    script.hear(came(ping(1, THEIRS + 1)))
    assert script.fleet.refusals.counts.get("replayed", 0) == 0
    script.hear(came(ping(501, THEIRS)))
    assert script.fleet.refusals.counts["replayed"] == 1


def test_what_is_to_be_passed_on_goes_to_the_relay_room() -> None:
    """A PASS for somebody else is carried on; one for us was unwrapped at the door already."""
    script = node("B", "C")
    frame = pack(Forward("C", 1, b"not a frame"))
    said = script.hear(came(Parcel(Envelope("B", THEIRS, 1, "A", "p", Kind.PASS, body=frame))))
    assert "tell rejected garbage from B" in said
    mine = pack(Forward("A", 1, b"not a frame"))
    assert script.hear(came(Parcel(Envelope("B", THEIRS, 2, "A", "p", Kind.PASS, body=mine)))) == [
        "answer 9: to B receipt "
    ]


# ------------------------------------------------------------------------------------------- windows against naive sets

numbers = st.lists(st.integers(1, 80), max_size=60)


@given(numbers)
def test_the_watermark_is_a_set(taken: list[int]) -> None:
    """Whatever comes in whatever order: held is what was taken, and the watermark is the end of the unbroken start."""
    stream, naive = Stream(), set[int]()
    for seq in taken:
        assert stream.holds(seq) is (seq in naive)
        stream = stream.with_number(seq)
        naive.add(seq)
    gap = next(seq for seq in range(1, 200) if seq not in naive)
    assert stream.watermark == gap - 1
    assert not stream.above & 1
    assert {seq for seq in range(1, 200) if stream.holds(seq)} == naive


@given(numbers, st.lists(st.integers(1, 80)))
def test_a_line_says_what_the_set_holds(taken: list[int], asked: list[int]) -> None:
    """What travels as watermark and bytes is read as the same set, and what is missing is the rest below the end."""
    stream = Stream()
    for seq in taken:
        stream = stream.with_number(seq)
    ack = line(7, stream)
    assert set(covered([ack], [(7, seq) for seq in asked])) == {(7, seq) for seq in asked if seq in set(taken)}
    assert not set(covered([ack], [(8, seq) for seq in asked]))
    assert missing(ack, 81, 1_000) == tuple(seq for seq in range(1, 81) if seq not in set(taken))
    assert missing(ack, 81, 5) == missing(ack, 81, 1_000)[:5]
    assert int.from_bytes(to_bytes(stream.above), "little") == stream.above


@given(st.permutations([*range(1, 9)] * 2))
def test_any_order_any_copies_each_message_once(order: list[int]) -> None:
    """Eight messages, each twice, in any order: eight rows, and one line that holds them all."""
    script = node()
    rows = [line for seq in order for line in script.asked(Publish, came(parcel(f"m{seq}", seq)))]
    assert sorted(rows) == [f"tell m{seq} came from B over nats" for seq in range(1, 9)]
    assert held(script) == Stream(8)


def test_same_input_same_output() -> None:
    """The turn is pure."""
    value = node().fleet
    signal = came(parcel("m1", 1), ping(3), skip("m2", 2))
    one, two = Script(value), Script(value)
    assert (one.hear(signal), one.fleet) == (two.hear(signal), two.fleet)
    assert value.mail.streams.get("B") is None
    assert moment() == moment()
