"""What a start finds in the store: everything the first value is built from, and what was noticed on the way."""

import msgspec
from immutables import Map

from engine.model.finding import Finding
from engine.model.ledger import LedgerHead
from engine.model.mail import Lane, Stream
from engine.model.peer import Peer
from engine.model.roster import Roster


class Generation(msgspec.Struct, frozen=True):
    """A start, as the store and the file beside it remember it: its number and its stream epoch."""

    boots: int = 0
    epoch: int = 0


class Birth(msgspec.Struct, frozen=True):
    """This start of the node. `boots`: how many there were, this one counted. `epoch`: the stream epoch minted for it.
    `went_back`: the store is older than one that this home has already had. `fresh`: it was made just now."""

    boots: int = 0
    epoch: int = 0
    went_back: bool = False
    fresh: bool = False


def born(stored: Generation, seen: Generation, wall_ms: int) -> Birth:
    """The start after `stored` and after `seen` (the file beside the store); its epoch not below the wall clock."""
    return Birth(
        max(stored.boots, seen.boots) + 1,
        max(stored.epoch + 1, seen.epoch + 1, wall_ms),
        went_back=stored.boots < seen.boots or stored.epoch < seen.epoch,
        fresh=not stored.boots,
    )


class Restored(msgspec.Struct, frozen=True):
    """The store at a start. `lanes`: open numbers under the (epoch, seq) they were given, and how much waits without
    one. `streams`: peer -> epoch -> what of it is held; `floors`: peer -> its oldest open epoch. `forwards`: (receiver,
    id of the carried message) -> our id. `waiting`, `dead`: messages of people, as `Mail` counts them. `head`: the last
    ledger entry."""

    birth: Birth = Birth()
    roster: Roster | None = None
    peers: Map[str, Peer] = Map()
    lanes: Map[str, Lane] = Map()
    streams: Map[str, Map[int, Stream]] = Map()
    floors: Map[str, int] = Map()
    forwards: Map[tuple[str, str], str] = Map()
    meta: Map[str, bytes] = Map()
    waiting: int = 0
    dead: int = 0
    head: LedgerHead = LedgerHead()
    findings: tuple[Finding, ...] = ()


class Counts(msgspec.Struct, frozen=True):
    """How much is kept. `outgoing`, `incoming`: messages of every kind; `waiting`, `dead`: as in `Restored`;
    `entries`: of the ledger."""

    outgoing: int
    incoming: int
    waiting: int
    dead: int
    entries: int
