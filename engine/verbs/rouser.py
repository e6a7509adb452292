"""The rouser: wakes a machine and says what came of it (edge).

there already?  -> said, nothing is sent
magic packet    -> limits and missing cards are errors, told at once
wait            -> its node is heard: awake; its sshd answers: its node is started by its own command
                   time is up: an error, because "sent" is not "awake"
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from engine.errors import Fault, FleetError
from engine.hands import Hands
from engine.loop import Loop
from engine.model.channel import CHANNELS, Channel, Outcome, Verdict
from engine.model.peer import Peer, Standing
from engine.model.repair import Ended
from engine.model.wayside import Woken
from engine.signals import NodeStarted, NodeStarting, ProbeAsked, Tried
from engine.state import Fleet
from engine.transports.base import Target
from engine.transports.ssh.channel import Ssh
from engine.transports.ssh.start import ended
from engine.verbs.desk import recipients

WAIT_S = 60.0
# A node that is there answers one of its channels in this time; it was only not heard lately.
CHECK_S = 2.0
# Every so often all channels are tried again: a machine that comes up is met within seconds of its network.
AGAIN_S = 3.0
START_S = 20.0


class Rouser:
    """The verb `wake` of one node."""

    def __init__(self, loop: Loop, hands: Hands):
        self._loop, self._hands = loop, hands

    async def wake(self, peer: str, wait_s: float = WAIT_S) -> Woken:
        """Wake a machine and wait until its node is heard; `wait_s` 0 only sends.

        Raises `FleetError`: `unknown.recipient`, `refused.wake` (often enough), `refused.stopped` (by a person),
        `wake.barred`, `timeout.wake`."""
        member = recipients(self._loop.fleet, peer)[0]
        began, steps = asyncio.get_running_loop().time(), [self._seen(member.id)]
        if self._is_alive(member.id) or await self._answers(member.id, steps):
            return self._told(member.id, steps, began)
        target = self._hands.target(member.id)
        assert target is not None  # recipients are present members
        sent = await self._sent(target)
        steps.append(sent.note)
        starter = self._starter(target) if wait_s > 0 else None
        if sent.verdict is Verdict.REFUSED or (sent.verdict is Verdict.BARRED and starter is None):
            raise _unsent(member.name, sent)
        if wait_s > 0:
            await self._awaited(target, starter, wait_s, steps)
        return self._told(member.id, steps, began)

    async def _answers(self, node: str, steps: list[str]) -> bool:
        """The health check: whether it was there after all."""
        self._loop.post(ProbeAsked(node))
        if not await self._heard(node, CHECK_S):
            return False
        steps.append("it answered: it was there already")
        return True

    async def _sent(self, target: Target) -> Outcome:
        wake = self._hands.transports.get(Channel.WOL)
        if wake is None:
            return Outcome(Verdict.BARRED, "this node has no such channel", hard=True)
        began = asyncio.get_running_loop().time()
        outcome = await wake.deliver(b"", target, CHANNELS[Channel.WOL].budget_s)
        took_ms = (asyncio.get_running_loop().time() - began) * 1000
        self._loop.post(Tried(target.id, Channel.WOL, (), outcome, took_ms, probe=True))
        return outcome

    def _starter(self, target: Target) -> Ssh | None:
        """What could start its node once its machine is up."""
        ssh = self._hands.transports.get(Channel.SSH)
        way = target.ways.ssh
        return ssh if isinstance(ssh, Ssh) and way is not None and way.start else None

    async def _awaited(self, target: Target, ssh: Ssh | None, wait_s: float, steps: list[str]) -> None:
        last, began = "", asyncio.get_running_loop().time()
        by_packet = True
        came_to, said = None, ""
        try:
            async with asyncio.timeout(wait_s):
                while not await self._heard(target.id, AGAIN_S):
                    self._loop.post(ProbeAsked(target.id))
                    if ssh is not None:
                        self._loop.post(NodeStarting(target.id))
                        came_to, said = None, "over ssh: no answer yet"
                        outcome = await ssh.start_node(target, START_S)
                        came_to, said = ended(outcome), f"over ssh: {outcome.note}"
                        last = said
                        if came_to is not Ended.FAILED:
                            self._loop.post(NodeStarted(target.id, came_to, said))
                            said = ""
                        if outcome.verdict is Verdict.REFUSED:
                            raise self._stopped(target.id, steps, outcome)
                        if outcome.verdict is Verdict.CONFIRMED:
                            steps.append(last)
                            ssh, last, by_packet = None, "", False
            if by_packet:
                self._proved(target.id, Outcome(Verdict.CONFIRMED, "it woke"), began)
        except TimeoutError:
            if wait_s >= CHANNELS[Channel.WOL].budget_s:
                self._proved(target.id, Outcome(Verdict.LOST, f"it was not heard within {wait_s:g} s"), began)
            raise self._asleep(target.id, [*steps, last] if last else steps, wait_s) from None
        finally:
            if said:
                self._loop.post(NodeStarted(target.id, came_to, said))

    def _proved(self, node: str, outcome: Outcome, began: float) -> None:
        """What the packets came to: a sshd that answered before the node did says nothing of them, nor does a person
        who waits for less than a machine takes to start."""
        took_ms = (asyncio.get_running_loop().time() - began) * 1000
        self._loop.post(Tried(node, Channel.WOL, (), outcome, took_ms, probe=True))

    async def _heard(self, node: str, within_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._loop.until(lambda fleet: _standing(fleet, node) is Standing.ALIVE)
        return self._is_alive(node)

    def _is_alive(self, node: str) -> bool:
        return _standing(self._loop.fleet, node) is Standing.ALIVE

    def _seen(self, node: str) -> str:
        standing = _standing(self._loop.fleet, node)
        return "it is there" if standing is Standing.ALIVE else f"it is {standing.lower()}"

    def _told(self, node: str, steps: Sequence[str], began: float) -> Woken:
        fleet, waited_s = self._loop.fleet, asyncio.get_running_loop().time() - began
        return Woken(
            fleet.name_of(node), self._is_alive(node), _standing(fleet, node), tuple(steps), round(waited_s, 1)
        )

    def _stopped(self, node: str, steps: Sequence[str], outcome: Outcome) -> FleetError:
        name = self._loop.fleet.name_of(node)
        why = f"{name}'s machine is awake and its node does not run: {outcome.note} ({'; '.join(steps)})"
        step = "start it there: `fleet up`"
        return FleetError("refused.stopped", "Its node was stopped on purpose", why, step, Fault.THEIRS)

    def _asleep(self, node: str, steps: Sequence[str], waited_s: float) -> FleetError:
        name = self._loop.fleet.name_of(node)
        step = "it may still come; `fleet peers` shows it. Is Wake-on-LAN switched on in its firmware and system?"
        why = f"{name} was not heard within {waited_s:g} s ({'; '.join(steps)})"
        return FleetError("timeout.wake", "It is not awake yet", why, step, Fault.WORLD)


def _standing(fleet: Fleet, node: str) -> Standing:
    return fleet.peers.get(node, Peer(node)).standing


def _unsent(name: str, sent: Outcome) -> FleetError:
    if sent.verdict is Verdict.REFUSED:
        step = "wait for it; `wake.a_minute` in the configuration is the limit"
        return FleetError("refused.wake", "It was woken often enough", f"{name} was {sent.note}", step, Fault.WORLD)
    step = "a node tells of its cards while it runs; `wake.macs` in its configuration names them"
    return FleetError("wake.barred", "It cannot be woken from here", f"{name}: {sent.note}", step, Fault.WORLD)
