"""T16: resident memory of a headless node, lean and with all of it used once, and of its nats-server.

lean       just started, alone
all used   joined by a peer, a thousand messages each way, every page of the API asked for, a code printed
"""

import time
from collections.abc import Iterable

from bench.effort import Effort
from bench.figures import Line, p50_at_most
from bench.nodes import Remote, folder, joined, remote, until
from bench.process import bare, rss_mb

NUMBERS = ("T16",)
CALM_S = 1.0
PAGES = ("/status", "/peers", "/channels", "/messages", "/inbox", "/health", "/metrics", "/refusals", "/config")


async def measure(effort: Effort) -> Iterable[Line]:
    """Three lines."""
    control = "bare asyncio process"
    lean = Line("T16", "headless RSS, lean", "MB", p50_at_most(50, "MB"), control)
    used = Line("T16", "headless RSS, all used", "MB", p50_at_most(80, "MB"), control)
    broker = Line("T16", "its nats-server, all used", "MB", p50_at_most(20, "MB"))
    for _ in effort.rounds():
        process = bare()
        with folder() as place, remote(place / "a", "aa") as one:
            time.sleep(CALM_S)
            lean.raw.append([rss_mb(process.pid)])
            used.raw.append([rss_mb(process.pid)])
            lean.ours.append([rss_mb(one.pid)])
            with remote(place / "b", "bb") as other:
                _use(one, other, effort.of(1_000, 20))
                time.sleep(CALM_S)
                used.ours.append([rss_mb(one.pid)])
                broker.ours.append([rss_mb(one.client.get("/status")["broker"]["pid"])])
        process.kill()
        process.wait()
    return [lean, used, broker]


def _use(one: Remote, other: Remote, count: int) -> None:
    joined(one, other)
    for frm, to in ((one, other), (other, one)):
        until(lambda frm=frm: any(peer["best"] for peer in frm.client.get("/peers")), "a way to the peer")
        asks = ({"to": to.name, "payload": {"body": "x" * 1024}, "wait": "on_host"} for _ in range(count))
        assert sum("error" not in answer for answer in frm.client.stream(asks)) == count
    for page in PAGES:
        one.client.text(page)
    next(one.client.events())
    one.client.get("/why/" + one.client.get("/messages", dir="out")["lines"][0]["id"])
