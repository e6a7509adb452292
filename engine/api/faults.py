"""Errors on the wire of the API (edge): which HTTP status an error code has, and the answer that says it.

The whole code, or its first word, decides; where the table is silent, whose fault it is.
"""

from math import ceil

import msgspec

from engine.api.http import Response
from engine.api.views import Trouble
from engine.errors import Fault, FleetError

STATUS = {
    "usage": 400,
    "bad": 400,
    "auth": 401,
    "refused": 403,
    "refused.rate": 429,
    "unknown": 404,
    "method": 405,
    "size": 413,
    "slow": 408,
    "busy": 503,
    "node": 503,
    "timeout": 504,
    "store": 507,
}
BY_FAULT = {Fault.OURS: 500, Fault.THEIRS: 400, Fault.WORLD: 503}


def http_status(code: str, fault: Fault) -> int:
    """HTTP status for an error code such as `unknown.recipient`."""
    return STATUS.get(code, STATUS.get(code.partition(".")[0], BY_FAULT[fault]))


def trouble(error: FleetError) -> Response:
    """An error as JSON. The connection closes where the request was not read to its end."""
    status = http_status(error.code, error.fault)
    wait, facts = error.retry_after_s, msgspec.json.encode(Trouble(error.facts()))
    return Response(status, body=facts, close=status in (408, 413), retry_after_s=None if wait is None else ceil(wait))


def not_http(status: int, title: str, detail: str) -> Response:
    """What was asked is no request that could be answered."""
    code, fault = ("bad.request", Fault.THEIRS) if status == 400 else ("busy.connections", Fault.WORLD)
    error = FleetError(code, title, detail, "docs/api.md tells how it is asked", fault)
    return Response(status, body=msgspec.json.encode(Trouble(error.facts())), close=True)
