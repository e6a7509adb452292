"""What the API needs of the engine (edge): its verbs, its value and its bus, and nothing behind them.

Everything here is called on the engine's own loop, which is also the API's.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from engine.model.channel import Channel
from engine.model.envelope import Kind, Rung, Urgency
from engine.model.event import Event
from engine.model.roster import Role
from engine.model.story import Invite, Letter, Page, Query, Story
from engine.state import Fleet


class Bus(Protocol):
    """Events with their numbers, `last` the newest; a reader that is too slow gets the latest only."""

    last: int

    def subscribe(self, after: int | None = None) -> AbstractAsyncContextManager[AsyncIterator[tuple[int, Event]]]: ...


class Face(Protocol):
    """The engine as a face sees it. Every verb raises `FleetError`."""

    home: Path
    bus: Bus
    token: str

    @property
    def fleet(self) -> Fleet: ...

    async def send(
        self,
        to: str,
        body: str,
        *,
        kind: Kind,
        via: Channel | None,
        widened: bool,
        ttl_s: int | None,
        urgency: Urgency | None,
        thread: str,
    ) -> list[Story]: ...
    async def wait(self, msg_id: str, rung: Rung, timeout_s: float) -> Story: ...
    async def story(self, msg_id: str) -> Story: ...
    async def resend(self, msg_id: str) -> Story: ...
    async def body(self, msg_id: str) -> str: ...
    async def messages(self, query: Query) -> Page: ...
    async def inbox(self, limit: int, after: str, session: str) -> list[Letter]: ...
    async def invite(self, role: Role, ttl_s: int) -> Invite: ...
    async def join(self, code: str) -> None: ...
    async def revoke(self, name: str) -> None: ...
    async def leave(self) -> None: ...
    async def set_role(self, name: str, role: Role) -> None: ...
    async def probe(self, peer: str, channel: Channel | None) -> None: ...
    async def check(self, peer: str) -> dict[str, dict[str, object]]: ...
    async def hold(self, peer: str, channel: Channel, held: bool) -> None: ...
    def preview(self, to: str, kind: Kind = Kind.CONTEXT) -> list[tuple[str, tuple[Channel, ...], str]]: ...
    async def drain(self) -> None: ...
    def request_stop(self) -> None: ...


class Node(msgspec.Struct, frozen=True):
    """What every answer is made from: the engine, where the API listens, and where each setting came from."""

    engine: Face
    socket: str
    port: int | None
    origins: dict[str, str]
