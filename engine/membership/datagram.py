"""The gossip socket: datagrams in and out, each with the fleet's tag (edge).

A datagram whose tag no key of the fleet made costs one hash and is counted. At most `BURST` are taken between two looks
at the rest of the loop, so a flood cannot starve the mail. A second bind keeps the port: peers know it.
"""

import asyncio
import socket
from collections.abc import Callable

from engine.errors import Fault, FleetError
from engine.security.gossip import DATAGRAM_LIMIT, GossipSeal
from engine.signals import DatagramCame, Rejected, Signal

BURST = 64
PORTS_TRIED = 64


class Datagrams:
    """One UDP socket. `port` is 0 until it is bound."""

    def __init__(self, seal: GossipSeal, heard: Callable[[Signal], None]):
        self._seal, self._heard = seal, heard
        self._socket: socket.socket | None = None
        self.port = 0

    def trust(self, seal: GossipSeal) -> None:
        """Tag with, and accept, other keys from now on."""
        self._seal = seal

    async def bind(self, host: str, port: int) -> None:
        """Listen on `port` or the next free one. Raises `FleetError` `node.gossip` when none can be had."""
        self.close()
        for wanted in (*range(port, port + PORTS_TRIED if port else 0), 0):
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            opened.setblocking(False)
            try:
                opened.bind((host, wanted))
            except OSError as error:
                opened.close()
                why = str(error)
                continue
            self._socket, self.port = opened, opened.getsockname()[1]
            asyncio.get_running_loop().add_reader(opened, self._readable)
            return
        raise FleetError(
            "node.gossip", "The gossip socket cannot be opened", f"{host}: {why}", "set net.listen", Fault.WORLD
        )

    def send(self, host: str, port: int, packet: bytes) -> None:
        """Send one packet; a datagram that cannot leave is a lost datagram."""
        if self._socket is None or not port:
            return
        try:
            self._socket.sendto(self._seal.wrap(packet), (host, port))
        except (OSError, FleetError):
            return

    def close(self) -> None:
        """Stop listening; idempotent."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _readable(self) -> None:
        for _ in range(BURST):
            if self._socket is None:
                return
            try:
                data, (host, port) = self._socket.recvfrom(DATAGRAM_LIMIT + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue
            packet = self._seal.unwrap(data)
            self._heard(Rejected("tampered", None) if packet is None else DatagramCame(packet, host, port))
