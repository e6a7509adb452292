"""The answers (edge): one function a path and method, and `ROUTES`, which has them all (those of `sessions` too).

A handler reads what was asked, calls one verb of the engine and shows what came back. It decides nothing: what fits is
`asks`, what the value looks like is `shapes`, and every error leaves through `answered` as
`{"error":{"code","title","detail","next_step","fault"}}`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from engine.api import asks, clinic, metrics, repair_shapes, sessions, shapes, sse, stream
from engine.api.faults import trouble
from engine.api.http import Gone, Handler, Request, Response
from engine.api.node import Node
from engine.api.views import ConfigView, Departed, DoorsView, PeerView, Reach, Status
from engine.clock import SystemClock
from engine.errors import Fault, FleetError
from engine.model.channel import Channel
from engine.model.envelope import Kind
from engine.model.roster import ALL
from engine.state import Fleet

log = logging.getLogger("fleet.api")

# A body is local and small; a client that takes longer to hand it over is stuck.
BODY_S = 10.0
INBOX_PAGE = LEDGER_PAGE = 1_000

Verb = Callable[[Node, Request], Awaitable[Response]]


def app(node: Node) -> Handler:
    """The whole API over one engine. Its every failure is an answer too."""

    async def answered(request: Request) -> Response:
        try:
            return await _verb(request)(node, request)
        except FleetError as error:
            return trouble(error)
        except Gone:
            raise
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            what = f"{type(error).__name__} while answering {request.path}"
            return trouble(FleetError("internal", "Fleet made a mistake", what, "`fleet log` has it", Fault.OURS))

    return answered


def _verb(request: Request) -> Verb:
    """What answers a request. Raises `FleetError` `unknown.path` or `method.wrong`."""
    exact, starred = request.route()
    methods = ROUTES.get(exact) or ROUTES.get(starred)
    if methods is None:
        raise FleetError("unknown.path", "Nothing at this path", request.path, "docs/api.md lists the paths")
    if request.method not in methods:
        said = f"{request.method} {request.path}; it takes {', '.join(methods)}"
        raise FleetError("method.wrong", "Wrong method for this path", said, "docs/api.md lists the paths")
    return methods[request.method]


def answer(what: Any, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(status, body=msgspec.json.encode(what))


async def body_of(request: Request) -> bytes:
    """The whole body. Raises `FleetError`: `size.request` past the limit, as soon as that is known, `slow.request` when
    it takes too long."""
    found, said = bytearray(), f"at most {asks.REQUEST_LIMIT} bytes"
    large = FleetError("size.request", "The request is too large", said, "send a link or a path instead")
    if request.length > asks.REQUEST_LIMIT:
        raise large
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.body:
                found += chunk
                if len(found) > asks.REQUEST_LIMIT:
                    raise large
    except TimeoutError:
        said = f"more than {BODY_S:g} s"
        raise FleetError("slow.request", "The request came too slowly", said, "send it in one piece") from None
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
        return {name: order[0] for name, order, _ in node.engine.preview(ALL) if order}
    except FleetError:
        return {}  # nobody to send to


# --- looking ----------------------------------------------------------------------------------------------------------


async def status(node: Node, request: Request) -> Response:
    return answer(status_of(node))


async def peers(node: Node, request: Request) -> Response:
    return answer(peers_of(node))


async def channels(node: Node, request: Request) -> Response:
    only = request.query.get("peer", "")
    found = member_id(node.engine.fleet, only) if only else ""
    return answer(shapes.channels(node.engine.fleet, SystemClock().now(), found))


async def health(node: Node, request: Request) -> Response:
    return answer(shapes.health(node.engine.fleet, SystemClock().now()))


async def prometheus(node: Node, request: Request) -> Response:
    page = metrics.text(node.engine.fleet, SystemClock().now())
    return Response(type="text/plain; version=0.0.4; charset=utf-8", body=page.encode())


async def refusals(node: Node, request: Request) -> Response:
    return answer(shapes.refusals(node.engine.fleet))


async def config(node: Node, request: Request) -> Response:
    sections = msgspec.to_builtins(node.engine.fleet.config)
    values = {f"{name}.{key}": value for name, keys in sections.items() for key, value in keys.items()}
    return answer(ConfigView(values, dict(node.origins)))


async def ledger(node: Node, request: Request) -> Response:
    return answer(await node.engine.ledger(asks.number(request.query, "limit", LEDGER_PAGE, 1, LEDGER_PAGE)))


async def verify_ledger(node: Node, request: Request) -> Response:
    return answer(await node.engine.verify_ledger())


async def preview(node: Node, request: Request) -> Response:
    params = request.query
    kind, via = asks.kind(params.get("type", Kind.CONTEXT)), asks.channel(params.get("via", ""))
    reach = node.engine.preview(params.get("to", ALL), kind, via, "any" in params)
    return answer([Reach(*line) for line in reach])


async def messages(node: Node, request: Request) -> Response:
    query = asks.query(request.query)
    if query.peer:
        query = msgspec.structs.replace(query, peer=member_id(node.engine.fleet, query.peer))
    return answer(await node.engine.messages(query))


async def inbox(node: Node, request: Request) -> Response:
    params = request.query
    # The newest `limit`, those next after an id, or those last before one; `0` stands before the first.
    limit = asks.number(params, "limit", INBOX_PAGE, 1, INBOX_PAGE)
    after, session, before = (params.get(name, "") for name in ("after", "session", "before"))
    page = await node.engine.inbox(limit, after, session, before)
    return msgspec.structs.replace(answer(page.letters), link=shapes.inbox_link(page, params, limit))


async def why(node: Node, request: Request) -> Response:
    return answer(await node.engine.why(request.tail))


async def body(node: Node, request: Request) -> Response:
    msg_id = request.tail
    return answer({"id": msg_id, "body": await node.engine.body(msg_id)})


async def events(node: Node, request: Request) -> Response:
    since = request.header("last-event-id") or request.query.get("since")
    after = None if since is None else asks.number({"since": since}, "since", 0)
    feed = sse.feed(node.engine, after, lambda: status_of(node))
    return Response(type="text/event-stream", pieces=feed)


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
    lines = stream.lines(request.body, asks.REQUEST_LIMIT)
    return Response(type="application/x-ndjson", pieces=stream.answers(node.engine, lines), close=True)


async def resend(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.ResendAsk)
    await node.engine.resend(ask.id, ask.any)
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
    left = await node.engine.leave()
    return answer(Departed(**msgspec.structs.asdict(status_of(node)), left=left))


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
    return answer(shapes.channels(node.engine.fleet, SystemClock().now(), found))


async def repairs(node: Node, request: Request) -> Response:
    return answer(repair_shapes.repairs(node.engine.fleet, SystemClock().now()))


async def repair(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.RepairAsk)
    begun = await node.engine.repair(member_id(node.engine.fleet, ask.name), ask.channel, ask.level, ask.by)
    return answer(repair_shapes.repair(node.engine.fleet, begun, SystemClock().now()), 202)


async def approve(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.ApproveAsk)
    found = member_id(node.engine.fleet, ask.name) if ask.name else ""
    return answer(await node.engine.approve(found, ask.channel, ask.digest, ask.by))


async def mend(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.MendAsk)
    return answer({"action": ask.action, "note": await node.engine.mend(ask.action)})


async def wake(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.WakeAsk)
    return answer(await node.engine.wake(ask.name, ask.wait))


async def discover(node: Node, request: Request) -> Response:
    failed: dict[str, str] = {}
    return answer({"machines": await node.engine.discover(failed=failed), "failed": failed})


async def tunnels(node: Node, request: Request) -> Response:
    return answer(node.engine.tunnels.lines())


async def add_tunnel(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.TunnelAsk)
    return answer(await node.engine.tunnels.add(ask.name, ask.ssh), 202)


async def remove_tunnel(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.NameAsk)
    await node.engine.tunnels.remove(ask.name)
    return answer(node.engine.tunnels.lines())


async def onboard(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.OnboardAsk)
    return Response(type="application/x-ndjson", pieces=clinic.ticks(node, ask.name), close=True)


async def down(node: Node, request: Request) -> Response:
    ask = asks.read(await body_of(request), asks.DownAsk)
    if not ask.now:
        await node.engine.drain()
    left = {"pid": node.engine.fleet.me.pid, "waiting": node.engine.fleet.mail.waiting}
    left["plans"] = len(node.engine.fleet.mending.plans)
    return Response(202, body=msgspec.json.encode(left), after=lambda: node.stop(ask.now))


def _plain(verb: Callable[[Node, Request, bytes], Awaitable[Any]]) -> Verb:
    """A verb whose answer is what it returns."""

    async def answered(node: Node, request: Request) -> Response:
        return answer(await verb(node, request, await body_of(request) if request.method == "POST" else b""))

    return answered


ROUTES: dict[str, dict[str, Verb]] = {
    "/status": {"GET": status},
    "/peers": {"GET": peers},
    "/channels": {"GET": channels},
    "/messages": {"GET": messages},
    "/inbox": {"GET": inbox},
    "/why/*": {"GET": why},
    "/body/*": {"GET": body},
    "/health": {"GET": health},
    "/metrics": {"GET": prometheus},
    "/events": {"GET": events},
    "/refusals": {"GET": refusals},
    "/config": {"GET": config},
    "/preview": {"GET": preview},
    "/ledger": {"GET": ledger},
    "/ledger/verify": {"GET": verify_ledger},
    "/message": {"POST": message},
    "/messages/stream": {"POST": message_stream},
    "/resend": {"POST": resend},
    "/invite": {"POST": invite},
    "/join": {"POST": join},
    "/revoke": {"POST": revoke},
    "/leave": {"POST": leave},
    "/role": {"POST": role},
    "/probe": {"POST": probe},
    "/check": {"POST": check},
    "/hold": {"POST": hold},
    "/repairs": {"GET": repairs},
    "/repair": {"POST": repair},
    "/repair/approve": {"POST": approve},
    "/repair/dismiss": {"POST": _plain(clinic.dismiss)},
    "/mend": {"POST": mend},
    "/wake": {"POST": wake},
    "/discover": {"GET": discover},
    "/tunnels": {"GET": tunnels, "POST": add_tunnel},
    "/tunnels/remove": {"POST": remove_tunnel},
    "/doctor": {"GET": _plain(clinic.examine)},
    "/doctor/fix": {"POST": _plain(clinic.fix)},
    "/onboard": {"POST": onboard},
    "/down": {"POST": down},
    **{path: {method: _plain(verb) for method, verb in verbs.items()} for path, verbs in sessions.PATHS.items()},
}


def member_id(fleet: Fleet, name: str) -> str:
    """The id of a member by name or id. Raises `FleetError` `unknown.peer`."""
    member = fleet.roster.named(name) or fleet.member(name)
    if member is None:
        others, former = sorted(one.name for one in fleet.others()), fleet.roster.former(name)
        said = f"`{name}` is none of: {', '.join(others)}" if others else f"`{name}`: nobody else is in the fleet"
        said = f"`{name}` {former.ended}" if former else said
        step = "`fleet peers` lists them" if others else "`fleet invite` brings a machine into it"
        raise FleetError("unknown.peer", "Nobody of that name", said, step)
    return member.id


def _one_or_many(stories: list[Any]) -> Any:
    return stories[0] if len(stories) == 1 else {"messages": stories}
