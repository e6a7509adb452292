"""Errors on the wire of the API (pure): which HTTP status an error code has.

The whole code, or its first word, decides; where the table is silent, whose fault it is.
"""

from engine.errors import Fault

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
