"""The doctor over the API (edge): the report, one mend, the ten ticks of an onboarding as they come; and approved
commands that were broken off, once a person has seen to them."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from engine.api import asks, repair_shapes
from engine.api.http import Request
from engine.api.node import Node
from engine.api.views import Trouble
from engine.errors import FleetError


async def examine(node: Node, request: Request, body: bytes) -> Any:
    """`GET /doctor`: look at everything now; the findings in reading order, then the checks that found nothing.
    `?last=1`: what was seen last. Peers are called by name."""
    found = node.engine.report() if request.query.get("last") else await node.engine.examine()
    named = node.engine.fleet.name_of
    return [msgspec.structs.replace(one, subject=named(one.subject)) for one in found]


async def fix(node: Node, request: Request, body: bytes) -> Any:
    """`POST /doctor/fix`: mend one finding, and look again."""
    ask = asks.read(body, asks.FixAsk)
    return {"code": ask.code, "subject": ask.subject, "did": await node.engine.fix(ask.code, ask.subject)}


async def dismiss(node: Node, request: Request, body: bytes) -> Any:
    """`POST /repair/dismiss`: those that are shown no more."""
    ask = asks.read(body, asks.DismissAsk)
    gone = await node.engine.dismiss(ask.name, ask.channel, ask.by)
    return [repair_shapes.approval(node.engine.fleet, one) for one in gone]


async def ticks(node: Node, name: str) -> AsyncIterator[bytes]:
    """A line for each tick; an error is a line too."""
    try:
        async for tick in node.engine.onboard(name):
            yield msgspec.json.encode(tick) + b"\n"
    except FleetError as error:
        yield msgspec.json.encode(Trouble(error.facts())) + b"\n"
