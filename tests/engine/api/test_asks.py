"""What may be asked of the API."""

import json
from typing import Any

import pytest

from engine.api import asks
from engine.errors import FleetError
from engine.model.envelope import BODY_LIMIT, Kind, Rung


def asked(**facts: Any) -> bytes:
    return json.dumps({"to": "birch", "payload": {"body": "hi"}} | facts).encode()


def test_a_message_needs_a_recipient_and_a_body() -> None:
    """The rest has defaults: kind context, the kind's own lifetime, no waiting."""
    ask = asks.message(asked())
    assert (ask.to, ask.payload.body, ask.type, ask.ttl, ask.wait) == ("birch", "hi", Kind.CONTEXT, None, None)
    assert asks.message(asked(type="alert", wait="on_host")).wait is Rung.ON_HOST
    for naming in ({"session": "work"}, {"thread": "work"}):
        assert asks.message(asked(wait="seen", **naming)).wait is Rung.SEEN


BAD = {
    "nothing": (b"", "usage.body", "to"),
    "no JSON": (b"{", "usage.body", ""),
    "no UTF-8": (b'{"to":"\xff"}', "usage.body", ""),
    "a list": (b"[]", "usage.body", "object"),
    "no body": (asked(payload={}), "usage.body", "$.payload"),
    "a number for a body": (asked(payload={"body": 5}), "usage.body", "$.payload.body"),
    "a field nobody knows": (asked(kind="alert"), "usage.body", "field `kind`; known are to, payload, type, via, "),
    "a field beside the body": (
        asked(payload={"body": "x", "subject": "y"}),
        "usage.body",
        "`subject` - at",
    ),
    "an unknown kind": (asked(type="gossip"), "usage.body", "$.type"),
    "the fleet's own kind": (asked(type="heartbeat"), "usage.kind", "heartbeat"),
    "an unknown channel": (asked(via="pigeon"), "usage.body", "$.via"),
    **{f"a wait for {word}": (asked(wait=word), "usage.rung", word) for word in ("expired", "refused", "dead")},
    **{
        f"{word} of no session": (asked(wait=word), "usage.rung", word) for word in ("posted", "held", "queued", "seen")
    },
    "blanks": (asked(payload={"body": " \n"}), "usage.empty", "spaces"),
    "a wait for nothing known": (asked(wait="answered"), "usage.body", "$.wait"),
    "an endless wait": (asked(timeout=1e9), "usage.timeout", "timeout"),
    "too much": (asked(payload={"body": "ü" * (BODY_LIMIT // 2 + 1)}), "usage.size", str(BODY_LIMIT)),
}


@pytest.mark.parametrize(("body", "code", "path"), BAD.values(), ids=BAD.keys())
def test_what_does_not_fit_is_refused_by_its_path(body: bytes, code: str, path: str) -> None:
    """The error names the field."""
    with pytest.raises(FleetError) as caught:
        asks.message(body)
    assert caught.value.code == code
    assert path in str(caught.value)


def test_lists_without_end_are_refused() -> None:
    """In a field that would be ignored, too."""
    with pytest.raises(FleetError, match="recursion"):
        asks.read(b'{"later":' + b"[" * 100_000, asks.InviteAsk)


def test_a_query_is_read_from_the_url() -> None:
    """Numbers are numbers, unknown parameters are ignored, and a page has an upper size."""
    query = asks.query({"limit": "99999", "kind": "task", "colour": "blue"})
    assert (query.limit, query.kind, query.before) == (1_000, "task", 0)
    with pytest.raises(FleetError):
        asks.query({"limit": "many"})
