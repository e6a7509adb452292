"""The gossip socket: datagrams in and out, each with the fleet's tag (edge).

A datagram whose tag no key of the fleet made costs one hash, and is told with the others of its tenth of a second. A
flood costs a bounded share of the core: at most `BURST` datagrams are taken between two looks at the rest of the loop,
and after so many in a tenth of a second the socket is left alone until the next, while the kernel drops. What is lost
then, TCP answers for.

A second bind keeps the port, because peers know it. Names are resolved beside the loop, never in it; until that is done
a packet to a name is a lost packet.
"""

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address

from engine.errors import Fault, FleetError
from engine.security.gossip import DATAGRAM_LIMIT, GossipSeal
from engine.signals import DatagramCame, Rejected, Signal

BURST = 64
PORTS_TRIED = 64
# A port of our own is asked for so often, so far apart, before it is given up.
REGAINED, REGAIN_S = 10, 0.02
# Limits of one window. A bad packet costs about 5 µs, so 20,000 a second are a tenth of a core; a good one is a turn of
# the engine, about 60 µs, and a fleet of a thousand sends ten a second: more than 2,000 are recordings.
WINDOW_S = 0.1
BAD_A_WINDOW = 2_000
GOOD_A_WINDOW = 200
# How long a resolved name is believed, and how many are kept.
NAME_S = 60.0
NAMES_LIMIT = 1_024
_MAPPED = "::ffff:"


class Datagrams:
    """One UDP socket. `port` is 0 until it is bound."""

    def __init__(self, seal: GossipSeal, heard: Callable[[Signal], None]):
        self._seal, self._heard = seal, heard
        self._socket: socket.socket | None = None
        self._window_ends, self._good, self._bad, self._untold = 0.0, 0, 0, 0
        self._names: dict[str, tuple[str, float]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.port = 0

    def trust(self, seal: GossipSeal) -> None:
        """Tag with, and accept, other keys from now on."""
        self._seal = seal

    async def bind(self, host: str, port: int) -> None:
        """Listen on `port` or the next free one. Raises `FleetError` `node.gossip` when none can be had."""
        self.close()
        held = [port] * REGAINED if port and port == self.port else []
        for wanted in (*held, *range(port, min(port + PORTS_TRIED, 65_536) if port else 0), 0):
            try:
                self._socket = _opened(host, wanted)
            except OSError as error:
                why = str(error)
                # A program that is being started has a copy of it for a moment more.
                await asyncio.sleep(REGAIN_S if held and wanted == port else 0)
                continue
            self.port = self._socket.getsockname()[1]
            asyncio.get_running_loop().add_reader(self._socket, self._readable)
            return
        step = "set net.listen to an address of this machine"
        raise FleetError("node.gossip", "The gossip socket cannot be opened", f"{host}: {why}", step, Fault.WORLD)

    def close(self) -> None:
        """Stop listening; idempotent."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._asking.values():
            task.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    # -------------------------------------------------------------------------------------------------------- out

    def send(self, host: str, port: int, packet: bytes) -> None:
        """Send one packet; a datagram that cannot leave is a lost datagram."""
        address = self._address(host)
        if self._socket is None or not port or address is None:
            return
        if self._socket.family == socket.AF_INET6 and ":" not in address:
            address = _MAPPED + address
        try:
            self._socket.sendto(self._seal.wrap(packet), (address, port))
        except (OSError, FleetError):
            return

    def _address(self, host: str) -> str | None:
        """The numeric address of `host`; None while it is being asked for."""
        now = asyncio.get_running_loop().time()
        known = self._names.get(host)
        if known is not None and known[1] > now:
            return known[0]
        if _numeric(host):
            self._keep(host, host, float("inf"))
            return host
        if host not in self._asking:
            task = asyncio.get_running_loop().create_task(self._resolve(host))
            self._asking[host] = task
            task.add_done_callback(lambda _: self._asking.pop(host, None))
        return known[0] if known is not None else None

    async def _resolve(self, host: str) -> None:
        loop = asyncio.get_running_loop()
        family = self._socket.family if self._socket else socket.AF_INET
        try:
            found = await loop.getaddrinfo(host, None, family=family, type=socket.SOCK_DGRAM, flags=socket.AI_V4MAPPED)
        except (OSError, UnicodeError):
            return
        self._keep(host, str(found[0][4][0]), loop.time() + NAME_S)

    def _keep(self, host: str, address: str, until: float) -> None:
        if len(self._names) >= NAMES_LIMIT:
            self._names.clear()
        self._names[host] = (address, until)

    # --------------------------------------------------------------------------------------------------------- in

    def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._window_ends:
            self._window_ends, self._good, self._bad = loop.time() + WINDOW_S, 0, 0
        for _ in range(BURST):
            if self._socket is None or self._flooded():
                return
            try:
                data, source = self._socket.recvfrom(DATAGRAM_LIMIT + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # An ICMP error about something we sent; the next datagram is waiting behind it.
                continue
            self._take(data, source[0], source[1])

    def _take(self, data: bytes, host: str, port: int) -> None:
        packet = self._seal.unwrap(data)
        if packet is not None:
            self._good += 1
            self._heard(DatagramCame(packet, host.removeprefix(_MAPPED), port))
            return
        if not self._untold:
            self._timers["tell"] = asyncio.get_running_loop().call_at(self._window_ends, self._tell)
        self._bad += 1
        self._untold += 1

    def _tell(self) -> None:
        refused, self._untold = self._untold, 0
        self._heard(Rejected("tampered", None, count=refused))

    def _flooded(self) -> bool:
        """Whether this window's share is used up; then nothing is read before the next."""
        if self._bad < BAD_A_WINDOW and self._good < GOOD_A_WINDOW:
            return False
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)  # type: ignore[arg-type]
        self._timers["resume"] = loop.call_at(self._window_ends, self._resume)
        return True

    def _resume(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._readable)


def _opened(host: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        if opened.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        opened.bind((host, port))
    except OSError:
        opened.close()
        raise
    return opened


def _numeric(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
