"""Starting a peer's node over ssh, where its machine is there and its node is not (edge).

    somebody at its socket?   CONFIRMED  it runs already
    its own start command ->  CONFIRMED  exit 0: it runs now
                              REFUSED    exit 4: a person stopped it on purpose, and it stays so
                              LOST       anything else, with what the command said last

The command is the peer's own, announced in its heartbeat and run as its own user: nothing is invented here. It runs
only where the peer's node has answered before (`proofs`), for anybody can announce another's sshd.
"""

import asyncio
import shlex
from contextlib import suppress

from engine.model.channel import Outcome, Verdict
from engine.model.repair import Ended
from engine.transports.base import Target
from engine.transports.ssh.faults import NodeAbsent, ending
from engine.transports.ssh.lines import SshLines

# `engine.errors.EXIT_CODES`: what a command says that was refused.
EXIT_REFUSED = 4
UNPROVED = "its node has never answered there, or others could be at its socket"


RUNS = "it runs already"
_ENDED = {Verdict.CONFIRMED: Ended.DONE, Verdict.REFUSED: Ended.REFUSED}


async def start_node(lines: SshLines, target: Target, budget_s: float) -> Outcome:
    """Start the peer's node if it does not run; the outcome's note is for people. Never raises for what the network
    does."""
    way = target.ways.ssh
    if why := lines.why_not(target) or (None if way and way.start else "it announced no start command"):
        return Outcome(Verdict.BARRED, why, hard=True)
    if not lines.proofs.answered(target):
        return Outcome(Verdict.BARRED, UNPROVED, hard=True)
    try:
        async with asyncio.timeout(budget_s):
            return await _started(lines, target)
    except OSError as error:
        return ending(error, budget_s)


def ended(outcome: Outcome) -> Ended:
    """What a start came to, as a repair tells it."""
    return Ended.ALREADY if outcome.note == RUNS else _ENDED.get(outcome.verdict, Ended.FAILED)


async def _started(lines: SshLines, target: Target) -> Outcome:
    way = target.ways.ssh
    assert way is not None  # `start_node` has looked
    wire = await lines.line(target)
    with suppress(NodeAbsent):
        (await wire.slot(way.socket, lambda data: None, lambda: None)).abort()
        return Outcome(Verdict.CONFIRMED, RUNS)
    command = shlex.join(way.start)
    used, (status, said) = await lines.session(target, lambda wire: wire.run(command))
    lines.release(used)
    if status == 0:
        return Outcome(Verdict.CONFIRMED, "it was started")
    last = said.splitlines()[-1] if said else "nothing"
    if status == EXIT_REFUSED:
        return Outcome(Verdict.REFUSED, "it was stopped on purpose", hard=True)
    return Outcome(Verdict.LOST, f"its start command ended with {status}: {last}"[:200], hard=True)
