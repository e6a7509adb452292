"""The desk: where faces hand mail in and ask what became of it (edge).

Verbs only. It turns a name into node ids, a text into an envelope, and an id into its story; it decides nothing about
delivery. An unknown recipient is an error here and now, never "queued".
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec
from immutables import Map

from engine.bus import Bus
from engine.clock import SystemClock
from engine.errors import Fault, FleetError
from engine.hands import Hands
from engine.health.cascade import choose
from engine.loop import Loop
from engine.mail import limits, welcome
from engine.mail.naming import named
from engine.mail.outbox import DISK_FULL
from engine.mail.story import summed, tell
from engine.mail.waits import foretold, under_way, waits
from engine.model.channel import CHANNELS, Channel
from engine.model.envelope import (
    BODY_LIMIT,
    FAILED,
    GROUP,
    HEIGHT,
    KINDS,
    THREAD_LIMIT,
    TTL_LIMIT_S,
    Envelope,
    Kind,
    Rung,
    Urgency,
    said,
    waitable,
)
from engine.model.event import MessageMoved
from engine.model.roster import ALL, BY_ROLE, Member, Role
from engine.model.story import BEFORE_ALL, Arrival, Group, Letter, Letters, Page, Query, Story, arrived, in_order
from engine.security.role import may_send
from engine.signals import Nudged, Posted
from engine.state import Fleet

# A ULID has 26 characters; its last six are random enough to be typed, and no fewer are looked for.
ID_LENGTH, TAIL_LENGTH = 26, 6


class Reader(Protocol):
    """The store's pages, as the desk asks for them."""

    async def story(self, msg_id: str, names: Mapping[str, str]) -> Story | None: ...
    async def lines(self, query: Query, names: Mapping[str, str]) -> Page: ...
    async def letters(self, limit: int, after: str, session: str, before: str) -> tuple[Letter, ...]: ...
    async def body(self, msg_id: str) -> bytes | None: ...
    async def came(self, msg_id: str) -> int: ...
    async def ending(self, tail: str) -> tuple[str, ...]: ...
    async def group(self, thread: str) -> tuple[str, ...]: ...


class Desk:
    """Mail verbs of one node; every one raises `FleetError` for what it cannot do."""

    def __init__(self, loop: Loop, hands: Hands, reader: Reader, bus: Bus, clock: SystemClock):
        self._loop, self._hands, self._reader, self._bus, self._clock = loop, hands, reader, bus, clock
        self._buckets: limits.Buckets = Map()

    async def send(
        self,
        to: str,
        body: str,
        *,
        kind: Kind = Kind.CONTEXT,
        via: Channel | None = None,
        widened: bool = False,
        ttl_s: int | None = None,
        urgency: Urgency | None = None,
        thread: str = "",
        session: str = "",
    ) -> list[Story]:
        """Accept a message for each recipient; durable when this returns. `ttl_s` 0 lives for ever."""
        if self._loop.fleet.mail.full:
            # Here and not only in its turn: on a disk without any room no turn comes to its end.
            raise DISK_FULL.raised()
        fleet = self._hands.visible
        payload = _checked(fleet, kind, body)
        members = recipients(fleet, to)
        thread, via = named(fleet, members, session, thread, via)
        lives_s = KINDS[kind].ttl_s if ttl_s is None else ttl_s
        _check_header(lives_s, thread)
        self._check_channel(via)
        self._count(members, kind)
        group = f"{GROUP}{self._clock.new_id(self._clock.now())}" if len(members) > 1 and not thread else thread
        envelopes = [self._envelope(member, payload, kind, lives_s, urgency, group) for member in members]
        waiting = [self._accepted(envelope, via, widened) for envelope in envelopes]
        return [
            _begun(fleet, await accepted, member, envelope, via)
            for member, envelope, accepted in zip(members, envelopes, waiting, strict=True)
        ]

    async def greet(self, node: str) -> Story:
        """Accept a greeting, which the node of this peer answers by itself; it is nobody's mail, and in no inbox."""
        if self._loop.fleet.mail.full:
            raise DISK_FULL.raised()
        fleet = self._hands.visible
        _check_member(fleet)
        member = recipients(fleet, node)[0]
        envelope = self._envelope(member, welcome.HELLO, Kind.HELLO, KINDS[Kind.HELLO].ttl_s, None, "")
        return _begun(fleet, await self._accepted(envelope, None, False), member, envelope)

    def _count(self, members: list[Member], kind: Kind) -> None:
        """All of a call within the limits, or nothing of it. Raises `FleetError` `refused.rate`."""
        fleet, allowed = self._hands.visible, self._hands.visible.config.limits
        peers = [member.id for member in members]
        self._buckets, over = limits.taken(self._buckets, peers, kind, allowed, self._clock.now().mono)
        if over:
            raise limits.refusal(over, fleet.names(), kind, allowed)

    def _envelope(
        self, member: Member, payload: bytes, kind: Kind, ttl_s: int, urgency: Urgency | None, thread: str
    ) -> Envelope:
        fleet, now = self._hands.visible, self._clock.now()
        return fleet.envelope(
            member.id, kind, self._clock.new_id(now), now.wall_ms, payload, urgency=urgency, ttl_s=ttl_s, thread=thread
        )

    def _accepted(self, envelope: Envelope, via: Channel | None, widened: bool) -> "asyncio.Future[str]":
        ticket, accepted = self._hands.ticket(envelope.msg_id)
        self._loop.post(Posted(envelope, ticket, via, widened))
        return accepted

    def _check_channel(self, via: Channel | None) -> None:
        """A channel that this node has no setting for would never be tried, and one that wakes would never bring it."""
        if via is None:
            return
        config = self._hands.visible.config
        needed = {
            Channel.NATS: ("broker.enabled", config.broker.enabled or config.broker.url),
            Channel.CLOUD: ("cloud.url", config.cloud.url),
            Channel.GIT: ("git.hub", config.git.hub),
        }
        if not CHANNELS[via].carries:
            why = f"{via} switches machines on; what waits for one goes over the other channels"
            step = "`fleet wake PEER`, or --any, which wakes a peer that is away once all else failed"
            raise FleetError("usage.channel", "That channel carries no message", why, step, Fault.THEIRS)
        if via in needed and not needed[via][1]:
            lack = "false" if via is Channel.NATS else "not set"
            why = f"`{needed[via][0]}` is {lack}, so nothing could go by {via}"
            step = f"set `{needed[via][0]}` (`fleet config path`) and start the node again, or leave out --via"
            raise FleetError("usage.channel", "That channel is not set up", why, step, Fault.THEIRS)

    async def wait(self, msg_id: str, rung: Rung, timeout_s: float) -> Story:
        """The story once the message reached `rung` or failed. Raises `FleetError` `timeout.rung` when it did neither
        within `timeout_s`, and `usage.rung` for a rung that cannot be waited for."""
        async with self._bus.subscribe() as feed:
            story = await self.story(msg_id)
            waitable(rung, story.session)
            if _settled(story.rung, rung):
                return story
            try:
                async with asyncio.timeout(timeout_s):
                    async for _, event in feed:
                        if isinstance(event, MessageMoved) and event.msg_id == msg_id and _settled(event.rung, rung):
                            return await self.story(msg_id)
            except TimeoutError:
                pass
        story = await self.story(msg_id)
        reached = f"{story.rung} ({story.reason})" if story.reason else story.rung
        why = f"after {timeout_s:g} s it is {reached}, not {rung}; it goes on by itself"
        raise FleetError("timeout.rung", "The receipt did not come yet", why, f"fleet why {msg_id}", Fault.WORLD)

    async def story(self, msg_id: str) -> Story:
        """Where a message of ours is and how it came there."""
        await self._hands.flush()
        fleet = self._hands.visible
        story = await self._reader.story(await self._whole(msg_id), fleet.names())
        if story is None:
            raise FleetError("unknown.message", "No such message", msg_id, "`fleet messages` lists ids", Fault.THEIRS)
        member = fleet.roster.named(story.to)
        node = member.id if member else ""
        flying = under_way(fleet, node, story.id, self._clock.now()) if story.rung is Rung.ACCEPTED else ()
        return _told(fleet, msgspec.structs.replace(story, tries=in_order((*story.tries, *flying))), node)

    async def group(self, name: str) -> Group | None:
        """One message to several: the story of each copy; None where there is no such group."""
        if not name.startswith(GROUP):
            return None
        await self._hands.flush()
        stories = tuple([await self.story(msg_id) for msg_id in await self._reader.group(name)])
        return Group(name, stories, summed(stories)) if stories else None

    async def why(self, name: str) -> Group | Story | Arrival:
        """What became of a message, ours or for us, or of one to several. Raises `FleetError` `unknown.message`."""
        try:
            return await self.group(name) or await self.story(name)
        except FleetError:
            whole, names = await self._whole(name), self._hands.visible.names()
            found = (await self._reader.lines(Query(dir="in", text=whole, limit=1), names)).lines
            if not found or found[0].id != whole:
                raise
            return Arrival(**msgspec.structs.asdict(found[0]), story=arrived(found[0]))

    async def _whole(self, msg_id: str) -> str:
        """An id as it was given, or the one id that ends so: screens show the ends of ids."""
        if len(msg_id) >= ID_LENGTH or len(msg_id) < TAIL_LENGTH:
            return msg_id
        found = await self._reader.ending(msg_id)
        return found[0] if len(found) == 1 else msg_id

    async def resend(self, msg_id: str, widened: bool = False) -> Story:
        """Try a waiting message now instead of after its back-off, `widened`: over any channel from now on. What is
        settled is not sent again: same id, once."""
        story = await self.story(msg_id)
        if story.rung is not Rung.ACCEPTED:
            why = f"it is {story.rung}; sending it again could only be a second message"
            raise FleetError("usage.settled", "The message is settled", why, "send a new one", Fault.THEIRS)
        member = self._hands.visible.roster.named(story.to)
        if member:
            self._loop.post(Nudged(member.id, story.id if widened else ""))
        return story

    async def body(self, msg_id: str) -> str:
        """The text of a message, either way; for the local user only."""
        body = await self._reader.body(await self._whole(msg_id))
        if body is None:
            raise FleetError("unknown.message", "No such message", msg_id, "`fleet messages` lists ids", Fault.THEIRS)
        return body.decode(errors="replace")

    async def messages(self, query: Query) -> Page:
        """A page of the log, newest first, no older than any event that was told before it was asked for."""
        await self._hands.flush()
        return await self._reader.lines(query, self._hands.visible.names())

    async def inbox(self, limit: int = 100, after: str = "", session: str = "", before: str = "") -> Letters:
        """Letters to this node, oldest first: the newest, the next after the letter with id `after` (`BEFORE_ALL`: from
        the first), or the last before `before`. Raises `FleetError` `unknown.message` for one that is not there."""
        after, before = await self._letter(after), await self._letter(before)
        letters = await self._reader.letters(limit, after, session, before)
        more = False
        if letters:
            beyond = (letters[-1].id, session, before) if after else ("", session, letters[0].id)
            more = bool(await self._reader.letters(1, *beyond))
        names = self._hands.visible.names()
        return Letters(
            tuple(msgspec.structs.replace(one, sender=names.get(one.sender, one.sender)) for one in letters), more
        )

    async def _letter(self, given: str) -> str:
        """The whole id of a letter to go on from."""
        found = await self._whole(given)
        if found and found != BEFORE_ALL and not await self._reader.came(found):
            step = "`fleet inbox` lists them; without --after it shows the newest"
            raise FleetError("unknown.message", "No letter has this id", found, step, Fault.THEIRS)
        return found

    def preview(
        self, to: str, kind: Kind = Kind.CONTEXT, via: Channel | None = None, widened: bool = False
    ) -> list[tuple[str, tuple[Channel, ...], str]]:
        """Whom a message would reach: (name, channels in order, why not now)."""
        fleet = self._hands.visible
        return [_previewed(fleet, member, kind, via, widened) for member in recipients(fleet, to)]


def recipients(fleet: Fleet, to: str) -> list[Member]:
    """The present members an address names: a name, an id, `role:R`, `all`, or several with commas; never this node.

    Raises `FleetError` `unknown.recipient` or `usage.self`.
    """
    others = fleet.others()
    if "," in to:
        named = [
            member.id for part in filter(None, map(str.strip, to.split(","))) for member in recipients(fleet, part)
        ]
        return [member for member in others if member.id in named]
    found = [member for member in others if _fits(member, to)]
    if found:
        return found
    if to in (fleet.me.id, fleet.me.name):
        raise FleetError("usage.self", "That is this machine", f"`{fleet.me.name}`", _next(others), Fault.THEIRS)
    raise FleetError("unknown.recipient", "No such recipient", _known(fleet, to, others), _next(others), Fault.THEIRS)


def _fits(member: Member, to: str) -> bool:
    if to == ALL:
        return True
    if to.startswith(BY_ROLE):
        return member.role == to.removeprefix(BY_ROLE)
    return to in (member.id, member.name)


def _known(fleet: Fleet, to: str, others: Iterable[Member]) -> str:
    former = fleet.roster.former(to)
    if former:
        return f"`{to}` {former.ended}"
    role = to.removeprefix(BY_ROLE) if to.startswith(BY_ROLE) else ""
    if to.startswith(BY_ROLE) and role not in Role.__members__.values():
        return f"`{to}`: roles are {', '.join(Role)}"
    if not others:
        return f"`{to}`: nobody else is in the fleet"
    known = ", ".join(sorted(f"{member.name} ({member.role})" if role else member.name for member in others))
    return f"`{to}`: no other machine is {role}; the others: {known}" if role else f"`{to}` is none of: {known}"


def _next(others: list[Member]) -> str:
    return "`fleet peers` lists the names" if others else "`fleet invite` brings a machine into the fleet"


def _checked(fleet: Fleet, kind: Kind, body: str) -> bytes:
    if not KINDS[kind].public:
        allowed = ", ".join(one for one, spec in KINDS.items() if spec.public)
        step = "`fleet send --help` tells what each is for"
        raise FleetError("usage.kind", "Not a kind for people", f"`{kind}`; kinds are {allowed}", step, Fault.THEIRS)
    mine = _check_member(fleet)
    if mine is not None and not may_send(mine.role, kind):
        why = f"this node is {mine.role}, and peers take no {kind} from one"
        raise FleetError("refused.role", "This role may not send that", why, "ask an admin for another role")
    payload = said(body).encode()
    if len(payload) > BODY_LIMIT:
        why = f"{len(payload)} bytes, at most {BODY_LIMIT} travel in one message"
        raise FleetError("usage.size", "The message is too large", why, "send a link or a path instead", Fault.THEIRS)
    return payload


def _check_member(fleet: Fleet) -> Member | None:
    """This node as the roster has it. Raises `FleetError` `refused.revoked`."""
    mine = fleet.mine
    if mine is not None and mine.revoked_ms:
        step = "`fleet leave`, then join from a new, empty home with a new invite"
        raise FleetError("refused.revoked", "This machine was revoked", "nobody takes anything from it", step)
    return mine


def _check_header(ttl_s: int, thread: str) -> None:
    """What a person may say beside the body must fit the store and a frame."""
    if not 0 <= ttl_s <= TTL_LIMIT_S:
        why = f"{ttl_s} s, where at most {TTL_LIMIT_S} (ten years) fit"
        raise FleetError("usage.ttl", "That is no lifetime", why, "0 keeps the message for ever", Fault.THEIRS)
    if len(thread.encode()) > THREAD_LIMIT:
        why = f"{len(thread.encode())} bytes, at most {THREAD_LIMIT}"
        raise FleetError("usage.thread", "The thread's name is too long", why, "choose a shorter one", Fault.THEIRS)


def _begun(fleet: Fleet, msg_id: str, member: Member, envelope: Envelope, via: Channel | None = None) -> Story:
    """The story of a message that was accepted a moment ago."""
    at = envelope.created_ms
    expires_at = at + envelope.ttl_s * 1000 if envelope.ttl_s else 0
    group = envelope.thread if envelope.thread.startswith(GROUP) else ""
    story = Story(
        msg_id, member.name, envelope.kind, Rung.ACCEPTED, None, (), at=at, expires_at=expires_at, group=group
    )
    return _saying(story, foretold(fleet, member.id, story, via))


def _told(fleet: Fleet, story: Story, node: str) -> Story:
    """The story with its sentence. `node`: the recipient's id; empty for who is not in the roster any more."""
    return _saying(story, waits(fleet, node, story) if story.rung is Rung.ACCEPTED else "")


def _saying(story: Story, why: str) -> Story:
    return msgspec.structs.replace(story, story=tell(story, why), waits=why)


def _settled(rung: Rung, wanted: Rung) -> bool:
    """Held back and given to it stand on one height, and only the second is what it says."""
    held_only = rung is Rung.HELD and wanted is Rung.POSTED
    return rung in FAILED or (HEIGHT[rung] >= HEIGHT[wanted] and not held_only)


def _previewed(
    fleet: Fleet, member: Member, kind: Kind, via: Channel | None, widened: bool
) -> tuple[str, tuple[Channel, ...], str]:
    order = choose(fleet, member.id, kind, via=via, widened=widened)
    if order:
        return member.name, order, ""
    at = msgspec.structs.replace(NOBODYS, to=member.name, kind=kind)
    return member.name, order, foretold(fleet, member.id, at, via)


# A message that was not written, for what would become of it.
NOBODYS = Story("", "", Kind.CONTEXT, Rung.ACCEPTED, None, ())
