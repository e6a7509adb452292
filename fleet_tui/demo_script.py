"""The first five minutes of a newcomer, without a screen (edge): what `fleet demo --script` does and tells.

    start -> invite, join -> send both ways -> kill a broker, send -> P1 heals -> stop a node, send, start it -> count

Every line printed is something that was looked at: a receipt, a story, an inbox. A step that does not come true ends
the script with its name and the reason. Times are what they were on this machine in this run.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from engine.errors import Fault, FleetError
from fleet_tui.demo import Demo, DemoNode, broker_up, until

WAIT_S = 30.0
# The broker is back within some 35 ms: a message that was too late for the gap is followed by another kill.
KILLS = 5


class Step(NamedTuple):
    """One thing that happens: what it is called, and what does it and returns what it saw."""

    title: str
    act: Callable[[], str]


class Done(NamedTuple):
    """A step that came true."""

    title: str
    saw: str
    ms: int


class Script:
    """The story over a demo of three nodes or more."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._first, self._second, self._third = demo.nodes[:3]
        self._sent: dict[str, set[str]] = {node.name: set() for node in demo.nodes}
        self._killed, self._killed_ms = 0, 0

    def steps(self) -> list[Step]:
        """The story, in order."""
        first, second, third = self._first.name, self._second.name, self._third.name
        return [
            Step(f"start {len(self._demo.nodes)} nodes, each with its own home, keys and broker", self._start),
            Step("join them by invitations", self._join),
            Step("every node sees every other, and P1 works", self._together),
            Step(f"send {first} → {second} and {second} → {first}", self._both_ways),
            Step(f"kill -9 {second}'s nats-server and send again", self._kill_broker),
            Step("P1 heals by itself", self._heal),
            Step(f"stop {third}, and send to it", self._send_to_absent),
            Step(f"start {third} again: the message arrives", self._arrives),
            Step("every message is in its inbox once", self._count),
        ]

    def run(self, told: Callable[[Done], None]) -> list[Done]:
        """Do every step. Raises `FleetError` `demo.step` naming the one that did not come true."""
        return performed(self.steps(), told)

    def _start(self) -> str:
        self._demo.start()
        up = [until(node.api, broker_up, f"{node.name}'s broker") for node in self._demo.nodes]
        return f"brokers {', '.join(str(status['broker']['pid']) for status in up)}"

    def _join(self) -> str:
        self._demo.join()
        fleet = self._first.api.get("/status")["fleet"]
        return f"fleet {fleet['name']}, roster version {fleet['roster_version']}, chief {fleet['chief']}"

    def _together(self) -> str:
        self._demo.await_together()
        return "ALIVE, nats HEALTHY, everywhere"

    def _both_ways(self) -> str:
        there = self._send(self._first, self._second, "hello", wait="on_host")
        back = self._send(self._second, self._first, "hello yourself", wait="on_host")
        return f"{_way(there)}; {_way(back)}"

    def _kill_broker(self) -> str:
        for kill in range(1, KILLS + 1):
            self._killed = self._another_broker()
            self._killed_ms = round(time.time() * 1_000)
            os.kill(self._killed, signal.SIGKILL)
            story = self._send(self._first, self._second, f"after the kill, {kill}", wait="on_host")
            if story["channel"] != "nats":
                again = "" if kill == 1 else f" (the broker was back in time {kill - 1} times)"
                return f"{_way(story)}{again}: {self._first.api.why(story['id'])['story']}"
        said = f"{KILLS} kills, and every message still went by nats"
        raise FleetError("demo.quick", "The broker was back each time", said, "", Fault.OURS)

    def _heal(self) -> str:
        """What is said before another broker ran may be old news: a round trip over that one comes first."""
        pid = self._another_broker()
        story = self._send(self._first, self._second, "after the healing", wait="on_host", via="nats")
        until(self._first.api, lambda _: self._p1()["state"] == "HEALTHY", "P1 to be HEALTHY again")
        gap = seen(self._p1()["since_ms"], self._killed_ms, self._first.name)
        return f"another broker, process {pid}; {gap}; {_way(story)}"

    def _p1(self) -> Any:
        """What the first node says of P1 to the second."""
        return self._first.api.get("/channels")[self._second.name]["nats"]

    def _another_broker(self) -> int:
        """The process of the second node's broker, another than the one that was killed."""

        def another(status: Any) -> bool:
            return broker_up(status) and status["broker"]["pid"] != self._killed

        return int(until(self._second.api, another, f"{self._second.name}'s broker")["broker"]["pid"])

    def _send_to_absent(self) -> str:
        self._third.stop()
        story = self._send(self._first, self._third, "for when you are back")
        self._waiting = story["id"]
        now = self._first.api.why(self._waiting)
        _check(now["rung"] == "accepted", f"it is {now['rung']}, and nobody was there")
        return f"accepted, safe on disk: {now['story']}"

    def _arrives(self) -> str:
        self._demo.start()

        def arrived(_: Any) -> bool:
            return bool(self._first.api.why(self._waiting)["rung"] == "on_host")

        until(self._first.api, arrived, "the message to arrive")
        return _way(self._first.api.why(self._waiting))

    def _count(self) -> str:
        for node in self._demo.nodes:
            ids = [letter["id"] for letter in node.api.get("/inbox")]
            wanted = self._sent[node.name]
            _check(sorted(ids) == sorted(wanted), f"{node.name} has {len(ids)} letters, {len(wanted)} were sent to it")
        counts = (f"{node.name} {len(self._sent[node.name])}" for node in self._demo.nodes)
        return ", ".join(counts)

    def _send(self, by: DemoNode, to: DemoNode, body: str, **how: Any) -> Any:
        ask = {"to": to.name, "payload": {"body": body}, "timeout": WAIT_S} | how
        story = by.api.post("/message", ask, 2 * WAIT_S)
        self._sent[to.name].add(story["id"])
        if "error" in story:
            raise FleetError(**story["error"] | {"fault": Fault(story["error"]["fault"])})
        return story


def performed(steps: Sequence[Step], told: Callable[[Done], None]) -> list[Done]:
    """Do these, one after another. Raises `FleetError` `demo.step` naming the one that did not come true."""
    done: list[Done] = []
    for step in steps:
        began = time.monotonic()
        try:
            saw = step.act()
        except FleetError as error:
            raise _broke(step, f"{error.title}: {error.detail}", error.code) from None
        done.append(Done(step.title, saw, round((time.monotonic() - began) * 1_000)))
        told(done[-1])
    return done


def seen(since_ms: int, killed_ms: int, by: str) -> str:
    """How long P1 was away for a node that calls it HEALTHY since `since_ms` (wall milliseconds)."""
    if since_ms < killed_ms:
        return f"{by} had never called P1 broken: too short to be seen"
    return f"HEALTHY again {(since_ms - killed_ms) / 1_000:.1f} s after the kill"


def _way(story: Any) -> str:
    tries = [one for one in story["tries"] if one["channel"] == story["channel"]]
    took = f" in {tries[-1]['ms']:.0f} ms" if tries else ""
    return f"{story['to']} has it, over {story['channel']}{took}"


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise FleetError("demo.untrue", "It is not as it should be", otherwise, "", Fault.OURS)


def _broke(step: Step, why: str, code: str) -> FleetError:
    kind = "timeout.demo" if code.startswith("timeout.") else "demo.step"
    said = f"{step.title}: {why}"
    return FleetError(kind, "The demo stopped here", said, "run it again with --keep to look around", Fault.OURS)
