"""The drill without a screen (edge): what `fleet demo --drill --script` does and tells.

    start, join -> each fault: strike, look, send, take back, wait until all is HEALTHY -> count every message

Every line is something that was looked at, and the seconds are those of this run.
"""

import time
from collections.abc import Callable
from typing import Any

from engine.errors import Fault as Whose
from engine.errors import FleetError
from fleet_tui.demo import Demo, DemoNode
from fleet_tui.demo_script import Step
from fleet_tui.drill import HOT, Drill, Fault

HEALED_S, SEEN_S = 60.0, 30.0
LOOK_S = 0.05


class DrillScript:
    """The story of all faults over a demo of three nodes or more."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._drill: Drill | None = None
        self._sent: dict[str, set[str]] = {node.name: set() for node in demo.nodes}

    @property
    def drill(self) -> Drill:
        """The drill, once all is well."""
        if self._drill is None:
            self._drill = Drill(self._demo)
        return self._drill

    def steps(self) -> list[Step]:
        """The story, in order."""
        first, second, third = (node.name for node in self._demo.nodes[:3])
        return [
            Step(f"start and join {len(self._demo.nodes)} nodes; P1, P2 and P3 are HEALTHY", self._start),
            Step(f"1: kill -9 of {second}'s nats-server", lambda: self._kills("1")),
            Step(f"2: {second} restarts, and a stranger has taken its peer port", lambda: self._moves("2")),
            Step(f"3: SIGSTOP of {third}", lambda: self._stands("3")),
            Step(f"4: P1 to P3 between {first} and {second} are held", lambda: self._waits("4")),
            Step("every message is in its inbox once", self._count),
        ]

    def heal(self) -> None:
        """Whatever is still in force is taken back."""
        if self._drill is not None:
            self._drill.heal()

    def _start(self) -> str:
        self._demo.start()
        self._demo.join()
        self._demo.await_together()
        everybody = {node.name for node in self._demo.nodes}

        def well() -> bool:
            for node in self._demo.nodes:
                grid = node.api.get("/channels")
                hot = [grid.get(peer, {}).get(on, {}).get("state") for peer in everybody - {node.name} for on in HOT]
                if any(state != "HEALTHY" for state in hot):
                    return False
            return True

        _until(well, "P1 to P3 to be HEALTHY", HEALED_S)
        return f"{len(self.drill.grid())} channels are watched"

    def _kills(self, key: str) -> str:
        second = self.drill.second
        old = second.api.get("/status")["broker"]["pid"]
        fault, saw, began = self._struck(key)
        story = self._send(second, f"while {fault.does}", wait="on_host")
        _until(lambda: second.api.get("/status")["broker"]["pid"] not in (0, old), "another broker", HEALED_S)
        self._send(second, "over the new broker", wait="on_host", via="nats")
        return f"{saw}; the next message took {story['channel']}; {self._healed(began)} after the kill"

    def _moves(self, key: str) -> str:
        _, saw, began = self._struck(key)
        story = self._send(self.drill.second, "to another port", wait="on_host", via="http")
        took = self._healed(began)
        self.drill.heal()
        return f"{saw}; reached there by {story['channel']}; {took} after its end"

    def _stands(self, key: str) -> str:
        _, saw, _ = self._struck(key)
        third = self.drill.third
        _until(lambda: self.drill.standing(third) != "ALIVE", f"{third.name} to be missed", SEEN_S)
        story = self._send(third, "for when you go on")
        now = self.drill.standing(third)
        self.drill.heal()
        began = time.monotonic()
        self._arrives(story["id"])
        return f"{saw}, {now}; a message waited and came; {self._healed(began)} after SIGCONT"

    def _waits(self, key: str) -> str:
        self._struck(key)
        story = self._send(self.drill.second, "none of P1 to P3 may carry this")
        self.drill.heal()
        began = time.monotonic()
        self._arrives(story["id"])
        way, took = self.drill.first.api.why(story["id"])["channel"], time.monotonic() - began
        return f"a message waited, and came by {way} {took:.1f} s after they were let go; {self._healed(began)} after"

    def _count(self) -> str:
        for node in self._demo.nodes:
            ids = [letter["id"] for letter in node.api.get("/inbox", limit=1_000)]
            if sorted(ids) != sorted(self._sent[node.name]):
                said = f"{node.name} has {len(ids)} letters, {len(self._sent[node.name])} were sent to it"
                raise FleetError("demo.untrue", "It is not as it should be", said, "", Whose.OURS)
        return ", ".join(f"{name} {len(sent)}" for name, sent in self._sent.items())

    def _struck(self, key: str) -> tuple[Fault, str, float]:
        fault = next(one for one in self.drill.faults() if one.key == key)
        saw = fault.strike()
        return fault, saw, time.monotonic()

    def _healed(self, began: float) -> str:
        _until(lambda: not self.drill.broken(), "everything to be HEALTHY again", HEALED_S)
        return f"all HEALTHY {time.monotonic() - began:.1f} s"

    def _arrives(self, msg_id: str) -> None:
        api = self.drill.first.api
        _until(lambda: api.why(msg_id)["rung"] == "on_host", "the message to arrive", HEALED_S)

    def _send(self, to: DemoNode, body: str, **how: Any) -> Any:
        story = self.drill.send(to, body, **how)
        if "error" in story:
            raise FleetError(**story["error"] | {"fault": Whose(story["error"]["fault"])})
        self._sent[to.name].add(story["id"])
        return story


def _until(look: Callable[[], bool], what: str, limit_s: float) -> None:
    ends = time.monotonic() + limit_s
    while not look():
        if time.monotonic() > ends:
            said, step = f"waited {limit_s:g} s for {what}", "run it again; a very busy machine may need more time"
            raise FleetError("timeout.demo", "It did not happen", said, step, Whose.OURS)
        time.sleep(LOOK_S)
