"""Deeds of an admin: each makes the next version, signed, and none can be done by anybody else."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.errors import FleetError
from engine.model.roster import Address, Member, Role, Roster
from engine.security.identity import Identity
from engine.security.roster import (
    admit,
    check_name,
    check_successor,
    digest,
    found,
    mark_left,
    name_from,
    present,
    readdress,
    revoke,
    set_role,
    verify,
)

A, B, C = (Identity(letter * 32) for letter in (b"a", b"b", b"c"))
NOW = 1_800_000_000_000
HERE = (Address("10.0.0.2", http=8856),)
NEW_KEY = b"k" * 32


def member(identity: Identity, name: str) -> Member:
    return Member(identity.id, name, identity.bundle)


def bytes_of(size: int) -> bytes:
    return bytes(range(size))


ALONE = found(A, "a", "home", NOW, bytes_of)
PAIR = admit(ALONE, A, member(B, "b"), NOW)

DEEDS: dict[str, Callable[[Roster, Identity], Roster]] = {
    "admit": lambda roster, who: admit(roster, who, member(C, "c"), NOW + 1),
    "revoke": lambda roster, who: revoke(roster, who, "a" if who is B else "b", NOW + 1, NEW_KEY),
    "leave": lambda roster, who: mark_left(roster, who, B.id, NOW + 1),
    "role": lambda roster, who: set_role(roster, who, "b", Role.CAPTAIN, NOW + 1),
    "address": lambda roster, who: readdress(roster, who, B.id, HERE, NOW + 1),
}


def refused(code: str, deed: Callable[[], object]) -> FleetError:
    with pytest.raises(FleetError) as caught:
        deed()
    assert caught.value.code == code
    return caught.value


def test_a_fleet_begins_with_one() -> None:
    """The founder is chief, admin and voter of version 1, and there is one gossip key."""
    (founder,) = ALONE.members
    assert (founder.role, founder.admin, founder.voter, founder.present) == (Role.CHIEF, True, True, True)
    assert (ALONE.version, ALONE.previous, ALONE.signer, len(ALONE.keyring)) == (1, b"", A.id, 1)
    assert len(ALONE.fleet_id) == 16
    verify(ALONE)


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_each_deed_is_the_next_version(deed: Callable[[Roster, Identity], Roster]) -> None:
    """One higher, bound to the hash of the one before, signed, and accepted by whoever holds the one before."""
    after = deed(PAIR, A)
    assert (after.version, after.previous, after.signer) == (PAIR.version + 1, digest(PAIR), A.id)
    assert after.issued_ms == NOW + 1
    check_successor(PAIR, after)
    verify(after)


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
@pytest.mark.parametrize("who", [B, C], ids=["a member", "a stranger"])
def test_only_an_admin_may(deed: Callable[[Roster, Identity], Roster], who: Identity) -> None:
    """Anybody else is told who may."""
    assert "admins: a" in refused("refused.not_admin", lambda: deed(PAIR, who)).detail


def test_an_admin_that_left_may_no_more() -> None:
    """Whoever has gone signs nothing."""
    two = set_role(PAIR, A, "b", Role.WORKER, NOW, admin=True)
    gone = mark_left(two, A, A.id, NOW)
    check_successor(two, gone)
    verify(gone)
    refused("refused.not_admin", lambda: admit(gone, A, member(C, "c"), NOW))


def test_admitting_again_changes_nothing() -> None:
    """A repeated request does not make a version; a new name or address of the same device does."""
    assert admit(PAIR, A, member(B, "b"), NOW + 9) is PAIR
    moved = admit(PAIR, A, replace(member(B, "bee"), addresses=HERE), NOW + 9)
    assert moved.member(B.id) == replace(PAIR.members[1], name="bee", addresses=HERE)


def test_whoever_left_may_return() -> None:
    """It is the same device; its past as a member is no bar, and marks it had are gone."""
    gone = mark_left(set_role(PAIR, A, "b", Role.CAPTAIN, NOW, voter=True), A, B.id, NOW + 1)
    back = admit(gone, A, member(B, "b"), NOW + 2).member(B.id)
    assert back == replace(member(B, "b"), joined_ms=NOW + 2)


def test_a_revoked_device_stays_out() -> None:
    """No admin can let it in again; its name is free for another device."""
    without = revoke(PAIR, A, "b", NOW, NEW_KEY)
    refused("refused.revoked", lambda: admit(without, A, member(B, "b2"), NOW))
    assert admit(without, A, member(C, "b"), NOW).named("b") == replace(member(C, "b"), joined_ms=NOW)


def test_revoking_changes_the_gossip_key() -> None:
    """What the revoked node knows is worth nothing afterwards, and it keeps no mark."""
    without = revoke(set_role(PAIR, A, "b", Role.WORKER, NOW, admin=True, voter=True), A, "b", NOW + 5, NEW_KEY)
    was = without.member(B.id)
    assert without.keyring == (NEW_KEY,)
    assert was is not None
    assert (was.present, was.revoked_ms, was.admin, was.voter) == (False, NOW + 5, False, False)


def test_leaving_twice_is_leaving_once() -> None:
    """Who is not there cannot go."""
    gone = mark_left(PAIR, A, B.id, NOW)
    assert mark_left(gone, A, B.id, NOW) is gone
    assert mark_left(gone, A, "nobody", NOW) is gone


def test_the_last_admin_stays() -> None:
    """A fleet with members has an admin; a fleet of one may end."""
    refused("refused.last_admin", lambda: mark_left(PAIR, A, A.id, NOW))
    refused("refused.last_admin", lambda: set_role(PAIR, A, "a", Role.CHIEF, NOW, admin=False))
    refused("usage.self", lambda: revoke(PAIR, A, "a", NOW, NEW_KEY))
    assert not mark_left(ALONE, A, A.id, NOW).members[0].present


def test_there_is_one_chief() -> None:
    """A new one makes the old one a captain, in one version."""
    after = set_role(PAIR, A, "b", Role.CHIEF, NOW)
    assert [one.role for one in after.members] == [Role.CAPTAIN, Role.CHIEF]
    assert after.chief == after.member(B.id)
    assert after.members[0].admin
    assert set_role(after, A, "b", Role.CHIEF, NOW).chief == after.chief


def test_addresses_change_only_when_they_do() -> None:
    """The same addresses make no version; an unknown member has none."""
    moved = readdress(PAIR, A, B.id, HERE, NOW, mac="02:00:00:00:00:01")
    assert moved.members[1].mac == "02:00:00:00:00:01"
    assert readdress(moved, A, B.id, HERE, NOW) is moved
    refused("unknown.peer", lambda: readdress(PAIR, A, C.id, HERE, NOW))


@pytest.mark.parametrize("name", ["a", "mac2", "0-0", "a" * 32])
def test_names(name: str) -> None:
    """Short, lowercase, fit for a host, a file and a NATS subject."""
    check_name(name)


@pytest.mark.parametrize("name", ["", "-a", "A", "a.b", "a b", "a" * 33, "ä", "a\n", "../a", "*", ">", "all", "role:a"])
def test_what_is_no_name(name: str) -> None:
    """Nothing that could be read as a path, a wildcard or another name."""
    refused("usage.name", lambda: check_name(name))
    refused("usage.name", lambda: found(A, name, "home", NOW, bytes_of))
    refused("usage.name", lambda: admit(ALONE, A, member(B, name), NOW))


@given(st.text() | st.just("All.local"))
def test_every_host_gets_a_name(text: str) -> None:
    """Whatever a machine is called, a name can be made of it."""
    check_name(name_from(text))


def test_a_name_is_recognisable() -> None:
    """It is the nearest one."""
    assert name_from("Anna's MacBook Pro.local") == "anna-s-macbook-pro"


def test_names_are_unique() -> None:
    """A name that a present member has is taken, and the error says by whom."""
    assert B.id in refused("usage.name", lambda: admit(PAIR, A, member(C, "b"), NOW)).detail
    refused("unknown.peer", lambda: present(PAIR, "nobody"))
    once = revoke(PAIR, A, "b", NOW, NEW_KEY)
    assert refused("unknown.peer", lambda: revoke(once, A, "b", NOW, NEW_KEY)).detail == "b was revoked"
    assert present(PAIR, "b").id == B.id


def test_a_bundle_must_be_its_owners() -> None:
    """An id with another's bundle, or a bundle that does not hold, is not admitted."""
    refused("trust.bundle", lambda: admit(ALONE, A, replace(member(B, "b"), bundle=C.bundle), NOW))
    spoilt = replace(B.bundle, sealing=C.bundle.sealing)
    refused("trust.bundle", lambda: admit(ALONE, A, replace(member(B, "b"), bundle=spoilt), NOW))
