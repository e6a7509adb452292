"""Two nodes, two pure values, and a network that hypothesis plays: every message arrives once, whatever it does.

No sealing, no loop, no store: deliveries are values that may be lost, doubled, delayed and reordered at will, between
any two turns; so may the two nodes' timers. What holds here holds by the logic of receipts alone.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.effects import Answer, Arm, Deliver, Effect, Publish
from engine.mail.receipts import lines
from engine.model.channel import Channel, ChannelState, Outcome, Verdict
from engine.model.envelope import KINDS, Envelope, Kind
from engine.model.event import MessageCame, MessageMoved
from engine.model.mail import Parcel
from engine.model.packets import Heartbeat, pack
from engine.signals import Arrived, Posted, Rang, Signal, Tried
from engine.state import Fleet
from tests.engine.script import EPOCH, T0_MS, Script, fleet, letter, with_health

# One thing the network may do: what becomes of the delivery it holds at this (wrapped) place.
FATES = st.sampled_from(["deliver", "deliver", "double", "lose", "lose answer"])
PLAYS = st.lists(st.tuples(FATES, st.integers(0, 50), st.floats(0.0, 2.0)), max_size=60)


class Pair:
    """A and B, and what is under way between them."""

    def __init__(self) -> None:
        self.nodes = {name: Script(fleet("A", "B", me=name)) for name in "AB"}
        self.under_way: list[tuple[str, Deliver]] = []
        self.timers: dict[tuple[str, str], float] = {}
        self.came: list[str] = []
        self.settled: list[str] = []
        self.pulses = {"A": 0, "B": 0}
        self.now_s = 0.0
        self.answers: list[Envelope] = []

    def hear(self, name: str, signal: Signal) -> None:
        """One turn of one node; what it asks for is noted, in order."""
        node = self.nodes[name]
        node.fleet = _well(node.fleet, "B" if name == "A" else "A")
        node.hear(signal, self.now_s)
        for effect in node.effects:
            self._do(name, effect)

    def _do(self, name: str, effect: Effect) -> None:
        match effect:
            case Deliver() if KINDS[effect.envelope.kind].durable:
                self.under_way.append((name, effect))
            case Answer():
                self.answers = [self._numbered(name, one) for one in effect.envelopes]
            case Arm():
                due = self.timers.get((name, effect.key), float("inf"))
                self.timers[name, effect.key] = min(due, effect.at)
            case Publish(event=MessageCame() as event):
                self.came.append(f"{event.msg_id} at {name}")
            case Publish(event=MessageMoved() as event) if event.rung == "on_host":
                self.settled.append(event.msg_id)

    def _numbered(self, name: str, envelope: Envelope) -> Envelope:
        self.pulses[name] += 1
        return replace(envelope, seq=self.pulses[name])

    def carry(self, place: int, fate: str) -> None:
        """Let one delivery meet its fate; with it goes the answer, unless that is lost."""
        if not self.under_way:
            return
        src, effect = self.under_way.pop(place % len(self.under_way))
        if fate == "double":
            self.under_way.append((src, effect))
        if fate == "lose":
            self.hear(src, Tried(effect.peer, effect.channel, effect.numbers, Outcome(Verdict.LOST), 5.0))
            return
        parcel = Parcel(effect.envelope, b"", "", effect.acks)
        self.hear(effect.peer, Arrived((parcel,), effect.channel, token=1))
        answers = self.answers
        verdict = Verdict.LOST if fate == "lose answer" else Verdict.CONFIRMED
        self.hear(src, Tried(effect.peer, effect.channel, effect.numbers, Outcome(verdict), 5.0))
        if fate != "lose answer":
            self.hear(src, Arrived(tuple(map(Parcel, answers)), effect.channel))

    def wait(self, for_s: float) -> None:
        """Time passes; the timers of mail that are due ring."""
        self.now_s += for_s
        for (name, key), due in sorted(self.timers.items()):
            if due <= self.now_s + 10_000.0 and key.startswith("mail."):
                del self.timers[name, key]
                self.hear(name, Rang(key))

    def beat(self, name: str) -> None:
        """A heartbeat reaches the other side, with the lines it carries."""
        other = "B" if name == "A" else "A"
        mail = self.nodes[name].fleet.mail
        floor = min((epoch for lane in mail.lanes.values() for epoch, _ in lane.open), default=EPOCH)
        body = pack(Heartbeat(T0_MS, "1", floor_epoch=floor, your_epoch=EPOCH, roster_version=1))
        envelope = self._numbered(name, Envelope(name, EPOCH, 0, other, "h", Kind.HEARTBEAT, body=body))
        self.hear(other, Arrived((Parcel(envelope, b"", "", lines(self.nodes[name].fleet, other)),), Channel.HTTP))

    def drain(self) -> None:
        """The network is well from now on: everything under way arrives, and what is still due is sent."""
        for _ in range(400):
            while self.under_way:
                self.carry(0, "deliver")
            if not any(node.fleet.mail.waiting for node in self.nodes.values()):
                return
            self.wait(1.0)


def _well(value: Fleet, peer: str) -> Fleet:
    """Channels stay usable: how they fare is another room's business, and tested there."""
    for channel in (Channel.NATS, Channel.HTTP):
        value = with_health(value, peer, channel, state=ChannelState.HEALTHY, fails=(), streak=0, overtaken=0)
    return value


@given(st.integers(1, 8), st.integers(0, 6), PLAYS)
@settings(max_examples=120, deadline=None)
def test_every_message_once(ours: int, theirs: int, plays: list[tuple[str, int, float]]) -> None:
    """Whatever is lost, doubled or late: in the end each message came once, and its sender knows."""
    pair = Pair()
    sent = [(f"a{number}", "A", "B") for number in range(ours)] + [(f"b{number}", "B", "A") for number in range(theirs)]
    for msg_id, src, dst in sent:
        pair.hear(src, Posted(letter(msg_id, dst, src), 1))
    for fate, place, pause_s in plays:
        pair.carry(place, fate)
        pair.wait(pause_s)
    pair.drain()
    assert sorted(pair.came) == sorted(f"{msg_id} at {dst}" for msg_id, _, dst in sent)
    assert sorted(pair.settled) == sorted(msg_id for msg_id, _, _ in sent)
    for name in "AB":
        mail = pair.nodes[name].fleet.mail
        assert (mail.waiting, mail.dead) == (0, 0)
        assert not any(lane.open for lane in mail.lanes.values())


@given(st.integers(1, 6), PLAYS)
@settings(max_examples=80, deadline=None)
@pytest.mark.slow
def test_short_lives_end_truly(count: int, plays: list[tuple[str, int, float]]) -> None:
    """Messages that live two seconds, on the same network: what the sender calls delivered was delivered, once; what it
    calls expired is not among what it calls delivered; and no number stays open."""
    pair = Pair()
    for number in range(count):
        pair.hear("A", Posted(letter(f"a{number}", ttl_s=2), 1))
    for fate, place, pause_s in plays:
        pair.carry(place, fate)
        pair.wait(pause_s)
    for _ in range(100):
        pair.drain()
        pair.wait(1.0)
        pair.beat("B")
    assert len(pair.came) == len(set(pair.came))
    assert {f"{msg_id} at B" for msg_id in pair.settled} <= set(pair.came)
    mail = pair.nodes["A"].fleet.mail
    assert (mail.waiting, mail.dead) == (0, count - len(set(pair.settled)))
    assert not any(lane.open for lane in mail.lanes.values())
