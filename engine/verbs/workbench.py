"""The workbench: a person has a channel repaired, this node mended, or a plan's commands run (edge).

Verbs of one node. A repair goes on by itself once it was asked for; a plan runs here, one command after another, each
with its deadline, and stops at the first that fails. What runs is what was shown, or nothing does; who approved which
commands is in the ledger before the first one starts.
That commands went well proves nothing: a round trip over that one channel, measured after them, is the last of them.
"""

import asyncio
import os
import shlex
import signal
from contextlib import suppress

import msgspec

from engine.errors import Fault, FleetError
from engine.hands import Hands
from engine.health.approval import CHANGED, NOTHING, waits
from engine.health.plan import instead
from engine.health.remedies import askable, ended_node, repairable, startable, unset
from engine.loop import Loop
from engine.model.channel import CHANNELS, Channel, ChannelState
from engine.model.repair import Action, Approval, Command, Level, Ran, Repair, broken_off, digest, opens_at
from engine.model.vitals import span
from engine.security.peercred import user
from engine.signals import MendWanted, PlanApproved, PlanDismissed, PlanRan, ProbeAsked, RepairAsked
from engine.state import Fleet
from engine.verbs.desk import recipients

# One command of a plan may take this long, and say so much.
COMMAND_S = 90.0
OUTPUT_LIMIT = 16 << 10
# A broker that was asked to start again is given so long until P1 answers; it is looked at so often.
PROOF_S, LOOK_S = 30.0, 2.0
# An agent has its own deadline and some seconds to end.
MARGIN_S = 10.0
ACTION_S = 40.0
# An approval that no disk has taken by then is none.
KEPT_S = 10.0
# A restart that is refused is refused at once.
SHORT_S = 0.2


class Workbench:
    """Repair verbs of one node. `peer` is a name or an id."""

    def __init__(self, loop: Loop, hands: Hands):
        self._loop, self._hands = loop, hands

    async def repair(self, peer: str, channel: Channel | None = None, level: int = 1, by: str = "") -> Repair:
        """Begin a repair, or take one to another rung. `by`: who wants it (empty: this node's user). Raises
        `FleetError`: `usage.repair` for a channel that is well or cannot be used, `refused.away` where nobody hears
        the peer, `refused.repairs` at the limit of an hour."""
        node = self._id(peer)
        fleet = self._loop.fleet
        peer = fleet.name_of(node)
        chosen = channel or (Channel.SSH if startable(fleet, node) else fleet.worst(node))
        if chosen is None or (node, chosen) not in fleet.channels:
            why = f"{chosen} to {peer} is not set up here" if chosen else f"no channel to {peer} is broken"
            raise FleetError("usage.repair", "Nothing to repair", why, f"see `fleet channels {peer}`", Fault.THEIRS)
        if fleet.health(node, chosen).state is ChannelState.HEALTHY:
            why = f"{chosen} to {peer} is healthy"
            raise FleetError("usage.repair", "Nothing to repair", why, f"`fleet check {peer}` proves it", Fault.THEIRS)
        if not askable(fleet, node, chosen):
            raise _away(fleet, node)
        if unset(fleet, node, chosen):
            why = f"{chosen} to {peer} cannot be used, which no repair changes: {fleet.health(node, chosen).reason}"
            raise FleetError("usage.repair", "Nothing to repair", why, instead(fleet, node, chosen), Fault.THEIRS)
        if level in (Level.ASKED, Level.AGENT):
            self._check_limit(fleet, node)
        before = self._loop.fleet.repairs.get((node, chosen))
        self._loop.post(RepairAsked(node, chosen, level, "", by or user()))
        await self._loop.until(lambda value: _heard(value, node, chosen, before))
        await self._hands.flush()
        repair = self._loop.fleet.repairs.get((node, chosen))
        if repair is None and not askable(self._loop.fleet, node, chosen):
            raise _away(self._loop.fleet, node)
        if repair is None:
            why = f"{chosen} to {peer}: {self._loop.fleet.health(node, chosen).reason}"
            raise FleetError("usage.repair", "Nothing to repair", why, f"`fleet check {peer}` proves it", Fault.THEIRS)
        return repair

    def _check_limit(self, fleet: Fleet, node: str) -> None:
        now, limit = asyncio.get_running_loop().time(), fleet.config.repair.per_hour
        opens = opens_at(fleet.mending.escalations.get(node, ()), now, limit)
        if opens:
            why = f"{limit} in this hour already; the next may follow in {(opens - now) / 60:.0f} min"
            step = "level 1 notes it, level 4 shows the commands; repair.per_hour is the limit"
            raise FleetError("refused.repairs", "No more repairs in this hour", why, step)

    async def mend(self, action: Action) -> str:
        """Do one action of the closed table here; how it ended. Raises `FleetError` when it was not done."""
        ticket, ended = self._hands.ticket()
        self._loop.post(MendWanted(action, ask=f"here-{ticket}", ticket=ticket))
        limit = {Action.AGENT: self._loop.fleet.config.repair.agent_s + MARGIN_S, Action.RESTART_DAEMON: SHORT_S}
        try:
            return await asyncio.wait_for(ended, limit_s := limit.get(action, ACTION_S))
        except TimeoutError:
            if action is Action.RESTART_DAEMON:
                return "it restarts now"  # whoever could say more is gone by then
            why = f"{action} has not ended after {limit_s:g} s"
            raise FleetError("timeout.repair", "It goes on", why, "`fleet ledger` tells its end", Fault.WORLD) from None

    async def approve(self, peer: str, channel: Channel | None, shown: str, by: str = "") -> list[Ran]:
        """Run the commands of a repair that waits for a person, in their order. `shown`: the digest of what that person
        saw; `by`: who it is (empty: this node's user). Raises `FleetError` `usage.plan` where none waits, where one
        runs already, and where the plan is another by now."""
        waiting = self._waiting(peer, channel)
        key = (waiting.peer, waiting.channel)
        ticket, taken = self._hands.ticket()
        self._loop.post(PlanApproved(*key, shown, by or user(), ticket))
        done, end = list[Ran](), PlanRan(*key, 0, False, "none of them was run", ticket)
        try:
            async with asyncio.timeout(KEPT_S):
                await taken
            plan = self._unchanged(*key, shown)
            end = msgspec.structs.replace(end, ok=None, note="broken off")
            await _run(plan, done)
            if len(done) == len(plan) and done[-1].status == 0:
                done.append(await self._proof(waiting))
            helped = done[-1].status == 0
            last = [] if helped else done[-1].output.strip().splitlines()
            end = msgspec.structs.replace(end, ok=helped, note=last[-1][:160] if last else "")
        except TimeoutError:
            why = f"the approval was not on the disk after {KEPT_S:g} s"
            raise FleetError("timeout.repair", "Nothing was run", why, "see `fleet doctor`", Fault.WORLD) from None
        finally:
            well = sum(one.status == 0 and bool(one.command) for one in done)
            self._loop.post(msgspec.structs.replace(end, ran=well))
        await self._loop.until(lambda fleet: all(one.ticket != ticket for one in fleet.mending.plans))
        await self._hands.flush()
        return done

    async def dismiss(self, peer: str, channel: Channel | None = None, by: str = "") -> list[Approval]:
        """Show approved commands that were broken off no more; which those were. `peer` empty: of any; `by`: who has
        seen to them (empty: this node's user). Raises `FleetError` `usage.plan` where none were."""
        fleet = self._loop.fleet
        node = fleet.me.id if peer in (fleet.me.id, fleet.me.name) else self._id(peer) if peer else ""
        ticket, taken = self._hands.ticket()
        gone = broken_off(fleet.mending, node, channel)
        self._loop.post(PlanDismissed(node, channel, by or user(), ticket))
        await taken
        return gone

    def _unchanged(self, node: str, channel: Channel, shown: str) -> tuple[Command, ...]:
        """What was shown, once the approval is on the disk: a repair that healed meanwhile has nothing to run."""
        repair = self._loop.fleet.repairs.get((node, channel))
        if repair is None or not waits(repair):
            raise NOTHING
        if digest(repair.plan) != shown:
            raise CHANGED
        return repair.plan

    async def _proof(self, repair: Repair) -> Ran:
        """A round trip over the channel that was repaired, from now on: nothing else says that the commands helped."""
        fleet, since = self._loop.fleet, asyncio.get_running_loop().time()
        peers = list(fleet.peers) if repair.ours else [repair.peer]
        # A node that had ended is there again when it answers, on whatever channel.
        free = [one for one in Channel if CHANNELS[one].probed]
        channels, asked = (free, None) if ended_node(repair) else ([repair.channel], repair.channel)
        pairs = [(peer, one) for peer in peers for one in channels if (peer, one) in fleet.channels]

        def came(value: Fleet) -> bool:
            return any((value.health(*pair).ok_at or 0.0) > since for pair in pairs)

        with suppress(TimeoutError):
            async with asyncio.timeout(PROOF_S):
                while not came(self._loop.fleet):
                    for peer in peers:
                        self._loop.post(ProbeAsked(peer, asked))
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._loop.until(came), LOOK_S)
        fleet = self._loop.fleet
        whom = "anybody" if repair.ours else fleet.name_of(repair.peer)
        does = f"a round trip over {repair.channel} to {whom}, measured afterwards"
        if came(fleet):
            return Ran("", does, 0, "")
        said = fleet.health(*pairs[0]).reason if pairs else ""
        return Ran("", does, None, f"none in {PROOF_S:g} s{f': {said}' if said else ''}")

    def _waiting(self, peer: str, channel: Channel | None) -> Repair:
        fleet = self._loop.fleet
        node = fleet.me.id if peer in ("", fleet.me.id, fleet.me.name) else self._id(peer)
        found = [
            one for one in fleet.repairs.values() if waits(one) and one.peer == node and channel in (None, one.channel)
        ]
        if len(found) != 1:
            why = "several repairs wait" if found else "no repair of it waits for a person"
            step = "name one with --channel" if found else "`fleet repair` lists what is under way"
            raise FleetError("usage.plan", "Nothing to approve", why, step, Fault.THEIRS)
        return found[0]

    def _id(self, peer: str) -> str:
        return recipients(self._loop.fleet, peer)[0].id


def _away(fleet: Fleet, node: str) -> FleetError:
    name, live = fleet.name_of(node), fleet.peers.get(node)
    heard = live.heard_mono if live else None
    since = f" {span((asyncio.get_running_loop().time() - heard) * 1e3)}" if heard is not None else ""
    why, step = f"{name} is away{since}; nothing can be asked of it", f"`fleet wake {name}` where it sleeps"
    if startable(fleet, node):
        step = f"its node has ended: `fleet repair {name} --channel ssh --level 2` starts it"
    return FleetError("refused.away", "Nobody hears it", why, step, Fault.WORLD)


def _heard(fleet: Fleet, node: str, channel: Channel, before: Repair | None) -> bool:
    """Whether the wish was heard: the repair is another than before it, or there is none to be had any more."""
    repair = fleet.repairs.get((node, channel))
    if repair is not None and repair is not before:
        return True
    return not repairable(fleet, node, channel)


async def _run(plan: tuple[Command, ...], done: list[Ran]) -> None:
    """One after another, up to the first that fails; what each came to is in `done` as soon as it ended."""
    for command in plan:
        done.append(await _one(command))
        if done[-1].status != 0:
            break


async def _one(command: Command) -> Ran:
    """One command, in a group of its own, with nothing on its standard input."""
    told = shlex.join(command.argv)
    try:
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return Ran(told, command.does, 127, f"{command.argv[0]}: {error.strerror or error}")
    said = b""
    try:
        async with asyncio.timeout(COMMAND_S):
            assert process.stdout is not None
            while piece := await process.stdout.read(4_096):
                said = (said + piece)[-OUTPUT_LIMIT:]
            status: int | None = await process.wait()
    except TimeoutError:
        status = None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    # ssh ends its own lines as a terminal in raw mode wants them.
    return Ran(told, command.does, status, said.decode(errors="replace").replace("\r\n", "\n"))
