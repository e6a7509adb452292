"""Pulses: the fleet's own small talk, numbered in a stream of its own.

Heartbeats, receipts, pings and rosters are worth nothing a minute later: they are not stored, not retried and not
acknowledged. Their numbers serve one purpose, the receiver's window against replay, so every pulse takes a fresh one,
over all peers together, and none is ever used twice in an epoch.
"""

from msgspec.structs import replace

from engine.model.envelope import Envelope, Kind, Urgency
from engine.model.moment import Moment
from engine.state import Fleet


def stamp(fleet: Fleet, kind: Kind, dst: str, body: bytes, now: Moment) -> tuple[Fleet, Envelope]:
    """The fleet with its next pulse number used, and the envelope that wears it. It has no end of life: a clock that is
    off must not expire a heartbeat."""
    number = fleet.me.pulse + 1
    envelope = Envelope(
        src=fleet.me.id,
        src_epoch=fleet.me.epoch,
        seq=number,
        dst=dst,
        msg_id=f"{fleet.me.epoch}-{number}",
        kind=kind,
        urgency=Urgency.LOW,
        created_ms=now.wall_ms,
        body=body,
    )
    return replace(fleet, me=replace(fleet.me, pulse=number)), envelope
