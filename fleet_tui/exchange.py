"""The engine as the screens ask it: one peer a message, every verb awaited.

The engine sends to groups and answers with a story each; a screen names one peer and wants one story. Where the two
say the same, the verb is handed on as it is.
"""

from collections.abc import Sequence
from typing import Any

from engine.engine import Engine
from engine.model.channel import Channel
from engine.model.envelope import Kind, Urgency
from engine.model.roster import Role
from engine.model.story import Invite, Letter, Page, Query, Story
from engine.state import Fleet
from screens.desk import Reach


class Exchange:
    """`screens.desk.Engine` over the engine. Every verb runs on the engine's loop and raises `FleetError`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def fleet(self) -> Fleet:
        """The newest durable value; from any thread."""
        return self._engine.fleet

    async def send(
        self,
        to: str,
        body: str,
        *,
        kind: Kind = Kind.CONTEXT,
        via: Channel | None = None,
        widened: bool = False,
        ttl_s: int | None = None,
        urgency: Urgency | None = None,
    ) -> Story:
        """A message to one peer."""
        stories = await self._engine.send(to, body, kind=kind, via=via, widened=widened, ttl_s=ttl_s, urgency=urgency)
        return stories[0]

    async def preview(self, to: str) -> Sequence[Reach]:
        """Whom a message would reach."""
        return self._engine.preview(to)

    async def story(self, msg_id: str) -> Story:
        """Where a message of ours is."""
        return await self._engine.story(msg_id)

    async def resend(self, msg_id: str) -> Story:
        """Try a waiting message now."""
        return await self._engine.resend(msg_id)

    async def messages(self, query: Query) -> Page:
        """A page of the log."""
        return await self._engine.messages(query)

    async def body(self, msg_id: str) -> str:
        """What a message says."""
        return await self._engine.body(msg_id)

    async def inbox(self) -> Sequence[Letter]:
        """The newest letters."""
        return await self._engine.inbox()

    async def invite(self, role: str = Role.WORKER.value, ttl_s: int = 900) -> Invite:
        """A single-use code."""
        return await self._engine.invite(Role(role), ttl_s)

    async def join(self, code: str) -> None:
        """Enter the fleet whose code this is."""
        await self._engine.join(code)

    async def revoke(self, name: str) -> None:
        """Put a member out."""
        await self._engine.revoke(name)

    async def leave(self) -> None:
        """Be a fleet of one again."""
        await self._engine.leave()

    async def probe(self, peer_id: str, channel: Channel | None = None) -> None:
        """Ask for a round trip."""
        await self._engine.probe(peer_id, channel)

    async def hold(self, peer_id: str, channel: Channel, held: bool) -> None:
        """Keep a channel out of the cascade, or let it back in."""
        await self._engine.hold(peer_id, channel, held)

    async def check(self, peer_id: str) -> dict[str, Any]:
        """A round trip on every channel."""
        return await self._engine.check(peer_id)
