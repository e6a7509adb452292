"""What came of round trips that a person asked for, each by the id of its ping: no other try is taken for it.

    asked -> its try ended: confirmed, refused, lost, barred
          -> landed -> the peer's pong, on whatever channel: confirmed

A bounded memory of the last of them; whoever asked reads it there (`engine.verbs.switchboard`).
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.effects import Effect
from engine.model.channel import Check, Verdict
from engine.model.envelope import Kind
from engine.model.moment import Moment
from engine.model.packets import Receipt, unpack
from engine.signals import Arrived, ProbeAsked, Signal, Tried
from engine.state import Fleet

Step = tuple[Fleet, list[Effect]]

# Checks of a few people at once, nine channels each.
KEPT = 64


def step(fleet: Fleet, signal: Signal, now: Moment) -> Step:
    """The checks after one signal."""
    return _HEARD[type(signal)](fleet, signal, now), []


def _asked(fleet: Fleet, signal: ProbeAsked, now: Moment) -> Fleet:
    if not signal.ask:
        return fleet
    kept = dict(sorted(fleet.checks.items(), key=lambda pair: pair[1].at)[1 - KEPT :])
    return _with(fleet, {**kept, signal.ask: Check(now.mono)})


def _tried(fleet: Fleet, signal: Tried, now: Moment) -> Fleet:
    for ping in signal.pings:
        fleet = _ended(fleet, ping, signal.outcome.verdict, signal.latency_ms, signal.outcome.note)
    return fleet


def _arrived(fleet: Fleet, signal: Arrived, now: Moment) -> Fleet:
    if not fleet.checks:
        return fleet
    for parcel in signal.parcels:
        if parcel.envelope.kind is Kind.RECEIPT:
            told: Receipt = unpack(Kind.RECEIPT, parcel.envelope.body)
            for pong in told.pongs:
                if check := fleet.checks.get(pong.msg_id):
                    fleet = _ended(fleet, pong.msg_id, Verdict.CONFIRMED, (now.mono - check.at) * 1000, check.note)
    return fleet


def _ended(fleet: Fleet, ask: str, verdict: Verdict, ms: float, note: str) -> Fleet:
    """What is proved stays proved: a relay's word that it took a ping may come after the peer's own."""
    check = fleet.checks.get(ask)
    if check is None or check.verdict is Verdict.CONFIRMED:
        return fleet
    return _with(fleet, {**fleet.checks, ask: Check(check.at, verdict, ms, note)})


def _with(fleet: Fleet, checks: dict[str, Check]) -> Fleet:
    return msgspec.structs.replace(fleet, checks=type(fleet.checks)(checks))


_HEARD: dict[type, Callable[[Fleet, Any, Moment], Fleet]] = {
    ProbeAsked: _asked,
    Tried: _tried,
    Arrived: _arrived,
}
