"""The outbox as a conversation: a message of ours from accepted to settled, whatever channels and peers do."""

import msgspec
import pytest
from immutables import Map

from engine.effects import Deliver, Load, Reload, Resolve, Save
from engine.mail.flight import REST_GRID_S
from engine.mail.lanes import TIMER
from engine.model.channel import Channel, ChannelState, Verdict
from engine.model.envelope import OPEN_LIMIT, RESERVED, Kind, Urgency
from engine.model.mail import Lane, Waiting
from engine.model.packets import CLOSED, Forward, Note, pack
from engine.model.peer import Standing
from engine.model.records import AddOutbox, AddTry
from engine.signals import ChannelTurned, Loaded, Nudged, Posted, Rang, Started, StoreFilled, StoreFreed
from engine.state import Fleet
from tests.engine.script import (
    EPOCH,
    T0_MONO,
    Script,
    fleet,
    heartbeat,
    letter,
    moment,
    receipt,
    tried,
    with_health,
)

NATS, HTTP, RELAY = Channel.NATS, Channel.HTTP, Channel.RELAY
RING = Rang(TIMER + "B")


def posted(msg_id: str, ticket: int = 1, **facts: object) -> Posted:
    via = facts.pop("via", None)
    return Posted(letter(msg_id, **facts), ticket, via)  # type: ignore[arg-type]


def sent(count: int, **how: object) -> Script:
    """A node with so many messages m1, m2, ... open to B, all sent over P1."""
    script = Script(fleet("A", "B", **how))  # type: ignore[arg-type]
    for number in range(1, count + 1):
        script.hear(posted(f"m{number}"))
    return script


def lane(script: Script, peer: str = "B") -> Lane:
    return script.fleet.mail.lanes.get(peer, Lane())


def one(script: Script, seq: int = 1, epoch: int = EPOCH) -> Waiting:
    return lane(script).open[epoch, seq]


def counts(script: Script) -> tuple[int, int]:
    """(waiting, dead), as people see them."""
    return script.fleet.mail.waiting, script.fleet.mail.dead


# ---------------------------------------------------------------------------------------------------------- accepted


def test_accepted_numbered_and_durable_before_it_leaves() -> None:
    """The row is saved, then `send` returns, then it is told, then it is sent; over one channel: P1 is fresh."""
    script = Script(fleet("A", "B"))
    assert script.hear(posted("m1", ticket=7)) == [
        "save m1 #1",
        "ticket 7: m1",
        "tell m1 accepted",
        "deliver m1 #1 to B over nats",
        "ring mail.B at 0.010",
    ]
    assert counts(script) == (1, 0)
    assert script.asked(Deliver, posted("m2", ticket=8)) == ["deliver m2 #2 to B over nats"]


def test_a_channel_that_has_not_just_succeeded_is_not_used_alone() -> None:
    """Seven seconds after the last success the second channel starts with the first."""
    script = Script(fleet("A", "B"))
    assert script.asked(Deliver, posted("m1"), at=7.0) == [
        "deliver m1 #1 to B over nats",
        "deliver m1 #1 to B over http",
    ]


def test_nobody_to_send_it_to_yet() -> None:
    """With no channel at all a message is accepted, numbered, and looked at again after a jittered rest."""
    script = Script(fleet("A", "B", up=()))
    said = script.hear(posted("m1"))
    assert said[:3] == ["save m1 #1", "ticket 1: m1", "tell m1 accepted"]
    assert [line[:15] for line in said[3:]] == ["ring mail.B at "]
    assert 0 < one(script).due - T0_MONO <= 2.0 + REST_GRID_S


def test_a_full_disk_accepts_nothing_new() -> None:
    """While the disk is full `send` is refused with the reason; what others gave us to carry is still taken."""
    script = Script(fleet("A", "B"))
    script.hear(StoreFilled(3))
    assert script.hear(posted("m1")) == ["ticket 1: store.full"]
    assert script.asked(Save, posted("f1", kind=Kind.FORWARD, body=pack(Forward("B", 1, b"")))) == ["save f1 #1"]
    script.hear(StoreFreed())
    assert script.asked(Resolve, posted("m2", ticket=2)) == ["ticket 2: m2"]


# ----------------------------------------------------------------------------------------------- hedge, next, rest


def test_the_next_channel_starts_when_the_first_is_slow() -> None:
    """After twice the 95th percentile the next channel starts; the first goes on, and whoever is first wins."""
    script = sent(1)
    assert script.asked(Deliver, RING, at=0.005) == []
    assert script.asked(Deliver, RING, at=0.010) == ["deliver m1 #1 to B over http"]
    assert [channel for channel, _ in one(script).flying] == [NATS, HTTP]


def test_the_next_channel_starts_at_once_when_the_first_fails() -> None:
    """A failed try is written down and the next channel starts in the same turn."""
    script = sent(1)
    failed = tried(NATS, Verdict.LOST, (EPOCH, 1, "m1"), hard=True, note="refused")
    said = script.hear(failed, at=0.001)
    assert "save lazily try of m1 nats lost" in said
    assert "deliver m1 #1 to B over http" in said
    assert one(script).tried == (NATS, HTTP)


def test_what_a_relay_took_proves_nothing() -> None:
    """LANDED moves no rung; the direct channels are tried on, the relay is not asked again for a while."""
    value = with_health(fleet("A", "B", up=(RELAY,), standing=Standing.OFFLINE), "B", RELAY, ok_at=T0_MONO)
    script = Script(value)
    assert script.asked(Deliver, posted("m1")) == ["deliver m1 #1 to B over relay"]
    script.hear(tried(RELAY, Verdict.LANDED, (EPOCH, 1, "m1")), at=0.01)
    assert one(script).landed
    assert counts(script) == (1, 0)
    asked_after = []
    for at in range(1, 900):
        begun = one(script).cascades
        if script.asked(Deliver, RING, at=float(at)):
            asked_after.append(begun)
            script.hear(tried(RELAY, Verdict.LANDED, (EPOCH, 1, "m1")))
    assert asked_after == [4, 8, 16, 32]


def test_an_answer_without_a_receipt_is_waited_for_then_tried_elsewhere() -> None:
    """The peer answered but did not say that it holds this one: after the hedge the next channel starts."""
    script = sent(1)
    assert script.asked(Deliver, tried(NATS, Verdict.CONFIRMED, (EPOCH, 1, "m1")), at=0.001) == []
    assert script.asked(Deliver, RING, at=0.010) == ["deliver m1 #1 to B over http"]


def test_when_nothing_is_left_it_rests() -> None:
    """Both channels failed: the next cascade begins after a rest, up to twice as long each time, with full jitter."""
    script = sent(1, up=(NATS,))
    rests = []
    for number in range(1, 9):
        script.hear(tried(NATS, Verdict.LOST, (EPOCH, 1, "m1")))
        # Whether P1 is well is another room's business here: it stays usable, and the message keeps trying.
        script.fleet = with_health(script.fleet, "B", NATS, state=ChannelState.HEALTHY, fails=(), streak=0)
        rests.append(one(script).due - T0_MONO - script.at_s)
        assert 0 <= rests[-1] <= min(30.0, 2.0**number) + REST_GRID_S
        assert one(script).due % REST_GRID_S == 0
        assert script.asked(Deliver, RING, at=one(script).due - T0_MONO) == ["deliver m1 #1 to B over nats"]
    assert len(set(rests)) > 4


def test_a_cascade_ends_after_thirty_seconds() -> None:
    """A try that never ends is given up with its cascade; the message rests, and everything is tried again."""
    script = sent(1)
    script.hear(RING, at=0.010)
    assert script.asked(Deliver, RING, at=0.3) == []
    assert one(script).due == T0_MONO + 30.0
    script.hear(RING, at=30.0)
    assert one(script).flying == ()
    again = one(script).due - T0_MONO
    script.fleet = msgspec.structs.replace(script.fleet, channels=fleet("A", "B").channels)
    assert script.asked(Deliver, RING, at=again)[0] == "deliver m1 #1 to B over nats"


def test_a_channel_that_comes_back_ends_the_rest() -> None:
    """Whoever rests goes at once, urgent and old first; whoever is under way is left alone."""
    script = Script(fleet("A", "B", up=()))
    for name, urgency in (("m1", Urgency.NORMAL), ("m2", Urgency.LOW), ("m3", Urgency.URGENT), ("m4", Urgency.NORMAL)):
        script.hear(posted(name, urgency=urgency))
    script.fleet = msgspec.structs.replace(script.fleet, channels=fleet("A", "B", up=(NATS,)).channels)
    assert script.asked(Deliver, ChannelTurned("B", NATS, usable=False), at=0.01) == []
    assert script.asked(Deliver, ChannelTurned("B", NATS, usable=True), at=0.02) == [
        f"deliver {name} to B over nats" for name in ("m3 #3", "m1 #1", "m4 #4", "m2 #2")
    ]
    assert script.asked(Deliver, Nudged("B"), at=0.021) == []


def test_a_warmer_channel_that_comes_back_does_not_wait_for_a_colder_one() -> None:
    """What flies over seed alone, which may take its ten seconds, leaves over P1 as well once it is back; what flies
    as warm, or has landed there, does not."""
    script = Script(fleet("A", "B", up=(Channel.SEED,)))
    for name in ("m1", "m2"):
        assert script.asked(Deliver, posted(name))[0].endswith("over seed")
    script.fleet = msgspec.structs.replace(script.fleet, channels=fleet("A", "B", up=(NATS, HTTP)).channels)
    went = lane(script).open[EPOCH, 2]
    kept = lane(script).open.set((EPOCH, 2), msgspec.structs.replace(went, landed=frozenset({NATS})))
    lanes = script.fleet.mail.lanes.set("B", msgspec.structs.replace(lane(script), open=kept))
    script.fleet = msgspec.structs.replace(script.fleet, mail=msgspec.structs.replace(script.fleet.mail, lanes=lanes))
    turned = ChannelTurned("B", NATS, usable=True)
    assert script.asked(Deliver, turned, at=1.0) == ["deliver m1 #1 to B over nats"]
    assert script.asked(Deliver, turned, at=1.004) == []
    assert script.asked(Deliver, ChannelTurned("B", HTTP, usable=True), at=1.006) == ["deliver m2 #2 to B over http"]


def test_what_is_urgent_goes_over_whatever_comes_back() -> None:
    """While others that rested leave at once, an urgent one does not wait for what becomes of its copy elsewhere."""
    script = Script(fleet("A", "B", up=(HTTP,)))
    script.hear(posted("m1"))
    script.hear(posted("m2", urgency=Urgency.URGENT))
    script.fleet = msgspec.structs.replace(script.fleet, channels=fleet("A", "B", up=(NATS, HTTP)).channels)
    turned = ChannelTurned("B", NATS, usable=True)
    assert script.asked(Deliver, turned, at=0.005) == ["deliver m2 #2 to B over nats"]


def test_what_is_urgent_follows_where_others_get_through() -> None:
    """P1 is given a message and says nothing; what another message proves of P2 sends the urgent after it at once,
    once, and nothing else."""
    script = Script(fleet("A", "B", up=(NATS, HTTP)))
    for name, urgency in (("m1", Urgency.NORMAL), ("m2", Urgency.URGENT), ("m3", Urgency.NORMAL)):
        script.hear(posted(name, urgency=urgency))
    script.hear(posted("m4", via=HTTP))
    assert script.asked(Deliver, tried(HTTP, Verdict.CONFIRMED, (EPOCH, 4, "m4")), at=0.004) == [
        "deliver m2 #2 to B over http"
    ]
    assert script.asked(Deliver, tried(HTTP, Verdict.CONFIRMED, (EPOCH, 4, "m4")), at=0.005) == []


def test_a_hold_the_sender_passed_over_is_in_its_try() -> None:
    """Only the message that named the held channel says so; one that flew there before the hold does not."""
    script = Script(fleet("A", "B", up=(NATS,)))
    script.hear(posted("m1"))
    script.hear(posted("m2", via=NATS))
    script.fleet = with_health(script.fleet, "B", NATS, held=True)
    script.hear(tried(NATS, Verdict.CONFIRMED, (EPOCH, 1, "m1"), (EPOCH, 2, "m2")), at=0.004)
    saved = [record for effect in script.effects if isinstance(effect, Save) for record in effect.records]
    notes = [record.note for record in saved if isinstance(record, AddTry)]
    assert notes == ["", "held back by you, but named for this message"]


def test_a_channel_that_comes_back_does_not_wait_for_a_silent_one() -> None:
    """A relay that took the message and says nothing may do so for its five seconds; the channel that works again
    carries it meanwhile. One that answers others is only busy."""
    script = Script(fleet("A", "B", up=(Channel.RELAY,)))
    assert script.asked(Deliver, posted("m1")) == ["deliver m1 #1 to B over relay"]
    script.hear(RING, at=0.3)
    both = fleet("A", "B", up=(NATS, Channel.RELAY)).channels
    turned = ChannelTurned("B", NATS, usable=True)
    busy = msgspec.structs.replace(both["B", Channel.RELAY], ok_at=T0_MONO + 0.3)
    script.fleet = msgspec.structs.replace(script.fleet, channels=both.set(("B", Channel.RELAY), busy))
    assert script.asked(Deliver, turned, at=0.31) == []
    script.fleet = msgspec.structs.replace(script.fleet, channels=both)
    assert script.asked(Deliver, turned, at=0.32) == ["deliver m1 #1 to B over nats"]


# ----------------------------------------------------------------------------------------------------- the peer's word


def test_only_the_peers_own_word_moves_the_ladder() -> None:
    """A receipt line that covers the number settles it: on its host, over the channel that brought the proof."""
    script = sent(2)
    assert script.hear(receipt((EPOCH, 1), seq=1), at=0.002)[:2] == [
        "save lazily m1 on_host, try of m1 nats overtaken",
        "tell m1 on_host over nats",
    ]
    assert set(lane(script).open) == {(EPOCH, 2)}
    assert counts(script) == (1, 0)
    script.hear(receipt((EPOCH, 1), seq=2), at=0.003)
    assert counts(script) == (1, 0)


def test_what_brought_it_is_known_from_any_frame() -> None:
    """A line that rides on another channel's frame names what brought the message; a channel nobody knows is passed
    over."""
    script = sent(2)
    said = script.hear(heartbeat((EPOCH, 2, b"", ((1, "seed"), (2, "pigeon"))), seq=1), at=0.002)
    assert {"tell m1 on_host over seed", "tell m2 on_host over nats"} <= set(said)


def test_a_receipt_after_the_end_of_its_try_tells_no_try() -> None:
    """Mostly the try has ended when its receipt is read; then it is written down already."""
    script = sent(1)
    script.hear(tried(NATS, Verdict.CONFIRMED, (EPOCH, 1, "m1")))
    assert script.hear(receipt((EPOCH, 1), seq=1), at=0.002)[0] == "save lazily m1 on_host"


def test_receipts_have_gaps() -> None:
    """A line names numbers above its watermark one by one."""
    script = sent(4)
    script.hear(receipt((EPOCH, 1, b"\x02"), seq=1))
    assert set(lane(script).open) == {(EPOCH, 2), (EPOCH, 4)}


def test_receipts_of_other_epochs_prove_nothing() -> None:
    """A number belongs to its epoch."""
    script = sent(1)
    script.hear(receipt((EPOCH - 1, 9), seq=1))
    assert counts(script) == (1, 0)


def test_a_slower_channel_is_told_of() -> None:
    """P1 was silent past its hedge while P2 brought the proof: health hears of it."""
    script = sent(1)
    script.hear(RING, at=0.010)
    script.hear(receipt((EPOCH, 1), seq=1, via=HTTP), at=0.020)
    assert script.fleet.health("B", NATS).overtaken == 1
    assert script.fleet.health("B", HTTP).overtaken == 0


def test_refused_for_good() -> None:
    """The peer will never take it: it is over, with the peer's reason."""
    script = sent(1)
    note = Note(EPOCH, 1, "refused", "no such session")
    assert script.hear(receipt(seq=1, notes=(note,)))[:2] == ["save m1 refused", "tell m1 refused"]
    assert counts(script) == (0, 1)
    assert not lane(script).open


def test_a_number_whose_epoch_is_over_is_given_anew() -> None:
    """An old copy of our store came back with a message the peer's floor has closed: it goes again, newly numbered."""
    script = sent(1, epoch=EPOCH - 1)
    script.fleet = msgspec.structs.replace(script.fleet, me=msgspec.structs.replace(script.fleet.me, epoch=EPOCH))
    note = Note(EPOCH - 1, 1, CLOSED)
    said = script.hear(receipt(seq=1, notes=(note,)))
    assert said[:2] == ["save m1 is #5000/2", "deliver m1 #2 to B over nats"]
    assert counts(script) == (1, 0)
    assert script.hear(receipt(seq=2, notes=(note,)), at=0.001) == []


def test_words_of_an_earlier_life_prove_nothing() -> None:
    """The peer started again, maybe from an older store: what it said before is not what it holds."""
    script = sent(1)
    script.hear(receipt(seq=1, src_epoch=EPOCH + 9))
    script.hear(receipt((EPOCH, 1), seq=99, src_epoch=EPOCH + 8))
    assert counts(script) == (1, 0)
    script.hear(receipt((EPOCH, 1), seq=2, src_epoch=EPOCH + 9))
    assert counts(script) == (0, 0)


# ------------------------------------------------------------------------------------------------------- end of life


def expired(ttl_s: int = 60, **how: object) -> Script:
    """A message whose life has ended without a word from its peer."""
    script = Script(fleet("A", "B", **how))  # type: ignore[arg-type]
    script.hear(posted("m1", ttl_s=ttl_s))
    return script


def test_a_life_ends_and_its_number_is_closed() -> None:
    """Expired: told, counted, and an empty SKIP travels under its number until the peer holds it."""
    script = expired()
    script.fleet = msgspec.structs.replace(script.fleet, channels=fleet("A", "B").channels)
    assert script.hear(RING, at=60.0)[:3] == [
        "save m1 expired",
        "tell m1 expired",
        "deliver SKIP of m1 #1 to B over nats",
    ]
    assert counts(script) == (0, 1)
    assert one(script).envelope.body == b""
    skip = script.effects[-2]
    assert isinstance(skip, Deliver)
    no_try = script.hear(tried(skip.channel, Verdict.CONFIRMED, *skip.numbers), at=60.1)
    assert not [said for said in no_try if said.startswith("save")]
    assert script.hear(receipt((EPOCH, 1), seq=1), at=60.1) == []
    assert not lane(script).open
    assert counts(script) == (0, 1)


def test_a_life_is_measured_by_the_steady_clock() -> None:
    """The wall clock may jump a year either way: what has 60 seconds has 60 seconds."""
    script = expired()
    for jump_ms in (-(10**11), 10**11):
        now = msgspec.structs.replace(moment(59.0), wall_ms=moment().wall_ms + jump_ms)
        value, effects = script._step(script.fleet, RING, now)
        assert value.mail.dead == 0
        assert not any(isinstance(effect, Save) and not effect.lazy for effect in effects)


def test_for_ever_is_for_ever() -> None:
    """A time to live of 0 never ends."""
    script = expired(ttl_s=0, up=())
    for day in range(1, 30):
        script.hear(RING, at=day * 86_400.0)
    assert counts(script) == (1, 0)


def test_late_truth_by_note() -> None:
    """The SKIP came after the message: the peer says that it has it, and so does the log."""
    script = expired()
    script.hear(RING, at=60.0)
    note = Note(EPOCH, 1, "on_host")
    assert script.hear(receipt((EPOCH, 1), seq=1, notes=(note,)), at=60.1)[:2] == [
        "save m1 on_host",
        "tell m1 on_host over nats",
    ]
    assert counts(script) == (0, 0)


def test_late_truth_by_receipt() -> None:
    """Its receipt was on the way when its life ended, and no SKIP had left: what is held is the message."""
    script = expired(up=())
    script.hear(RING, at=60.0)
    assert one(script).skipping
    assert counts(script) == (0, 1)
    assert "save lazily m1 on_host" in script.hear(heartbeat((EPOCH, 1), seq=1), at=61.0)
    assert counts(script) == (0, 0)


def test_a_held_number_proves_no_message_once_a_skip_has_left() -> None:
    """Held may then mean the SKIP: it stays expired, because "on its disk" is never said on a guess."""
    script = expired()
    script.fleet = msgspec.structs.replace(script.fleet, channels=fleet("A", "B").channels)
    script.hear(RING, at=60.0)
    script.hear(heartbeat((EPOCH, 1), seq=1), at=61.0)
    assert counts(script) == (0, 1)


def test_expired_in_the_store_is_not_sent() -> None:
    """A message whose life ended while it waited for a number needs none."""
    script = Script(fleet("A", "B"))
    old = Waiting(letter("m1", ttl_s=60, created_ms=moment().wall_ms - 61_000))
    script.fleet = backlogged(script.fleet, 1)
    assert script.hear(Loaded("B", (old,), 0)) == ["save m1 expired", "tell m1 expired"]
    assert (lane(script).open, lane(script).backlog) == (Map(), 0)
    assert counts(script) == (0, 1)


# ---------------------------------------------------------------------------------------- more than the lane holds


def backlogged(value: Fleet, backlog: int) -> Fleet:
    """The same with so many messages to B in the store, as a start finds them."""
    mail = msgspec.structs.replace(value.mail, lanes=Map({"B": Lane(backlog=backlog)}), waiting=backlog)
    return msgspec.structs.replace(value, mail=mail)


BULK = OPEN_LIMIT - RESERVED


def test_beyond_896_open_numbers_messages_wait_in_the_store() -> None:
    """The 897th is accepted without a number; a page is asked for when half the lane is free, once."""
    script = sent(BULK)
    assert script.asked(Save, posted("x1")) == ["save x1"]
    assert script.asked(Save, posted("x2")) == ["save x2"]
    assert (len(lane(script).open), lane(script).backlog) == (BULK, 2)
    half = BULK - OPEN_LIMIT // 2
    assert script.asked(Load, receipt((EPOCH, half - 1), seq=1)) == []
    assert script.asked(Load, receipt((EPOCH, half), seq=2)) == ["load 512 for B, 384 of them bulk"]
    assert script.asked(Load, receipt((EPOCH, half + 80), seq=3)) == []
    assert counts(script) == (BULK - half - 80 + 2, 0)


def test_what_is_urgent_has_a_number_whatever_waits() -> None:
    """128 numbers are kept for it; the next one waits, and is read back when 64 of them are free, before what is not
    urgent, which gets none of these."""
    script = sent(BULK)
    script.hear(posted("bulk"))
    for number in range(RESERVED):
        script.hear(posted(f"u{number}", urgency=(Urgency.HIGH, Urgency.URGENT)[number % 2]))
    assert (len(lane(script).open), lane(script).backlog) == (OPEN_LIMIT, 1)
    script.hear(posted("late", urgency=Urgency.URGENT))
    assert (len(lane(script).open), lane(script).backlog, lane(script).pressing) == (OPEN_LIMIT, 2, True)
    assert script.asked(Load, receipt((EPOCH, RESERVED // 2 - 1), seq=1)) == []
    assert script.asked(Load, receipt((EPOCH, RESERVED // 2), seq=2)) == ["load 64 for B, 0 of them bulk"]
    script.hear(posted("later", urgency=Urgency.URGENT))
    assert lane(script).backlog == 3, "it does not overtake what is being read"
    page = (Waiting(letter("late", urgency=Urgency.URGENT)),)
    assert script.asked(Load, Loaded("B", page, 1)) == []
    script.hear(receipt((EPOCH, RESERVED // 2 + 1), seq=3))
    assert script.asked(Load, Loaded("B", (Waiting(letter("later", urgency=Urgency.URGENT)),), 1)) == []


def test_a_page_is_numbered_in_its_order() -> None:
    """What the store hands over (urgent first) gets the next numbers, saved before it leaves."""
    script = Script(backlogged(fleet("A", "B"), 2))
    assert script.asked(Load, Started()) == ["load 1024 for B, 896 of them bulk"]
    page = (Waiting(letter("u", urgency=Urgency.URGENT)), Waiting(letter("n")))
    assert script.hear(Loaded("B", page, 0))[:3] == [
        "save u is #5000/1, n is #5000/2",
        "deliver u #1 to B over nats",
        "ring mail.B at 0.010",
    ]
    assert lane(script).backlog == 0
    assert not lane(script).loading


def test_what_is_accepted_while_a_page_is_read_is_not_forgotten() -> None:
    """The page was read before it was added: the next page is asked for, until one comes back empty."""
    script = Script(backlogged(fleet("A", "B"), 1))
    script.hear(Started())
    script.hear(posted("late"))
    assert script.asked(Load, Loaded("B", (Waiting(letter("early")),), 0)) == ["load 1023 for B, 895 of them bulk"]
    assert script.asked(Load, Loaded("B", (Waiting(letter("late")),), 0)) == []
    assert lane(script).backlog == 0
    assert set(lane(script).open) == {(EPOCH, 1), (EPOCH, 2)}


def test_nothing_overtakes_the_backlog() -> None:
    """While something waits in the store a new message waits behind it, though there are numbers left."""
    script = Script(backlogged(fleet("A", "B"), 1))
    script.hear(Started())
    assert script.asked(Save, posted("m1")) == ["save m1"]


# -------------------------------------------------------------------------------------------------- a peer that forgot


def settled(count: int) -> Script:
    """So many messages sent and acknowledged in this life."""
    script = sent(count)
    script.hear(receipt((EPOCH, count), seq=1))
    return script


def test_a_peer_that_lost_its_store_is_sent_again_what_it_lost() -> None:
    """Its heartbeat holds less than we closed: those numbers are read again and opened, and settle again."""
    script = settled(4)
    assert "reload B 5000: 3, 4" in script.hear(heartbeat((EPOCH, 2), seq=2), at=1.0)
    again = tuple(Waiting(letter(f"m{seq}", seq=seq)) for seq in (3, 4))
    assert [line for line in script.hear(Loaded("B", again, 0), at=1.1) if "deliver" in line] == [
        "deliver m3 #3 to B over nats",
        "deliver m4 #4 to B over nats",
    ]
    assert counts(script) == (2, 0)
    script.hear(receipt((EPOCH, 4), seq=3), at=1.2)
    assert counts(script) == (0, 0)


def test_a_lost_number_is_opened_once() -> None:
    """Two heartbeats told of the same loss before it was read: it is open once and counted once."""
    script = settled(1)
    script.hear(heartbeat(seq=2), at=1.0)
    again = Loaded("B", (Waiting(letter("m1", seq=1)),), 0)
    script.hear(again, at=1.1)
    assert script.asked(Deliver, again, at=1.2) == []
    assert counts(script) == (1, 0)


def test_a_lost_number_whose_message_is_over_comes_back_as_a_skip() -> None:
    """The number has to be closed there as well; that it is held proves nothing then."""
    script = settled(1)
    script.hear(heartbeat(seq=2), at=1.0)
    skip = Waiting(letter("m1", seq=1, kind=Kind.SKIP, body=b""), skipping=True)
    assert "deliver SKIP of m1 #1 to B over nats" in script.hear(Loaded("B", (skip,), 0), at=1.1)
    assert counts(script) == (0, 0)
    assert script.hear(receipt((EPOCH, 1), seq=3), at=1.2) == []


def test_an_old_heartbeat_is_no_loss() -> None:
    """It was written before the receipt that closed the number, and only arrived after it."""
    script = sent(1)
    script.hear(receipt((EPOCH, 1), seq=5))
    assert script.asked(Reload, heartbeat(seq=4)) == []
    assert script.asked(Reload, heartbeat(seq=6)) == ["reload B 5000: 1"]


# ------------------------------------------------------------------------------------------------------------- restart


def test_after_a_restart_every_open_number_is_tried_at_once() -> None:
    """The old number under its old epoch; new messages under the new one."""
    value = fleet("A", "B")
    kept = Waiting(letter("old", seq=3, src_epoch=EPOCH - 1), due=T0_MONO)
    mail = msgspec.structs.replace(value.mail, lanes=Map({"B": Lane(open=Map({(EPOCH - 1, 3): kept}))}), waiting=1)
    script = Script(msgspec.structs.replace(value, mail=mail))
    assert "ring mail.B at 0.000" in script.hear(Started())
    assert script.asked(Deliver, RING) == ["deliver old #4999/3 to B over nats"]
    assert script.asked(Deliver, posted("new")) == ["deliver new #1 to B over nats"]


# ------------------------------------------------------------------------------------------------------------- purity


@pytest.mark.parametrize("at", [0.0, 0.02, 31.0])
def test_same_input_same_output(at: float) -> None:
    """The whole turn is pure: the same value, signal and moment give the same value and the same effects."""
    value = sent(3).fleet
    for signal in (posted("m4"), RING, tried(NATS, Verdict.LOST, (EPOCH, 1, "m1")), receipt((EPOCH, 2), seq=1)):
        one_, two = Script(value), Script(value)
        assert (one_.hear(signal, at), one_.fleet) == (two.hear(signal, at), two.fleet)
    assert len(value.mail.lanes["B"].open) == 3


def test_every_accepted_message_is_saved_before_anything_else_is_asked() -> None:
    """Whatever the state of the lane, the first effect of a `Posted` is its row."""
    for script in (sent(0), sent(0, up=()), Script(backlogged(fleet("A", "B"), 1))):
        script.hear(posted("m"))
        first = script.effects[0]
        assert isinstance(first, Save)
        assert not first.lazy
        assert isinstance(first.records[0], AddOutbox)
