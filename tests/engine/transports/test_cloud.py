"""P0: signed as the standard says, idempotent, no redirect, no plain text, and no secret told."""

import asyncio
import base64
import json
import logging
import os
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import pytest

from engine.config import CloudConfig
from engine.model.channel import Outcome, Verdict
from engine.transports.cloud import Cloud, after_s, content, flaw, signature
from tests.nodes import Target
from tests.triggers import SECRET, Authority, Trigger, genuine

PEER = Target("b" * 16, (), b"")
BUDGET_S = 20.0
Patch = pytest.MonkeyPatch


class Bench:
    """A trigger, and who pulls it."""

    def __init__(self) -> None:
        self.authority = Authority()
        self.trigger = Trigger(self.authority.context())

    async def open(self) -> None:
        self.config = CloudConfig(await self.trigger.start(), str(self.authority.secret_file), str(self.authority.file))
        self.cloud = Cloud("a" * 16, self.config)

    async def pull(self, data: bytes = b"frames") -> Outcome:
        return await self.cloud.deliver(data, PEER, BUDGET_S)

    async def close(self) -> None:
        await self.cloud.close()
        await self.trigger.stop()
        self.authority.end()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    await made.open()
    yield made
    await made.close()


def test_the_signature_is_the_standards() -> None:
    """The example of standardwebhooks.com's reference libraries comes out as theirs."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_same_delivery_has_the_same_name() -> None:
    """For whoever receives it twice; another delivery, or another peer's, has another."""
    assert content("a", "b", b"x")[0] == content("a", "b", b"x")[0]
    assert (
        len({content(*one)[0] for one in (("a", "b", b"x"), ("a", "b", b"y"), ("a", "c", b"x"), ("c", "b", b"x"))}) == 4
    )


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "no trigger configured"),
        ("https://example.org/hook", ""),
        ("http://127.0.0.1:8000/hook", ""),
        ("http://localhost/hook", ""),
        ("http://[::1]:8000/", ""),
        ("http://example.org/hook", "the trigger is not https"),
        ("http://127.0.0.1.example.org/", "the trigger is not https"),
        ("ftp://example.org/", "the trigger's address is none"),
        ("https://", "the trigger's address is none"),
        ("https://[::1", "the trigger's address is none"),
        ("https://host:port/", "the trigger's address is none"),
    ],
)
def test_what_may_be_a_trigger(url: str, why: str) -> None:
    """Only https, and plain text to nobody but this machine."""
    assert flaw(url) == why


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("", 0), ("30", 30), ("-5", 0), ("1e9", 0), ("99999", 3_600), (formatdate(1_060, usegmt=True), 60), ("soon", 0)],
)
def test_how_long_it_wants_to_be_left_alone(said: str, seconds: float) -> None:
    """A number or a date, within an hour; anything else is nothing."""
    assert after_s(said, 1_000.0) == seconds


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        (None, 0o600, "its secret cannot be read"),
        ("whsec_" + base64.b64encode(bytes(32)).decode(), 0o644, "its secret is open to others"),
        ("whsec_" + base64.b64encode(bytes(8)).decode(), 0o600, "its secret is no webhook secret"),
        ("hunter2", 0o600, "its secret is no webhook secret"),
        ("ä", 0o600, "its secret is no webhook secret"),
        (base64.b64encode(bytes(32)).decode() + "\n", 0o600, None),
    ],
)
def test_a_secret_that_is_none(tmp_path: Path, text: str | None, mode: int, why: str | None) -> None:
    """Missing, readable by others, too short or no base64: it says so and sends nothing unsigned."""
    file = tmp_path / "secret"
    if text is not None:
        file.write_text(text)
        file.chmod(mode)
    assert Cloud("a", CloudConfig("https://example.org", str(file))).ready(PEER) == why
    assert Cloud("a", CloudConfig("https://example.org")).ready(PEER) == "no secret configured"


async def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A pipe as secret, or as certificates, and a home of nobody: refused at once, by `ready` and by a delivery."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for name in (str(pipe), "~nosuchuser/secret"):
        one = Cloud("a", CloudConfig("https://example.org", name))
        assert one.ready(PEER) == "its secret cannot be read"
        outcome = await one.deliver(b"x", PEER, BUDGET_S)
        assert outcome == Outcome(Verdict.BARRED, "its secret cannot be read", hard=True)
        await one.close()
    one = Cloud("a", CloudConfig("https://example.org", str(pipe), str(pipe)))
    outcome = await one.deliver(b"x", PEER, BUDGET_S)
    assert outcome == Outcome(Verdict.BARRED, "cloud.ca_file cannot be read", hard=True)


async def test_it_says_who_and_to_whom_and_proves_it(bench: Bench) -> None:
    """The endpoint reads sender, receiver and sealed frames, and can tell that nobody else has sent them."""
    assert await bench.pull() == Outcome(Verdict.LANDED)
    headers, body = await bench.trigger.came.get()
    assert genuine(headers, body)
    said = json.loads(body)
    assert said == {"to": PEER.id, "from": "a" * 16, "frames": base64.b64encode(b"frames").decode()}
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (202, Outcome(Verdict.LANDED)),
        (409, Outcome(Verdict.LANDED, "it had it already")),
        (302, Outcome(Verdict.REFUSED, "it said 302", hard=True)),
        (404, Outcome(Verdict.REFUSED, "it said 404", hard=True)),
        (413, Outcome(Verdict.REFUSED, "it said 413", hard=True)),
    ],
)
async def test_how_answers_are_read(bench: Bench, status: int, ending: Outcome) -> None:
    """Taken, had already, or no; a redirect is followed by nobody."""
    bench.trigger.says = status
    bench.trigger.headers = {"location": bench.config.url.replace("/hooks", "/elsewhere")}
    assert await bench.pull() == ending
    assert bench.trigger.came.qsize() == 1


@pytest.mark.slow
async def test_a_busy_endpoint_is_asked_once_more(bench: Bench) -> None:
    """Under the same name, so that it can tell; then it is the outbox's affair."""
    bench.trigger.says = 503
    outcome = await bench.pull()
    assert (outcome.verdict, outcome.note, outcome.hard) == (Verdict.LOST, "it said 503", False)
    (one, _), (two, _) = bench.trigger.came.get_nowait(), bench.trigger.came.get_nowait()
    assert one["webhook-id"] == two["webhook-id"]
    assert bench.trigger.came.empty()


async def test_it_is_left_alone_as_long_as_it_wants(bench: Bench, monkeypatch: Patch) -> None:
    """`Retry-After` is kept: nothing is sent until then, and a delivery is told so."""
    bench.trigger.says, bench.trigger.headers = 429, {"retry-after": "600"}
    assert await bench.pull() == Outcome(Verdict.LOST, "it said 429", hard=True)
    bench.trigger.says = 200
    outcome = await bench.pull()
    assert (outcome.verdict, outcome.hard) == (Verdict.LOST, True)
    assert "left alone" in outcome.note
    assert bench.trigger.came.qsize() == 1
    bench.cloud._rests_until = 0.0
    assert (await bench.pull()).verdict is Verdict.LANDED


async def test_neither_secret_nor_address_is_told(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Not in a log at any level, not in a note, whatever happens."""
    caplog.set_level(logging.DEBUG)
    notes = [(await bench.pull()).note]
    for status in (500, 404):
        bench.trigger.says = status
        notes.append((await bench.pull()).note)
    await bench.trigger.stop()
    notes.append((await bench.pull()).note)
    text = caplog.text + " ".join(notes)
    assert "not-for-logs" not in text
    assert base64.b64encode(SECRET).decode() not in text
    assert "webhook-signature" not in text
    assert notes[-1] == "its host cannot be reached"


async def test_another_authority_gets_nothing(bench: Bench) -> None:
    """Without `ca_file` the endpoint's certificate is a stranger's: no byte of the request leaves."""
    config = CloudConfig(bench.config.url, bench.config.secret_file)
    outcome = await Cloud("a" * 16, config).deliver(b"x", PEER, BUDGET_S)
    assert outcome == Outcome(Verdict.LOST, "its certificate is not trusted", hard=True)
    assert bench.trigger.came.empty()
    broken = CloudConfig(bench.config.url, bench.config.secret_file, "/nowhere")
    outcome = await Cloud("a" * 16, broken).deliver(b"x", PEER, BUDGET_S)
    assert outcome == Outcome(Verdict.BARRED, "cloud.ca_file cannot be read", hard=True)


async def test_plain_text_on_this_machine() -> None:
    """An endpoint on loopback needs no certificate: a tunnel or a local program."""
    authority, trigger = Authority(), Trigger(None)
    one = Cloud("a" * 16, CloudConfig(await trigger.start(), str(authority.secret_file)))
    assert (await one.deliver(b"x", PEER, BUDGET_S)).verdict is Verdict.LANDED
    await asyncio.gather(one.close(), trigger.stop())
    authority.end()
