"""The scout: looks for machines that might join, for a moment and only when somebody asks (edge)."""

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from engine.loop import Loop
from engine.membership import discovery_mdns, discovery_ssh, discovery_tailscale
from engine.membership.discovery import MDNS, SSH, TAILSCALE, Sighting, merged
from engine.model.suggestion import Suggestion
from engine.transports.wol.cards import networks

log = logging.getLogger(__name__)

# Multicast answers within a second; whoever looks waits for it.
LOOK_S = 2.0


class Scout:
    """The verb `discover` of one node. `ssh_config`: the person's own."""

    def __init__(self, loop: Loop, ssh_config: Path):
        self._loop, self._ssh_config = loop, ssh_config

    async def discover(self, seconds: float = LOOK_S, failed: dict[str, str] | None = None) -> list[Suggestion]:
        """Machines nearby, by whoever names them; those that are no members first. Suggestions only. `failed`: takes
        the sources that could not be asked, and why."""
        sources = self._sources(seconds)
        answers = await asyncio.gather(*sources.values(), return_exceptions=True)
        heard: list[Sighting] = []
        for source, answer in zip(sources, answers, strict=True):
            if isinstance(answer, BaseException):
                log.warning("discovery: %s could not be asked: %s", source, type(answer).__name__)
                if failed is not None:
                    failed[source] = str(answer) or type(answer).__name__
            else:
                heard += answer
        return merged(heard, self._loop.fleet)

    def _sources(self, seconds: float) -> dict[str, Coroutine[Any, Any, list[Sighting]]]:
        wanted = self._loop.fleet.config.discovery
        sources: dict[str, Coroutine[Any, Any, list[Sighting]]] = {}
        if wanted.ssh_config:
            sources[SSH] = asyncio.to_thread(discovery_ssh.sightings, self._ssh_config)
        if wanted.tailscale:
            sources[TAILSCALE] = discovery_tailscale.sightings()
        hosts = [reach.host for reach in networks()] if wanted.mdns else []
        if hosts:
            sources[MDNS] = discovery_mdns.sightings(seconds, hosts)
        return sources
