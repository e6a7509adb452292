"""Which roster may follow which: the check every offered roster passes before anyone believes it.

A roster replaces the one in force when it is of the same fleet, of a higher version, signed by a member who is a
present admin in the roster in force, and forgets nobody. Versions may be missed: then the chain of hashes cannot be
checked, and the admin's signature alone decides. What never happens silently: going back (`trust.rollback`), two
versions with one number (`trust.fork`), another key for a known id (`trust.key_changed`), a revocation undone.

Canonical bytes are a context and the roster's fields in the order of the type, as msgpack, without the signature. They
are re-encoded by every reader, so a new field in the type needs a new context.
"""

import hashlib

import msgspec

from engine.errors import Fault, FleetError
from engine.model.roster import Member, Roster
from engine.security.identity import verify_bundle, verify_signature

ROSTER = b"fleet roster 1"
KEYRING_LIMIT = 3

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def body(roster: Roster) -> bytes:
    """The canonical bytes that an admin signs."""
    return _encode(msgspec.structs.replace(roster, signature=b""))


def digest(roster: Roster) -> bytes:
    """SHA-256 of what was signed: with the version, a roster's name in gossip."""
    return hashlib.sha256(ROSTER + b"\0" + body(roster)).digest()


def verify(roster: Roster) -> None:
    """A roster in itself: whole, and signed by an admin it names. For the first one of a node that joins, whose
    author the invite vouches for, and for one read back from disk. Raises `FleetError` `trust.*`."""
    _check_whole(roster)
    signer = roster.member(roster.signer)
    # It may have left: an admin signs its own leaving.
    if signer is None or signer.revoked_ms or not signer.admin:
        raise _refused("trust.not_admin", "The roster's signer is no admin", roster.signer)
    _check_signature(roster, signer)


def check_successor(current: Roster, offered: Roster) -> None:
    """Returns when `offered` may replace `current`, or is it. Raises `FleetError` with one of these codes:
    `trust.foreign_roster`, `trust.rollback`, `trust.fork`, `trust.not_admin`, `trust.forged_roster`,
    `trust.member_dropped`, `trust.key_changed`, `trust.unrevoked`, `trust.bundle`, `trust.roster`."""
    if offered.fleet_id != current.fleet_id:
        raise _refused("trust.foreign_roster", "The roster is of another fleet", offered.fleet_id)
    if offered.version < current.version:
        raise _refused("trust.rollback", "The roster is an older one", _versions(current, offered))
    if offered.version == current.version:
        if digest(offered) != digest(current):
            raise _forked(current, offered)
        return
    _check_signer(current, offered)
    if offered.version == current.version + 1 and offered.previous != digest(current):
        raise _forked(current, offered)
    for member in current.members:
        _check_kept(member, offered.member(member.id))
    _check_whole(offered, current)


def _check_signer(current: Roster, offered: Roster) -> None:
    signer = current.member(offered.signer)
    expired = signer and 0 < signer.expires_ms <= offered.issued_ms
    if signer is None or not signer.admin or not signer.present or expired:
        raise _refused("trust.not_admin", "The roster's signer is no admin", offered.signer)
    _check_signature(offered, signer)


def _check_signature(roster: Roster, signer: Member) -> None:
    if not verify_signature(signer.bundle, ROSTER, body(roster), roster.signature):
        raise _refused("trust.forged_roster", "The roster's signature is false", f"said to be by {signer.name}")


def _check_kept(member: Member, offered: Member | None) -> None:
    if offered is None:
        raise _refused("trust.member_dropped", "The roster forgets a member", member.name)
    if offered.bundle != member.bundle:
        raise _refused(
            "trust.key_changed",
            "A member's key changed",
            f"{member.name} ({member.id}) is offered with another key than the one it joined with",
            f"ask {member.name}'s owner; if it was set up anew, `fleet revoke {member.name}` and invite it again",
        )
    if member.revoked_ms and not offered.revoked_ms:
        raise _refused("trust.unrevoked", "The roster undoes a revocation", member.name)


def _check_whole(roster: Roster, current: Roster | None = None) -> None:
    names = [member.name for member in roster.members if member.present]
    ids = [member.id for member in roster.members]
    if len(set(names)) < len(names) or len(set(ids)) < len(ids):
        raise _refused("trust.roster", "The roster names one twice", roster.fleet_name)
    if not 1 <= len(roster.keyring) <= KEYRING_LIMIT:
        raise _refused("trust.roster", "The roster's keyring is wrong", f"{len(roster.keyring)} keys")
    known = {member.id for member in current.members} if current else set()
    for member in roster.members:
        # What is known was checked when it came, and has not changed: of a hundred members one is new.
        if member.id not in known and verify_bundle(member.bundle) != member.id:
            raise _refused("trust.bundle", "A bundle belongs to another", member.name)


def _forked(current: Roster, offered: Roster) -> FleetError:
    return _refused(
        "trust.fork",
        "Two rosters have one number",
        _versions(current, offered) + ", issued by different admins or from different pasts",
        "let one admin issue two more versions: the higher one is followed by everybody",
    )


def _versions(current: Roster, offered: Roster) -> str:
    return f"version {offered.version} is offered where {current.version} is in force"


def _refused(code: str, title: str, detail: str, step: str = "") -> FleetError:
    step = step or "the roster in force is kept; see `fleet peers` for its admins and ask them"
    return FleetError(code, title, detail, step, Fault.THEIRS)
