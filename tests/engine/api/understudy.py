"""An engine that remembers and does nothing, so that the API's doors can be tried without a fleet behind them."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

from immutables import Map

from engine.api.client import Client
from engine.api.server import Server
from engine.bus import Bus
from engine.config import Config
from engine.errors import FleetError
from engine.model.channel import Channel, ChannelHealth, ChannelState
from engine.model.envelope import Kind, Rung
from engine.model.event import Event
from engine.model.peer import Peer, Standing
from engine.model.roster import Bundle, Member, Role, Roster
from engine.model.story import Invite, Letter, Line, Page, Query, Story
from engine.state import Broker, Fleet, Me

BUNDLE = Bundle(b"", b"", b"", "", b"")


def member(name: str, **facts: Any) -> Member:
    return Member(f"id-{name}", name, BUNDLE, **facts)


def fleet(**facts: Any) -> Fleet:
    """atlas, which answers, with birch alive over two channels and cedar gone."""
    members = (member("atlas", role=Role.CHIEF), member("birch"), member("cedar", left_ms=5))
    given: dict[str, Any] = {
        "me": Me("id-atlas", "atlas", 1, "0.1.0", pid=7, started_mono=100.0),
        "config": Config(),
        "roster": Roster("fleet-1", "home", 3, 0, members),
        "peers": Map({"id-birch": Peer("id-birch", Standing.ALIVE, heard_mono=118.5, heard_ms=1)}),
        "channels": Map(
            {
                ("id-birch", Channel.NATS): ChannelHealth(ChannelState.HEALTHY, latencies=(1.0, 2.0, 9.0)),
                ("id-birch", Channel.HTTP): ChannelHealth(ChannelState.BROKEN, reason="refused", fails=(1.0, 2.0)),
            }
        ),
        "broker": Broker("up", 8, "nats://127.0.0.1:4222"),
    }
    return Fleet(**(given | facts))


class Heard(Bus):
    """The real bus, which tells a test when somebody listens."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Event()

    @asynccontextmanager
    async def subscribe(self, after: int | None = None) -> AsyncIterator[AsyncIterator[tuple[int, Event]]]:
        async with super().subscribe(after) as events:
            self.came.set()
            yield events


class Understudy:
    """Every verb is noted in `asked`; messages to birch arrive at once, to anyone else never."""

    token = "open-sesame"

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bus = Heard()
        self.fleet = fleet()
        self.asked: list[tuple[Any, ...]] = []
        self.stories: dict[str, Story] = {}
        self.stopped = threading.Event()

    async def send(self, to: str, body: str, *, kind: Kind, **how: Any) -> list[Story]:
        if to == "nobody":
            raise FleetError("unknown.recipient", "Nobody of that name", to, "`fleet peers` lists them")
        names = ["birch", "cedar"] if to == "all" else [to]
        made = [Story(f"m{len(self.stories) + n}", name, kind, Rung.ACCEPTED, None, ()) for n, name in enumerate(names)]
        self.stories |= {story.id: story for story in made}
        self.asked.append(("send", to, body, how))
        return made

    async def wait(self, msg_id: str, rung: Rung, timeout_s: float) -> Story:
        story = self.stories[msg_id]
        if story.to != "birch":
            raise FleetError("timeout.rung", "Not there yet", f"it is {story.rung}", "`fleet why` tells more")
        return Story(story.id, story.to, story.kind, rung, Channel.NATS, ())

    async def story(self, msg_id: str) -> Story:
        if msg_id not in self.stories:
            raise FleetError("unknown.message", "No such message", msg_id)
        return self.stories[msg_id]

    async def body(self, msg_id: str) -> str:
        return f"the body of {msg_id}"

    async def messages(self, query: Query) -> Page:
        self.asked.append(("messages", query))
        left = 25 - query.before if query.before else 0
        rows = tuple(range(left, min(left + query.limit, 25)))
        lines = tuple(Line(f"m{row}", "out", "birch", Kind.CONTEXT, Rung.ACCEPTED, None, row) for row in rows)
        return Page(lines, rows, 25, 25 - rows[-1] - 1 if rows and rows[-1] < 24 else 0)

    async def inbox(self, limit: int, after: str, session: str) -> list[Letter]:
        return [] if after == "m1" else [Letter("m1", "birch", Kind.CONTEXT, "hello", 5)]

    async def invite(self, role: Role, ttl_s: int) -> Invite:
        return Invite(f"{role}-code", ttl_s)

    async def check(self, peer: str) -> dict[str, dict[str, object]]:
        return {"nats": {"state": "HEALTHY", "outcome": "confirmed", "ms": 1.0, "reason": ""}}

    async def resend(self, msg_id: str) -> Story:
        return await self.story(msg_id)

    async def join(self, code: str) -> None:
        self.asked.append(("join", code))

    async def revoke(self, name: str) -> None:
        raise RuntimeError("a mistake of ours")

    async def leave(self) -> None:
        self.asked.append(("leave",))

    async def set_role(self, name: str, role: Role) -> None:
        self.asked.append(("role", name, role))

    async def probe(self, peer: str, channel: Channel | None) -> None:
        self.asked.append(("probe", peer, channel))

    async def hold(self, peer: str, channel: Channel, held: bool) -> None:
        self.asked.append(("hold", peer, channel, held))

    def preview(self, to: str, kind: Kind = Kind.CONTEXT) -> list[tuple[str, tuple[Channel, ...], str]]:
        return [("birch", (Channel.NATS, Channel.HTTP), "")]

    async def drain(self) -> None:
        self.asked.append(("drain",))

    def request_stop(self) -> None:
        self.stopped.set()


class Stage:
    """A running API over an understudy. `run` calls something on its loop."""

    def __init__(self, engine: Understudy, server: Server, loop: asyncio.AbstractEventLoop, path: Path) -> None:
        self.engine, self.server, self.loop, self.path = engine, server, loop, path
        self.client = Client(path)

    def publish(self, event: Event) -> None:
        self.loop.call_soon_threadsafe(self.engine.bus.publish, event)


@contextmanager
def stage(tcp_port: int | None = None) -> Iterator[Stage]:
    """The API on a socket in a home of its own, on a loop in a thread of its own."""
    home = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    engine = Understudy(home)
    path = home / "run" / "api.sock"
    path.parent.mkdir(mode=0o700)
    server = Server(cast(Any, engine), path, tcp_port, {"node.name": "default"})
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        yield Stage(engine, server, loop, path)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        shutil.rmtree(home)
