"""The clinic: the doctor of a running node, asked from its faces (edge).

Verbs only. The checks look at the real machine on a thread of their own, so neither the loop nor a screen waits for a
disk; what they saw becomes a slice of the value (`Examined`). A mend is done by the check that found the fault, and
what this node can do to itself it does by its own closed table of repairs; then that check looks again. The checks are
imported there too, when they are first needed: most nodes are never examined.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Container
from pathlib import Path

from engine import descriptors
from engine.broker import machine
from engine.config import Resolved
from engine.doctor import report
from engine.doctor.check import Check, examine, mended
from engine.doctor.gauge import measure
from engine.doctor.scene import Scene
from engine.errors import Fault, FleetError
from engine.hands import Hands
from engine.loop import Loop
from engine.model.exam import STILL, Exam, is_ill
from engine.model.finding import Finding
from engine.model.moment import DAY_MS
from engine.model.repair import Action
from engine.signals import Examined, Measured

# What was found is looked at again no sooner, and after so many times what the last such look took.
AGAIN_S, TIMES = 60.0, 100.0
# A deed of this node's own, such as a broker started again.
DEED_S = 45.0
Mend = Callable[[Action], Awaitable[str]]
Prune = Callable[[int], Awaitable[object]]


class Clinic:
    """Doctor's verbs of one node. `now_ms`: the wall clock. `mend`: this node's repairs. `prune`: forgets settled mail
    from before a moment."""

    def __init__(
        self,
        home: Path,
        resolved: Resolved,
        version: str,
        loop: Loop,
        hands: Hands,
        *,
        now_ms: Callable[[], int],
        mend: Mend,
        prune: Prune,
    ):
        self._home, self._resolved, self._version = home, resolved, version
        self._loop, self._hands, self._now_ms, self._mend, self._prune = loop, hands, now_ms, mend, prune
        self._looking = asyncio.Lock()
        # Of the terminal that asked last.
        self._size = (0, 0)
        self._again = 0.0

    def gauge(self) -> None:
        """Measure this machine and this process, for the watchdog."""
        self._loop.post(Measured(measure(self._home, self._loop.waiting, none_left=descriptors.none_left())))

    async def follow(self) -> None:
        """Look again at what the doctor found, so that nobody is told of what is over; as seldom as such a look is
        slow."""
        clock = asyncio.get_running_loop().time
        ill = {exam.code for exam in self._loop.fleet.doctor.exams if any(map(is_ill, exam.findings))}
        if not ill or self._looking.locked() or clock() < self._again:
            return
        async with self._looking:
            began = clock()
            await self._look(ill)
            self._again = clock() + max(AGAIN_S, TIMES * (clock() - began))

    async def examine(self, size: tuple[int, int] = (0, 0)) -> list[report.Entry]:
        """Look at everything now; the report in reading order. `size`: of the terminal that asks, where one does."""
        async with self._looking:
            self._size = size if any(size) else self._size
            await self._look()
        return self.report()

    def report(self) -> list[report.Entry]:
        """What was seen last, and what the node has noticed since."""
        fleet = self._hands.visible
        return report.entries(fleet.doctor.exams, fleet.findings.values(), self._now_ms())

    async def fix(self, code: str, subject: str = "") -> str:
        """Mend one finding and look again; what was done, and whether that was in vain. Raises `FleetError`:
        `unknown.finding` where nothing of that name is found now, `refused.unsafe` where only a person may."""
        async with self._looking:
            # Only the truth of this moment is acted on: somebody may have mended it by hand.
            check = {code.partition(".")[0]}
            finding = self._named(await self._look(check), code, subject)
            done = await asyncio.to_thread(_mended, self.scene(), finding)
            left = [one for exam in await self._look(check) for one in exam.findings]
        return done + (STILL if any((one.code, one.subject) == (code, subject) for one in left) else "")

    async def _look(self, codes: Container[str] = ()) -> list[Exam]:
        exams = await asyncio.to_thread(_examined, codes, self.scene())
        self._loop.post(Examined(tuple(exams)))
        seen = {exam.code: exam.said for exam in exams}
        await self._loop.until(lambda fleet: seen.items() <= {one.code: one.said for one in fleet.doctor.exams}.items())
        await self._hands.flush()  # what the faces see is what is durable
        return exams

    def _named(self, exams: list[Exam], code: str, subject: str) -> Finding:
        for exam in exams:
            for one in exam.findings:
                if (one.code, one.subject) == (code, subject):
                    return one
        why = f"{code}{f' of {subject}' if subject else ''} is not found now"
        raise FleetError("unknown.finding", "Nothing to mend", why, "`fleet doctor` lists what is", Fault.THEIRS)

    def scene(self) -> Scene:
        """What a check may look at now."""
        fleet = self._hands.visible
        program, lacks = found_broker()
        size = self._size if fleet.me.terminal != "detached" else (0, 0)
        return Scene(
            self._home,
            self._resolved.config,
            self._version,
            self._now_ms(),
            sys.platform,
            fleet,
            os.getpid(),
            self._resolved.origins,
            program,
            lacks,
            dict(os.environ),
            size,
            self._version,
            self._deeds(),
        )

    def _deeds(self) -> dict[str, Callable[[], object]]:
        """What a mend may have this node do; called on the checks' thread, done on the loop's."""
        loop = asyncio.get_running_loop()

        def deed(work: Callable[[], Awaitable[object]]) -> Callable[[], object]:
            async def done() -> object:
                return await work()

            return lambda: asyncio.run_coroutine_threadsafe(done(), loop).result(DEED_S)

        keep_ms = self._resolved.config.store.keep_days * DAY_MS
        return {
            "restart_nats": deed(lambda: self._mend(Action.RESTART_NATS)),
            "prune": deed(lambda: self._prune(self._now_ms() - keep_ms)),
        }


def without_node(scene: Scene) -> list[Exam]:
    """What can be seen of a home whose node does not run: files, disk, ports, programs."""
    return _examined((), scene)


def of_the_caller(scene: Scene, codes: tuple[str, ...]) -> list[Exam]:
    """Only these checks, for what only the caller's own process can tell."""
    return _examined(codes, scene)


def mend_without_node(scene: Scene, finding: Finding) -> str:
    """Mend a finding while no node runs. Raises `FleetError`."""
    return _mended(scene, finding)


def found_broker() -> tuple[str, str]:
    """Where nats-server is, or why there is none."""
    try:
        return machine.program(), ""
    except FleetError as error:
        return "", error.detail


def _examined(codes: Container[str], scene: Scene) -> list[Exam]:
    """What the checks of these names see; all of them where none is called so: a finding may be one of the node's."""
    named = [one for one in _catalogue() if one.code in codes]
    return examine(named or _catalogue(), scene)


def _mended(scene: Scene, finding: Finding) -> str:
    return mended(_catalogue(), scene, finding)


def _catalogue() -> tuple[Check, ...]:
    from engine.doctor.catalogue import CATALOGUE

    return CATALOGUE
