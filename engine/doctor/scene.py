"""What a check may look at: the home, the configuration, this moment, and the running node's value where there is one.

Whoever examines lays it out: a node for its own screen and API, the command line where no node runs. A check finds out
the rest itself, on the real machine.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from engine.config import Config
from engine.state import Fleet


class Scene(msgspec.Struct, frozen=True):
    """`fleet`: the node's value (None: no node runs). `pid`: its process. `origins`: where each setting came from.
    `broker`: the path of nats-server, or why there is none in `broker_lacks`. `environ`: of whoever asked. `size`: the
    terminal's columns and rows ((0, 0): none). `running`: the version the node says it has. `deeds`: what the node can
    do to itself on request, by name."""

    home: Path
    config: Config
    version: str
    now_ms: int
    platform: str
    fleet: Fleet | None = None
    pid: int = 0
    origins: Mapping[str, str] = {}
    broker: str = ""
    broker_lacks: str = ""
    environ: Mapping[str, str] = {}
    size: tuple[int, int] = (0, 0)
    running: str = ""
    deeds: Mapping[str, Callable[[], object]] = {}

    def chosen(self, section: str) -> bool:
        """Whether a person configured anything of a section."""
        return any(
            name.startswith(f"{section}.") and not origin.startswith(("default", "preset", "the last start"))
            for name, origin in self.origins.items()
        )
