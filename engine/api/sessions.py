"""Sessions over the API (edge): what waits for one, that it has it, and which terminals may be typed into.

Each function takes the node, a URL's parameters or tail, and a body, and returns what is shown; `routes` does the rest.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec

from engine.api import asks
from engine.api.http import Request
from engine.api.node import Node

PAGE = 1_000
# Markers a hook found; more would not fit a transcript's tail.
SHOWN_LIMIT = 1_000


class AllowAsk(msgspec.Struct, frozen=True):
    """`POST /text/allow`. `kind`: tmux, terminal or iterm2. `prompt`: a pattern for an empty prompt (empty: the known
    ones)."""

    session: str
    pane: str
    socket: str = ""
    kind: str = "tmux"
    prompt: str = ""


class SessionAsk(msgspec.Struct, frozen=True):
    """`POST /text/forbid`."""

    session: str


class AcknowledgeAsk(msgspec.Struct, frozen=True):
    """`POST /session/ack`. `row`: as `GET /session/NAME` said it. `how`: who read it. `shown`: markers that stood in
    the session's own prompt or transcript."""

    session: str
    row: int = 0
    how: Literal["inbox", "hook"] = "inbox"
    shown: tuple[str, ...] = ()


async def waiting(node: Node, request: Request, body: bytes) -> Any:
    """`GET /session/NAME?limit&hook&after`."""
    limit, after = asks.number(request.query, "limit", PAGE, 1, PAGE), asks.number(request.query, "after", 0)
    return await node.engine.last_hop.waiting(request.tail, limit, bool(request.query.get("hook")), after)


async def acknowledge(node: Node, request: Request, body: bytes) -> Any:
    ask = asks.read(body, AcknowledgeAsk)
    await node.engine.last_hop.acknowledge(ask.session, ask.row, ask.how, ask.shown[:SHOWN_LIMIT])
    return {}


async def seats(node: Node, request: Request, body: bytes) -> Any:
    return node.engine.last_hop.seats()


async def allow(node: Node, request: Request, body: bytes) -> Any:
    ask = asks.read(body, AllowAsk)
    return await node.engine.last_hop.allow(ask.session, ask.pane, ask.socket, ask.kind, ask.prompt)


async def forbid(node: Node, request: Request, body: bytes) -> Any:
    await node.engine.last_hop.forbid(asks.read(body, SessionAsk).session)
    return node.engine.last_hop.seats()


PATHS: dict[str, dict[str, Callable[[Node, Request, bytes], Awaitable[Any]]]] = {
    "/session/*": {"GET": waiting},
    "/session/ack": {"POST": acknowledge},
    "/text": {"GET": seats},
    "/text/allow": {"POST": allow},
    "/text/forbid": {"POST": forbid},
}
