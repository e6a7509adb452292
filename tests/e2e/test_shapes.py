"""The JSON that others rely on, from the real commands of real nodes: every key, every type, every word."""

import json
from typing import Any

import pytest

from tests.e2e.conftest import FleetOf
from tests.e2e.node import Node

pytestmark = pytest.mark.slow

TEXT, WHOLE, NUMBER = (str,), (int,), (int, float)
MAYBE_TEXT, MAYBE_NUMBER = (str, type(None)), (int, float, type(None))

STANDINGS = {"ALIVE", "SUSPECT", "UNREACHABLE", "STALE", "OFFLINE", "LEFT"}
STATES = {"HEALTHY", "DEGRADED", "BROKEN", "HEALING", "UNKNOWN", "ABSENT", "QUARANTINED"}
RUNGS = {"accepted", "on_host", "posted", "held", "queued", "seen", "answered", "expired", "refused", "dead"}
CHANNELS = {"cloud", "nats", "http", "relay", "seed", "ssh", "wol", "git", "text"}
OUTCOMES = {"confirmed", "landed", "refused", "lost", "barred", "flying", "overtaken"}

TRY = {"channel": CHANNELS, "outcome": OUTCOMES, "ms": NUMBER}
SENT = {"id": TEXT, "to": TEXT, "kind": TEXT, "rung": RUNGS, "channel": CHANNELS | {None}, "tries": [TRY]}
LINE = {
    "id": TEXT,
    "dir": {"in", "out"},
    "peer": TEXT,
    "kind": TEXT,
    "rung": RUNGS,
    "channel": CHANNELS | {None},
    "at": WHOLE,
}
LETTER = {"id": TEXT, "from": TEXT, "kind": TEXT, "body": TEXT, "at": WHOLE}
CELL = {"state": STATES, "latency_ms": MAYBE_NUMBER, "fails": WHOLE, "reason": TEXT}
ERROR = {
    "error": {"code": TEXT, "title": TEXT, "detail": TEXT, "next_step": TEXT, "fault": {"OURS", "THEIRS", "WORLD"}}
}
STATUS = {
    "node": {"name": TEXT, "id": TEXT, "version": TEXT, "pid": WHOLE, "uptime_s": NUMBER, "terminal": TEXT},
    "fleet": {"name": TEXT, "id": TEXT, "roster_version": WHOLE, "chief": MAYBE_TEXT},
    "broker": {"state": TEXT, "pid": WHOLE, "url": TEXT},
    "outbox": {"waiting": WHOLE, "dead": WHOLE},
    "peers": [
        {
            "name": TEXT,
            "id": TEXT,
            "role": {"chief", "captain", "worker", "observer"},
            "standing": STANDINGS,
            "seen_s": MAYBE_NUMBER,
            "best": CHANNELS | {None},
            "channels": {"nats": STATES, "http": STATES, "relay": STATES},
        }
    ],
}


def fits(value: Any, shape: Any, where: str = "$") -> None:
    """Fails where `value` is not of this shape. A key that the shape has must be there; more may be."""
    match shape:
        case dict():
            assert isinstance(value, dict), f"{where}: {value!r}"
            assert shape.keys() <= value.keys(), f"{where} lacks {shape.keys() - value.keys()}"
            for key, inner in shape.items():
                fits(value[key], inner, f"{where}.{key}")
        case list():
            assert isinstance(value, list), f"{where}: {value!r}"
            for number, one in enumerate(value):
                fits(one, shape[0], f"{where}[{number}]")
        case set():
            assert value in shape, f"{where}: {value!r} is none of {shape}"
        case _:
            assert isinstance(value, shape), f"{where}: {value!r}"
            assert not isinstance(value, bool), f"{where}: {value!r}"


@pytest.fixture(scope="module")
def duo(fleet_of: FleetOf) -> list[Node]:
    nodes = fleet_of(2, FLEET_API_TCP="true")
    nodes[0].must("send", "birch", "the first", "--wait", "on_host")
    return nodes


def test_status(duo: list[Node]) -> None:
    """`fleet status`, and `fleet` alone where there is no terminal; `fleet peers` is its list of peers."""
    for argv in (("status",), ()):
        status = duo[0].must(*argv)
        fits(status, STATUS)
    assert status["node"]["pid"] == duo[0].pid
    assert status["fleet"]["chief"] == "atlas"
    assert status["broker"]["state"] == "up"
    (peer,) = status["peers"]
    assert (peer["name"], peer["role"], peer["standing"]) == ("birch", "worker", "ALIVE")
    fits(duo[0].must("peers"), STATUS["peers"])


def test_send(duo: list[Node]) -> None:
    """`fleet send` with and without --wait, to one and to all; `fleet why` is the same object and a sentence."""
    waited = duo[0].must("send", "birch", "hello", "--wait", "on_host")
    fits(waited, SENT)
    assert waited["rung"] == "on_host"
    assert waited["tries"]
    at_once = duo[0].must("send", "birch", "and bye")
    fits(at_once, SENT)
    assert (at_once["rung"], at_once["tries"]) == ("accepted", [])
    fits(duo[0].must("send", "all", "everybody"), [SENT])
    why = duo[0].must("why", waited["id"])
    fits(why, {**SENT, "story": TEXT})
    # A second try may end after the first one's receipt; what was said of the message stands.
    assert {key: why[key] for key in SENT if key != "tries"} == {key: waited[key] for key in SENT if key != "tries"}
    assert why["story"].endswith(".")


def test_send_lines(duo: list[Node]) -> None:
    """`--stdin`: each line is a message, each answer a line of JSON, in their order; empty lines are none."""
    ran = duo[0].fleet("send", "birch", "--stdin", stdin="one\n\ntwo ü\nthree")
    assert ran.status == 0
    fits(ran.values, [SENT])
    assert len({story["id"] for story in ran.values}) == 3
    for story, body in zip(ran.values, ("one", "two ü", "three"), strict=True):
        assert duo[0].api.get(f"/body/{story['id']}")["body"] == body
    nobody = duo[0].fleet("send", "nobody", "--stdin", stdin="one\ntwo\n")
    assert nobody.status == 1
    fits(nobody.values, [ERROR])
    assert len(nobody.values) == 2


def test_messages_and_inbox(duo: list[Node]) -> None:
    """`fleet messages`: both directions, one list; `fleet inbox`: what came, with what it says."""
    duo[1].must("send", "atlas", "from the other side", "--wait", "on_host")
    log = duo[0].must("messages")
    fits(log, [LINE])
    assert {one["dir"] for one in log} == {"in", "out"}
    assert [one["at"] for one in log] == sorted(one["at"] for one in log)
    letters = duo[1].must("inbox")
    fits(letters, [LETTER])
    assert (letters[0]["from"], letters[0]["body"]) == ("atlas", "the first")
    assert len({letter["id"] for letter in letters}) == len(letters)


def test_following(duo: list[Node]) -> None:
    """`messages --follow` and `inbox --follow` go on: a line of JSON for each thing that happens, until ended."""
    atlas, birch = duo
    atlas.send("birch", "the last before")
    log, box = atlas.spawn("messages", "-f", "-n", "1", "--json"), birch.spawn("inbox", "-f", "-n", "1", "--json")
    assert log.stdout
    assert box.stdout
    try:
        fits(json.loads(log.stdout.readline()), LINE)
        assert json.loads(box.stdout.readline())["body"] == "the last before"
        sent = atlas.send("birch", "the first followed")["id"]
        letter = json.loads(box.stdout.readline())
        fits(letter, LETTER)
        assert (letter["id"], letter["body"]) == (sent, "the first followed")
        while (line := json.loads(log.stdout.readline()))["rung"] != "on_host":
            fits(line, LINE)
        assert line["id"] == sent
    finally:
        for follower in (log, box):
            follower.kill()
            follower.communicate()


def test_channels(duo: list[Node]) -> None:
    """`fleet channels`: peer, channel, state; `fleet check` a measured round trip on each."""
    grid = duo[0].must("channels")
    assert grid.keys() == {"birch"}
    assert {"nats", "http", "relay"} <= grid["birch"].keys()
    for cell in grid["birch"].values():
        fits(cell, CELL)
    check = duo[0].must("check", "birch")
    fits(
        check,
        {name: {"state": STATES, "outcome": OUTCOMES, "ms": MAYBE_NUMBER, "reason": TEXT} for name in ("nats", "http")},
    )
    assert check["nats"]["outcome"] == check["http"]["outcome"] == "confirmed"


def test_invite(duo: list[Node]) -> None:
    """`fleet invite`: a code and its end in wall milliseconds."""
    fits(duo[0].must("invite", "--ttl", "60"), {"code": TEXT, "expires_at": WHOLE})


ERRORS: dict[str, tuple[tuple[str, ...], int, str]] = {
    "unknown recipient": (("send", "nobody", "hello"), 1, "unknown.recipient"),
    "to itself": (("send", "atlas", "hello"), 2, "usage.self"),
    "no text": (("send", "birch"), 2, "usage.arguments"),
    "no such command": (("sned", "birch", "hello"), 2, "usage.arguments"),
    "no such kind": (("send", "birch", "hello", "--kind", "gossip"), 2, "usage.arguments"),
    "not in time": (
        ("send", "birch", "hello", "--session", "nobody", "--wait", "seen", "--timeout", "0.2"),
        *(5, "timeout.rung"),
    ),
    "nobody proves it": (("send", "birch", "hello", "--wait", "seen"), 2, "usage.rung"),
    "unknown message": (("why", "01ARZ3NDEKTSV4RRFFQ69G5FAV"), 1, "unknown.message"),
    "unknown peer": (("channels", "nobody"), 1, "unknown.peer"),
    "read only": (("send", "birch", "hello", "--readonly"), 4, "refused.readonly"),
    "not a code": (("join", "hello"), 2, "usage.invite"),
}


@pytest.mark.parametrize("what", ERRORS)
def test_errors(duo: list[Node], what: str) -> None:
    """Every error has its five parts, as the only line of stdout, and the exit code of the specification."""
    argv, status, code = ERRORS[what]
    ran = duo[0].fleet(*argv)
    found = json.loads(ran.out)
    fits(found, ERROR)
    assert (found["error"]["code"], ran.status) == (code, status)
    assert found["error"]["next_step"]


def test_nothing_secret_is_written(duo: list[Node]) -> None:
    """No body, key or token in a log or in the broker's files, nor a body in an answer (faults.md, row 61)."""
    atlas = duo[0]
    secret = "Xq7-unlikely-words"
    ran = atlas.fleet("send", "birch", "--stdin", "--wait", "on_host", stdin=f"{secret}\n")
    assert ran.status == 0
    assert secret not in ran.out + ran.err
    words = [secret, atlas.must("token")["token"], (atlas.home / "device.key").read_text().split()[1]]
    for node in duo:
        for path in [*node.home.glob("log/*"), *node.home.glob("broker/*")]:
            text = path.read_text(errors="replace")
            assert not any(word in text for word in words), path
