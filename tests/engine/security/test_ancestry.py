"""No node believes a roster that is older, forked, forged, forgetful, or holds another key for somebody it knows."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.errors import FleetError
from engine.model.roster import Member, Role, Roster
from engine.security.ancestry import ROSTER, body, check_successor, digest, verify
from engine.security.identity import Identity
from engine.security.roster import admit, found, mark_left, readdress, revoke, set_role

A, B, C, D = (Identity(letter * 32) for letter in (b"a", b"b", b"c", b"d"))
NOW = 1_800_000_000_000


def member(identity: Identity, name: str) -> Member:
    return Member(identity.id, name, identity.bundle)


def signed(identity: Identity, roster: Roster, **changes: Any) -> Roster:
    """A version after `roster` as a modified program would issue it: well signed, its content not checked."""
    base = {"version": roster.version + 1, "previous": digest(roster), "signer": identity.id, **changes}
    unsigned = replace(roster, **{**base, "signature": b""})
    return replace(unsigned, signature=identity.sign(ROSTER, body(unsigned)))


ONE = found(A, "a", "home", NOW, bytes)
TWO = admit(ONE, A, member(B, "b"), NOW)
THREE = set_role(admit(TWO, A, member(C, "c"), NOW), A, "c", Role.CAPTAIN, NOW, admin=True)
FOUR = revoke(THREE, A, "b", NOW, b"k" * 32)


def with_member(roster: Roster, node_id: str, **changes: Any) -> tuple[Member, ...]:
    return tuple(replace(one, **changes) if one.id == node_id else one for one in roster.members)


REFUSED: dict[str, tuple[str, Roster, Callable[[], Roster]]] = {
    "an older one": ("trust.rollback", THREE, lambda: TWO),
    "a lower version, signed today": ("trust.rollback", THREE, lambda: signed(A, THREE, version=1)),
    "the same number, other content": ("trust.fork", THREE, lambda: signed(C, TWO, version=THREE.version)),
    "the next one of another past": (
        "trust.fork",
        THREE,
        lambda: signed(A, THREE, previous=digest(TWO)),
    ),
    "another fleet": ("trust.foreign_roster", ONE, lambda: found(A, "a", "away", NOW, lambda n: b"x" * n)),
    "signed by a plain member": ("trust.not_admin", THREE, lambda: signed(B, THREE)),
    "signed by a stranger": ("trust.not_admin", THREE, lambda: signed(D, THREE)),
    "signed by a stranger it makes an admin": (
        "trust.not_admin",
        THREE,
        lambda: signed(D, THREE, members=(*THREE.members, replace(member(D, "d"), admin=True))),
    ),
    "signed by one it makes an admin": (
        "trust.not_admin",
        THREE,
        lambda: signed(B, THREE, members=with_member(THREE, B.id, admin=True)),
    ),
    "signed by an admin that left": (
        "trust.not_admin",
        mark_left(THREE, A, C.id, NOW),
        lambda: signed(C, mark_left(THREE, A, C.id, NOW)),
    ),
    "signed by a revoked admin, far ahead": (
        "trust.not_admin",
        revoke(THREE, A, "c", NOW, b"k" * 32),
        lambda: signed(C, THREE, version=99),
    ),
    "signed by an admin whose time is over": (
        "trust.not_admin",
        signed(A, THREE, members=with_member(THREE, C.id, expires_ms=NOW)),
        lambda: signed(C, signed(A, THREE, members=with_member(THREE, C.id, expires_ms=NOW))),
    ),
    "a signature of another": (
        "trust.forged_roster",
        THREE,
        lambda: replace(signed(A, THREE), signature=signed(C, THREE).signature),
    ),
    "no signature": ("trust.forged_roster", THREE, lambda: replace(signed(A, THREE), signature=b"")),
    "a member dropped": ("trust.member_dropped", THREE, lambda: signed(A, THREE, members=THREE.members[:-1])),
    "another key for a member": (
        "trust.key_changed",
        THREE,
        lambda: signed(A, THREE, members=with_member(THREE, B.id, bundle=D.bundle)),
    ),
    "another key, versions missed": (
        "trust.key_changed",
        THREE,
        lambda: signed(A, THREE, version=9, members=with_member(THREE, B.id, bundle=D.bundle)),
    ),
    "a revocation undone": (
        "trust.unrevoked",
        FOUR,
        lambda: signed(A, FOUR, members=with_member(FOUR, B.id, revoked_ms=0)),
    ),
    "a new member with a bundle not its own": (
        "trust.bundle",
        TWO,
        lambda: signed(A, TWO, members=(*TWO.members, replace(member(C, "c"), bundle=D.bundle))),
    ),
    "a name twice": (
        "trust.roster",
        TWO,
        lambda: signed(A, TWO, members=(*TWO.members, member(C, "b"))),
    ),
    "a member twice": ("trust.roster", TWO, lambda: signed(A, TWO, members=(*TWO.members, member(B, "b2")))),
    "no gossip key": ("trust.roster", TWO, lambda: signed(A, TWO, keyring=())),
}


@pytest.mark.parametrize(("code", "current", "offered"), REFUSED.values(), ids=REFUSED)
def test_refused(code: str, current: Roster, offered: Callable[[], Roster]) -> None:
    """Each of these is refused under its own name, and says what to do next."""
    with pytest.raises(FleetError) as caught:
        check_successor(current, offered())
    assert caught.value.code == code
    assert caught.value.next_step
    assert len(caught.value.title.split()) <= 6


def test_the_same_roster_again_is_no_news() -> None:
    """Gossip repeats itself."""
    check_successor(THREE, THREE)


@pytest.mark.parametrize("missed_from", [ONE, TWO], ids=["one", "two"])
def test_versions_may_be_missed(missed_from: Roster) -> None:
    """A node that was away follows an admin it knows over any gap."""
    check_successor(missed_from, FOUR)


def test_an_admin_unknown_to_who_was_away_needs_a_known_one() -> None:
    """C became an admin in a version that ONE's holder never saw: its roster waits until A's arrives."""
    by_c = readdress(FOUR, C, A.id, (), NOW, mac="02:00:00:00:00:01")
    with pytest.raises(FleetError) as caught:
        check_successor(ONE, by_c)
    assert caught.value.code == "trust.not_admin"
    check_successor(ONE, FOUR)
    check_successor(FOUR, by_c)


def test_a_fork_heals_two_versions_on() -> None:
    """Where two admins issued one number, a version two higher is followed by the holders of either."""
    left, right = (readdress(THREE, who, A.id, (), NOW, mac=mac) for who, mac in ((A, "02:0a"), (C, "02:0c")))
    with pytest.raises(FleetError):
        check_successor(left, right)
    healed = readdress(readdress(left, A, A.id, (), NOW, mac="02:01"), A, A.id, (), NOW, mac="02:02")
    check_successor(left, healed)
    check_successor(right, healed)


@given(st.data())
def test_every_field_is_signed(data: st.DataObject) -> None:
    """Whatever part of a roster or of a member is changed after signing, it is refused."""
    offered = signed(A, THREE)
    field = data.draw(st.sampled_from([name for name in Member.__struct_fields__ if name not in ("id", "bundle")]))
    other = {str: "other", int: 12_345, bool: None, tuple: (), Role: Role.OBSERVER}
    was = getattr(offered.members[1], field)
    new = (not was) if isinstance(was, bool) else other[type(was)] if was != other[type(was)] else "changed"
    changed = replace(offered, members=with_member(offered, B.id, **{field: new}))
    with pytest.raises(FleetError) as caught:
        check_successor(THREE, changed)
    assert caught.value.code == "trust.forged_roster"


@pytest.mark.parametrize("field", ["fleet_name", "issued_ms", "keyring", "version"])
def test_every_field_of_the_roster_is_signed(field: str) -> None:
    """The roster's own fields are under the signature too."""
    other = {"fleet_name": "other", "issued_ms": 1, "keyring": (b"evil" * 8,), "version": 77}[field]
    with pytest.raises(FleetError) as caught:
        check_successor(THREE, replace(signed(A, THREE), **{field: other}))
    assert caught.value.code == "trust.forged_roster"


def test_it_survives_the_wire() -> None:
    """Written and read back, a roster has the same digest and its signature holds."""
    for codec in (msgspec.msgpack, msgspec.json):
        again = codec.decode(codec.encode(FOUR), type=Roster)
        assert digest(again) == digest(FOUR)
        check_successor(ONE, again)


@pytest.mark.parametrize(
    ("code", "roster"),
    [
        ("trust.not_admin", signed(B, THREE)),
        ("trust.not_admin", signed(D, THREE)),
        ("trust.forged_roster", replace(THREE, fleet_name="other")),
        ("trust.not_admin", signed(C, revoke(THREE, A, "c", NOW, b"k" * 32))),
        ("trust.bundle", signed(A, THREE, members=with_member(THREE, B.id, bundle=D.bundle))),
    ],
    ids=["a member's", "a stranger's", "changed", "a revoked admin's", "a false bundle"],
)
def test_a_first_roster_holds_in_itself(code: str, roster: Roster) -> None:
    """What a joiner is handed names an admin who signed it, and every key in it is its owner's."""
    with pytest.raises(FleetError) as caught:
        verify(roster)
    assert caught.value.code == code
