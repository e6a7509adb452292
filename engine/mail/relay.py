"""Relaying: carrying sealed frames for peers that cannot reach each other now.

    A -PASS(frame for B)-> us -> the frame is mail   : our own outbox carries it on as FORWARD, durable until B has it
                              -> the frame is a pulse: passed on at once as PASS, or forgotten
    B's receipt for A comes back in B's answer to us -> PASS to A

We read the frame's outer header and nothing else; it stays sealed from A to B. What we took is in our outbox before A
hears that it landed; what we do not carry on gets no receipt. A frame passes at most two relays. How much we carry,
and for whom, is `freight`.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import msgspec

from engine.effects import Deliver, Effect, Raise
from engine.health.cascade import HOP_LIMIT, choose, direct
from engine.mail import freight
from engine.model.channel import CHANNELS
from engine.model.envelope import KINDS, Envelope, Kind
from engine.model.mail import Freight, freight_thread
from engine.model.moment import Moment
from engine.model.packets import Forward, pack
from engine.model.peer import Peer, Standing
from engine.model.roster import Role
from engine.signals import ForwardCame, Posted, Rejected, Signal, Transited
from engine.state import Fleet
from engine.wire import Header, Refusal, peek

Step = tuple[Fleet, list[Effect]]


def candidates(fleet: Fleet, dst: str) -> Iterator[str]:
    """Who could carry mail to a peer, one by one, for the first is mostly enough: those that say they reach it, then
    those that reach one of them (a chief at a dead end would keep it for ever), then whoever is there; of each kind
    the chief first."""
    there = [one for one in _ordered(fleet) if one != dst and fleet.peers[one].standing is Standing.ALIVE]
    met = False
    for peer_id in there:
        if dst in _reaches(fleet.peers[peer_id]) and direct(fleet, peer_id):
            met = True
            yield peer_id
    near = {peer_id for peer_id, peer in fleet.peers.items() if dst in _reaches(peer)}
    others = [peer_id for peer_id in there if peer_id not in near and direct(fleet, peer_id)]
    bridges = set() if met else {one for one in others if not near.isdisjoint(_reaches(fleet.peers[one]))}
    yield from (one for one in others if one in bridges)
    yield from (one for one in others if one not in bridges)


def _ordered(fleet: Fleet) -> list[str]:
    chiefs = {one.id for one in fleet.roster.members if one.role is Role.CHIEF}
    known = sorted(fleet.peers)
    return [*(one for one in known if one in chiefs), *(one for one in known if one not in chiefs)]


def _reaches(peer: Peer) -> tuple[str, ...]:
    return peer.beat.reaches if peer.beat else ()


def wrapper(fleet: Fleet, to: str, forward: Forward, now: Moment, hop: int = 0) -> Envelope:
    """The pulse that hands a sealed frame on to `to`, which is a relay or its receiver. `hop`: relays it has passed,
    where another relay is to carry the pulse itself."""
    return fleet.envelope(to, Kind.PASS, f"pass-{int(now.mono * 1e6)}", now.wall_ms, pack(forward), hop=hop)


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """What we do with a frame that is not for us."""
    return _HEARD[type(signal)](fleet, signal, now)


def refusal(fleet: Fleet, frm: str, forward: Forward) -> str:
    """Why we do not carry this frame on for `frm` (a key of `wire.REFUSALS`); empty when we do. Whoever handed it to us
    is given no receipt then: what is thrown away was never taken."""
    target = fleet.member(forward.dst)
    if target is None or not target.present or not 1 <= forward.hop <= HOP_LIMIT:
        return "misaddressed"
    try:
        inner = peek(forward.frame)
    except Refusal as found:
        return found.code
    if inner.kind not in _CARRIED:
        return "version"
    return "not_carried" if _CARRIED[inner.kind] is _keep and _full(fleet, frm, forward, inner) else ""


def keeps(forward: Forward | None) -> bool:
    """Whether it is mail, which we would keep, and not a pulse that is passed on or forgotten."""
    if forward is None:
        return False
    try:
        return _CARRIED.get(peek(forward.frame).kind) is _keep
    except Refusal:
        return True


def _full(fleet: Fleet, frm: str, forward: Forward, inner: Header) -> bool:
    if fleet.mail.full or (forward.dst, inner.msg_id) in fleet.mail.forwards:
        return fleet.mail.full
    return not freight.room(fleet.mail, frm, len(pack(forward)))


def _came(fleet: Fleet, signal: ForwardCame, now: Moment) -> Step:
    why = refusal(fleet, signal.frm, signal.forward)
    if why:
        return fleet, [Raise(Rejected(why, None, signal.frm))]
    inner = peek(signal.forward.frame)
    return _CARRIED[inner.kind](fleet, signal.frm, signal.forward, inner, now)


def _keep(fleet: Fleet, frm: str, forward: Forward, inner: Header, now: Moment) -> Step:
    """Mail: take it into our own outbox, once, until its receiver has it."""
    key = (forward.dst, inner.msg_id)
    if key in fleet.mail.forwards:
        return fleet, []
    ours = fleet.envelope(
        forward.dst,
        Kind.FORWARD,
        _our_id(fleet, key, now),
        now.wall_ms,
        pack(forward),
        urgency=inner.urgency,
        ttl_s=inner.ttl_s or None,
        thread=freight_thread(inner.msg_id, frm),
        hop=forward.hop,
    )
    mail = freight.taken(fleet.mail, key, Freight(frm, len(ours.body)))
    return msgspec.structs.replace(fleet, mail=mail), [Raise(Posted(ours, ticket=0))]


def _our_id(fleet: Fleet, key: tuple[str, str], now: Moment) -> str:
    """One of our own and no longer than any other, however long the id of the frame in it is and however often that was
    wrapped before. The same frame may be given to us again when it is over, and is another message then."""
    return f"fwd-{fleet.me.epoch}-{int(now.mono * 1e6)}-{sha256(' '.join(key).encode()).hexdigest()[:12]}"


def _pass(fleet: Fleet, frm: str, forward: Forward, inner: Header, now: Moment) -> Step:
    """A pulse: on at once over the best channel of its kind, another relay if there may be one, or not at all; it is
    worth nothing later. Without the second relay no receipt would come back the way its message went; a ping each
    second would fill the seed folder of a machine whose node is down."""
    best = choose(fleet, forward.dst, Kind(inner.kind), hop=forward.hop)[:1]
    carried = wrapper(fleet, forward.dst, forward, now, hop=forward.hop)
    return fleet, [Deliver(forward.dst, channel, carried, CHANNELS[channel].budget_s) for channel in best]


def _transited(fleet: Fleet, signal: Transited, now: Moment) -> Step:
    """A receipt on its way back through us."""
    return _came(fleet, ForwardCame(signal.frm, Forward(signal.dst, 1, signal.frame)), now)


# By the word in the inner header, which is only a claim: a kind we do not know is not carried.
_CARRIED = {str(kind): _keep if spec.durable else _pass for kind, spec in KINDS.items()}

_HEARD: dict[type, Callable[[Fleet, Any, Moment], Step]] = {ForwardCame: _came, Transited: _transited}
