"""Detours: a kept tunnel to a peer is called before the peer's own addresses.

A tunnel that came up or went is a reason to plan the broker's routes anew and to look at every channel to that peer
now. It proves nothing by itself: whoever answers at its far end shows the peer's own key, as anywhere.
"""

from msgspec.structs import replace

from engine.effects import ApplyRoster, Effect, Raise
from engine.model.moment import Moment
from engine.signals import Detoured, ProbeAsked, Signal
from engine.state import Fleet


def step(fleet: Fleet, signal: Signal, now: Moment) -> tuple[Fleet, list[Effect]]:
    """The detours after one signal."""
    if not isinstance(signal, Detoured) or fleet.detours.get(signal.peer) == signal.near:
        return fleet, []
    kept = fleet.detours
    kept = kept.delete(signal.peer) if signal.near is None else kept.set(signal.peer, signal.near)
    return replace(fleet, detours=kept), [ApplyRoster(fleet.roster), Raise(ProbeAsked(signal.peer))]
