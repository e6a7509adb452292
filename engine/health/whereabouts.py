"""Whether a peer is somewhere else than it was, has a broker, or is a new process: what its heartbeat tells.

What was met at its address before, an impostor among it, says nothing of it then: on one machine nodes take each
other's ports whenever they start in another order, and somebody may have sat on a port while its owner was down. It
reads the heartbeat before `membership.beat` believes it.
"""

from engine.errors import FleetError
from engine.model.broker import BrokerState
from engine.model.envelope import Kind
from engine.model.mail import Parcel
from engine.model.packets import Heartbeat, unpack
from engine.state import Fleet


def news(fleet: Fleet, parcel: Parcel) -> str:
    """Why its sender is worth another look, if this parcel is a heartbeat that gives a reason; else nothing."""
    envelope, beat = parcel.envelope, _told(parcel)
    if beat is None:
        return ""
    if beat.addresses and beat.addresses != fleet.addresses_of(envelope.src):
        return "it is at another address now"
    known = fleet.peers.get(envelope.src)
    return "it has started again" if known and envelope.src_epoch > known.beat_no[0] else ""


def has_other_ways(fleet: Fleet, parcel: Parcel) -> bool:
    """Whether this is a heartbeat of a peer that can be reached otherwise than it said before: another sshd, other host
    keys, another hub."""
    beat, known = _told(parcel), fleet.peers.get(parcel.envelope.src)
    said = beat.ways_after(known.beat if known else None) if beat else None
    return said is not None and said != fleet.ways_of(parcel.envelope.src)


def has_other_broker(fleet: Fleet, parcel: Parcel) -> bool:
    """Whether this is a heartbeat of a peer that has a broker now and had none, or the other way round."""
    beat = _told(parcel)
    return beat is not None and (beat.broker == BrokerState.ABSENT) is not fleet.brokerless(parcel.envelope.src)


def _told(parcel: Parcel) -> Heartbeat | None:
    if parcel.envelope.kind is not Kind.HEARTBEAT:
        return None
    try:
        beat: Heartbeat = unpack(Kind.HEARTBEAT, parcel.envelope.body)
    except FleetError:
        return None
    return beat
