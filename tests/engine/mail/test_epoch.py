"""When numbers begin anew: what a peer remembers of us, and what it lost."""

import msgspec
import pytest
from immutables import Map

from engine.effects import Deliver, Save
from engine.mail.epoch import HIGHEST, WENT_BACK
from engine.mail.lanes import TIMER
from engine.model.envelope import AHEAD_LIMIT
from engine.model.mail import AckLine, Lane, Parcel, Waiting
from engine.model.packets import CLOSED, Note
from engine.signals import Arrived, Posted, Rang
from tests.engine.script import EPOCH, T0_MONO, Script, fleet, heartbeat, letter, receipt

NEWER = EPOCH + 500


def sent(*msg_ids: str) -> Script:
    script = Script(fleet("A", "B", "C"))
    for msg_id in msg_ids:
        script.hear(Posted(letter(msg_id), 1))
    return script


def numbers(script: Script, peer: str = "B") -> dict[tuple[int, int], str]:
    lane = script.fleet.mail.lanes.get(peer, Lane())
    return {number: waiting.envelope.msg_id for number, waiting in lane.open.items()}


@pytest.mark.parametrize(
    "signal",
    [
        pytest.param(heartbeat(seq=1, your_epoch=NEWER), id="a heartbeat says so"),
        pytest.param(receipt((NEWER, 3), seq=1), id="a receipt has a line of it"),
        pytest.param(heartbeat((NEWER, 3), seq=1), id="a line of it rides on a heartbeat"),
        pytest.param(receipt((EPOCH, 7), (NEWER, 0), seq=1), id="its floor alone"),
    ],
)
def test_we_move_above_what_a_peer_remembers(signal: Arrived) -> None:
    """A newer epoch of ours than we have: our store went back, and the clock with it. Everything numbered since this
    start is numbered anew, durably, and goes again at once; a finding tells."""
    script = sent("m1", "m2")
    said = script.hear(signal, at=1.0)
    assert said[0] == f"save meta store.epoch, m1 is #{NEWER + 1}/1, m2 is #{NEWER + 1}/2"
    assert said[1] == "ring mail.B at 1.000"
    assert "save entry store A" in said
    assert script.fleet.me.epoch == NEWER + 1
    assert numbers(script) == {(NEWER + 1, 1): "m1", (NEWER + 1, 2): "m2"}
    assert (WENT_BACK.code, "") in script.fleet.findings
    assert script.asked(Deliver, Rang(TIMER + "B")) != []
    assert script.hear(Posted(letter("m3"), 1))[0] == f"save m3 #{NEWER + 1}/3"


@pytest.mark.parametrize("line", [(EPOCH, 3), (EPOCH, 0, b"\x04"), (EPOCH, 2, b"\x01")])
def test_numbers_of_this_epoch_that_we_never_gave(line: tuple[int, int]) -> None:
    """The same backup was put back twice, with its clock: the peer holds number 3, and we have given two."""
    script = sent("m1", "m2")
    script.hear(receipt(line, seq=1))
    assert numbers(script) == {(EPOCH + 1, 1): "m1", (EPOCH + 1, 2): "m2"}
    assert (WENT_BACK.code, "") in script.fleet.findings


def test_receipts_are_not_believed_before_that() -> None:
    """The peer holds (old epoch, 1): that was another message, of a life we forgot. Ours is not taken for it."""
    script = sent("m1")
    script.hear(receipt((EPOCH, 1), (NEWER, 3), seq=1))
    assert numbers(script) == {(NEWER + 1, 1): "m1"}
    assert script.fleet.mail.waiting == 1


def test_a_closed_number_is_not_the_end_of_its_message() -> None:
    """The peer's floor lies above our epoch: its refusal names the floor, so we move above it and send again."""
    script = sent("m1")
    script.hear(receipt((EPOCH, 0), (NEWER, 0), seq=1, notes=(Note(EPOCH, 1, CLOSED),)))
    assert numbers(script) == {(NEWER + 1, 1): "m1"}
    assert (script.fleet.mail.waiting, script.fleet.mail.dead) == (1, 0)


def test_messages_of_earlier_epochs_keep_their_numbers() -> None:
    """Only what this start numbered can meet a number of a forgotten life."""
    script = sent("m1")
    old = Waiting(letter("old", seq=4, src_epoch=EPOCH - 7), due=T0_MONO)
    lane = script.fleet.mail.lanes["B"]
    lanes = Map({"B": msgspec.structs.replace(lane, open=lane.open.set((EPOCH - 7, 4), old))})
    script.fleet = msgspec.structs.replace(script.fleet, mail=msgspec.structs.replace(script.fleet.mail, lanes=lanes))
    script.hear(heartbeat(seq=1, your_epoch=NEWER))
    assert numbers(script) == {(EPOCH - 7, 4): "old", (NEWER + 1, 1): "m1"}


@pytest.mark.parametrize("epoch", [EPOCH, EPOCH - 1, 0, HIGHEST, 2**62])
def test_nothing_moves_for_less_or_for_nonsense(epoch: int) -> None:
    """Our own epoch, an older one, or one no clock could have given."""
    script = sent("m1")
    script.hear(heartbeat(seq=1, your_epoch=epoch))
    assert script.fleet.me.epoch == EPOCH


# ------------------------------------------------------------------------------------------ a stream that takes no more


def far(next_seq: int, *open_seqs: int) -> Script:
    """A life in which `next_seq - 1` numbers to B were given, of which these are open; C has one open message."""
    script = Script(fleet("A", "B", "C"))
    opened = {(EPOCH, seq): Waiting(letter(f"m{seq}", seq=seq), due=T0_MONO + 5) for seq in open_seqs}
    other = Waiting(letter("c1", "C", seq=1), due=T0_MONO + 5)
    lanes = Map({"B": Lane(Map(opened), next_seq), "C": Lane(Map({(EPOCH, 1): other}), 2)})
    script.fleet = msgspec.structs.replace(script.fleet, mail=msgspec.structs.replace(script.fleet.mail, lanes=lanes))
    return script


FAR = 3 * AHEAD_LIMIT


def test_a_peer_that_lost_its_store_takes_mail_again_at_once() -> None:
    """It holds nothing of a long life, so it could take no number of ours: what is open is numbered from 1 again."""
    script = far(FAR, FAR - 2, FAR - 1)
    said = script.asked(Save, heartbeat(seq=1, your_epoch=EPOCH))
    assert said[0] == f"save meta store.epoch, m{FAR - 2} is #5001/1, m{FAR - 1} is #5001/2"
    assert numbers(script) == {(EPOCH + 1, 1): f"m{FAR - 2}", (EPOCH + 1, 2): f"m{FAR - 1}"}
    assert numbers(script, "C") == {(EPOCH, 1): "c1"}, "who lost nothing is not disturbed"
    assert script.fleet.mail.lanes["C"].next_seq == 1
    assert not script.fleet.findings


def test_one_number_nobody_settles_blocks_no_other() -> None:
    """Everything but an old number is held, and the watermark stands before it: new messages begin another epoch, the
    old one stays open where it is."""
    script = far(AHEAD_LIMIT // 2 + 5, 1)
    script.hear(receipt((EPOCH, 0, b"\xfe"), seq=1))
    assert script.fleet.me.epoch == EPOCH + 1
    assert numbers(script) == {(EPOCH, 1): "m1"}
    assert script.hear(Posted(letter("new"), 1))[0] == "save new #5001/1"


@pytest.mark.parametrize(
    ("next_seq", "signal"),
    [
        pytest.param(AHEAD_LIMIT // 2, heartbeat(seq=1), id="not far enough"),
        pytest.param(FAR, heartbeat((EPOCH, FAR - 2_000), seq=1), id="the usual distance"),
        pytest.param(FAR, receipt(seq=1), id="a receipt without a line of ours says nothing"),
        pytest.param(FAR, receipt((EPOCH - 1, 0), seq=1), id="another epoch's line says nothing"),
    ],
)
def test_the_epoch_stays(next_seq: int, signal: Arrived) -> None:
    """Only a line of the present epoch that lags far behind, or a heartbeat without one, is a reason."""
    script = far(next_seq)
    script.hear(signal)
    assert script.fleet.me.epoch == EPOCH


def test_lines_that_ride_on_mail_count_as_well() -> None:
    """Any parcel's lines are its sender's word."""
    script = Script(fleet("A", "B"))
    letter_of_b = letter("x", "A", "B", seq=1)
    script.hear(Arrived((Parcel(letter_of_b, b"", "", (AckLine(NEWER, 1),)),), receipt(seq=1).via))
    assert script.fleet.me.epoch == NEWER + 1
