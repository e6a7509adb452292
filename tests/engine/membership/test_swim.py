"""The gossip machine as a script: a signal in, packets and timers out. Whole histories are in `test_liveness`."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map
from msgspec.structs import replace

from engine.effects import Arm, Deliver, Effect, Publish, Save, SendDatagram
from engine.membership import packet, swim
from engine.membership.packet import Ack, Claim, Nack, Ping, PingReq, Rumour
from engine.model.channel import Channel, ChannelHealth, ChannelState, Outcome, Verdict
from engine.model.envelope import Envelope, Kind
from engine.model.mail import Parcel
from engine.model.moment import Moment
from engine.model.packets import INCARNATION_LIMIT
from engine.model.peer import Peer, Standing
from engine.model.records import AddEntry, PutPeer
from engine.signals import Arrived, DatagramCame, LoopLagged, Rang, Signal, Started, Tried
from engine.state import Fleet
from tests.engine.membership.harness import T0_MS, fleet_of, member, name, roster_of

ME, B, C, D = (name(index) for index in range(4))


def at(second: float) -> Moment:
    return Moment(T0_MS + int(second * 1000), second)


class Script:
    """One node and what it did last."""

    def __init__(self, size: int = 4, **peers: Peer):
        self.fleet: Fleet = replace(fleet_of(0, roster_of(size)), peers=Map(peers))
        self.effects: list[Effect] = []
        self.hear(Started(), 0.0)

    def hear(self, signal: Signal, second: float) -> list[Any]:
        self.fleet, self.effects = swim.step(self.fleet, signal, at(second))
        return self.effects

    def came(self, sent: packet.Packet, second: float, frm: int = 1) -> list[Any]:
        host = member(frm).addresses[0].host
        return self.hear(DatagramCame(packet.encode(sent), host, 8857), second)

    def tick(self, second: float) -> list[Any]:
        return self.hear(Rang(swim.TIMER), second)

    def sent(self) -> list[tuple[str, packet.Packet]]:
        return [(one.host, packet.decode(one.packet)) for one in self.effects if isinstance(one, SendDatagram)]

    def standing(self, peer: str) -> Standing:
        return self.fleet.peers[peer].standing

    def meet(self, second: float = 0.1) -> None:
        """Everybody has spoken."""
        for index in range(1, len(self.fleet.peers) + 1):
            self.came(Ping(name(index), 1, 1, ME), second, frm=index)

    def pinged(self, second: float) -> tuple[str, int]:
        """Whom the next ping went to, and its number."""
        self.tick(max(second, self.fleet.swim.wake))
        (_, sent), *_ = self.sent()
        assert isinstance(sent, Ping)
        return sent.dst, sent.number


def kinds(effects: list[Any]) -> list[type]:
    return [type(effect) for effect in effects]


def test_alone_it_sets_no_timer() -> None:
    """A fleet of one has nobody to ping and costs nothing."""
    script = Script(1)
    assert script.effects == []
    assert Script(2).effects == [Arm(swim.TIMER, Script(2).fleet.swim.wake, anew=True)]


def test_an_answer_puts_the_ring_off_to_the_next_ping() -> None:
    """Nobody is woken to find that a ping was answered; a ring that is overdue stays, for it tells of our own lag."""
    script = Script(2)
    script.meet()
    for after_s, put_off in ((0.1, True), (0.6, False)):
        _, number = script.pinged(script.fleet.swim.due)
        pinged, wake = script.fleet.swim.awaiting[number].sent_at, script.fleet.swim.wake
        effects = script.came(Ack(B, number, 1), pinged + after_s)
        assert script.fleet.swim.wake == (script.fleet.swim.due if put_off else wake)
        assert [one for one in effects if isinstance(one, Arm)] == (
            [Arm(swim.TIMER, script.fleet.swim.due, anew=True)] if put_off else []
        )


def test_a_question_is_answered_to_where_it_came_from() -> None:
    """A ping is answered at its source with its number, and its sender is ALIVE, saved and told."""
    script = Script()
    effects = script.came(Ping(B, 7, 1, ME), 0.1)
    (sent,) = script.sent()
    assert sent == (member(1).addresses[0].host, Ack(ME, 7, script.fleet.me.incarnation, sent[1].rumours))
    assert script.standing(B) is Standing.ALIVE
    saved = next(effect for effect in effects if isinstance(effect, Save))
    assert saved.lazy
    assert [record.peer.standing for record in saved.records if isinstance(record, PutPeer)] == [Standing.ALIVE]
    assert [effect.event.new for effect in effects if isinstance(effect, Publish)] == [Standing.ALIVE]


@pytest.mark.parametrize(
    "sent",
    [Ping("stranger", 7, 1, ME), Ping(ME, 7, 1, ME), Ping(B, 7, 1, C)],
    ids=["a stranger", "our own echo", "meant for another"],
)
def test_who_is_not_meant_does_not_answer(sent: Ping) -> None:
    """Nothing is said to a source that is not in the roster, to ourselves, or for somebody who listened here before."""
    script = Script()
    script.came(sent, 0.1)
    assert not script.sent()
    assert script.standing(B) is Standing.UNKNOWN


def test_garbage_changes_nothing() -> None:
    """A payload that is no packet leaves the same value."""
    script = Script()
    before = script.fleet
    assert script.hear(DatagramCame(b"\x93garbage", "10.0.0.1", 1), 0.1) == []
    assert script.fleet is before


@given(st.integers(0, 12), st.integers(0, 30))
def test_a_reply_is_never_larger_than_its_question(told: int, news: int) -> None:
    """However much a node has to tell, an answer has at most the bytes of what it answers."""
    script = Script(4)
    for index in range(news):
        rumour = Rumour(Claim.ALIVE, (B, C, D)[index % 3], index + 2)
        script.came(packet.laden(Ping(B, index + 1, 1, ME), [packet.encode_rumour(rumour)]), 0.1)
    rumours = [packet.encode_rumour(Rumour(Claim.SUSPECT, C, index, "x" * 16)) for index in range(told)]
    for question in (Ping(B, 999, 1, ME), PingReq(B, 1_000, 1, C), PingReq(B, 1_001, 1, "stranger")):
        data = packet.encode(packet.laden(question, rumours))
        script.hear(DatagramCame(data, "10.9.9.9", 1), 0.2)
        for effect in script.effects:
            if isinstance(effect, SendDatagram) and effect.host == "10.9.9.9":
                assert len(effect.packet) <= len(data)


def test_a_question_without_padding_gets_an_answer_without_news() -> None:
    """Whoever sends less hears less: the answer to a short question has no room for anything else."""
    script = Script()
    assert script.fleet.swim.news
    data = msgspec.msgpack.encode([1, B, 1, 1, ME])
    script.hear(DatagramCame(data, "10.9.9.9", 1), 0.1)
    ((_, ack),) = script.sent()
    assert packet.rumours_of(ack) == ()
    assert len(packet.encode(ack)) <= len(data)


def test_silence_is_asked_about_and_then_suspected() -> None:
    """After half a second others are asked and TCP is tried; after a second the peer is SUSPECT and it is told."""
    script = Script()
    script.meet()
    peer, number = script.pinged(0.2)
    began = script.fleet.swim.awaiting[number].sent_at
    script.tick(began + 0.5)
    asked = [sent for _, sent in script.sent()]
    assert [one.target for one in asked if isinstance(one, PingReq)] == [peer, peer]
    (fallback,) = (effect for effect in script.effects if isinstance(effect, Deliver))
    assert (fallback.peer, fallback.channel, fallback.envelope.kind) == (peer, Channel.HTTP, Kind.PING)
    assert fallback.envelope.seq == 0
    script.tick(began + 1.0)
    assert script.standing(peer) is Standing.SUSPECT
    told = [rumour for _, sent in script.sent() for rumour in packet.rumours_of(sent)]
    assert Rumour(Claim.SUSPECT, peer, script.fleet.peers[peer].incarnation, ME) in told


@pytest.mark.parametrize("answer", ["itself", "a helper", "over tcp", "its own mail"])
def test_any_answer_will_do(answer: str) -> None:
    """The peer's ack, a helper's, a confirmed try and anything it sends end the wait the same way."""
    script = Script()
    script.meet()
    peer, number = script.pinged(0.2)
    began = script.fleet.swim.awaiting[number].sent_at
    script.tick(began + 0.5)
    envelope = Envelope(peer, 5, 1, ME, "m", Kind.RECEIPT)
    words: dict[str, Signal] = {
        "itself": DatagramCame(packet.encode(Ack(peer, number, 1)), "10.0.0.9", 9),
        "a helper": DatagramCame(packet.encode(Ack(next(one for one in (B, C) if one != peer), number, 1)), "h", 9),
        "over tcp": Tried(peer, Channel.HTTP, (), Outcome(Verdict.CONFIRMED), 1.0, probe=True),
        "its own mail": Arrived((Parcel(envelope),), Channel.NATS),
    }
    script.hear(words[answer], began + 0.6)
    assert not script.fleet.swim.awaiting
    script.tick(began + 1.0)
    assert script.standing(peer) is Standing.ALIVE
    assert (script.fleet.peers[peer].rtt_ms is not None) == (answer == "itself")


def test_a_recorded_question_is_no_word_from_its_sender() -> None:
    """A ping with a number that was seen before, or an older one, does not bring a dead peer back."""
    script = Script(2)
    script.came(Ping(B, 7, 1, ME), 0.1)
    heard = script.fleet.peers[B].heard_mono
    script.came(Ping(B, 7, 1, ME), 5.0)
    script.came(Ping(B, 6, 1, ME), 5.1)
    assert script.fleet.peers[B].heard_mono == heard


def test_a_recorded_answer_is_no_word() -> None:
    """An ack counts once, and only for a ping that waits: numbers begin at the wall clock and never come again."""
    script = Script(2)
    script.came(Ack(B, 1, 1), 0.1)
    assert script.standing(B) is Standing.UNKNOWN
    assert script.fleet.swim.serial >= T0_MS


def arrived(kind: Kind, number: tuple[int, int], via: Channel, relay: str = "") -> Arrived:
    return Arrived((Parcel(Envelope(B, *number, ME, "m", kind), relay=relay),), via)


@pytest.mark.parametrize(
    ("signal", "alive"),
    [
        (arrived(Kind.TASK, (1, 1), Channel.HTTP), True),
        (arrived(Kind.HEARTBEAT, (1, 1), Channel.NATS, relay=C), True),
        (arrived(Kind.TASK, (1, 1), Channel.HTTP, relay=C), False),
        (arrived(Kind.TASK, (1, 1), Channel.GIT), False),
    ],
    ids=["direct mail", "a relayed pulse", "mail a relay had kept", "mail a store had kept"],
)
def test_what_was_stored_proves_nothing_about_now(signal: Arrived, alive: bool) -> None:
    """Mail that may be a day old does not make its sender present."""
    script = Script()
    script.hear(signal, 0.1)
    assert script.standing(B) is (Standing.ALIVE if alive else Standing.UNKNOWN)


def test_mail_seen_before_is_no_word() -> None:
    """A frame with a number that counted already is not evidence again; the next one is."""
    script = Script(2)
    script.hear(arrived(Kind.TASK, (1, 5), Channel.HTTP), 0.1)
    for number, fresh in (((1, 5), False), ((1, 4), False), ((0, 9), False), ((1, 6), True)):
        heard = script.fleet.peers[B].heard_mono
        script.hear(arrived(Kind.TASK, number, Channel.HTTP), (heard or 0.0) + 1.0)
        assert (script.fleet.peers[B].heard_mono != heard) is fresh


def test_pings_are_made_for_others() -> None:
    """A helper pings under its own number and passes the answer on under the asker's."""
    script = Script()
    script.meet()
    script.came(PingReq(B, 77, 1, C), 0.2)
    (_, ping), *_ = script.sent()
    assert isinstance(ping, Ping)
    assert (ping.src, ping.dst) == (ME, C)
    script.came(Ack(C, ping.number, 1), 0.3, frm=2)
    assert script.sent() == [(member(1).addresses[0].host, Ack(ME, 77, script.fleet.me.incarnation))]
    assert not script.fleet.swim.relays


def test_a_helper_that_hears_nothing_says_so() -> None:
    """Before the asker gives up, so that it knows that the silence is not its own."""
    script = Script()
    script.meet()
    script.came(PingReq(B, 77, 1, C), 0.2)
    script.tick(0.2 + 0.4)
    assert (member(1).addresses[0].host, Nack(ME, 77, script.fleet.me.incarnation)) in script.sent()
    script.came(PingReq(B, 78, 1, "stranger"), 0.7)
    assert script.sent() == [(member(1).addresses[0].host, Nack(ME, 78, script.fleet.me.incarnation))]


@pytest.mark.parametrize(("backed", "health"), [(True, 0), (False, 1)])
def test_self_doubt_comes_from_silent_helpers(backed: bool, health: int) -> None:
    """Helpers that answer "nothing either" leave the blame with the peer; silent ones leave it with us."""
    script = Script()
    script.meet()
    peer, number = script.pinged(0.2)
    began = script.fleet.swim.awaiting[number].sent_at
    script.tick(began + 0.5)
    if backed:
        helper = next(index for index in (1, 2, 3) if name(index) != peer)
        script.came(Nack(name(helper), number, 1), began + 0.9, frm=helper)
    script.tick(began + 1.0)
    assert script.fleet.swim.health == health


def test_only_i_refute_what_is_said_of_me() -> None:
    """An accusation against us raises our incarnation above it and is answered in the same packet."""
    script = Script()
    mine = script.fleet.me.incarnation
    accusation = packet.encode_rumour(Rumour(Claim.SUSPECT, ME, mine + 5, C))
    script.came(packet.laden(Ping(B, 1, 1, ME), [accusation]), 0.1)
    assert script.fleet.me.incarnation == mine + 6
    (_, ack) = script.sent()[0]
    assert isinstance(ack, Ack)
    assert ack.incarnation == mine + 6


def test_no_liar_drives_us_beyond_what_can_be_read() -> None:
    """Accused in the last incarnation there is, we stay in it: what we say must still be a packet to everybody."""
    script = Script()
    accusation = packet.encode_rumour(Rumour(Claim.SUSPECT, ME, INCARNATION_LIMIT - 1, C))
    script.came(packet.laden(Ping(B, 1, 1, ME), [accusation]), 0.1)
    assert script.fleet.me.incarnation == INCARNATION_LIMIT - 1
    (_, ack) = script.sent()[0]
    assert isinstance(ack, Ack)


def test_an_old_accusation_against_me_is_ignored() -> None:
    """What was refuted already changes nothing."""
    script = Script()
    before = script.fleet.me.incarnation
    old = packet.encode_rumour(Rumour(Claim.DEAD, ME, before - 1, C))
    script.came(packet.laden(Ping(B, 1, 1, ME), [old]), 0.1)
    assert script.fleet.me.incarnation == before


def test_an_accusation_that_was_refuted_is_corrected() -> None:
    """Whoever tells it hears the refutation in the answer, because nobody spreads a refutation for ever."""
    script = Script()
    script.came(Ping(C, 1, 9, ME), 0.1, frm=2)
    stale = packet.encode_rumour(Rumour(Claim.SUSPECT, C, 8, B))
    script.came(packet.laden(Ping(B, 1, 1, ME), [stale]), 0.2)
    (_, ack) = script.sent()[0]
    assert packet.rumours_of(ack)[0] == Rumour(Claim.ALIVE, C, 9)
    assert script.standing(C) is Standing.ALIVE


def test_the_accused_hears_it_first() -> None:
    """Every packet to somebody who is accused begins with the accusation."""
    script = Script()
    script.meet()
    suspicion = packet.encode_rumour(Rumour(Claim.SUSPECT, C, 1, D))
    script.came(packet.laden(Ping(B, 2, 1, ME), [suspicion]), 0.2)
    assert script.standing(C) is Standing.SUSPECT
    script.came(Ping(C, 2, 1, ME), 0.3, frm=2)
    assert packet.rumours_of(script.sent()[0][1])[0] == Rumour(Claim.SUSPECT, C, 1, D)
    assert script.standing(C) is Standing.ALIVE


def test_a_lag_counts_against_nobody() -> None:
    """After a stall every wait begins anew, suspicions are longer by the lag, and we say anew that we are alive."""
    script = Script()
    script.meet()
    _, number = script.pinged(0.2)
    before, mine = script.fleet.swim.awaiting[number].sent_at, script.fleet.me.incarnation
    script.hear(LoopLagged(6.0), before + 6.2)
    assert script.fleet.swim.awaiting[number].sent_at == before + 6.0
    assert script.fleet.me.incarnation == mine + 1
    assert script.fleet.swim.due >= before + 6.2 + 0.5
    script.tick(before + 6.3)
    assert {peer.standing for peer in script.fleet.peers.values()} == {Standing.ALIVE}


def test_a_late_timer_is_a_lag_that_nobody_told() -> None:
    """The timer itself rings seconds too late: the ping that waited is given the time, not the peer the blame."""
    script = Script()
    script.meet()
    _, number = script.pinged(0.2)
    late = script.fleet.swim.awaiting[number].sent_at + 30.0
    script.tick(late)
    assert number in script.fleet.swim.awaiting
    assert {peer.standing for peer in script.fleet.peers.values()} == {Standing.ALIVE}


def test_a_peer_the_store_remembers_is_unknown_until_it_is_asked_in_vain() -> None:
    """Restored as ALIVE from an earlier life, it is UNKNOWN; after ten seconds it is asked; then it is called by how
    long it had been silent before we started."""
    script = Script(2, **{B: Peer(B, Standing.ALIVE, heard_ms=T0_MS - 200_000, incarnation=4, suspect_at=1.0)})
    assert script.standing(B) is Standing.UNKNOWN
    while script.standing(B) is Standing.UNKNOWN:
        script.tick(script.fleet.swim.wake)
    assert 10.0 <= script.fleet.swim.wake <= 15.0
    assert script.standing(B) is Standing.STALE


def test_losing_and_regaining_a_peer_goes_into_the_ledger() -> None:
    """One entry when it is unreachable and one when it is back; suspicion and recovery are no history."""
    script = Script(2)
    script.meet()
    verbs = []
    while script.standing(B) is not Standing.UNREACHABLE:
        verbs += [one for one in script.tick(script.fleet.swim.wake) if isinstance(one, Save)]
    verbs += [one for one in script.came(Ping(B, 2, 1, ME), 30.0) if isinstance(one, Save)]
    entries = [record for save in verbs for record in save.records if isinstance(record, AddEntry)]
    assert [(entry.verb, entry.subject) for entry in entries] == [("peer.unreachable", B), ("peer.alive", B)]


def test_tcp_is_not_tried_over_a_channel_that_is_known_to_be_broken() -> None:
    """The fallback takes HTTP unless HTTP is broken to that peer, then what works best."""
    script = Script(2)
    script.meet()
    broken = ChannelHealth(ChannelState.BROKEN)
    script.fleet = replace(script.fleet, channels=Map({(B, Channel.HTTP): broken}))
    _, number = script.pinged(0.2)
    script.tick(script.fleet.swim.awaiting[number].sent_at + 0.5)
    assert [effect.channel for effect in script.effects if isinstance(effect, Deliver)] == [Channel.NATS]


def test_a_peer_without_a_gossip_address_is_asked_over_tcp_at_once() -> None:
    """There is nothing to wait half a second for."""
    script = Script(2)
    silent = replace(member(1), addresses=(replace(member(1).addresses[0], udp=0),))
    roster = replace(script.fleet.roster, members=(member(0), silent))
    script.fleet = replace(script.fleet, roster=roster)
    script.tick(script.fleet.swim.wake)
    assert kinds(script.effects) == [Deliver, Arm]
