"""Whether a peer has moved: its heartbeat tells other addresses than those we called so far.

What was met at the old ones, an impostor among them, says nothing of the peer any more: on one machine nodes take each
other's ports whenever they start in another order. It reads the heartbeat before `membership.beat` believes it.
"""

from engine.errors import FleetError
from engine.model.envelope import Kind
from engine.model.mail import Parcel
from engine.model.packets import Heartbeat, unpack
from engine.state import Fleet


def moved(fleet: Fleet, parcel: Parcel) -> bool:
    """Whether this parcel is a heartbeat that tells other addresses of its sender."""
    envelope = parcel.envelope
    if envelope.kind is not Kind.HEARTBEAT:
        return False
    try:
        beat: Heartbeat = unpack(Kind.HEARTBEAT, envelope.body)
    except FleetError:
        return False
    return bool(beat.addresses) and beat.addresses != fleet.addresses_of(envelope.src)
