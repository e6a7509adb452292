"""What happens in the fleet."""

import msgspec

from engine.model.roster import Roster


class DatagramCame(msgspec.Struct, frozen=True):
    """A gossip datagram whose tag fits the fleet's keyring. `packet` is its msgpack payload, `host`, `port` its
    source."""

    packet: bytes
    host: str
    port: int


class RosterOffered(msgspec.Struct, frozen=True):
    """A roster whose signature and ancestry hold. `frm`: who sent it."""

    roster: Roster
    frm: str


class RosterMade(msgspec.Struct, frozen=True):
    """This node, as an admin, issued a roster, or adopted one by joining. `why` is for people and the ledger."""

    roster: Roster
    why: str
    ticket: int = 0


class MemberAsked(msgspec.Struct, frozen=True):
    """A member asks its admin to mark it as gone."""

    node: str
