"""The event feed (edge): server-sent events, first a snapshot, then what happened.

Every event carries its number as its id. A reader that comes back names the last one it saw (`Last-Event-ID`, or
`since`) and gets what it missed, as far as the bus remembers; the snapshot before it is whole either way, so a gap
costs history and never truth.
"""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import msgspec

from engine.api.views import Status

if TYPE_CHECKING:
    from engine.engine import Engine

_encode = msgspec.json.Encoder().encode


async def feed(engine: "Engine", since: int | None, snapshot: Callable[[], Status]) -> AsyncIterator[bytes]:
    """The frames of one reader, without end. `since`: the number of the last event it has."""
    bus = engine.bus
    if since is not None and since > bus.last:
        since = None  # a number of the node's last life; this one counts anew
    async with bus.subscribe(since) as events:
        yield frame("snapshot", _encode(snapshot()), bus.last if since is None else None)
        async for seq, event in events:
            yield frame(type(event).__name__, _encode(event), seq)


def frame(name: str, data: bytes, seq: int | None = None) -> bytes:
    """One event as the standard writes it; JSON has no line breaks, so the data is one line."""
    number = b"" if seq is None else b"id: %d\n" % seq
    return b"%sevent: %s\ndata: %s\n\n" % (number, name.encode(), data)
