"""What the rooms may ask of the program around them, and what the program asks of the engine.

Rooms know neither the app nor the engine: they see a `Desk`. It holds the newest frozen value, the clock, and one way
to ask the engine for a verb; the answer comes back on the screen's own thread. With no engine behind it (a picture of
a fleet), a verb is answered with that reason.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import tzinfo
from typing import Any, Protocol, TypeVar

from engine.errors import FleetError
from engine.model.channel import Channel
from engine.model.envelope import Kind, Urgency
from engine.model.moment import Moment
from engine.model.repair import Ran, Repair
from engine.model.roster import Role
from engine.model.story import Group, Invite, Left, Letters, Page, Query, Story
from engine.model.suggestion import Suggestion
from engine.model.wayside import Woken
from engine.state import Fleet

Answer = TypeVar("Answer")

# Whom a message would reach, by name, over which channels in which order, or why not now.
Reach = tuple[str, tuple[Channel, ...], str]


class Engine(Protocol):
    """The engine's verbs. They run on its own thread and loop; `fleet` may be read, and `preview` asked, from any."""

    @property
    def fleet(self) -> Fleet: ...

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
    ) -> list[Story]: ...

    def preview(self, to: str, kind: Kind = Kind.CONTEXT) -> list[Reach]: ...

    async def story(self, msg_id: str) -> Story: ...

    async def group(self, name: str) -> Group | None: ...

    async def resend(self, msg_id: str) -> Story: ...

    async def messages(self, query: Query) -> Page: ...

    async def body(self, msg_id: str) -> str: ...

    async def inbox(self) -> Letters: ...

    async def invite(self, role: Role = Role.WORKER, ttl_s: int = 900) -> Invite: ...

    async def invited(self, code: str) -> str: ...

    async def join(self, code: str) -> object: ...

    async def revoke(self, name: str) -> object: ...

    async def leave(self) -> Left: ...

    async def hold(self, peer: str, channel: Channel, held: bool) -> object: ...

    async def check(self, peer: str, channel: Channel | None = None) -> dict[str, Any]: ...

    async def repair(self, peer: str, channel: Channel | None = None, level: int = 1) -> Repair: ...

    async def approve(self, peer: str, channel: Channel | None, shown: str) -> Sequence[Ran]: ...

    async def examine(self, size: tuple[int, int]) -> object: ...

    async def fix(self, code: str, subject: str = "") -> str: ...

    async def onboarded(self, peer: str = "") -> object: ...

    async def wake(self, peer: str, wait_s: float = 60.0) -> Woken: ...

    async def discover(self, seconds: float = 2.0) -> list[Suggestion]: ...


class Desk(Protocol):
    """The program as the rooms see it."""

    fleet: Fleet
    readonly: bool
    zone: tzinfo | None
    # What was open when the control room ended last, by room.
    kept: dict[str, Any]
    # What was written and not sent yet, by whom it is to: its kind and the words.
    drafts: dict[str, tuple[str, str]]

    def moment(self) -> Moment:
        """This moment, on the clock the program was given."""
        ...

    def plan(self, peer: str) -> tuple[Channel, ...]:
        """The order in which the next message's channels would be tried; empty where nobody knows."""
        ...

    def ask(
        self,
        owner: object,
        question: Callable[[Engine], Awaitable[Answer]],
        then: Callable[[Answer], None],
        failed: Callable[[FleetError], None] | None = None,
    ) -> None:
        """Ask the engine; `then` or `failed` follows on the screen's thread, unless `owner` is gone by then."""
        ...

    def note(self, text: str, ink: str = "dim") -> None:
        """Say one line to the person."""
        ...

    def perform(self, verb: str) -> None:
        """Do what a key stands for, or say why it cannot be done."""
        ...

    def copy(self, text: str, what: str) -> None:
        """Put `text` on the clipboard and say that `what` is there."""
        ...

    def show_peer(self, room: str, peer: str, channel: Channel | None = None) -> None:
        """Go to a room with the cursor on this peer."""
        ...
