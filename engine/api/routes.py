"""The answers (edge): one function a path, in one table.

A handler reads what was asked, calls one verb of the engine and shows what came back. It decides nothing: what fits is
`asks`, what the value looks like is `shapes`, and every error leaves through `answered` as
`{"error":{"code","title","detail","next_step","fault"}}`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from engine.api import asks, metrics, shapes, sse, stream
from engine.api.faults import http_status
from engine.api.node import Node
from engine.api.views import ConfigView, DoorsView, PeerView, Reach, Status, Trouble
from engine.clock import SystemClock
from engine.errors import Fault, FleetError
from engine.model.channel import Channel
from engine.model.envelope import Kind
from engine.state import Fleet

log = logging.getLogger("fleet.api")

# A body is local and small; a client that takes longer to hand it over is stuck.
BODY_S = 10.0
INBOX_PAGE = LEDGER_PAGE = 1_000

Handler = Callable[[Node, Request], Awaitable[Response]]


def app(node: Node) -> Starlette:
    """The whole API over one engine, as an ASGI application."""
    routes = [Route(path, answered(node, handler), methods=[method]) for method, path, handler in ROUTES]
    return Starlette(routes=routes, exception_handlers={404: _nothing_there, 405: _wrong_method})


def answered(node: Node, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A handler whose every failure is an answer too."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(node, request)
        except FleetError as error:
            return trouble(error)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:
            log.exception("%s %s failed", request.method, request.url.path)
            what = f"{type(error).__name__} while answering {request.url.path}"
            return trouble(FleetError("internal", "Fleet made a mistake", what, "`fleet log` has it", Fault.OURS))

    return endpoint


def trouble(error: FleetError) -> Response:
    """An error as JSON. What was not read of the request is not waited for: the connection closes."""
    status = http_status(error.code, error.fault)
    return answer(Trouble(error.facts()), status, {"Connection": "close"} if status in (408, 413) else None)


def answer(what: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(what), status, headers, "application/json")


async def body_of(request: Request) -> bytes:
    """The whole body. Raises `FleetError`: `size.request` past the limit, `slow.request` when it takes too long."""
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                found += chunk
                if len(found) > asks.REQUEST_LIMIT:
                    raise FleetError("size.request", "The request is too large", f"at most {asks.REQUEST_LIMIT} bytes")
    except TimeoutError:
        raise FleetError("slow.request", "The request came too slowly", f"more than {BODY_S:g} s") from None
    return bytes(found)


def status_of(node: Node) -> Status:
    """`fleet status`, now."""
    engine, doors = node.engine, DoorsView(node.socket, node.port)
    return shapes.status(engine.fleet, SystemClock().now(), doors, str(engine.home), best_of(node))


def peers_of(node: Node) -> list[PeerView]:
    """`fleet peers`, now."""
    return shapes.peers(node.engine.fleet, SystemClock().now(), best_of(node))


def best_of(node: Node) -> dict[str, Channel]:
    """The channel the next message to each member would take, by name, as the cascade itself has it."""
    try:
        return {name: order[0] for name, order, _ in node.engine.preview("all") if order}
    except FleetError:
        return {}  # nobody to send to


# --- looking ----------------------------------------------------------------------------------------------------------


async def status(node: Node, request: Request) -> Response:
    return answer(status_of(node))


async def peers(node: Node, request: Request) -> Response:
    return answer(peers_of(node))


async def channels(node: Node, request: Request) -> Response:
    only = request.query_params.get("peer", "")
    return answer(shapes.channels(node.engine.fleet, member_id(node.engine.fleet, only) if only else ""))


async def health(node: Node, request: Request) -> Response:
    return answer(shapes.health(node.engine.fleet, SystemClock().now()))


async def prometheus(node: Node, request: Request) -> Response:
    page = metrics.text(node.engine.fleet, SystemClock().now())
    return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")


async def refusals(node: Node, request: Request) -> Response:
    return answer(shapes.refusals(node.engine.fleet))


async def config(node: Node, request: Request) -> Response:
    sections = msgspec.to_builtins(node.engine.fleet.config)
    values = {f"{name}.{key}": value for name, keys in sections.items() for key, value in keys.items()}
    return answer(ConfigView(values, dict(node.origins)))


async def ledger(node: Node, request: Request) -> Response:
    return answer(await node.engine.ledger(asks.number(request.query_params, "limit", LEDGER_PAGE, 1, LEDGER_PAGE)))


async def verify_ledger(node: Node, request: Request) -> Response:
    return answer(await node.engine.verify_ledger())


async def preview(node: Node, request: Request) -> Response:
    params = request.query_params
    reach = node.engine.preview(params.get("to", "all"), asks.kind(params.get("type", Kind.CONTEXT)))
    return answer([Reach(*line) for line in reach])


async def messages(node: Node, request: Request) -> Response:
    query = asks.query(request.query_params)
    if query.peer:
        query = msgspec.structs.replace(query, peer=member_id(node.engine.fleet, query.peer))
    return answer(await node.engine.messages(query))


async def inbox(node: Node, request: Request) -> Response:
    params = request.query_params
    # The newest `limit`, or those next after an id; an id that no letter has stands before the first.
    limit = asks.number(params, "limit", INBOX_PAGE, 1, INBOX_PAGE)
    return answer(await node.engine.inbox(limit, params.get("after", ""), params.get("session", "")))


async def why(node: Node, request: Request) -> Response:
    return answer(await node.engine.story(request.path_params["id"]))


async def body(node: Node, request: Request) -> Response:
    msg_id = request.path_params["id"]
    return answer({"id": msg_id, "body": await node.engine.body(msg_id)})


async def events(node: Node, request: Request) -> Response:
    since = request.headers.get("last-event-id") or request.query_params.get("since")
    after = None if since is None else asks.number({"since": since}, "since", 0)
    feed = sse.feed(node.engine, after, lambda: status_of(node))
    return StreamingResponse(feed, headers={"Cache-Control": "no-store"}, media_type="text/event-stream")


# --- doing ------------------------------------------------------------------------------------------------------------


async def message(node: Node, request: Request) -> Response:
    ask = asks.message(await body_of(request))
    stories = await stream.sent(node.engine, ask)
    if ask.wait is None:
        return answer(_one_or_many(stories), 202)
    waited = await asyncio.gather(*(stream.awaited(node.engine, story, ask.wait, ask.timeout) for story in stories))
    reached = all(not isinstance(found, stream.Unreached) for found in waited)
    return answer(_one_or_many(waited), 200 if reached else 202)


async def message_stream(node: Node, request: Request) -> Response:
    lines = stream.lines(request.stream(), asks.REQUEST_LIMIT)
    found = stream.answers(node.engine, lines)
    return stream.Duplex(found, headers={"Connection": "close"}, media_type="application/x-ndjson")


async def resend(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.ResendAsk)
    await node.engine.resend(ask.id)
    return answer(await node.engine.story(ask.id), 202)


async def invite(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.InviteAsk)
    return answer(await node.engine.invite(ask.role, ask.ttl))


async def join(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.JoinAsk)
    await node.engine.join(ask.code)
    return answer(status_of(node))


async def revoke(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.NameAsk)
    await node.engine.revoke(ask.name)
    return answer(peers_of(node))


async def leave(node: Node, request: Request) -> Response:
    await node.engine.leave()
    return answer(status_of(node))


async def role(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.RoleAsk)
    await node.engine.set_role(ask.name, ask.role)
    return answer(status_of(node))


async def probe(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.ProbeAsk)
    await node.engine.probe(member_id(node.engine.fleet, ask.name), ask.channel)
    return answer({}, 202)


async def check(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.NameAsk)
    return answer(await node.engine.check(member_id(node.engine.fleet, ask.name)))


async def hold(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.HoldAsk)
    found = member_id(node.engine.fleet, ask.name)
    await node.engine.hold(found, ask.channel, ask.held)
    return answer(shapes.channels(node.engine.fleet, found))


async def down(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.DownAsk)
    if not ask.now:
        await node.engine.drain()
    waiting = node.engine.fleet.mail.waiting
    return Response(
        msgspec.json.encode({"pid": node.engine.fleet.me.pid, "waiting": waiting}),
        202,
        media_type="application/json",
        background=BackgroundTask(node.stop, ask.now),
    )


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/status", status),
    ("GET", "/peers", peers),
    ("GET", "/channels", channels),
    ("GET", "/messages", messages),
    ("GET", "/inbox", inbox),
    ("GET", "/why/{id}", why),
    ("GET", "/body/{id}", body),
    ("GET", "/health", health),
    ("GET", "/metrics", prometheus),
    ("GET", "/events", events),
    ("GET", "/refusals", refusals),
    ("GET", "/config", config),
    ("GET", "/preview", preview),
    ("GET", "/ledger", ledger),
    ("GET", "/ledger/verify", verify_ledger),
    ("POST", "/message", message),
    ("POST", "/messages/stream", message_stream),
    ("POST", "/resend", resend),
    ("POST", "/invite", invite),
    ("POST", "/join", join),
    ("POST", "/revoke", revoke),
    ("POST", "/leave", leave),
    ("POST", "/role", role),
    ("POST", "/probe", probe),
    ("POST", "/check", check),
    ("POST", "/hold", hold),
    ("POST", "/down", down),
]


def member_id(fleet: Fleet, name: str) -> str:
    """The id of a member by name or id. Raises `FleetError` `unknown.peer`."""
    member = fleet.roster.named(name) or fleet.member(name)
    if member is None:
        known = ", ".join(sorted(one.name for one in fleet.roster.members if one.present))
        said = f"`{name}`; there are {known}"
        raise FleetError("unknown.peer", "Nobody of that name", said, "`fleet peers` lists them")
    return member.id


def _one_or_many(stories: list[Any]) -> Any:
    return stories[0] if len(stories) == 1 else {"messages": stories}


async def _nothing_there(request: Request, _: Exception) -> Response:
    return trouble(FleetError("unknown.path", "Nothing at this path", request.url.path, "docs/api.md lists the paths"))


async def _wrong_method(request: Request, _: Exception) -> Response:
    said = f"{request.method} {request.url.path}"
    return trouble(FleetError("method.wrong", "Wrong method for this path", said, "docs/api.md lists the paths"))
