"""Repairs of this node, done (edge): one deed an action, in one literal table, and what came of it.

    Undertake(action) -> the deed, within its time -> MendEnded(done | refused | failed, a line)

The table is closed: what is not in it cannot be asked for, and nothing in it ends a process that is not this node's
own, opens a shell or takes an argument from a peer. Whether an action may be done is `engine.health.mend`'s to say.

`start_peer` stands beside it: the one repair that is done to another machine, by the command which that announced.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from engine.config import RepairConfig
from engine.deeds.repairman import work
from engine.doors import Doors
from engine.effects import StartPeer, Undertake
from engine.errors import Fault, FleetError
from engine.hands import Hands
from engine.home import REPAIRS
from engine.model.channel import Channel, Outcome, Verdict
from engine.model.packets import Mended
from engine.model.repair import Action, Ended
from engine.signals import MendAnswered, MendEnded
from engine.transports.ssh.channel import Ssh
from engine.transports.ssh.start import ended

log = logging.getLogger(__name__)

# A broker that is asked to end has two seconds, to start five, to let us in six; nothing else takes as long.
DEED_S = 30.0
RESTART_S = 0.5
START_S = 30.0
# A line about an outcome, in the ledger and at the peer that asked.
NOTE_LIMIT = 200

Deed = Callable[[Undertake], Awaitable[str]]


class Mender:
    """Does what `Undertake` asks. `restart`: ends this process in order, so many seconds on, and starts it again, or
    raises what would keep it from that (None: nobody would start it). `retrust`: gives keys and roster to everything
    once more. `tunnels`: hangs up and opens those that are kept to peers; says how many."""

    def __init__(
        self,
        home: Path,
        config: RepairConfig,
        doors: Doors,
        *,
        post: Callable[[Any], None],
        spawn: Callable[[Coroutine[Any, Any, Any]], None],
        restart: Callable[[float], None] | None,
        retrust: Callable[[], None],
        tunnels: Callable[[], Awaitable[str]],
    ):
        self._home, self._config, self._doors = home, config, doors
        self._post, self._spawn, self._restart, self._retrust = post, spawn, restart, retrust
        self._tunnels = tunnels
        self._deeds: dict[Action, tuple[Deed, float]] = {
            Action.RESTART_NATS: (self._nats, DEED_S),
            Action.RESTART_DAEMON: (self._daemon, DEED_S),
            Action.RESTART_TUNNEL: (self._tunnel, DEED_S),
            Action.RELOAD_ROSTER: (self._roster, DEED_S),
            Action.FREE_PORT: (self._port, DEED_S),
            Action.AGENT: (self._agent, config.agent_s),
        }

    def undertake(self, effect: Undertake) -> None:
        """Begin an action; its end is heard as a signal."""
        self._spawn(self._done(effect))

    async def _done(self, effect: Undertake) -> None:
        deed, limit_s = self._deeds[effect.action]
        log.info("repair %s begins", effect.action)
        try:
            async with asyncio.timeout(limit_s):
                note, outcome = await deed(effect), Ended.DONE
        except FleetError as error:
            refused = error.code.startswith("refused.")
            note, outcome = error.detail or error.title, Ended.REFUSED if refused else Ended.FAILED
        except TimeoutError:
            note, outcome = f"not done after {limit_s:g} s", Ended.FAILED
        except Exception as error:
            log.exception("repair %s failed", effect.action)
            note, outcome = type(error).__name__, Ended.FAILED
        log.info("repair %s: %s %s", effect.action, outcome, note)
        if effect.action is Action.RESTART_DAEMON and outcome is Ended.DONE:
            return  # this process is on its way out: the next one says that it is there
        self._post(MendEnded(effect.action, outcome, note[:NOTE_LIMIT]))

    async def _nats(self, effect: Undertake) -> str:
        return await self._doors.restart_broker()

    async def _daemon(self, effect: Undertake) -> str:
        if self._restart is None:
            raise FleetError(
                "refused.restart", "This node cannot restart itself", "nothing would start it again", fault=Fault.WORLD
            )
        # Whoever asked at this machine hears that it begins.
        self._restart(RESTART_S)
        return "restarting"

    async def _tunnel(self, effect: Undertake) -> str:
        return f"{await self._doors.renew_links()}, {await self._tunnels()}"

    async def _roster(self, effect: Undertake) -> str:
        self._retrust()
        return await self._doors.reload()

    async def _port(self, effect: Undertake) -> str:
        return await self._doors.reopen_port()

    async def _agent(self, effect: Undertake) -> str:
        return await work(self._config.agent, effect.prompt, self._home / REPAIRS, effect.ask, self._config.agent_s)


async def start_peer(hands: Hands, effect: StartPeer) -> MendAnswered:
    """A peer's node started over ssh: what came of it, as its own answer would have it."""
    target, ssh = hands.target(effect.peer), hands.transports.get(Channel.SSH)
    outcome = Outcome(Verdict.BARRED, "no ssh to it")
    if target is not None and isinstance(ssh, Ssh):
        outcome = await ssh.start_node(target, START_S)
    note = outcome.note[:NOTE_LIMIT]
    return MendAnswered(effect.peer, Mended(effect.ask, Action.RESTART_DAEMON, ended(outcome), note))
