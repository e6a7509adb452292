"""What of repairs outlives a restart: what was under way, how often each was done, who asked how often, and which
commands a person had approved that run, or were broken off.

    Mending --recorded, with each change--> meta "mending" --restore, at a start--> Mending

The limits of an hour hold over restarts; otherwise a repair that restarts this node would lift its own limit. Moments
are written on the wall clock, because the monotonic one begins anew. One that lies ahead of a clock that was set back
counts as just now: a limit may hold longer for it, and never shorter than an hour on that clock.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import msgspec
from immutables import Map

from engine.effects import Effect, Save
from engine.model.moment import Moment
from engine.model.records import PutMeta
from engine.model.repair import Action, Approval, Asker, Ended, Last, Mending, spent
from engine.signals import Signal
from engine.state import Fleet

META = "mending"

Step = Callable[[Fleet, Signal, Moment], tuple[Fleet, list[Effect]]]
_Times = tuple[int, ...]
Key = TypeVar("Key", bound=str)


class _Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of `Mending`, in wall milliseconds."""

    underway: tuple[tuple[Action, Asker], ...] = ()
    begun: dict[Action, _Times] = {}
    last: dict[Action, tuple[int, Ended, str]] = {}
    asked: dict[str, _Times] = {}
    escalations: dict[str, _Times] = {}
    plans: tuple[Approval, ...] = ()
    broken_off: tuple[Approval, ...] = ()


_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(_Kept).decode


def recorded(step: Step) -> Step:
    """The same step; what it changed is durable before anything follows from it."""

    @wraps(step)
    def stepped(fleet: Fleet, signal: Signal, now: Moment) -> tuple[Fleet, list[Effect]]:
        after, effects = step(fleet, signal, now)
        return after, effects if after.mending is fleet.mending else [record(after.mending, now), *effects]

    return stepped


def change(fleet: Fleet, **changes: Any) -> Fleet:
    """The fleet with some of it otherwise."""
    return msgspec.structs.replace(fleet, mending=msgspec.structs.replace(fleet.mending, **changes))


def record(mending: Mending, now: Moment) -> Save:
    """All of it as it is now."""
    kept = _Kept(
        tuple((action, one) for action, askers in sorted(mending.underway.items()) for one in askers),
        _written(mending.begun, now),
        {action: (_wall_ms(one.at, now), one.outcome, one.note) for action, one in sorted(mending.last.items())},
        _written(mending.asked, now),
        _written(mending.escalations, now),
        mending.plans,
        mending.plans_broken_off,
    )
    return Save((PutMeta(META, _encode(kept)),))


def restore(data: bytes, now: Moment) -> Mending:
    """What the last process knew when it ended; what it was at then was broken off."""
    try:
        kept = _decode(data) if data else _Kept()
    except (msgspec.DecodeError, UnicodeDecodeError):
        kept = _Kept()
    return Mending(
        begun=_read(kept.begun, now),
        last=Map({action: Last(_mono(at_ms, now), ended, note) for action, (at_ms, ended, note) in kept.last.items()}),
        broken_off=kept.underway,
        asked=_read(kept.asked, now),
        plans_broken_off=(*kept.broken_off, *kept.plans),
        escalations=_read(kept.escalations, now),
    )


def _written(found: Map[Key, tuple[float, ...]], now: Moment) -> dict[Key, _Times]:
    recent = {key: spent(times, now.mono) for key, times in sorted(found.items())}
    return {key: tuple(_wall_ms(at, now) for at in times) for key, times in recent.items() if times}


def _read(found: dict[Key, _Times], now: Moment) -> Map[Key, tuple[float, ...]]:
    return Map({key: tuple(_mono(at_ms, now) for at_ms in times) for key, times in found.items()})


def _wall_ms(at: float, now: Moment) -> int:
    return now.wall_ms - round((now.mono - at) * 1e3)


def _mono(at_ms: int, now: Moment) -> float:
    return now.mono - max(0, now.wall_ms - at_ms) / 1e3
