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
from fleet_tui.drill import HOT, Drill
from fleet_tui.drill_course import told

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
        second, third = (node.name for node in self._demo.nodes[1:3])
        return [
            Step(f"start and join {len(self._demo.nodes)} nodes; P1, P2 and P3 are HEALTHY", self._start),
            Step(f"1: kill -9 of {second}'s nats-server", lambda: self._kills("1")),
            Step(f"2: {second} restarts, and a stranger has taken its peer port", lambda: self._moves("2")),
            Step(f"3: SIGSTOP of {third}", lambda: self._stands("3")),
            Step(f"4: SIGSTOP of {second}'s nats-server", lambda: self._cuts("4")),
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
        return f"{self.drill.watched} channels are HEALTHY, and watched"

    def _kills(self, key: str) -> str:
        old = self.drill.broker_pid()
        saw = self._struck(key)
        story = self._send(self.drill.second, "while P1 is away", wait="on_host")
        _until(lambda: self.drill.broker_pid() != old, "another broker", HEALED_S)
        self._send(self.drill.second, "over the new broker", wait="on_host", via="nats")
        return f"{saw}; the next message took {story['channel']}; {self._healed()}"

    def _moves(self, key: str) -> str:
        saw = self._struck(key)
        story = self._send(self.drill.second, "to another port", wait="on_host", via="http")
        healed = self._healed()
        self.drill.heal()
        return f"{saw}; reached there by {story['channel']}; {healed}"

    def _stands(self, key: str) -> str:
        saw = self._struck(key)
        third = self.drill.third
        _until(lambda: self.drill.standing(third) != "ALIVE", f"{third.name} to be missed", SEEN_S)
        story = self._send(third, "for when you go on")
        cut = (self.drill.first.name, third.name, HOT[0])
        _until(lambda: cut in self.drill.course().open, "its channels to break", SEEN_S)
        now = self.drill.standing(third)
        self.drill.begin()
        self.drill.heal()
        _until(lambda: self._arrived(story["id"]), "the message to arrive", HEALED_S)
        return f"{saw}, {now}; a message waited and came; SIGCONT, and {self._healed()}"

    def _cuts(self, key: str) -> str:
        old = self.drill.broker_pid()
        saw = self._struck(key)
        story = self._send(self.drill.second, "while P1 is cut", wait="on_host")
        _until(lambda: self.drill.broker_pid() != old, "another life of the broker", HEALED_S)
        return f"{saw}; a message took {story['channel']}; {self._healed()}"

    def _count(self) -> str:
        for node in self._demo.nodes:
            ids = [letter["id"] for letter in node.api.get("/inbox", limit=1_000)]
            if sorted(ids) != sorted(self._sent[node.name]):
                said = f"{node.name} has {len(ids)} letters, {len(self._sent[node.name])} were sent to it"
                raise FleetError("demo.untrue", "It is not as it should be", said, "", Whose.OURS)
        return ", ".join(f"{name} {len(sent)}" for name, sent in self._sent.items())

    def _struck(self, key: str) -> str:
        fault = next(one for one in self.drill.faults() if one.key == key)
        self.drill.begin()
        return fault.strike()

    def _healed(self) -> str:
        _until(lambda: not self.drill.course().open, "everything to be HEALTHY again", HEALED_S)
        return told(self.drill.course())

    def _arrived(self, msg_id: str) -> bool:
        return bool(self.drill.first.api.why(msg_id)["rung"] == "on_host")

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
