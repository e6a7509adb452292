"""Admission: who comes into the fleet and who goes (edge).

The verbs invite, join, revoke, leave and role. An admin's node issues the next roster; every other node asks one that
does. What may follow what is decided by `engine.security.roster` and `engine.membership.invite`; here it is done: a
code is made, a socket asked, a roster handed to the loop.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import msgspec

from engine.clock import SystemClock
from engine.errors import ErrorFacts, Fault, FleetError
from engine.hands import Hands
from engine.loop import Loop
from engine.membership import invite as invites
from engine.model.envelope import Kind
from engine.model.mail import Lane
from engine.model.peer import THERE, Standing
from engine.model.roster import Member, Role, Roster
from engine.model.story import Invite, Left
from engine.security import roster as rosters
from engine.security.identity import Identity, tls_pin
from engine.signals import Posted, RosterMade
from engine.state import Fleet
from engine.transports.http.channel import call
from engine.transports.http.conversation import Answer
from engine.transports.http.line import Stranger
from engine.transports.http.peerport import Joining

JOIN_BUDGET_S = 10.0


class Admission:
    """Membership verbs of one node; every one raises `FleetError` for what it cannot do.

    `reach(joining)` makes this node reachable for joiners, whom `joining` answers, or (None) no longer, and returns its
    `host:port` endpoints.
    """

    def __init__(
        self,
        loop: Loop,
        hands: Hands,
        identity: Identity,
        clock: SystemClock,
        reach: Callable[[Joining | None], Coroutine[Any, Any, tuple[str, ...]]],
    ):
        self._loop, self._hands, self._identity, self._clock, self._reach = loop, hands, identity, clock, reach
        self._invites = invites.Invites()
        # One roster after another: two built on the same one would be a fork.
        self._issuing = asyncio.Lock()
        self._closing: asyncio.TimerHandle | None = None
        self._closed: asyncio.Task[tuple[str, ...]] | None = None

    async def invite(self, role: Role = Role.WORKER, ttl_s: int = 900) -> Invite:
        """A single-use code, and this node listening for whoever brings it."""
        self._admin_only("invite")
        now = self._clock.now()
        secret, expires_ms = os.urandom(invites.SECRET_SIZE), now.wall_ms + ttl_s * 1000
        self._invites = invites.invite(self._invites, secret, role, expires_ms, now.wall_ms)
        endpoints = await self._reach(self.asked)
        self._close_at(ttl_s)
        roster = self._hands.visible.roster
        return Invite(invites.make(self._identity, roster.fleet_id, endpoints, secret), expires_ms)

    async def invited(self, code: str) -> str:
        """Who came by this code of ours; empty while nobody did."""
        return invites.user(self._invites, invites.parse(code))

    async def asked(self, data: bytes) -> bytes:
        """A joiner's request at the peer port: its answer, once the roster that holds it is durable here."""
        asked = invites.unpack_request(data)
        async with self._issuing:
            now = self._clock.now()
            pending = invites.check_request(self._invites, asked, now.wall_ms)
            if not pending.answered:
                member = self._named_apart(invites.member(asked, pending))
                roster = rosters.admit(self._addressed(now.wall_ms), self._identity, member, now.wall_ms)
                await self._issue(roster, f"{member.name} joined")
            self._invites, answer = invites.answer(self._invites, asked, self._loop.fleet.roster)
        return invites.pack(answer)

    async def join(self, code: str) -> Roster:
        """Leave the fleet of one this node is, and enter the one whose code this is."""
        self._alone_only()
        parsed = invites.parse(code)
        fleet = self._loop.fleet
        request = invites.request(
            parsed, self._identity, fleet.me.name, fleet.me.addresses, os.urandom(invites.NONCE_SIZE)
        )
        answer = await _ask(parsed, invites.pack(request))
        roster = invites.check_answer(parsed, request, invites.unpack_answer(answer))
        await self._issue(roster, f"joined {roster.fleet_name}")
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WORD_S):
                await self._loop.until(_heard_somebody)
        return roster

    async def revoke(self, name: str) -> None:
        """No longer believe a member: refused on every channel as soon as the roster arrives."""
        self._admin_only("revoke")
        async with self._issuing:
            now, key = self._clock.now(), os.urandom(rosters.GOSSIP_KEY_SIZE)
            roster = rosters.revoke(self._loop.fleet.roster, self._identity, name, now.wall_ms, key)
            await self._issue(roster, f"{name} was revoked")

    async def set_role(self, name: str, role: Role) -> None:
        """Give a member another role."""
        self._admin_only("role")
        async with self._issuing:
            now = self._clock.now()
            roster = rosters.set_role(self._loop.fleet.roster, self._identity, name, role, now.wall_ms)
            await self._issue(roster, f"{name} is {role} now")

    async def dismiss(self, node: str) -> None:
        """A member asked to go: issue the roster that says so."""
        async with self._issuing:
            now = self._clock.now()
            roster = rosters.mark_left(self._loop.fleet.roster, self._identity, node, now.wall_ms)
            if roster is not self._loop.fleet.roster:
                await self._issue(roster, f"{self._loop.fleet.name_of(node)} left")

    async def leave(self, fresh: Roster) -> Left:
        """Tell the admin, then be a fleet of one again: `fresh`. Whoever was revoked has nobody to tell."""
        fleet = self._loop.fleet
        others = fleet.others()
        if not others:
            step = "`fleet join CODE` brings it into one"
            raise FleetError("usage.alone", "This machine is in no fleet", "it is a fleet of one", step, Fault.THEIRS)
        mine = fleet.mine
        admins = [one for one in others if one.admin]
        if mine is not None and mine.admin and not admins:
            why = "it is the only admin, and the others could admit and revoke nobody"
            step = "revoke the others first, or make another one chief"
            raise FleetError("refused.last_admin", "The last admin cannot leave", why, step, Fault.THEIRS)
        admins.sort(key=lambda one: not _there(fleet, one))
        told = fleet.revoked or not admins or await self._say_goodbye(admins[0])
        left = Left(
            fleet.roster.fleet_name, fleet.me.name, self._loop.fleet.mail.waiting, "" if told else admins[0].name
        )
        await self._issue(fresh, "left the fleet")
        return parted(left, fresh)

    async def _say_goodbye(self, admin: Member) -> bool:
        """A LEAVE to an admin, and whether it was confirmed; given a few seconds, because afterwards nobody here could
        still deliver it."""
        fleet, now = self._hands.visible, self._clock.now()
        ticket, accepted = self._hands.ticket()
        envelope = fleet.envelope(admin.id, Kind.LEAVE, self._clock.new_id(now), now.wall_ms)
        self._loop.post(Posted(envelope, ticket))
        msg_id = await accepted

        def heard(fleet: Fleet) -> bool:
            lane = fleet.mail.lanes.get(admin.id, Lane())
            return not lane.backlog and all(one.envelope.msg_id != msg_id for one in lane.open.values())

        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._loop.until(heard)
        except TimeoutError:
            return False
        return True

    async def _issue(self, roster: Roster, why: str) -> None:
        ticket, durable = self._hands.ticket()
        self._loop.post(RosterMade(roster, why, ticket))
        await durable

    def _admin_only(self, verb: str) -> None:
        fleet = self._loop.fleet
        mine = fleet.mine
        if mine is None or not mine.admin:
            admins = ", ".join(one.name for one in fleet.roster.members if one.admin and one.present)
            step = f"run `fleet {verb}` on {admins}" if admins else "there is no admin left in this fleet"
            raise FleetError("refused.not_admin", "Only an admin can do that", "", step, Fault.THEIRS)

    def _alone_only(self) -> None:
        fleet = self._loop.fleet
        others = [one.name for one in fleet.others()]
        if others:
            why = f"it is in {fleet.roster.fleet_name} with {', '.join(others)}"
            raise FleetError("refused.member", "This machine is in a fleet", why, "`fleet leave` first", Fault.THEIRS)

    def _addressed(self, now_ms: int) -> Roster:
        """The roster saying where this node listens now: a joiner has no heartbeat of it yet."""
        fleet = self._loop.fleet
        return rosters.readdress(fleet.roster, self._identity, fleet.me.id, fleet.me.addresses, now_ms)

    def _named_apart(self, member: Member) -> Member:
        """A free name: two machines called `mac` become `mac` and `mac-2`."""
        taken = {one.name for one in self._loop.fleet.roster.members if one.present and one.id != member.id}
        names = (member.name, *(f"{member.name[:28]}-{number}" for number in range(2, 1000)))
        return msgspec.structs.replace(member, name=next(name for name in names if name not in taken))

    def _close_at(self, ttl_s: int) -> None:
        """Answer joiners until the last code has expired: whoever comes late or second is told why it is refused."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + ttl_s + 1
        if self._closing is not None:
            ends = max(ends, self._closing.when())
            self._closing.cancel()
        self._closing = loop.call_at(ends, self._close)

    def stop(self) -> None:
        """Forget when to stop answering: nobody answers any more."""
        if self._closing is not None:
            self._closing.cancel()

    def _close(self) -> None:
        self._closed = asyncio.get_running_loop().create_task(self._reach(None))


GOODBYE_S = 5.0
# After joining, the first peer answers within a second; whoever asked is told of a fleet that lives.
FIRST_WORD_S = 3.0


def parted(left: Left, fresh: Roster) -> Left:
    """With its story: where the node is now, what was given up, and who does not know."""
    name = fresh.members[0].name
    renamed = f"it is {name} again, alone" if name != left.name else "it is alone"
    told = [f"This machine has left {left.fleet}; {renamed} in a new fleet called {fresh.fleet_name}."]
    if left.given_up:
        waited = "1 message that waited was" if left.given_up == 1 else f"{left.given_up} messages that waited were"
        told.append(f"{waited} given up (`fleet messages --rung dead`).")
    if left.untold:
        told.append(
            f"{left.untold} has not confirmed the goodbye and may still count it as a member: "
            f"`fleet revoke {left.name}` there puts it out, for good."
        )
    return msgspec.structs.replace(left, story=" ".join(told))


def _there(fleet: Fleet, member: Member) -> bool:
    peer = fleet.peers.get(member.id)
    return peer is not None and peer.standing in THERE


def _heard_somebody(fleet: Fleet) -> bool:
    return any(peer.standing is Standing.ALIVE for peer in fleet.peers.values())


async def _ask(code: invites.InviteCode, request: bytes) -> bytes:
    """Ask each endpoint of the code until one answers. Only the node whose TLS key the code names is spoken to: the
    answer to a join holds the fleet's gossip key."""

    def named(shown: bytes) -> bool:
        return tls_pin(shown) == code.pin

    failures: list[str] = []
    for endpoint in code.endpoints:
        host, _, port = endpoint.rpartition(":")
        try:
            answer = await call([(host, int(port))], named, "POST", "/join", request, JOIN_BUDGET_S)
        except Stranger:
            failures.append(f"{endpoint}: it shows another key than the invite names")
        except (OSError, TimeoutError, ValueError) as error:
            failures.append(f"{endpoint}: {error or type(error).__name__}")
        else:
            if answer.status != HTTPStatus.OK:
                raise _told(answer)
            return answer.body
    step = "check that the inviting node runs and is on a network this machine reaches, then ask for a new code"
    raise FleetError("join.unreachable", "The inviting node did not answer", "; ".join(failures), step, Fault.WORLD)


def _told(answer: Answer) -> FleetError:
    """The refusal the other side sent, as it said it."""
    try:
        return msgspec.json.decode(answer.body, type=_Said).error.raised()
    except msgspec.DecodeError:
        why = f"HTTP status {answer.status}"
        return FleetError("join.refused", "The inviting node refused", why, "ask for a new code", Fault.THEIRS)


class _Said(msgspec.Struct, frozen=True):
    error: ErrorFacts
