"""Repairs: what may be done about a broken channel, how far it has gone, and what was done.

    L1 noted -> L2 the other machine is asked -> L3 its repair agent is -> L4 a person is shown the commands

The actions are a closed table: a peer names one of them and nothing else ever happens. A repair is the ladder of one
(peer, channel) pair from its break to a measured round trip; `ours` marks one of this node's own broker, which is
broken to everybody and therefore ours to mend.
"""

import shlex
from collections.abc import Iterable
from enum import IntEnum, StrEnum
from hashlib import sha256

import msgspec
from immutables import Map

from engine.model.channel import Cause, Channel


class Action(StrEnum):
    """What a node can be asked to do to itself: each safe to do twice, none of them a kill or a shell."""

    RESTART_NATS = "restart_nats"
    RESTART_DAEMON = "restart_daemon"
    RESTART_TUNNEL = "restart_tunnel"
    RELOAD_ROSTER = "reload_roster"
    FREE_PORT = "free_port"
    AGENT = "agent"


# Each as the end of a sentence: "asked mac2 to …", "… on mac2".
DOES: dict[Action, str] = {
    Action.RESTART_NATS: "restart its broker",
    Action.RESTART_DAEMON: "restart its node",
    Action.RESTART_TUNNEL: "build its tunnels and links anew",
    Action.RELOAD_ROSTER: "apply its roster and its keys anew",
    Action.FREE_PORT: "open its peer port elsewhere",
    Action.AGENT: "start its repair agent",
}


class Level(IntEnum):
    """The rungs of the ladder."""

    NOTED = 1
    ASKED = 2
    AGENT = 3
    PERSON = 4


def above(level: Level, levels: tuple[int, ...]) -> Level | None:
    """The next rung that is in use; None at the top."""
    return next((one for one in Level if one > level and one in levels), None)


class Ended(StrEnum):
    """How an action ended at the machine that was asked. DONE says that it was done, not that it helped; ALREADY that
    it was done a moment before, and nothing for this request."""

    DONE = "done"
    ALREADY = "already"
    REFUSED = "refused"
    FAILED = "failed"


# So much is kept of what is said of one step.
NOTE_LIMIT = 200


def ending(outcome: str, note: str) -> str:
    """How something ended, in one line: `done: its broker is up again`."""
    return f"{outcome}: {note}"[:NOTE_LIMIT] if note else outcome


class Step(msgspec.Struct, frozen=True):
    """One thing that was done: on which rung, when (wall milliseconds), what, and what came of it: a word of `Ended`,
    or held, skipped, unknown (empty: not yet), and a `note` on it. `ended`: when that was said (monotonic seconds; 0:
    not yet)."""

    level: Level
    at_ms: int
    what: str
    outcome: str = ""
    ended: float = 0.0
    note: str = ""

    @property
    def said(self) -> str:
        """What came of it, for people."""
        return ending(self.outcome, self.note)


class Command(msgspec.Struct, frozen=True):
    """One command of a plan, and what it does."""

    argv: tuple[str, ...]
    does: str


def digest(plan: tuple[Command, ...]) -> str:
    """What names a plan as a person was shown it: its commands and what is said of them."""
    return sha256(msgspec.msgpack.encode(plan)).hexdigest() if plan else ""


def told(plan: tuple[Command, ...]) -> str:
    """Its commands in one line, as a shell would run them."""
    return " && ".join(shlex.join(one.argv) for one in plan)


class Approval(msgspec.Struct, frozen=True):
    """A person's word for one plan: of whose repair, who gave it and when (wall milliseconds), and for which commands.
    `ticket`: the verb that runs them. `broken_ms`: when they were found to be broken off (0: not so far); `ran`: how
    many had gone well by then (None: nobody knows, for their node did not live to say so)."""

    peer: str
    channel: Channel
    by: str
    digest: str
    plan: tuple[Command, ...] = ()
    ticket: int = 0
    at_ms: int = 0
    broken_ms: int = 0
    ran: int | None = None


HOUR_S = 3_600.0


def spent(times: Iterable[float], now_mono: float) -> tuple[float, ...]:
    """Of the moments at which something was begun, those of the last hour."""
    return tuple(at for at in times if now_mono - at < HOUR_S)


def left(times: Iterable[float], now_mono: float, per_hour: int) -> int:
    """How many more may follow now."""
    return max(0, per_hour - len(spent(times, now_mono)))


def opens_at(times: Iterable[float], now_mono: float, per_hour: int) -> float:
    """When one more may follow: 0 for now."""
    recent = spent(times, now_mono)
    return recent[-per_hour] + HOUR_S if len(recent) >= per_hour else 0.0


class Repair(msgspec.Struct, frozen=True):
    """One ladder. `level`: the rung in progress. `began`, `due`: monotonic seconds; at `due` the next rung is begun.
    `broke`: since when its channel has not worked, which may be long before `began`: monotonic seconds.
    `why`: what was seen, for people; `cause`: what it proves. `action`: what the table has for it (None: nothing of its
    own). `ask`: the id of the request under way; `charged`: when that was counted against the limit of an hour.
    `held_until`: no escalation before this moment (0: none is held). `quiet`: its pair breaks again and again, and
    nothing was done about it yet: the ledger has enough of that. `plan`: what a person may approve; `working`: it runs
    now. `by`: who asked for it (empty: the fleet itself). `lost`: when it was due, nothing had reached the peer since.
    `again`: what is due is this rung once more, for it was answered that it was done already."""

    peer: str
    channel: Channel
    level: Level
    began_ms: int
    began: float
    due: float
    why: str = ""
    action: Action | None = None
    ask: str = ""
    steps: tuple[Step, ...] = ()
    held_until: float = 0.0
    plan: tuple[Command, ...] = ()
    working: bool = False
    by: str = ""
    ours: bool = False
    quiet: bool = False
    charged: float = 0.0
    lost: bool = False
    again: bool = False
    broke: float = 0.0
    cause: Cause | None = None


class Breaks(msgspec.Struct, frozen=True):
    """How often a pair has broken since it was quiet for long, and when it did last (monotonic seconds)."""

    count: int = 0
    at: float = float("-inf")


class Ran(msgspec.Struct, frozen=True):
    """One command of a plan, done: its exit status (None: it did not end in time) and what it said."""

    command: str
    does: str
    status: int | None
    output: str


class Asker(msgspec.Struct, frozen=True):
    """Who asked this node for an action. `frm`: a peer's id; empty for this node itself or a person at it, whose verb
    waits under `ticket`."""

    frm: str
    ask: str
    ticket: int = 0


class Last(msgspec.Struct, frozen=True):
    """The last time an action ended here: when (monotonic seconds), how, the line about it, and who had asked for it
    first (None: that was before this start)."""

    at: float
    outcome: Ended
    note: str = ""
    asker: Asker | None = None


class Mending(msgspec.Struct, frozen=True):
    """What this node was asked to do to itself, and has asked of others. `serial`: requests of ours so far. `underway`:
    action -> who waits for it. `begun`: action -> when peers had it begun, within the last hour. `last`: action -> how
    it ended. `broken_off`: (action, asker) of what the last process did not live to finish. `asked`: peer -> when it
    asked for something, the last times within the last hour; `escalations`: peer, or what else has an account of its
    own -> when it was asked for something, within that hour. `plans`: approved commands that run now;
    `plans_broken_off`: those of which nobody knows how far they came, until a person has seen to it."""

    serial: int = 0
    underway: Map[Action, tuple[Asker, ...]] = Map()
    begun: Map[Action, tuple[float, ...]] = Map()
    last: Map[Action, Last] = Map()
    broken_off: tuple[tuple[Action, Asker], ...] = ()
    asked: Map[str, tuple[float, ...]] = Map()
    escalations: Map[str, tuple[float, ...]] = Map()
    plans: tuple[Approval, ...] = ()
    plans_broken_off: tuple[Approval, ...] = ()


def running(mending: Mending, peer: str, channel: Channel) -> Approval | None:
    """The approval of this pair whose commands run now."""
    return next((one for one in mending.plans if (one.peer, one.channel) == (peer, channel)), None)


def broken_off(mending: Mending, peer: str = "", channel: Channel | None = None) -> list[Approval]:
    """Those that were broken off and that no person has seen to yet. `peer` empty, `channel` None: of any."""
    words = mending.plans_broken_off
    return [one for one in words if peer in ("", one.peer) and channel in (None, one.channel)]
