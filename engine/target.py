"""A present peer as transports see it: where it listens, the key it must show, how else it can be reached, the key it
signs with, and whether it has a broker."""

import msgspec

from engine.model.roster import Address
from engine.model.ways import NO_WAYS, Ways
from engine.state import Fleet


class Target(msgspec.Struct, frozen=True):
    """One peer."""

    id: str
    addresses: tuple[Address, ...]
    tls_cert: bytes
    ways: Ways = NO_WAYS
    signing: bytes = b""
    brokerless: bool = False


def target(fleet: Fleet, peer: str) -> Target | None:
    """The peer, unless it is not a member any more."""
    member = fleet.member(peer)
    return parting(fleet, peer) if member is not None and member.present else None


def parting(fleet: Fleet, peer: str) -> Target | None:
    """The peer, also where it is a member no more: it is told so."""
    member = fleet.member(peer)
    if member is None:
        return None
    called, bundle, ways = fleet.called_at(peer), member.bundle, fleet.ways_of(peer)
    return Target(peer, called, bundle.tls_cert, ways, bundle.signing, fleet.brokerless(peer))
