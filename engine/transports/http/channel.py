"""P2: put the sealed frames into the peer's own hands, over HTTPS with its certificate pinned (edge).

    deliver --POST /deliver--> CONFIRMED  200: the peer's own frames came back; 403: none, for it opened nothing
                               REFUSED    503: too busy; another status; a stranger's certificate (hard, pinned)
                               LOST       refused or dropped (hard), no answer in time
                               BARRED     no address, too large

Few lines to a peer are kept and used again; the address that worked is tried first. A kept line may have been closed
at the far end a moment ago: a request that it loses goes once more over a new one, which costs nothing, because a
message that comes twice takes effect once. Answers are matched to requests by the line alone.
"""

import asyncio
import os
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any

from engine.model.channel import Channel, Outcome, Verdict
from engine.model.envelope import CARRIAGE_LIMIT
from engine.transports.base import Arrivals, Target
from engine.transports.http.conversation import Answer
from engine.transports.http.line import Line, Stranger, Trusts, dial
from engine.transports.http.peerport import LOOPBACK, PeerPort
from engine.transports.staggered import Place

# Requests to one peer at one time; more wait. Each is a batch of up to 128 messages, so four keep a peer busy.
LINES = 4

_ENDINGS: dict[int, Outcome] = {
    HTTPStatus.SERVICE_UNAVAILABLE: Outcome(Verdict.REFUSED, "the peer is busy"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Outcome(Verdict.REFUSED, "too large for the peer"),
    HTTPStatus.GATEWAY_TIMEOUT: Outcome(Verdict.LOST, "the peer took it and did not answer"),
}


class _Peer:
    """The lines to one peer."""

    __slots__ = ("busy", "cert", "good", "idle", "turn")

    def __init__(self, cert: bytes):
        self.cert = cert
        self.good: Place | None = None
        self.idle: list[Line] = []
        self.busy: set[Line] = set()
        self.turn = asyncio.Semaphore(LINES)

    def spare(self) -> Line | None:
        """A kept line that still lives."""
        while self.idle:
            if (line := self.idle.pop()).alive:
                return line
        return None

    def hang_up(self) -> None:
        """End all of them."""
        for line in (*self.idle, *self.busy):
            line.hang_up()
        self.idle.clear()


class Http:
    """Channel P2, which asks; `port` is where it answers. `fellow` knows the certificates of present members: one of
    them at another's address sits on a port that this one has left, and is no impostor."""

    channel = Channel.HTTP

    def __init__(self, port: PeerPort, fellow: Trusts = lambda certificate: False):
        self._port, self._fellow = port, fellow
        self._peers: dict[str, _Peer] = {}
        self._closed = False

    def ready(self, target: Target) -> str | None:
        """Why not: nobody knows where the peer listens."""
        return None if any(at.http for at in target.addresses) else "no address known"

    async def listen(self, arrived: Arrivals) -> None:
        """Take deliveries, on loopback unless the port is open already. Raises `FleetError` `node.listen`."""
        self._port.arrived, self._closed = arrived, False
        if not self._port.port:
            await self._port.rebind((LOOPBACK,))

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """POST to the peer; see the module for what each ending means."""
        places = [(at.host, at.http) for at in target.addresses if at.http]
        if not places or self._closed:
            return Outcome(Verdict.BARRED, "closed" if self._closed else "no address known", hard=True)
        if len(data) > CARRIAGE_LIMIT:
            return Outcome(Verdict.BARRED, f"larger than {CARRIAGE_LIMIT >> 20} MiB", hard=True)
        return await _ending(self._post(data, self._peer(target), places), budget_s, self._fellow)

    async def close(self) -> None:
        """Close the port and hang up."""
        self._closed = True
        await self._port.close()
        for peer in self._peers.values():
            peer.hang_up()
        self._peers.clear()

    def _peer(self, target: Target) -> _Peer:
        known = self._peers.get(target.id)
        if known is None or known.cert != target.tls_cert:
            if known is not None:
                known.hang_up()
            known = self._peers[target.id] = _Peer(target.tls_cert)
        return known

    async def _post(self, data: bytes, peer: _Peer, places: list[Place]) -> Answer:
        async with peer.turn:
            if line := peer.spare():
                try:
                    return await _over(peer, line, data)
                except ConnectionError:
                    if self._closed:
                        raise
            if peer.good in places:
                places = [peer.good, *(one for one in places if one != peer.good)]
            line = await dial(places, peer.cert.__eq__)
            peer.good = line.place
            return await _over(peer, line, data)


async def call(places: list[Place], trusts: Trusts, method: str, path: str, body: bytes, budget_s: float) -> Answer:
    """One request to a node that is no peer yet, such as the issuer of an invitation. `trusts` judges the certificate
    it shows, before anything is sent. Raises `Stranger`, `OSError` or `TimeoutError`."""
    async with asyncio.timeout(budget_s):
        line = await dial(places, trusts)
        try:
            return await line.ask(method, path, body)
        finally:
            line.hang_up()


async def _over(peer: _Peer, line: Line, data: bytes) -> Answer:
    peer.busy.add(line)
    try:
        answer = await line.ask("POST", "/deliver", data)
        if line.alive:
            peer.idle.append(line)
        return answer
    finally:
        peer.busy.discard(line)


async def _ending(work: Coroutine[Any, Any, Answer], budget_s: float, fellow: Trusts) -> Outcome:
    try:
        async with asyncio.timeout(budget_s):
            return _read(await work)
    except Stranger as stranger:
        if fellow(stranger.shown):
            return Outcome(Verdict.LOST, "another member answers there", hard=True)
        return Outcome(Verdict.REFUSED, str(stranger), hard=True, pin=True)
    except TimeoutError as error:
        # With a number it is the system's: a line that nothing came over any more, given up before the budget ended.
        return Outcome(Verdict.LOST, _why(error) if error.errno else f"no answer in {budget_s:.3g} s")
    except OSError as error:
        return Outcome(Verdict.LOST, _why(error), hard=True)


def _why(error: OSError) -> str:
    # asyncio puts the address into `strerror`; names that do not resolve have a number of their own, below zero.
    number = error.errno or 0
    return os.strerror(number).lower() if number > 0 else error.strerror or str(error)


def _read(answer: Answer) -> Outcome:
    if answer.status in (HTTPStatus.OK, HTTPStatus.FORBIDDEN):
        # An answer with nothing in it means the same on every channel, whatever it is called here.
        return Outcome(Verdict.CONFIRMED, reply=answer.body if answer.status == HTTPStatus.OK else b"")
    return _ENDINGS.get(answer.status) or Outcome(Verdict.REFUSED, f"the peer said {answer.status}")
