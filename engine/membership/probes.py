"""Probes: whom to ping next, who could help, where they listen, and the packets that go out.

Chance is derived: the round is shuffled by hashing (my id, round, peer), helpers by hashing (my id, number), so a
replay of the same signals pings the same peers. A peer that is well is written to where its last packet came from; one
that is not, at every address it ever gave, since it may have moved.
"""

from collections.abc import Iterable
from hashlib import blake2b

from msgspec.structs import replace

from engine.effects import Effect, SendDatagram
from engine.membership import gossip, packet, presence, way
from engine.membership.packet import PACKET_LIMIT, Ack, Claim, Nack, Ping, PingReq, Rumour
from engine.model.channel import Channel
from engine.model.envelope import Kind
from engine.model.moment import Moment
from engine.model.peer import AWAY, EXPECTED, Standing
from engine.signals import DatagramCame
from engine.state import Fleet, Probe

Step = tuple[Fleet, list[Effect]]

# Peers that are away are pinged in one turn of so many: their return is noticed by them, too.
AWAY_TURN = 5
ADDRESSES_LIMIT = 4
DOUBTS_LIMIT = 4


def draw(*parts: object) -> int:
    """A number that looks like chance and is the same in every replay."""
    text = "\0".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


# ------------------------------------------------------------------------------------------------------ whom to ask


def next_target(fleet: Fleet) -> tuple[Fleet, str | None]:
    """The next peer of the round that is well, None when there is none; a new round is shuffled when one ends."""
    order, turn = fleet.swim.order, fleet.swim.turn
    for _ in range(2):
        while turn < len(order):
            peer_id, turn = order[turn], turn + 1
            if _standing(fleet, peer_id) in EXPECTED:
                return replace(fleet, swim=replace(fleet.swim, order=order, turn=turn)), peer_id
        order, turn = shuffled(fleet), 0
    return replace(fleet, swim=replace(fleet.swim, order=order, turn=turn)), None


def shuffled(fleet: Fleet) -> tuple[str, ...]:
    """A new round: everybody who is not away, in an order of our own."""
    well = [peer.id for peer in fleet.peers.values() if peer.standing in EXPECTED]
    return tuple(sorted(well, key=lambda peer_id: draw(fleet.me.id, fleet.swim.serial, peer_id)))


def next_away(fleet: Fleet, alone: bool) -> str | None:
    """The peer that is away whose turn it is: seldom while others are there, in every turn when nobody else is."""
    every = 1 if alone else AWAY_TURN
    if fleet.swim.serial % every:
        return None
    away = sorted(peer.id for peer in fleet.peers.values() if peer.standing in AWAY)
    return away[fleet.swim.serial // every % len(away)] if away else None


def _helpers(fleet: Fleet, peer_id: str, number: int) -> list[str]:
    order, wanted = fleet.swim.order, fleet.config.membership.indirect
    start = draw(fleet.me.id, number) % max(len(order), 1)
    turned = (*order[start:], *order[:start])
    well = (one for one in turned if one != peer_id and _standing(fleet, one) is Standing.ALIVE)
    return [one for one, _ in zip(well, range(wanted), strict=False)]


def _standing(fleet: Fleet, peer_id: str) -> Standing:
    peer = fleet.peers.get(peer_id)
    return peer.standing if peer else Standing.LEFT


# -------------------------------------------------------------------------------------------------------- questions


def ping(fleet: Fleet, peer_id: str, now: Moment) -> Step:
    """Ask a peer whether it is there, and remember that we wait. A peer without an address is asked for at once."""
    fleet, effects = ping_for(fleet, peer_id)
    number, probe = fleet.swim.serial, Probe(peer_id, now.mono)
    if not effects:
        return ask_others(fleet, number, probe, now)
    awaiting = fleet.swim.awaiting.set(number, probe)
    return replace(fleet, swim=replace(fleet.swim, awaiting=awaiting)), effects


def ping_for(fleet: Fleet, peer_id: str) -> Step:
    """A ping under the next number; who waits for its answer is the caller's to note."""
    fleet = replace(fleet, swim=replace(fleet.swim, serial=fleet.swim.serial + 1))
    question = Ping(fleet.me.id, fleet.swim.serial, fleet.me.incarnation, peer_id)
    fleet, data = _laden(fleet, question, PACKET_LIMIT, peer_id)
    return fleet, _sent(_nearest(fleet, peer_id), data)


def ask_others(fleet: Fleet, number: int, probe: Probe, now: Moment) -> Step:
    """The peer did not answer in time: others are asked to ping it, its other addresses are tried, and TCP."""
    awaiting = fleet.swim.awaiting.set(number, replace(probe, asked=True))
    fleet = replace(fleet, swim=replace(fleet.swim, awaiting=awaiting))
    effects: list[Effect] = []
    for helper in _helpers(fleet, probe.peer, number):
        question = PingReq(fleet.me.id, number, fleet.me.incarnation, probe.peer)
        fleet, data = _laden(fleet, question, PACKET_LIMIT, helper)
        effects += _sent(_nearest(fleet, helper), data)
    fleet, data = _laden(fleet, Ping(fleet.me.id, number, fleet.me.incarnation, probe.peer), PACKET_LIMIT, probe.peer)
    effects += _sent([one for one in _addresses(fleet, probe.peer) if one not in _nearest(fleet, probe.peer)], data)
    return fleet, [*effects, *way.pulse(fleet, probe.peer, Kind.PING, b"", now, prefer=Channel.HTTP)]


# ---------------------------------------------------------------------------------------------------------- answers


def ack(fleet: Fleet, asker: str, signal: DatagramCame, number: int, corrections: list[Rumour]) -> Step:
    """Yes, with as much news as the question has bytes; what corrects the asker goes first."""
    limit = len(signal.packet)
    first = tuple(packet.encode_rumour(one) for one in corrections)
    fleet, data = _laden(fleet, Ack(fleet.me.id, number, fleet.me.incarnation), limit, asker, first)
    return fleet, _sent([(signal.host, signal.port)] if len(data) <= limit else [], data)


def pass_on(fleet: Fleet, host: str, port: int, number: int) -> Effect:
    """Whom you asked me for has answered. Smaller than any question, by its floor."""
    return SendDatagram(host, port, packet.encode(Ack(fleet.me.id, number, fleet.me.incarnation)))


def nack(fleet: Fleet, host: str, port: int, number: int) -> Effect:
    """Whom you asked me for has not answered; but you and I are in touch."""
    return SendDatagram(host, port, packet.encode(Nack(fleet.me.id, number, fleet.me.incarnation)))


# ------------------------------------------------------------------------------------------------- what they consist of


def _laden(
    fleet: Fleet, question: Ping | PingReq | Ack, limit: int, to: str, first: tuple[bytes, ...] = ()
) -> tuple[Fleet, bytes]:
    """The packet with what there is to tell in `limit` bytes; first of all what is said of the receiver itself."""
    first = (*_accusation(fleet, to), *first, *(_doubts(fleet, to) if isinstance(question, Ping) else ()))
    if not fleet.swim.news and not first:
        return fleet, packet.encode(question)
    room = limit - packet.bare_size(question)
    picked, news = gossip.pick(fleet.swim.news, room, presence.members(fleet), first)
    return replace(fleet, swim=replace(fleet.swim, news=news)), packet.encode(packet.laden(question, picked))


def _accusation(fleet: Fleet, peer_id: str) -> tuple[bytes, ...]:
    """What is said of the peer, told to itself, so that it can refute."""
    peer = fleet.peers.get(peer_id)
    if peer is None or not peer.accusers:
        return ()
    claim = Claim.DEAD if peer.standing in AWAY else Claim.SUSPECT
    return (packet.encode_rumour(Rumour(claim, peer_id, peer.incarnation, min(peer.accusers))),)


def _doubts(fleet: Fleet, to: str) -> list[bytes]:
    """A few of those we suspect, told until it is settled, because whoever knows better answers with it."""
    suspects = sorted(one for one in fleet.swim.falls if one != to and _standing(fleet, one) is Standing.SUSPECT)
    start = fleet.swim.serial % max(len(suspects), 1)
    turned = (*suspects[start:], *suspects[:start])[:DOUBTS_LIMIT]
    return [raw for one in turned for raw in _accusation(fleet, one)]


def _nearest(fleet: Fleet, peer_id: str) -> list[tuple[str, int]]:
    """Where a peer that is well spoke last; every address of one that is not."""
    path = fleet.swim.paths.get(peer_id)
    if path is not None and _standing(fleet, peer_id) is Standing.ALIVE:
        return [path[1:]]
    return _addresses(fleet, peer_id)


def _addresses(fleet: Fleet, peer_id: str) -> list[tuple[str, int]]:
    """Whence a peer spoke last, then where it and the roster say it listens; none twice."""
    path = fleet.swim.paths.get(peer_id)
    spoken = [path[1:]] if path is not None else []
    said = [(one.host, one.udp) for one in fleet.addresses_of(peer_id) if one.udp]
    return list(dict.fromkeys([*spoken, *said]))[:ADDRESSES_LIMIT]


def _sent(where: Iterable[tuple[str, int]], data: bytes) -> list[Effect]:
    return [SendDatagram(host, port, data) for host, port in where]
