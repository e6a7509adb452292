"""Repairs, seen from outside (pure): the ladders under way, each with its rung, its steps, and what may be approved."""

import shlex

import msgspec

from engine.model.channel import Channel
from engine.model.moment import Moment
from engine.model.repair import Action, Approval, Command, Repair, broken_off, digest, left, running
from engine.state import Fleet


class StepView(msgspec.Struct, frozen=True):
    """One thing that was done."""

    level: int
    at: int
    what: str
    outcome: str


class CommandView(msgspec.Struct, frozen=True):
    """One command of a plan, as a shell would take it."""

    command: str
    does: str


class ApprovalView(msgspec.Struct, frozen=True):
    """A person's word for a plan whose commands run, or were broken off. `state`: `running` or `broken off`; `at`: when
    it was given, `ended`: when it was broken off. `ran`: how many commands had gone well by then (null: they run still,
    or nobody knows)."""

    peer: str
    channel: Channel
    by: str
    state: str
    at: int
    ended: int | None
    ran: int | None
    plan: list[CommandView]


class RepairView(msgspec.Struct, frozen=True):
    """One ladder. `next_s`: seconds to the next rung (null: none follows by itself); `held_s`: seconds until the hour's
    limit lets it go on; `left`: escalations that remain in this hour for this peer; `digest`: names the plan as it is
    shown here, and an approval names it too. `approval`: the word for commands of this pair that run, or were broken
    off and that nobody has seen to yet. `level` 0: its ladder has ended, and it is here for its
    `approval`."""

    peer: str
    channel: Channel
    level: int
    began: int
    why: str
    action: Action | None
    next_s: float | None
    held_s: float | None
    left: int
    steps: list[StepView]
    plan: list[CommandView]
    digest: str
    working: bool
    by: str
    approval: ApprovalView | None


def repairs(fleet: Fleet, now: Moment) -> list[RepairView]:
    """`GET /repairs`: those under way, the oldest first; then approved commands whose ladder has ended, that run still
    or were broken off."""
    found = sorted(fleet.repairs.values(), key=lambda one: (one.began, one.peer, one.channel))
    words = (*fleet.mending.plans, *broken_off(fleet.mending))
    left_over = [_left_over(fleet, one, now) for one in words if (one.peer, one.channel) not in fleet.repairs]
    return [*(repair(fleet, one, now) for one in found), *left_over]


def repair(fleet: Fleet, one: Repair, now: Moment) -> RepairView:
    """One of them."""
    word = running(fleet.mending, one.peer, one.channel)
    word = word or next(iter(broken_off(fleet.mending, one.peer, one.channel)), None)
    return RepairView(
        fleet.name_of(one.peer),
        one.channel,
        int(one.level),
        one.began_ms,
        one.why,
        one.action,
        _left_s(one.due, now) if one.due < float("inf") else None,
        _left_s(one.held_until, now) if one.held_until > now.mono else None,
        _left(fleet, one.peer, now),
        [StepView(int(step.level), step.at_ms, step.what, step.said) for step in one.steps],
        _plan(one.plan),
        digest(one.plan),
        one.working,
        one.by,
        approval(fleet, word) if word else None,
    )


def _left_over(fleet: Fleet, word: Approval, now: Moment) -> RepairView:
    """A person's word that outlived its ladder."""
    return RepairView(
        fleet.name_of(word.peer),
        word.channel,
        0,
        word.at_ms,
        "",
        None,
        None,
        None,
        _left(fleet, word.peer, now),
        [],
        [],
        "",
        not word.broken_ms,
        word.by,
        approval(fleet, word),
    )


def _left(fleet: Fleet, peer: str, now: Moment) -> int:
    return left(fleet.mending.escalations.get(peer, ()), now.mono, fleet.config.repair.per_hour)


def approval(fleet: Fleet, word: Approval) -> ApprovalView:
    """One of them."""
    state, ended = ("broken off", word.broken_ms) if word.broken_ms else ("running", None)
    name = fleet.name_of(word.peer)
    return ApprovalView(name, word.channel, word.by, state, word.at_ms, ended, word.ran, _plan(word.plan))


def _plan(commands: tuple[Command, ...]) -> list[CommandView]:
    return [CommandView(shlex.join(one.argv), one.does) for one in commands]


def _left_s(at: float, now: Moment) -> float:
    return round(max(0.0, at - now.mono), 1)
