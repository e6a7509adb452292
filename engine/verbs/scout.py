"""The scout: looks for machines that might join, for a moment and only when somebody asks (edge)."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from engine.loop import Loop
from engine.membership import discovery_mdns, discovery_ssh, discovery_tailscale
from engine.membership.discovery import Sighting, merged
from engine.model.suggestion import Suggestion
from engine.transports.wol.cards import networks

# Multicast answers within a second; whoever looks waits for it.
LOOK_S = 2.0


class Scout:
    """The verb `discover` of one node. `ssh_config`: the person's own."""

    def __init__(self, loop: Loop, ssh_config: Path):
        self._loop, self._ssh_config = loop, ssh_config

    async def discover(self, seconds: float = LOOK_S) -> list[Suggestion]:
        """Machines nearby, by whoever names them; those that are no members first. Suggestions only."""
        found = await asyncio.gather(*self._sources(seconds), return_exceptions=True)
        heard = [one for answer in found if not isinstance(answer, BaseException) for one in answer]
        return merged(heard, self._loop.fleet)

    def _sources(self, seconds: float) -> list[Coroutine[Any, Any, list[Sighting]]]:
        wanted = self._loop.fleet.config.discovery
        sources: list[Coroutine[Any, Any, list[Sighting]]] = []
        if wanted.ssh_config:
            sources.append(asyncio.to_thread(discovery_ssh.sightings, self._ssh_config))
        if wanted.tailscale:
            sources.append(discovery_tailscale.sightings())
        hosts = [reach.host for reach in networks()] if wanted.mdns else []
        if hosts:
            sources.append(discovery_mdns.sightings(seconds, hosts))
        return sources
