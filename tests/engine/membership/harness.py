"""A network of nodes on virtual time: a heap of events, no clock, no socket, no thread; one seed is one history.

Each node runs the real steps of membership. Datagrams are lost, delayed and cut at will; TCP survives loss by sending
again, and nothing else. A stalled node hears nothing, then its timers ring before its sockets are read, which is the
worst order a loop can choose. The mail, health and broker rooms are not here: liveness has to stand on its own.
"""

import heapq
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

import msgspec
from immutables import Map
from msgspec.structs import replace

from engine.config import Config, MembershipConfig
from engine.effects import Arm, Deliver, Effect, Look, Publish, Raise, SendDatagram
from engine.membership import beat, roster, swim
from engine.model.channel import Outcome, Verdict
from engine.model.envelope import Envelope, Kind
from engine.model.event import PeerMoved
from engine.model.mail import Parcel
from engine.model.moment import Moment
from engine.model.peer import Standing
from engine.model.roster import Address, Bundle, Member, Roster
from engine.signals import (
    Arrived,
    DatagramCame,
    Looked,
    LoopLagged,
    Rang,
    RosterMade,
    RosterOffered,
    Signal,
    Started,
    Tried,
)
from engine.state import Fleet, Me

T0_MS = 1_800_000_000_000
RTO_S = 0.2
ROOMS = {
    Started: (swim.step, beat.step),
    Rang: (swim.step, beat.step),
    Arrived: (swim.step, beat.step),
    Tried: (swim.step,),
    DatagramCame: (swim.step,),
    LoopLagged: (swim.step,),
    Looked: (beat.step,),
    RosterMade: (roster.step, swim.step, beat.step),
    RosterOffered: (roster.step, swim.step, beat.step),
}
NO_BUNDLE = Bundle(b"", b"", b"", "", b"")


def name(index: int) -> str:
    return f"n{index:03d}"


def member(index: int) -> Member:
    address = Address(f"10.0.{index // 250}.{index % 250}", http=1, nats=2, udp=8857)
    return Member(name(index), name(index), NO_BUNDLE, (address,), admin=index == 0)


def roster_of(size: int, version: int = 1) -> Roster:
    return Roster("fleet", "fleet", version, T0_MS, tuple(member(index) for index in range(size)))


def fleet_of(index: int, members: Roster, config: Config | None = None, now: Moment | None = None) -> Fleet:
    """A node that has just read its store."""
    now = now or Moment(T0_MS, 0.0)
    me = Me(name(index), name(index), epoch=now.wall_ms, version="1", started_ms=now.wall_ms, started_mono=now.mono)
    return Fleet(replace(me, addresses=member(index).addresses), config or Config(), members)


class Node:
    """One node: its value, its timers, and whether it runs."""

    def __init__(self, fleet: Fleet):
        self.fleet = fleet
        self.timers: dict[str, float] = {}
        self.dead = False
        self.stalled_until = 0.0
        self.late: list[Signal] = []
        self.wall_ms = T0_MS
        self.pulses = count(1)


class Net:
    """The network, its nodes and its clock. `cut(a, b)` says whether what `a` sends to `b` vanishes, `udp_cut` whether
    only datagrams do."""

    def __init__(
        self,
        size: int,
        seed: int,
        *,
        loss: float = 0.0,
        delay_s: tuple[float, float] = (0.0005, 0.005),
        config: Config | None = None,
        tcp: bool = True,
        self_doubt: bool = True,
        beats: bool = True,
    ):
        self.random, self.now, self.loss, self.delay_s = Random(seed), 0.0, loss, delay_s
        self.tcp, self.self_doubt = tcp, self_doubt
        self.rooms = {
            signal: tuple(step for step in steps if beats or step is not beat.step) for signal, steps in ROOMS.items()
        }
        self.cut: Callable[[str, str], bool] = lambda sender, receiver: False
        self.udp_cut: Callable[[str, str], bool] = lambda sender, receiver: False
        self.moves: list[tuple[float, str, PeerMoved]] = []
        self.found: list[tuple[str, str]] = []
        self.sent = {SendDatagram: 0, Deliver: 0, Arm: 0}
        self.rung = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        members = roster_of(size)
        self.nodes = {name(index): Node(fleet_of(index, members, config)) for index in range(size)}
        self._homes = {one.addresses[0].host: one.id for one in members.members}
        for node_id in self.nodes:
            self.hear(node_id, Started())

    # ------------------------------------------------------------------------------------------------------ time

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._order), action))

    def run(self, until: float) -> None:
        """Everything that happens before `until`."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        self.now = until

    def moment(self, node: Node) -> Moment:
        return Moment(node.wall_ms + int(self.now * 1000), self.now)

    # ----------------------------------------------------------------------------------------------------- faults

    def kill(self, node_id: str) -> None:
        self.nodes[node_id].dead = True

    def restart(self, node_id: str) -> None:
        """The same node in a new life, with what its store remembers of its peers."""
        old = self.nodes[node_id]
        moment = self.moment(old)
        kept = Map((key, replace(peer, heard_mono=None, suspect_at=None)) for key, peer in old.fleet.peers.items())
        fleet = fleet_of(int(node_id[1:]), old.fleet.roster, old.fleet.config, moment)
        self.nodes[node_id] = node = Node(replace(fleet, peers=kept))
        node.wall_ms = old.wall_ms
        self.hear(node_id, Started())

    def join(self, index: int, members: Roster) -> None:
        """A new node starts with the roster it was admitted by."""
        address = member(index).addresses[0].host
        self._homes[address] = name(index)
        self.nodes[name(index)] = Node(fleet_of(index, members, now=Moment(T0_MS + int(self.now * 1000), self.now)))
        self.hear(name(index), Started())

    def stall(self, node_id: str, for_s: float) -> None:
        """The node does nothing for a while; what comes for it waits."""
        node = self.nodes[node_id]
        node.stalled_until = self.now + for_s
        self.at(node.stalled_until, lambda: self._woken(node_id, for_s))

    def _woken(self, node_id: str, lag_s: float) -> None:
        node = self.nodes[node_id]
        if node.dead or self.now < node.stalled_until:
            return
        if self.self_doubt:
            self.hear(node_id, LoopLagged(lag_s))
        late, node.late = node.late, []
        for signal in sorted(late, key=lambda signal: not isinstance(signal, Rang)):
            self.hear(node_id, signal)

    # ------------------------------------------------------------------------------------------- turns and effects

    def hear(self, node_id: str, signal: Signal) -> None:
        node = self.nodes[node_id]
        if node.dead:
            return
        if self.now < node.stalled_until:
            node.late.append(signal)
            return
        now = self.moment(node)
        for step in self.rooms[type(signal)]:
            node.fleet, effects = step(node.fleet, signal, now)
            for effect in effects:
                self._perform(node_id, node, effect)

    def _perform(self, node_id: str, node: Node, effect: Effect) -> None:
        if type(effect) in self.sent:
            self.sent[type(effect)] += 1
        match effect:
            case SendDatagram():
                self._send(node_id, effect)
            case Deliver():
                self._deliver(node_id, node, effect)
            case Arm():
                self._arm(node_id, node, effect)
            case Publish(event=PeerMoved() as event):
                self.moves.append((self.now, node_id, event))
            case Raise(signal=raised):
                self.found.append((node_id, raised.finding.code if raised.present else ""))
            case Look():
                self.at(self.now, lambda: self.hear(node_id, Looked(0.1, "/w", "main", "abc", 0)))

    def _arm(self, node_id: str, node: Node, effect: Arm) -> None:
        if effect.at >= node.timers.get(effect.key, float("inf")) and not effect.anew:
            return
        node.timers[effect.key] = effect.at
        self.at(effect.at, lambda: self._ring(node_id, node, effect))

    def _ring(self, node_id: str, node: Node, effect: Arm) -> None:
        if node.timers.get(effect.key) == effect.at and self.nodes[node_id] is node:
            del node.timers[effect.key]
            self.rung += 1
            self.hear(node_id, Rang(effect.key))

    def _send(self, sender: str, effect: SendDatagram) -> None:
        to = self._homes[effect.host]
        if self.cut(sender, to) or self.udp_cut(sender, to) or self.random.random() < self.loss:
            return
        came = DatagramCame(effect.packet, member(int(sender[1:])).addresses[0].host, 8857)
        self.at(self.now + self.random.uniform(*self.delay_s), lambda: self.hear(to, came))

    def _deliver(self, sender: str, node: Node, effect: Deliver) -> None:
        to = effect.peer
        after_s = self._leg_s() + self._leg_s()
        broken = not self.tcp or self.nodes[to].dead or self.cut(sender, to) or self.cut(to, sender)
        if broken or after_s > effect.budget_s:
            self.at(self.now + effect.budget_s, lambda: self._tried(sender, effect, Verdict.LOST))
            return
        envelope = replace(effect.envelope, seq=next(node.pulses))
        self.at(self.now + after_s / 2, lambda: self._arrive(sender, effect, envelope, self.now + after_s / 2))

    def _arrive(self, sender: str, effect: Deliver, envelope: Envelope, answered_at: float) -> None:
        node = self.nodes[effect.peer]
        if node.stalled_until > self.now:
            self.at(node.stalled_until, lambda: self._arrive(sender, effect, envelope, node.stalled_until))
            return
        verdict = Verdict.LOST if node.dead else Verdict.CONFIRMED
        self.hear(effect.peer, Arrived((Parcel(envelope),), effect.channel))
        if envelope.kind is Kind.ROSTER:
            offered = msgspec.msgpack.decode(envelope.body, type=Roster)
            self.hear(effect.peer, RosterOffered(offered, sender))
        self.at(max(answered_at, self.now), lambda: self._tried(sender, effect, verdict))

    def _tried(self, sender: str, effect: Deliver, verdict: Verdict) -> None:
        self.hear(sender, Tried(effect.peer, effect.channel, (), Outcome(verdict), 1.0, probe=True))

    def _leg_s(self) -> float:
        """One way over TCP: what is lost is sent again, later each time."""
        took_s, wait_s = self.random.uniform(*self.delay_s), RTO_S
        while self.random.random() < self.loss:
            took_s, wait_s = took_s + wait_s, wait_s * 2
        return took_s

    # -------------------------------------------------------------------------------------------------- questions

    def standing(self, seen_by: str, of: str) -> Standing:
        return self.nodes[seen_by].fleet.peers[of].standing

    def running(self) -> list[str]:
        return [node_id for node_id, node in self.nodes.items() if not node.dead]

    def moved_to(self, standing: Standing, of: str | None = None) -> list[tuple[float, str, PeerMoved]]:
        return [one for one in self.moves if one[2].new is standing and of in (None, one[2].peer)]

    def everybody_sees(self, standing: Standing) -> bool:
        nodes = self.running()
        return all(self.standing(a, b) is standing for a in nodes for b in nodes if a != b)


def settled(size: int, seed: int, **options: Any) -> Net:
    """A network in which everybody has heard everybody."""
    net = Net(size, seed, **options)
    net.run(15.0)
    net.moves.clear()
    return net


def gentle(**changes: float) -> Config:
    """The default configuration with other membership numbers."""
    return Config(membership=replace(MembershipConfig(), **changes))
