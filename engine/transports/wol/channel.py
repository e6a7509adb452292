"""P6: switch the machine on with magic packets, so that the other channels find it (edge).

    deliver --3 packets a card--> LANDED   they left; whether the machine wakes is seen when its node speaks
                                  REFUSED  woken often enough within this minute
                                  BARRED   no card known, or no network to shout into

It carries no bytes: what waits in the outbox goes over the other channels once the machine is there. The packets go to
255.255.255.255 from each of our addresses, to the broadcast of the card's own network, if it can be one, and to the
configured ones. Whoever sits on the machine's network is asked to send them too (`engine.membership.waking`):
broadcasts pass no router.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import NamedTuple

from engine.config import WakeConfig
from engine.model.channel import Channel, Outcome, Verdict
from engine.transports.base import Arrivals, Target
from engine.transports.wol.cards import Reach, networks
from engine.transports.wol.magic import is_broadcast, packet, wait_s

# A switch that is just learning where a card is loses the first; three in a row outlast it.
ROUNDS, GAP_S = 3, 0.1
EVERYBODY = "255.255.255.255"
NO_CARD = "no MAC known"

# Ask those on a machine's network to send packets too; their names.
Ask = Callable[[str], Sequence[str]]


class Sent(NamedTuple):
    """The networks that took a packet, and the first reason why one did not."""

    networks: frozenset[str]
    trouble: str = ""


Round = Callable[[], Sent]


class Wake:
    """Channel P6. `run`: where the packets are sent from, a thread as a rule: interfaces may be many."""

    channel = Channel.WOL

    def __init__(self, config: WakeConfig, ask: Ask, run: Callable[[Round], Awaitable[Sent]] = asyncio.to_thread):
        self._config, self._ask, self._run = config, ask, run
        self._bursts: dict[str, tuple[float, ...]] = {}

    def ready(self, target: Target) -> str | None:
        """Why not: it never told us of a card."""
        return None if target.ways.nics else NO_CARD

    async def listen(self, arrived: Arrivals) -> None:
        """Nothing: a machine that is woken learns nothing by it."""

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """Shout for the peer, here and where its neighbours are. `data` stays: no card could read it."""
        return await self._burst(target, budget_s, self._ask)

    async def shout(self, target: Target, budget_s: float) -> Outcome:
        """The same on our own networks only, for whoever asked us to."""
        return await self._burst(target, budget_s, lambda node: ())

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _burst(self, target: Target, budget_s: float, ask: Ask) -> Outcome:
        if not target.ways.nics:
            return Outcome(Verdict.BARRED, NO_CARD, hard=True)
        try:
            packets = [packet(nic.mac) for nic in target.ways.nics]
        except ValueError as error:
            return Outcome(Verdict.BARRED, f"no MAC address: {error}", hard=True)
        if refused := self._paced(target.id):
            return Outcome(Verdict.REFUSED, refused)
        asked = ask(target.id)
        sent = await self._rounds(packets, target, budget_s)
        return _told(sent, asked)

    async def _rounds(self, packets: list[bytes], target: Target, budget_s: float) -> Sent:
        there = {nic.broadcast for nic in target.ways.nics if is_broadcast(nic.broadcast)} | set(
            self._config.broadcasts
        )
        sent = Sent(frozenset())
        for number in range(ROUNDS):
            if number:
                await asyncio.sleep(min(GAP_S, budget_s / (2 * ROUNDS)))
            more = await self._run(lambda: shouted(packets, sorted(there), self._config.port))
            sent = Sent(sent.networks | more.networks, sent.trouble or more.trouble)
        return sent

    def _paced(self, node: str) -> str:
        """Why not now: somebody whose machine is switched on all night must be able to sleep."""
        now, limit = monotonic(), self._config.a_minute
        bursts = self._bursts.get(node, ())[-limit:]
        if wait := wait_s(bursts, now, limit):
            return f"woken {limit} times within a minute; again in {wait:.0f} s"
        self._bursts[node] = (*bursts, now)
        return ""


def shouted(packets: Sequence[bytes], broadcasts: Sequence[str], port: int) -> Sent:
    """Send every packet once, from every address of ours, to everybody there and to these broadcasts."""
    took: set[str] = set()
    trouble = ""
    for ours in networks():
        for label, host in ((ours.broadcast or ours.host, EVERYBODY), *((one, one) for one in broadcasts)):
            failed = _sent(packets, ours, (host, port))
            if failed:
                trouble = trouble or f"{host}: {failed}"
            else:
                took.add(label)
    return Sent(frozenset(took), trouble)


def _sent(packets: Sequence[bytes], ours: Reach, where: tuple[str, int]) -> str:
    """Why these packets could not leave from this address; empty when they did."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as shouting:
            shouting.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            shouting.setblocking(False)
            # A bound address chooses the interface, also for 255.255.255.255 (Linux, ip_route_output_key).
            shouting.bind((ours.host, 0))
            for one in packets:
                shouting.sendto(one, where)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def _told(sent: Sent, asked: Sequence[str]) -> Outcome:
    helped = f"asked {' and '.join(asked)} to send it there" if asked else ""
    if sent.networks:
        count = len(sent.networks)
        said = f"magic packet sent to {count} network{'s' if count > 1 else ''}"
        return Outcome(Verdict.LANDED, f"{said}; {helped}" if helped else said)
    if helped:
        return Outcome(Verdict.LANDED, f"no network of ours took it; {helped}")
    return Outcome(Verdict.BARRED, sent.trouble or "no network to send it to", hard=True)
