"""T6: a kilobyte committed and pushed to a hub over P7, against the git command line doing the same (edge).

The control makes the same of the same: a blob, a tree, a commit without parents, and a forced push to one ref of the
hub; as few commands as do it. Both push to a repository in a folder, so that git is measured and no network. The
second line has four senders push to one receiver at the same time, and counts what the hub turned down.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterable
from time import perf_counter

from bench.echo import BODY
from bench.effort import Effort
from bench.figures import Line, ratio_at_most, worst_at_most
from bench.needs import program
from engine.model.channel import Verdict
from engine.transports.git.remote import Remote
from engine.transports.git.repository import Repository
from tests.hubs import SPELLS, Fellow, Hub, acquainted

NUMBERS = ("T6",)
BUDGET_S = 30.0


async def measure(effort: Effort) -> Iterable[Line]:
    """Two lines."""
    program("git")
    return [await _one(effort), await _four(effort)]


async def _one(effort: Effort) -> Line:
    line = Line("T6", "P7 commit and push, 1 KB, a hub in a folder", "ms", ratio_at_most(1.1), "git: four commands")
    hub = Hub()
    here, to = await _pair(hub)
    target = to.target
    try:
        await here.git.deliver(BODY, target, BUDGET_S)
        for _ in effort.rounds():
            line.raw.append([])
            line.ours.append([])
            for _ in range(effort.of(30, 5)):
                began = perf_counter()
                await asyncio.to_thread(_by_hand, hub)
                line.raw[-1].append((perf_counter() - began) * 1000)
                began = perf_counter()
                outcome = await here.git.deliver(os.urandom(len(BODY)), target, BUDGET_S)
                line.ours[-1].append((perf_counter() - began) * 1000)
                assert outcome.verdict is Verdict.LANDED, outcome
    finally:
        await asyncio.gather(here.close(), to.close())
        hub.end()
    return line


async def _four(effort: Effort) -> Line:
    line = Line("T6", "the same, four senders at once: turned down", "pushes", worst_at_most(0, "turned down"))
    hub, turned_down = Hub(), 0
    _, to = await _pair(hub)
    senders = [Fellow(number, hub.url) for number in range(3, 7)]
    acquainted(to, *senders)
    push = Remote.push

    async def counted(self: Remote, here: Repository, changes: dict[str, tuple[str, str]]) -> dict[str, str]:
        nonlocal turned_down
        said = await push(self, here, changes)
        turned_down += sum(bool(why) for why in said.values())
        return said

    async def all_of(one: Fellow) -> None:
        for _ in range(effort.of(25, 3)):
            outcome = await one.git.deliver(os.urandom(len(BODY)), to.target, BUDGET_S)
            assert outcome.verdict is Verdict.LANDED, outcome

    Remote.push = counted  # type: ignore[assignment, method-assign]
    try:
        for one in senders:
            one.begin()
        for _ in effort.rounds():
            turned_down = 0
            await asyncio.gather(*map(all_of, senders))
            line.ours.append([float(turned_down)])
    finally:
        Remote.push = push  # type: ignore[method-assign]
        await asyncio.gather(*(one.close() for one in (to, *senders)))
        hub.end()
    return line


async def _pair(hub: Hub) -> tuple[Fellow, Fellow]:
    """A sender and a receiver that has told where it looks, and looks no more."""
    here, to = Fellow(1, hub.url), Fellow(2, hub.url)
    acquainted(here, to)
    here.begin()
    await to.listen()
    await to.git.close()
    return here, to


def _by_hand(hub: Hub) -> None:
    """Blob, tree, commit, push, in a repository beside the hub."""
    mine = hub.folder / "mine.git"
    if not mine.exists():
        subprocess.run(["git", "init", "-q", "--bare", str(mine)], check=True)
    git = ("git", f"--git-dir={mine}")
    env = {**os.environ, **SPELLS}

    def run(*words: str, stdin: bytes = b"") -> str:
        ran = subprocess.run([*git, *words], input=stdin, capture_output=True, check=True, env=env)
        return ran.stdout.decode().strip()

    blob = run("hash-object", "-w", "--stdin", stdin=os.urandom(len(BODY)))
    tree = run("mktree", stdin=f"100644 blob {blob}\t00000001\n".encode())
    commit = run("commit-tree", tree, "-m", "x")
    run("push", "-q", "--force", hub.url, f"{commit}:refs/fleet/by-hand")
