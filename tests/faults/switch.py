"""The second fabric: an Ethernet switch in this process, with a cable (a TAP device) into each place.

One thread reads all cables. What it does to a frame is drawn from one seed: lost, late (so that later ones overtake
it), doubled; and what is cut is looked up by link, protocol and port. The kernel of the places does the rest, so TCP
is the real TCP. `seen` counts what befell frames, so that a test can insist that its fault really happened.
"""

import fcntl
import heapq
import os
import selectors
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from random import Random
from typing import NamedTuple

from tests.e2e.until import until
from tests.faults.cuts import Cut
from tests.faults.places import Place

TUN = "/dev/net/tun"
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME = 65_536
IPV4 = b"\x08\x00"
PROTOCOLS = {6: "tcp", 17: "udp"}
# A switch has buffers, not a warehouse: beyond so many frames under way it drops, as any other.
ROOM = 20_000


class Weather(NamedTuple):
    """What befalls each frame. Shares are 0..1; a frame takes `delay_s` and up to `jitter_s` more, each its own.
    `copies`: how often a frame that is doubled arrives in all."""

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    duplicate: float = 0.0
    copies: int = 2


CLEAR = Weather()


class Switch:
    """The switch. `weather` may be changed at any time."""

    def __init__(self, seed: int) -> None:
        self.seed, self.weather = seed, CLEAR
        self.seen: Counter[str] = Counter()
        self._random = Random(seed)
        self._cuts: list[Cut] = []
        self._cables: dict[int, Place] = {}
        self._ports: dict[bytes, int] = {}
        self._late: list[tuple[float, int, int, bytes]] = []
        self._order = count()
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._run, name="switch", daemon=True)

    def __repr__(self) -> str:
        return f"switch with seed {self.seed}, which saw {dict(self.seen)}"

    def lay(self, places: Sequence[Place]) -> None:
        """A cable into each place, and the thread."""
        for place in places:
            cable = place.within(_tap)
            self._cables[cable] = place
            self._ports[bytes.fromhex(place.mac.replace(":", ""))] = cable
            place.name_device()
        self._thread.start()
        until(lambda: all(place.up() for place in places), "the cables to carry")

    @contextmanager
    def cut(self, cut: Cut) -> Iterator[None]:
        """Cut inside the `with`, in silence: a switch resets nobody."""
        assert cut.how == "drop"
        self._cuts = [*self._cuts, cut]
        try:
            yield
        finally:
            self._cuts = [one for one in self._cuts if one is not cut]

    @contextmanager
    def under(self, weather: Weather) -> Iterator[None]:
        """This weather inside the `with`."""
        before, self.weather = self.weather, weather
        try:
            yield
        finally:
            self.weather = before

    def clear(self) -> None:
        """End the thread and pull every cable."""
        os.close(self._stopped)
        if self._thread.is_alive():
            self._thread.join(10)
        for one in (self._stop, *self._cables):
            os.close(one)

    # -------------------------------------------------------------------------------------------------- its thread

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for one in (self._stop, *self._cables):
                selector.register(one, selectors.EVENT_READ)
            while True:
                ready = [key.fd for key, _ in selector.select(self._patience())]
                if self._stop in ready:
                    return
                for cable in ready:
                    self._read(cable)
                self._send_due()

    def _patience(self) -> float | None:
        return max(0.0, self._late[0][0] - time.monotonic()) if self._late else None

    def _read(self, cable: int) -> None:
        while True:
            try:
                frame = os.read(cable, FRAME)
            except BlockingIOError:
                return
            to = self._ports.get(frame[:6])
            for other in [to] if to is not None else [one for one in self._cables if one != cable]:
                if other != cable:
                    self._carry(cable, other, frame)

    def _carry(self, frm: int, to: int, frame: bytes) -> None:
        weather, random = self.weather, self._random
        if self._is_cut(self._cables[frm], self._cables[to], frame):
            self.seen["cut"] += 1
            return
        if (weather.loss and random.random() < weather.loss) or len(self._late) > ROOM:
            self.seen["lost"] += 1
            return
        copies = 1
        if weather.duplicate and random.random() < weather.duplicate:
            self.seen["doubled"] += 1
            copies = weather.copies
        for _ in range(copies):
            late_s = weather.delay_s + (random.random() * weather.jitter_s if weather.jitter_s else 0.0)
            self.seen["carried"] += 1
            if late_s:
                heapq.heappush(self._late, (time.monotonic() + late_s, next(self._order), to, frame))
            else:
                _write(to, frame)

    def _send_due(self) -> None:
        now, newest = time.monotonic(), -1
        while self._late and self._late[0][0] <= now:
            _, number, to, frame = heapq.heappop(self._late)
            self.seen["overtaken"] += number < newest
            newest = max(newest, number)
            _write(to, frame)

    def _is_cut(self, src: Place, dst: Place, frame: bytes) -> bool:
        rules = [rule for cut in self._cuts for rule in cut.rules if rule.src is src and rule.dst is dst]
        if not rules:
            return False
        protocol, sport, dport = _header(frame)
        # Who has which hardware address is told even over a link that is cut: a cut is of packets, not of frames.
        return protocol != "arp" and any(rule.matches(protocol, sport, dport) for rule in rules)


def _header(frame: bytes) -> tuple[str, int, int]:
    if frame[12:14] != IPV4:
        return "arp", 0, 0
    protocol = PROTOCOLS.get(frame[23], "")
    at = 14 + (frame[14] & 0x0F) * 4
    sport, dport = struct.unpack_from("!HH", frame, at) if protocol and len(frame) >= at + 4 else (0, 0)
    return protocol, sport, dport


def _write(cable: int, frame: bytes) -> None:
    # A place whose cable is full, or whose device is down, drops it: that is what a network does.
    with suppress(OSError):
        os.write(cable, frame)


def _tap() -> int:
    cable = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    name = b"lan".ljust(16, b"\0")
    fcntl.ioctl(cable, TUNSETIFF, struct.pack("16sH22x", name, IFF_TAP | IFF_NO_PI))
    return cable
