"""The seeker: looks on its networks for members that moved while nobody saw it (edge).

Who moves tells the others where it is. When all move at once, as laptops do when their router starts anew, nobody is
where anybody tells it. Nodes that can be reached show themselves by mDNS, so whoever misses a member looks for its id
there, less and less often:

    seen somewhere new -> called there -> it proves the member's key -> `Detoured`: every channel is told the address,
                                                                        until its own heartbeat says where it is

What mDNS says is a stranger's word. It is called from here, where an impostor costs one handshake and is no reason to
doubt a channel. A node that listens on loopback alone asks no network.
"""

import asyncio
import logging
from contextlib import suppress

from engine import exposure
from engine.loop import Loop
from engine.membership import discovery_mdns
from engine.membership.discovery import Sighting
from engine.model.peer import AWAY
from engine.model.roster import Address
from engine.signals import Detoured
from engine.state import Fleet
from engine.target import target
from engine.transports.http.line import Line, dial
from engine.transports.wol.cards import networks

# A look costs everybody on the network some packets: it is done in these turns, less and less often.
TURN_S, SELDOM = 5.0, 120
LOOK_S = 2.0
CALL_S = 5.0
# A heartbeat comes every ten seconds, over a channel that has to be tried first.
TOLD_S = 60.0

Place = tuple[str, int]
log = logging.getLogger(__name__)


class Seeker:
    """Looks for missed members for as long as it runs."""

    def __init__(self, loop: Loop):
        self._loop = loop

    async def run(self) -> None:
        """For ever. Somebody else missed, or another address of ours, begins it anew."""
        cause: object = None
        turn = 0
        while True:
            await asyncio.sleep(TURN_S)
            now = missed(self._loop.fleet), self._loop.fleet.me.addresses
            cause, turn = now, turn + 1 if now == cause else 1
            # After one turn, two, four, eight and so on, at last every tenth minute.
            if turn & (turn - 1) == 0 or turn % SELDOM == 0:
                try:
                    await self.look()
                except Exception as error:  # noqa: BLE001 - a library's, about a network that is coming or going
                    log.warning("members away could not be looked for: %s", type(error).__name__)

    async def look(self) -> None:
        """Once: whoever shows itself under a missed member's id is called."""
        wanted = missed(self._loop.fleet)
        if wanted and (hosts := [reach.host for reach in networks()]):
            seen = await discovery_mdns.sightings(LOOK_S, hosts)
            await asyncio.gather(*(self._called(one) for one in seen if one.node in wanted))

    async def _called(self, seen: Sighting) -> None:
        there = target(self._loop.fleet, seen.node)
        if there is None or seen.node in self._loop.fleet.detours:
            return
        known = {(at.host, at.http) for at in there.addresses}
        places = [place for host in seen.hosts if seen.port and (place := (host, seen.port)) not in known]
        found = await _proved(places, there.tls_cert)
        if found is None:
            return
        said = self._loop.fleet.addresses_of(seen.node)
        self._loop.post(Detoured(seen.node, Address(found[0], http=found[1])))
        try:
            with suppress(TimeoutError):
                told = self._loop.until(lambda fleet: fleet.addresses_of(seen.node) != said)
                await asyncio.wait_for(told, TOLD_S)
        finally:
            self._loop.post(Detoured(seen.node, None))


def missed(fleet: Fleet) -> frozenset[str]:
    """The members that are away, where a look for them is wanted and makes sense; their ids."""
    if not fleet.config.discovery.mdns or not any(exposure.outward(at.host) for at in fleet.me.addresses):
        return frozenset()
    return frozenset(peer.id for peer in fleet.peers.values() if peer.standing in AWAY)


async def _proved(places: list[Place], certificate: bytes) -> Place | None:
    """The place of these at which the holder of the certificate's key answers."""
    if not places:
        return None
    try:
        async with asyncio.timeout(CALL_S):
            line: Line = await dial(places, certificate.__eq__)
    except (OSError, TimeoutError):
        return None
    line.hang_up()
    return line.place
