"""T23: how late the engine's loop is while its screen is tortured, and while its terminal takes nothing for 30 s.

torture   a thousand peers that change two thousand times a second; keys, resizes, help and rooms without a pause
stalled   the same screen on a terminal that nobody reads; a peer watches whether the node is ever suspected
control   the same node with no terminal at all
"""

import random
import time
from collections.abc import Iterable
from pathlib import Path

import pexpect

from bench.beating import BEAT
from bench.effort import Effort
from bench.figures import Line, Samples, tail_at_most
from bench.nodes import Remote, folder, joined, remote, until
from bench.pane import ended, fleet

NUMBERS = ("T23",)
KEYS = ("\x1b[B", "\x1b[A", "\x1b[6~", "\x1b[5~", "\x1b[C", "?", "\x1b", "1", "2", "6", "2", "s", "\x1b[F", "\x1b[H")
SIZES = ((40, 120), (48, 160), (24, 80), (50, 200))
SEED = 23


async def measure(effort: Effort) -> Iterable[Line]:
    """Two lines."""
    control = "no terminal"
    tortured = Line("T23", "engine heartbeat late, its screen tortured", "ms", tail_at_most(0.99, 50, "ms"), control)
    stalled = Line("T23", "the same, its terminal stalled", "ms", tail_at_most(0.99, 50, "ms"), control)
    chance, seen = random.Random(SEED), set[str]()
    torture_s, stall_s = effort.of(8, 2), effort.of(30, 4)
    with folder() as place, remote(place / "w", "watch") as watch:
        node = Beating(place / "n", place / "beats")
        try:
            joined(watch, node.start())
            until(lambda: _standing(watch) == {"ALIVE"}, "the peer to be alive")
            for at in effort.rounds():
                raw = node.late_ms(time.sleep, torture_s / 2)
                for line in (tortured, stalled):
                    line.raw.append(raw)
                tortured.ours.append(node.late_ms(_torture, node.home, torture_s, chance))
                # Once for its whole length, then briefly: a terminal is let go after two seconds.
                stalled.ours.append(node.late_ms(_stall, node.home, stall_s if at == 0 else 4, watch, seen))
        finally:
            node.close()
    stalled.note = f"first stall {stall_s} s; the peer saw it {', '.join(sorted(seen))} all the time"
    return [tortured, stalled]


class Beating(Remote):
    """The node whose engine writes its own lateness."""

    def __init__(self, home: Path, beats: Path):
        super().__init__(home, "node")
        self.command = ("-m", "bench.beating", str(home), str(beats))
        self._beats = beats

    def late_ms(self, act: object, *arguments: object) -> Samples:
        """How late its loop was while `act` went on."""
        began = time.monotonic()
        act(*arguments)  # type: ignore[operator]
        data = self._beats.read_bytes()
        beats = BEAT.iter_unpack(data[: len(data) // BEAT.size * BEAT.size])
        return [max(0.0, late_s * 1000) for at, late_s in beats if at >= began]


def _torture(home: Path, seconds: float, chance: random.Random) -> None:
    stub = fleet(home, "node")
    stub.expect("p000")
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        stub.send(chance.choice(KEYS))
        if chance.random() < 0.1:
            stub.setwinsize(*chance.choice(SIZES))
        _drain(stub, chance.uniform(0.005, 0.05))
    stub.send("\x1b\x1b\x1a")
    ended(stub)


def _stall(home: Path, seconds: float, watch: Remote, seen: set[str]) -> None:
    stub = fleet(home, "node")
    stub.expect("p000")
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        seen |= _standing(watch)
        time.sleep(0.1)
    stub.close(force=True)


def _standing(watch: Remote) -> set[str]:
    return {peer["standing"] for peer in watch.client.get("/peers") if not peer.get("me")}


def _drain(stub: pexpect.spawn, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        try:
            stub.read_nonblocking(1 << 16, left)
        except pexpect.TIMEOUT:
            return
