"""What a start finds in the store: everything the first value is built from, and what was noticed on the way."""

import msgspec
from immutables import Map

from engine.model.finding import Finding
from engine.model.ledger import LedgerHead
from engine.model.mail import Freight, Lane, Stream
from engine.model.peer import Peer
from engine.model.roster import Roster


class Generation(msgspec.Struct, frozen=True):
    """A start, as the store and the files beside it remember it: its number, its stream epoch, and how many
    transactions there were in all."""

    boots: int = 0
    epoch: int = 0
    commits: int = 0


class Birth(msgspec.Struct, frozen=True):
    """This start of the node. `boots`: how many there were, this one counted. `epoch`: the stream epoch minted for it.
    `went_back`: the store is older than one that this home has already had; `lost`: so many transactions that were
    durable are missing. `fresh`: it was made just now."""

    boots: int = 0
    epoch: int = 0
    went_back: bool = False
    fresh: bool = False
    lost: int = 0


def born(stored: Generation, seen: Generation, wall_ms: int) -> Birth:
    """The start after `stored` and after `seen` (the files beside the store); its epoch not below the wall clock."""
    lost = max(0, seen.commits - stored.commits)
    return Birth(
        max(stored.boots, seen.boots) + 1,
        max(stored.epoch + 1, seen.epoch + 1, wall_ms),
        went_back=stored.boots < seen.boots or stored.epoch < seen.epoch or lost > 0,
        fresh=not stored.boots,
        lost=lost,
    )


class Restored(msgspec.Struct, frozen=True):
    """The store at a start. `lanes`: open numbers under the (epoch, seq) they were given, and how much waits without
    one. `streams`: peer -> epoch -> what of it is held; `floors`: peer -> its oldest open epoch. `forwards`: (receiver,
    id of the carried message) -> who handed it to us, and its size. `waiting`, `dead`: messages of people, as `Mail`
    counts them. `head`: the last ledger entry."""

    birth: Birth = Birth()
    roster: Roster | None = None
    peers: Map[str, Peer] = Map()
    lanes: Map[str, Lane] = Map()
    streams: Map[str, Map[int, Stream]] = Map()
    floors: Map[str, int] = Map()
    forwards: Map[tuple[str, str], Freight] = Map()
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
