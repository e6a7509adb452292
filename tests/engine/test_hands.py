"""The hands: in order, nothing ahead of the disk, everything bounded. The sealers, the store and the loop are real."""

import asyncio
from functools import partial, wraps
from typing import Any

import pytest

from engine.effects import Answer, Arm, AskReady, Deliver, Effect, Look, Publish, Resolve, Save
from engine.errors import Fault, FleetError
from engine.hands import LINGER_S
from engine.me.stalled import AGAIN_S, CODE, FULL, STALLED_S, UNKNOWN, UNKNOWN_S
from engine.model.channel import Cause, Channel, Outcome, Verdict
from engine.model.envelope import Kind, Rung, Urgency
from engine.model.event import BrokerMoved
from engine.model.mail import AckLine
from engine.model.records import AddEntry, MoveRung
from engine.signals import Posted, Readied, Rejected, Started, StoreFilled, StoreFreed, Tried
from engine.wire import frames
from tests.engine.parts import A, B, C, Disk, Line, Node, sealer, settle, virtual
from tests.engine.script import letter

NATS, HTTP = Channel.NATS, Channel.HTTP


def told(number: int) -> Effect:
    return Publish(BrokerMoved(str(number)))


def save(number: int, *, lazy: bool = False) -> Save:
    return Save((AddEntry(0, "a", "verb", str(number), {}),), lazy=lazy)


class Watch:
    """A node, and the events its faces were told, in order."""

    def __init__(self, *lines: Line, disk: Disk | None = None):
        self.node = Node(disk, lines)
        self.hands = self.node.core.hands
        self.disk = self.node.disk
        self.heard: list[str] = []
        publish = self.node.core.bus.publish

        def noted(event: Any) -> None:
            self.heard.append(event.state if isinstance(event, BrokerMoved) else type(event).__name__)
            publish(event)

        self.node.core.bus.publish = noted  # type: ignore[method-assign]

    def do(self, *effects: Effect) -> None:
        """One turn's effects."""
        self.hands.perform(list(effects), self.node.core.loop.fleet)


def story(test: Any) -> Any:
    """Run an async test on virtual time."""

    @wraps(test)
    def run(**given: Any) -> None:
        virtual(partial(test, **given))

    return run


# ------------------------------------------------------------------------------------------------- behind the commit


@story
async def test_nothing_after_a_save_before_it_is_durable() -> None:
    """What a turn saved comes first; the rest of its effects wait for the disk."""
    watch = Watch()
    watch.do(told(1), save(1), told(2))
    await settle()
    assert watch.heard == []
    watch.disk.commit()
    await settle()
    assert watch.heard == ["1", "2"]


@story
async def test_nothing_overtakes() -> None:
    """A later turn waits behind an earlier one, even if it saved nothing, even if its own commit came first."""
    watch = Watch()
    watch.do(save(1), told(1))
    watch.do(told(2))
    watch.do(save(3), told(3))
    (_, first), (_, second) = watch.disk.submitted
    second.set_result(None)
    await settle()
    assert watch.heard == []
    first.set_result(None)
    await settle()
    assert watch.heard == ["1", "2", "3"]


@story
async def test_a_commit_that_never_ends_acknowledges_nothing() -> None:
    """A disk that hangs: nobody is answered, told or sent anything that depends on it, however long."""
    line = Line()
    watch = Watch(line)
    ticket, accepted = watch.hands.ticket()
    watch.node.core.loop.post(Posted(letter("m1", B, A), ticket))
    await asyncio.sleep(3_600)
    assert not accepted.done()
    assert (watch.heard, line.sent) == (["Noticed"], [])


@story
async def test_what_is_shown_says_how_old_it_is() -> None:
    """While a commit hangs nothing that happens is shown; so what is shown says since when nothing could be written,
    and stops saying so with the commit."""
    watch = Watch()
    watch.do(told(1), save(1), told(2))
    await asyncio.sleep(STALLED_S - 1)
    assert (CODE, "") not in watch.hands.visible.findings
    await asyncio.sleep(36)
    watch.do(told(3))
    assert "no commit has ended for 40 s" in watch.hands.visible.findings[CODE, ""].detail
    assert watch.heard == ["Noticed"]
    watch.disk.commit()
    await settle()
    assert (CODE, "") not in watch.hands.visible.findings
    assert watch.heard == ["Noticed", "Noticed", "1", "2", "3"]
    watch.do(save(2), told(4))
    watch.disk.commit()
    await asyncio.sleep(60)
    assert watch.heard[5:] == ["4"]


@story
async def test_a_full_disk_is_called_full() -> None:
    """While there is no room even to settle: full is shown, with the word for it, not a disk that hangs for no reason;
    that it is not full any more is for whoever hears it in its turn."""
    watch = Watch()
    watch.do(save(1), told(1))
    watch.node.core.loop.post(StoreFilled(0))
    await asyncio.sleep(AGAIN_S + 0.5)
    shown = watch.hands.visible
    assert shown.mail.full
    assert [code for code, _ in shown.findings] == [FULL]
    assert "no room to settle" in shown.findings[FULL, ""].detail
    await asyncio.sleep(STALLED_S + 10)
    assert [code for code, _ in watch.hands.visible.findings] == [FULL]
    assert watch.heard == ["Noticed"]
    watch.disk.commit()
    await settle()
    assert "0 MB free" in watch.hands.visible.findings[FULL, ""].detail
    watch.node.core.loop.post(StoreFreed())
    await settle()
    assert not watch.hands.visible.mail.full
    assert not watch.hands.visible.findings


@story
async def test_nobody_waits_for_ever_to_have_a_message_accepted() -> None:
    """While nothing can be written, whoever waits is told that nobody knows yet, and under which id it will be known;
    the message itself is not taken back. Whoever waits for another thing waits on."""
    watch = Watch()
    ticket, accepted = watch.hands.ticket("m1")
    other, ended = watch.hands.ticket()
    watch.node.core.loop.post(Posted(letter("m1", B, A), ticket))
    await settle()
    watch.do(Resolve(other, "done"))
    await asyncio.sleep(UNKNOWN_S - 1)
    assert not accepted.done()
    await asyncio.sleep(2.5)
    with pytest.raises(FleetError, match="Not known yet") as told_so:
        await accepted
    assert told_so.value.code == UNKNOWN
    assert "`fleet why m1`" in told_so.value.next_step
    assert not ended.done()
    watch.disk.commit()
    assert await ended == "done"
    assert watch.disk.disk.message("m1") is not None


@story
async def test_a_commit_that_failed_acknowledges_nothing() -> None:
    """Nor does anything that comes after it: the value in memory is ahead of a disk that will not follow."""
    watch = Watch()
    ticket, accepted = watch.hands.ticket()
    watch.do(save(1), Resolve(ticket, "m1"), told(1))
    watch.disk.fail(FleetError("store.io", "The store cannot be written", fault=Fault.WORLD))
    await settle()
    watch.do(told(2))
    watch.do(save(3), told(3))
    watch.disk.commit()
    await settle()
    assert watch.heard == []
    assert not accepted.done()


@story
async def test_the_value_faces_see_is_durable() -> None:
    """`visible` moves with the commit; the loop's own value is ahead of it."""
    watch = Watch()
    watch.disk.at_once = True
    watch.node.core.loop.post(Started())
    await settle()
    watch.disk.at_once = False
    watch.node.core.loop.post(Posted(letter("m1", B, A), 0))
    await settle()
    assert watch.node.core.loop.fleet.mail.waiting == 1
    assert watch.hands.visible.mail.waiting == 0
    watch.disk.commit()
    await settle()
    assert watch.hands.visible.mail.waiting == 1


@story
async def test_send_returns_when_it_is_durable_and_not_before() -> None:
    """The ticket is answered with the id behind the commit that keeps the message."""
    watch = Watch()
    ticket, accepted = watch.hands.ticket()
    watch.node.core.loop.post(Posted(letter("m1", B, A), ticket))
    await settle()
    assert not accepted.done()
    watch.disk.commit()
    assert await accepted == "m1"
    assert watch.disk.disk.message("m1") is not None


@story
async def test_an_answer_waits_for_its_row() -> None:
    """Visible before acknowledged: the receipt leaves when the message is on the disk, with what is held by then."""
    watch = Watch()
    replies: list[bytes] = []
    frame = sealer("b").seal(letter("m1", A, B, seq=1, src_epoch=7))
    assert watch.node.core.door.arrived(frame, NATS, replies.append)
    await settle()
    assert replies == []
    assert watch.heard == []
    watch.disk.commit()
    await settle()
    assert watch.heard[-1] == "MessageCame"
    (back,) = replies
    (parcel,) = (sealer("b").open(one, 0) for one in frames(back))
    assert parcel.envelope.kind is Kind.RECEIPT


# ------------------------------------------------------------------------------------------------------ lazy records


@story
async def test_what_nobody_waits_for_joins_the_next_transaction() -> None:
    """Lazy records hold nothing up, and go with whatever is kept next, before it."""
    watch = Watch()
    watch.do(save(1, lazy=True), told(1))
    await settle()
    assert watch.heard == ["1"]
    assert watch.disk.submitted == []
    watch.do(save(2), told(2))
    ((records, _),) = watch.disk.submitted
    assert [record.subject for record in records if isinstance(record, AddEntry)] == ["1", "2"]


@story
async def test_or_makes_one_of_its_own() -> None:
    """After 20 ms, however much came meanwhile: one transaction, and no second one for the same records."""
    watch = Watch()
    for number in range(5):
        watch.do(save(number, lazy=True))
    await asyncio.sleep(LINGER_S * 3)
    assert [len(records) for records, _ in watch.disk.submitted] == [5]


@story
async def test_flush_waits_for_everything_asked_so_far() -> None:
    """Lazy records too: whoever asks for a story sees the tries that were made."""
    watch = Watch()
    watch.do(Save((MoveRung("m1", Rung.ON_HOST, 1),), lazy=True))
    flushed = asyncio.ensure_future(watch.hands.flush())
    await settle()
    assert not flushed.done()
    watch.disk.commit()
    await flushed


# ------------------------------------------------------------------------------------------------------------ timers


@story
async def test_of_several_armings_the_earliest_counts() -> None:
    """A ring is brought forward and comes once; it is put off only by who knows all that it is for."""
    watch = Watch()
    rings: list[float] = []
    clock = asyncio.get_running_loop().time
    watch.hands.post = lambda signal: rings.append(clock())
    start = clock()
    for after_s in (5.0, 9.0, 2.0, 3.0):
        watch.do(Arm("k", start + after_s))
    await asyncio.sleep(20)
    assert [round(ring - start, 3) for ring in rings] == [2.0]
    watch.do(Arm("k", start + 30.0), Arm("k", start + 40.0, anew=True), Arm("k", start + 50.0))
    await asyncio.sleep(60)
    assert [round(ring - start, 3) for ring in rings] == [2.0, 40.0]


@story
async def test_a_timer_does_not_wait_for_the_disk() -> None:
    """Or a slow commit would make every hedge late."""
    watch = Watch()
    rings: list[object] = []
    watch.hands.post = rings.append
    watch.do(save(1), Arm("k", asyncio.get_running_loop().time() + 1))
    await asyncio.sleep(2)
    assert len(rings) == 1


# ----------------------------------------------------------------------------------------------------------- sending


async def ready(watch: Watch, *lines: Line) -> None:
    """The node has started, and its channels were probed and left hanging."""
    watch.disk.at_once = True
    watch.node.core.loop.post(Started())
    await settle()
    for line in lines:
        while line.sent:
            line.end(Outcome(Verdict.LOST))
        await settle()


@story
async def test_a_channel_that_is_not_set_up_is_told_at_once() -> None:
    """Barred, hard, with the numbers of what could not be tried, so that the next channel starts in this breath."""
    watch = Watch()
    heard: list[object] = []
    watch.hands.post = heard.append
    watch.do(Deliver(B, Channel.SEED, letter("m1", B, A, seq=1), 1.0))
    (tried,) = heard
    assert isinstance(tried, Tried)
    assert tried.numbers == ((5_000, 1, "m1"),)
    assert (tried.outcome.verdict, tried.outcome.hard) == (Verdict.BARRED, True)


@story
async def test_each_try_is_sealed_anew() -> None:
    """The same message over two channels is two frames with two tags, and both open to the same envelope."""
    one, two = Line(NATS), Line(HTTP)
    watch = Watch(one, two)
    await ready(watch, one, two)
    watch.node.core.loop.post(Posted(letter("m1", B, A), 0))
    await settle()
    opened = [parcel for line in (one, two) for data, _ in line.sent for parcel in _letters(data)]
    assert [parcel.envelope.msg_id for parcel in opened] == ["m1", "m1"]
    assert opened[0].tag != opened[1].tag


def _letters(data: bytes) -> list[Any]:
    found = [sealer("b").open(one, 0) for one in frames(data)]
    return [parcel for parcel in found if parcel.envelope.kind is Kind.CONTEXT]


@story
async def test_what_is_acknowledged_meanwhile_is_not_sealed() -> None:
    """A number that is no longer open is not sent, however long its try waited for a free batch."""
    line = Line()
    watch = Watch(line)
    await ready(watch, line)
    watch.do(Deliver(B, NATS, letter("gone", B, A, seq=77), 1.0))
    await settle()
    assert [parcel for data, _ in line.sent for parcel in _letters(data)] == []


@story
async def test_an_empty_answer_is_a_refusal() -> None:
    """A peer that opened nothing of what it was sent does not know us: that is no success."""
    line = Line()
    watch = Watch(line)
    heard: list[object] = []
    watch.hands.post = heard.append
    watch.do(Deliver(B, NATS, letter("p", B, A, kind=Kind.PING), 1.0))
    await settle()
    line.end(Outcome(Verdict.CONFIRMED, reply=b""))
    await settle()
    ended = [one.outcome for one in heard if isinstance(one, Tried)]
    assert [(one.verdict, one.cause) for one in ended] == [(Verdict.REFUSED, Cause.SPURNED)]


@story
@pytest.mark.parametrize(
    ("ending", "second"),
    [
        (Outcome(Verdict.BARRED, "not connected to the broker", hard=True), True),
        (Outcome(Verdict.LOST, "no answer"), False),
    ],
)
async def test_a_relay_is_given_it_the_other_way_where_the_first_went_nowhere(ending: Outcome, second: bool) -> None:
    """A broker that starts again costs its relay nothing: what could not leave through it goes to the peer port in the
    same breath, sealed anew. What may have arrived is not given again."""
    one, two = Line(NATS), Line(HTTP)
    watch = Watch(one, two)
    await ready(watch, one, two)
    frame = sealer("a").seal(letter("m1", C, A, seq=1), ())
    carried = asyncio.ensure_future(watch.hands.carry(B, C, frame, 5.0))
    await settle()
    first = one.end(ending)
    await settle()
    assert len(two.sent) == second
    if second:
        assert two.end(Outcome(Verdict.REFUSED, "busy")) != first
    assert (await carried).note == f"relay b: {'busy' if second else 'no answer'}"


@story
async def test_a_try_is_heard_before_what_came_with_it() -> None:
    """The receipt finds its try written down; a reply that is no frame is refused and counted."""
    line = Line()
    watch = Watch(line)
    heard: list[object] = []
    watch.hands.post = watch.node.core.door._post = heard.append
    watch.do(Deliver(B, NATS, letter("p", B, A, kind=Kind.PING), 1.0))
    await settle()
    line.end(Outcome(Verdict.CONFIRMED, reply=b"{}"))
    await settle()
    assert [type(one) for one in heard] == [Tried, Rejected]


@story
async def test_pulses_are_numbered_as_they_are_sealed() -> None:
    """One rising sequence for everything that is not durable, whoever it is for."""
    line = Line()
    watch = Watch(line)
    for peer in (B, C, B):
        watch.do(Deliver(peer, NATS, letter("p", peer, A, kind=Kind.PING), 1.0))
        await settle()
    names = {B: "b", C: "c"}
    seen = [
        sealer(names[peer]).open(data, 0).envelope.seq for peer, (data, _) in zip((B, C, B), line.sent, strict=True)
    ]
    assert seen == [1, 2, 3]


@story
async def test_receipts_ride_on_everything() -> None:
    """A pulse carries what is durably held of its receiver's streams."""
    line = Line()
    watch = Watch(line)
    watch.disk.at_once = True
    watch.node.core.door.arrived(sealer("b").seal(letter("m1", A, B, seq=1, src_epoch=7)), NATS, None)
    await settle()
    while line.sent:
        line.end(Outcome(Verdict.LOST))
        await settle()
    watch.do(Deliver(B, NATS, letter("p", B, A, kind=Kind.PING), 1.0))
    await settle()
    assert sealer("b").open(line.sent[-1][0], 0).acks == (AckLine(7, 1),)


@story
async def test_every_transport_is_asked_and_answers_together() -> None:
    """None, or the reason why not, for each channel of the node."""
    watch = Watch(Line(NATS), Line(HTTP, "no address"))
    heard: list[object] = []
    watch.hands.post = heard.append
    watch.do(AskReady(B), AskReady("stranger"))
    assert heard == [Readied(B, {NATS: None, HTTP: "no address"})]


@story
async def test_a_channel_that_cannot_say_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are told as they are, and of this one what went wrong."""
    broken = Line(NATS)
    watch = Watch(broken, Line(HTTP))

    def fails(target: object) -> None:
        raise RuntimeError("no home directory")

    monkeypatch.setattr(broken, "ready", fails)
    heard: list[object] = []
    watch.hands.post = heard.append
    watch.do(AskReady(B))
    assert heard == [Readied(B, {NATS: "failed here: RuntimeError", HTTP: None})]


@story
async def test_deeds_are_the_compositions() -> None:
    """What belongs to the machine is handed to whoever owns it."""
    watch = Watch()
    watch.do(Look())
    assert watch.node.deeds == [Look()]


# -------------------------------------------------------------------------------------------------------------- stop


@story
async def test_stopped_it_refuses_who_waits() -> None:
    """Whoever waits for an id hears that the node stops; no timer rings any more; what flew is broken off."""
    line = Line()
    watch = Watch(line)
    rings: list[object] = []
    ticket, accepted = watch.hands.ticket()
    watch.node.core.loop.post(Posted(letter("m1", B, A), ticket))
    watch.do(Deliver(B, NATS, letter("p", B, A, kind=Kind.PING), 1.0))
    await settle()
    watch.hands.post = rings.append
    watch.do(Arm("k", asyncio.get_running_loop().time() + 1), save(1, lazy=True))
    watch.hands.stop()
    await asyncio.sleep(60)
    assert rings == []
    with pytest.raises(FleetError, match="stopping"):
        await accepted


@story
async def test_what_a_stop_breaks_off_says_nothing_of_a_peer() -> None:
    """Channels that this node closes itself are no evidence: no break is noted of a peer. An answer counts still."""
    line = Line()
    watch = Watch(line)
    heard: list[object] = []
    watch.node.core.loop.post = heard.append  # type: ignore[method-assign]
    pings = [Deliver(B, NATS, letter(f"p{number}", B, A, kind=Kind.PING), 1.0) for number in range(3)]
    for ping in pings:
        watch.do(ping)
        await settle()
    watch.node.core.closing()
    line.end(Outcome(Verdict.LOST, "we hung up", hard=True))
    line.end(Outcome(Verdict.BARRED, "closed", hard=True))
    await settle()
    assert heard == []
    line.end(Outcome(Verdict.REFUSED, "the peer is busy"))
    await settle()
    assert [one.outcome.verdict for one in heard if isinstance(one, Tried)] == [Verdict.REFUSED]


@story
async def test_a_ticket_is_answered_once() -> None:
    """An error or an id; a second answer, or one nobody waits for, changes nothing."""
    watch = Watch()
    number, future = watch.hands.ticket()
    watch.do(Resolve(number, "m1"), Resolve(number, "m2"), Resolve(999, "m3"))
    assert await future == "m1"


@story
async def test_a_revoked_reader_gets_nothing_more() -> None:
    """What cannot be sealed because its reader is gone is not sent, and nobody stumbles."""
    line = Line()
    watch = Watch(line)
    watch.node.core.door.answer(1, b"")
    watch.do(
        Answer(1, (letter("r", "nobody", A, kind=Kind.RECEIPT, urgency=Urgency.LOW),)),
        Deliver("nobody", NATS, letter("p", "nobody", A, kind=Kind.PING), 1.0),
        told(1),
    )
    await settle()
    assert line.sent == []
    assert watch.heard == ["1"]
