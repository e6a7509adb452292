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
from collections.abc import Callable
from contextlib import suppress

from engine import exposure
from engine.loop import Loop
from engine.membership import discovery_mdns
from engine.model.peer import AWAY
from engine.model.roster import Address
from engine.signals import Detoured
from engine.state import Fleet
from engine.target import target
from engine.transports.http.line import Line, dial
from engine.transports.wol.cards import beside, networks

# A look costs everybody on the network some packets: it is done in these turns, less and less often.
TURN_S, SELDOM = 5.0, 120
LOOK_S = 2.0
CALL_S = 5.0
# A heartbeat comes every ten seconds, over a channel that has to be tried first.
TOLD_S = 60.0
# Whoever fills the network with ids has so many places called for each, and so many ids at once; none of them beyond
# our own networks, where mDNS does not reach.
PLACES, CALLS = 8, 4

Place = tuple[str, int]
log = logging.getLogger(__name__)


class Seeker:
    """Looks for missed members for as long as it runs. `beside`: whether an address is on a network of ours."""

    def __init__(self, loop: Loop, beside: Callable[[str], bool] = beside):
        self._loop, self._beside = loop, beside
        self._calling = asyncio.Semaphore(CALLS)
        self._calls: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """For ever. Somebody else missed, or another address of ours, begins it anew."""
        cause: object = None
        turn = 0
        try:
            while True:
                await asyncio.sleep(TURN_S)
                now = missed(self._loop.fleet), self._loop.fleet.me.addresses
                cause, turn = now, turn + 1 if now == cause else 1
                # After one turn, two, four, eight and so on, at last every tenth minute.
                if turn & (turn - 1) == 0 or turn % SELDOM == 0:
                    await self._looked()
        finally:
            for node in tuple(self._calls):
                await self._end(node)

    async def _looked(self) -> None:
        try:
            await self.look()
        except Exception as error:  # noqa: BLE001 - a library's, about a network that is coming or going
            log.warning("members away could not be looked for: %s", type(error).__name__)

    async def look(self) -> None:
        """Once: whoever shows itself under the id of a missed member is called. A call before this one is over: it led
        to where the member is no more."""
        wanted = missed(self._loop.fleet)
        if not wanted or not (hosts := [reach.host for reach in networks()]):
            return
        places: dict[str, list[Place]] = {}
        for seen in await discovery_mdns.sightings(LOOK_S, hosts):
            if seen.node in wanted and seen.port:
                near = (host for host in seen.hosts if self._beside(host))
                places.setdefault(seen.node, []).extend((host, seen.port) for host in near)
        for node, shown in places.items():
            ours = await self._end(node)
            if not ours and node in self._loop.fleet.detours:
                continue  # a kept tunnel leads there
            self._calls[node] = asyncio.get_running_loop().create_task(self._call(node, shown[:PLACES]))

    async def _end(self, node: str) -> bool:
        """Whether a call was under way until now."""
        call = self._calls.pop(node, None)
        if call is None or call.done():
            return False
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        return True

    async def _call(self, node: str, shown: list[Place]) -> None:
        there, said = target(self._loop.fleet, node), self._loop.fleet.addresses_of(node)
        if there is None:
            return
        known = {(at.host, at.http) for at in said}
        async with self._calling:
            place = await _proved([one for one in shown if one not in known], there.tls_cert)
        if place is None:
            return
        self._loop.post(Detoured(node, Address(place[0], http=place[1])))
        try:
            with suppress(TimeoutError):
                told = self._loop.until(lambda fleet: fleet.addresses_of(node) != said)
                await asyncio.wait_for(told, TOLD_S)
        finally:
            self._loop.post(Detoured(node, None))


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
