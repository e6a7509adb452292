"""T7: text and Enter accepted by tmux over the node's lasting control-mode connection, against two `tmux send-keys`.

Both end when tmux has taken the keys, which is before any program read them; what the node does besides to prove that
they were read (looking, waiting for the paste to show) is measured too, and told in the note.
"""

import asyncio
import tempfile
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

from bench.effort import Effort
from bench.figures import Line, ratio_at_most
from bench.needs import program
from engine.transports.text.tmux import Pane, identify
from engine.transports.text.typist import Typist

NUMBERS = ("T7",)
TEXT = ": 'a line as it is typed for a message, with its label and its fence: <<< build is green >>>'"
MARK = "[fleet 7F3K9QAB]"


async def measure(effort: Effort) -> Iterable[Line]:
    """One line."""
    tmux, count = program("tmux"), effort.of(100, 5)
    line = Line("T7", "P8 text and Enter accepted by tmux", "ms", ratio_at_most(1 / 8, "≤ 1/8"), "two `tmux send-keys`")
    with tempfile.TemporaryDirectory(prefix="fl", dir="/tmp") as folder:
        socket = str(Path(folder) / "tmux")
        await _run(tmux, "-S", socket, "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", "bash --norc")
        pane = Pane(socket, "%0", await identify(socket, "%0"))
        try:
            await pane.submit(TEXT)
            for _ in effort.rounds():
                line.raw.append([])
                line.ours.append([])
                for _ in range(count):
                    began = perf_counter()
                    await _run(tmux, "-S", socket, "send-keys", "-t", "%0", "-l", TEXT)
                    await _run(tmux, "-S", socket, "send-keys", "-t", "%0", "Enter")
                    between = perf_counter()
                    await pane.submit(TEXT)
                    line.raw[-1].append((between - began) * 1000)
                    line.ours[-1].append((perf_counter() - between) * 1000)
            line.note = f"typed, shown, submitted and seen in the pane: {await _proved_ms(pane):.1f} ms"
        finally:
            await pane.close()
            await _run(tmux, "-S", socket, "kill-server")
    return [line]


async def _proved_ms(pane: Pane) -> float:
    """A whole last hop, each rung proved."""
    typist = Typist(pane)
    while (await typist.glimpse()).why:
        await asyncio.sleep(0.05)
    began = perf_counter()
    async for _ in typist.type(lambda shell: f": '{MARK} build is green'", MARK):
        pass
    return (perf_counter() - began) * 1000


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    await process.wait()
