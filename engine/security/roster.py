"""The roster's deeds: an admin founds a fleet, admits, revokes, and signs each version onto the one before it.

    v1 found ──signed by an admin of v1──> v2 admit ──signed by an admin of v2──> v3 revoke ──> …

Every deed is (roster, the admin's identity, what, now) -> the next roster. Only an admin that is present may sign, a
fleet never loses its last admin while others remain, a present name is unique, and nobody is ever removed: whoever is
revoked or has left stays in the list, so that a late reader knows why a name is refused. A revoked device stays revoked
for good; whoever left may be admitted again. Revoking drops the gossip key the revoked node knows.

Whether an offered roster may replace the one in force is decided by `engine.security.ancestry`.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from engine.errors import Fault, FleetError
from engine.model.roster import Address, Member, Role, Roster, name_from, unfit
from engine.security.ancestry import ROSTER, body, check_successor, digest, verify
from engine.security.identity import Identity, base32, verify_bundle

# The checks belong to the deeds for whoever uses a roster; they are told apart because they change for other reasons.
__all__ = [
    "admit",
    "check_name",
    "check_successor",
    "digest",
    "found",
    "mark_left",
    "name_from",
    "present",
    "readdress",
    "revoke",
    "set_role",
    "verify",
]

GOSSIP_KEY_SIZE = 32


def found(identity: Identity, name: str, fleet_name: str, now_ms: int, entropy: Callable[[int], bytes]) -> Roster:
    """A new fleet of one: this node is its chief, admin and voter. `entropy(n)` gives n unpredictable bytes."""
    check_name(name)
    check_name(fleet_name)
    founder = Member(identity.id, name, identity.bundle, role=Role.CHIEF, admin=True, voter=True, joined_ms=now_ms)
    keyring = (entropy(GOSSIP_KEY_SIZE),)
    return _signed(identity, Roster(base32(entropy(10)), fleet_name, 1, now_ms, (founder,), keyring))


def admit(roster: Roster, identity: Identity, member: Member, now_ms: int) -> Roster:
    """With a new member, or one that had left; the same roster when it is there already and nothing changed.

    Raises `FleetError`: `trust.bundle`, `trust.key_changed`, `refused.revoked`, `usage.name`, `refused.not_admin`.
    """
    if verify_bundle(member.bundle) != member.id:
        raise FleetError("trust.bundle", "The bundle belongs to another", f"{member.id} is not the id of that key")
    known = roster.member(member.id)
    if known and known.revoked_ms:
        why = f"{known.name} ({known.id}) was revoked"
        raise FleetError("refused.revoked", "The device was revoked", why, "join from a new, empty home")
    _check_free(roster, member.name, member.id)
    if known and known.present:
        joined = replace(known, name=member.name, addresses=member.addresses or known.addresses)
    else:
        joined = replace(member, joined_ms=now_ms, left_ms=0, revoked_ms=0)
    return roster if joined == known else _next(roster, identity, now_ms, members=_with(roster, joined))


def revoke(roster: Roster, identity: Identity, name: str, now_ms: int, new_key: bytes) -> Roster:
    """Without trust in the member `name`, and with `new_key` as the only gossip key.

    Raises `FleetError`: `unknown.peer`, `usage.self` (use leave), `refused.not_admin`.
    """
    member = present(roster, name)
    if member.id == identity.id:
        raise FleetError("usage.self", "A node cannot revoke itself", name, "run `fleet leave` on it instead")
    members = _with(roster, replace(member, revoked_ms=now_ms, admin=False, voter=False))
    return _next(roster, identity, now_ms, members=members, keyring=(new_key,))


def mark_left(roster: Roster, identity: Identity, node_id: str, now_ms: int) -> Roster:
    """With the member of this id marked as gone, at its own wish; unchanged when it is no longer present."""
    member = roster.member(node_id)
    if member is None or not member.present:
        return roster
    # The admin mark stays: an admin signs its own leaving, and a reader has to see that it was one.
    gone = replace(member, left_ms=now_ms, voter=False)
    return _next(roster, identity, now_ms, members=_with(roster, gone))


def set_role(
    roster: Roster, identity: Identity, name: str, role: Role, now_ms: int,
    *, admin: bool | None = None, voter: bool | None = None,
) -> Roster:  # fmt: skip
    """With another role for `name`, and where given its `admin` and `voter` marks. A new chief makes the old one a
    captain: there is one."""
    member = present(roster, name)
    marks = {"admin": member.admin if admin is None else admin, "voter": member.voter if voter is None else voter}
    changed, chief = replace(member, role=role, **marks), roster.chief
    if role is Role.CHIEF and chief and chief.id != member.id:
        roster_with = replace(roster, members=_with(roster, replace(chief, role=Role.CAPTAIN)))
        return _next(roster, identity, now_ms, members=_with(roster_with, changed))
    return _next(roster, identity, now_ms, members=_with(roster, changed))


def readdress(
    roster: Roster, identity: Identity, node_id: str, addresses: tuple[Address, ...], now_ms: int, mac: str = ""
) -> Roster:
    """With the addresses where a member listens, and its hardware address for waking when given; unchanged when
    nothing is new."""
    member = roster.member(node_id)
    if member is None or not member.present:
        raise _no_member(roster, node_id)
    moved = replace(member, addresses=addresses, mac=mac or member.mac)
    return roster if moved == member else _next(roster, identity, now_ms, members=_with(roster, moved))


def check_name(name: str) -> None:
    """Raises `FleetError` `usage.name` unless it can be a name."""
    if why := unfit(name):
        raise FleetError("usage.name", "That cannot be a name", why, "choose another, for example `mac2`")


def present(roster: Roster, name: str) -> Member:
    """The present member of this name. Raises `FleetError` `unknown.peer`."""
    member = roster.named(name)
    if member is None:
        raise _no_member(roster, name)
    return member


def _check_free(roster: Roster, name: str, owner: str) -> None:
    check_name(name)
    # By an id as well as by a name a message is addressed: nobody is called like another one's id.
    holder = roster.named(name) or roster.member(name)
    if holder and holder.id != owner:
        why = f"{name} is {holder.id} in {roster.fleet_name}"
        raise FleetError(
            "usage.name", "That name is taken", why, "join again with another: FLEET_NODE_NAME=… fleet join"
        )


def _no_member(roster: Roster, name: str) -> FleetError:
    former = next((one for one in roster.members if name in (one.name, one.id)), None)
    why = f"{name} {'was revoked' if former.revoked_ms else 'left'}" if former else f"{name} is no member"
    return FleetError(
        "unknown.peer", "Nobody of that name", why, "`fleet peers` shows who is in the fleet", Fault.THEIRS
    )


def _with(roster: Roster, member: Member) -> tuple[Member, ...]:
    if roster.member(member.id) is None:
        return (*roster.members, member)
    return tuple(member if one.id == member.id else one for one in roster.members)


def _next(roster: Roster, identity: Identity, now_ms: int, **changes: Any) -> Roster:
    issuer = roster.member(identity.id)
    if issuer is None or not issuer.present or not issuer.admin:
        admins = ", ".join(one.name for one in roster.members if one.admin and one.present)
        raise FleetError("refused.not_admin", "Only an admin may do that", f"admins: {admins}", "run it on one of them")
    following = replace(roster, version=roster.version + 1, issued_ms=now_ms, previous=digest(roster), **changes)
    remaining = [one for one in following.members if one.present]
    if remaining and not any(one.admin for one in remaining):
        step = "make another member an admin first: `fleet role NAME ROLE --admin`"
        raise FleetError("refused.last_admin", "The last admin cannot go", issuer.name, step)
    return _signed(identity, following)


def _signed(identity: Identity, roster: Roster) -> Roster:
    unsigned = replace(roster, signer=identity.id, signature=b"")
    return replace(unsigned, signature=identity.sign(ROSTER, body(unsigned)))
