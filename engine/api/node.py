"""What every answer is made from: the engine, where the API listens, and how the process ends.

Handlers run on the engine's own loop, so they call its verbs directly; everything else they need is here. The engine
is named for types only: nothing of it is imported to answer.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from engine.engine import Engine


class Node(NamedTuple):
    """The node behind the API. `socket`, `port`: where it listens (None: no TCP). `origins`: where each setting came
    from. `stop`: ask the process to end; True for without draining."""

    engine: "Engine"
    socket: str
    port: int | None
    origins: Mapping[str, str]
    stop: Callable[[bool], None]
