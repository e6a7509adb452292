"""The virtual network: what it does to packets is drawn from one seed.

Two carriers with the product's transport contract (`nats`, `http`) and one for datagrams run over links that lose,
delay, duplicate and are cut, in one direction or both. A wall is a link that never was: it stays when cuts heal. `seen`
counts each fault that really happened, so that a test can insist that it did; `sent` counts the frames handed to
channels, by kind; `recording`, while it is a list, keeps every delivery as an eavesdropper would.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import msgspec

from engine.model.channel import Channel, Outcome, Verdict
from engine.transports.base import Arrivals, Target
from engine.wire import frames, peek


class Weather(msgspec.Struct, frozen=True):
    """What links do now. Shares are 0..1, delays seconds. `hard`: a cut is refused at once instead of swallowed."""

    loss: float = 0.0
    duplicate: float = 0.0
    delay_s: tuple[float, float] = (0.0005, 0.003)
    hard: bool = False


class Net:
    """Every link between every pair of nodes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random):
        self.loop, self.random = loop, random
        self.weather = Weather()
        self.seen: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.recording: Sequence[tuple[str, Channel, bytes]] = ()
        self._walls: set[tuple[str, str]] = set()
        self._cut: set[tuple[str, str, str]] = set()
        self._listeners: dict[tuple[str, Channel], Arrivals] = {}
        self._datagrams: dict[int, Callable[[bytes, str, int], None]] = {}
        self._owners: dict[int, str] = {}

    # ---------------------------------------------------------------------------------------------------- faults

    def cut(self, src: str, dst: str, channel: str = "*") -> None:
        """Nothing of `channel` (`*`: of any) gets from `src` to `dst` any more."""
        self._cut.add((src, dst, channel))

    def cut_both(self, one: str, other: str, channel: str = "*") -> None:
        """The same in both directions."""
        self.cut(one, other, channel)
        self.cut(other, one, channel)

    def wall(self, one: str, other: str) -> None:
        """These two have no link at all, and never had."""
        self._walls |= {(one, other), (other, one)}

    def unwall(self) -> None:
        """From now on everybody has a link to everybody."""
        self._walls.clear()

    def walled(self, one: str, other: str) -> bool:
        """Whether there is no link between them."""
        return (one, other) in self._walls

    def heal(self) -> None:
        """All cuts are over."""
        self._cut.clear()

    def is_cut(self, src: str, dst: str, channel: str) -> bool:
        """Whether this direction is cut."""
        return (src, dst, channel) in self._cut or (src, dst, "*") in self._cut or (src, dst) in self._walls

    # ------------------------------------------------------------------------------------------------- listeners

    def listen(self, node: str, channel: Channel, arrived: Arrivals) -> None:
        """`node` takes what comes over `channel`."""
        self._listeners[node, channel] = arrived

    def listen_datagrams(self, port: int, came: Callable[[bytes, str, int], None]) -> None:
        """`port` is the node's one address for gossip."""
        self._datagrams[port] = came

    def own(self, port: int, node: str) -> None:
        """The datagrams to `port` are links to `node`."""
        self._owners[port] = node

    def owner(self, port: int) -> str:
        """Whose port it is."""
        return self._owners.get(port, "")

    def vanish(self, node: str, port: int) -> None:
        """The node is down: nobody listens."""
        for key in [key for key in self._listeners if key[0] == node]:
            del self._listeners[key]
        self._datagrams.pop(port, None)

    # --------------------------------------------------------------------------------------------------- packets

    def datagram(self, src: tuple[str, int], dst: tuple[str, int], data: bytes) -> None:
        """One datagram, possibly lost, late, or twice."""
        for delay in self._ways(src[0], dst[0], "udp"):
            self.loop.call_later(delay, self._arrive, dst[1], data, src[1])

    def _arrive(self, port: int, data: bytes, src_port: int) -> None:
        came = self._datagrams.get(port)
        if came is not None:
            came(data, "127.0.0.1", src_port)

    async def request(self, src: str, target: Target, channel: Channel, data: bytes, budget_s: float) -> Outcome:
        """One request and its reply over one channel."""
        self.count(data)
        if isinstance(self.recording, list):
            self.recording.append((target.id, channel, data))
        if self.weather.hard and self.is_cut(src, target.id, channel):
            self.seen["refused"] += 1
            return Outcome(Verdict.LOST, "connection refused", hard=True)
        answer: asyncio.Future[bytes] = self.loop.create_future()
        for delay in self._ways(src, target.id, channel):
            self.loop.call_later(delay, self._deliver, src, target.id, channel, data, answer)
        try:
            reply = await asyncio.wait_for(answer, budget_s)
        except TimeoutError:
            return Outcome(Verdict.LOST, "no answer")
        except ConnectionRefusedError:
            self.seen["nobody there"] += 1
            return Outcome(Verdict.LOST, "nobody there", hard=True)
        return Outcome(Verdict.CONFIRMED if reply else Verdict.REFUSED, reply=reply)

    def count(self, data: bytes) -> None:
        """These frames were handed to a channel."""
        for frame in frames(data):
            self.sent[peek(frame).kind] += 1

    def replay(self, dst: str, channel: Channel, data: bytes) -> None:
        """What an eavesdropper recorded comes again, to whomever, over whatever; nobody waits for an answer."""
        listener = self._listeners.get((dst, channel))
        if listener is not None:
            listener(data, channel, lambda back: None)

    def _deliver(self, src: str, dst: str, channel: Channel, data: bytes, answer: "asyncio.Future[bytes]") -> None:
        listener = self._listeners.get((dst, channel))
        if listener is None:
            if not answer.done():
                answer.set_exception(ConnectionRefusedError())
            return

        def reply(back: bytes) -> None:
            for delay in self._ways(dst, src, channel)[:1]:
                self.loop.call_later(delay, lambda: None if answer.done() else answer.set_result(back))

        if not listener(data, channel, reply):
            self.seen["busy"] += 1

    def _ways(self, src: str, dst: str, channel: str) -> list[float]:
        """The delays under which copies of one packet arrive: none when it is lost."""
        if self.is_cut(src, dst, channel):
            self.seen["cut"] += 1
            return []
        if self.random.random() < self.weather.loss:
            self.seen["lost"] += 1
            return []
        copies = 1
        if self.random.random() < self.weather.duplicate:
            self.seen["duplicated"] += 1
            copies = 2
        return [self.random.uniform(*self.weather.delay_s) for _ in range(copies)]


class SimTransport:
    """A channel of the virtual network under the product's transport contract."""

    def __init__(self, net: Net, me: str, channel: Channel):
        self.channel = channel
        self._net, self._me = net, me

    def ready(self, target: Target) -> str | None:
        """A link always exists; what it does is another question."""
        return None

    async def listen(self, arrived: Arrivals) -> None:
        """Take what comes from now on."""
        self._net.listen(self._me, self.channel, arrived)

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """One request over the virtual network."""
        return await self._net.request(self._me, target, self.channel, data, budget_s)

    async def close(self) -> None:
        """Nothing to close."""
