"""A machine comes in with a code that was carried by hand: once, in time, as written, and into the right fleet."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.errors import FleetError
from engine.membership.invite import (
    ENDPOINTS_LIMIT,
    PENDING_LIMIT,
    REQUEST_LIMIT,
    InviteCode,
    Invites,
    JoinAnswer,
    JoinRequest,
    answer,
    check_answer,
    check_request,
    invite,
    make,
    member,
    pack,
    parse,
    request,
    unpack_answer,
    unpack_request,
    user,
)
from engine.model.roster import Address, Role, Roster
from engine.security.ancestry import check_successor
from engine.security.identity import Identity, tls_pin
from engine.security.roster import admit, found, revoke, set_role

A, B, C = (Identity(letter * 32) for letter in (b"a", b"b", b"c"))
NOW = 1_800_000_000_000
END = NOW + 900_000
SECRET, NONCE = b"s" * 16, b"n" * 16
WHERE = ("10.0.0.2:8856", "mac2.local:8856")
HERE = (Address("10.0.0.3", http=8856),)
ALONE = found(A, "a", "home", NOW, lambda size: bytes(range(size)))
TEXT = make(A, ALONE.fleet_id, WHERE, SECRET)
CODE = parse(TEXT)
OPEN = invite(Invites(), SECRET, Role.CAPTAIN, END, NOW)
ASKED = request(CODE, B, "b", HERE, NONCE)


def joined(
    invites: Invites, asked: JoinRequest, roster: Roster = ALONE, now_ms: int = NOW
) -> tuple[Invites, JoinAnswer]:
    """What the admin's node does with a request that holds."""
    pending = check_request(invites, asked, now_ms)
    if not pending.answered:
        roster = admit(roster, A, member(asked, pending), now_ms)
    return answer(invites, asked, roster)


def refused(code: str, deed: Callable[[], object]) -> FleetError:
    with pytest.raises(FleetError) as caught:
        deed()
    assert caught.value.code == code
    assert caught.value.next_step or code == "bad.join"
    return caught.value


def test_a_machine_joins() -> None:
    """It asks with the code, is admitted with the invite's role, and adopts a roster that holds it."""
    _, given_answer = joined(OPEN, unpack_request(pack(ASKED)))
    roster = check_answer(CODE, ASKED, unpack_answer(pack(given_answer)))
    me = roster.member(B.id)
    assert me is not None
    assert (me.name, me.role, me.admin, me.addresses, me.present) == ("b", Role.CAPTAIN, False, HERE, True)
    check_successor(ALONE, roster)


def test_a_code_says_where_and_whom() -> None:
    """Fleet, issuer, TLS key and addresses are in it; the secret is not shown when it is printed."""
    assert TEXT.startswith("fleet1-")
    assert (CODE.fleet_id, CODE.endpoints, CODE.secret) == (ALONE.fleet_id, WHERE, SECRET)
    assert CODE.pin == tls_pin(A.bundle.tls_cert)
    assert str(SECRET) not in repr(CODE) + repr(OPEN)
    many = tuple(f"10.0.0.{number}:8856" for number in range(9))
    assert parse(make(A, ALONE.fleet_id, many, SECRET)).endpoints == many[:ENDPOINTS_LIMIT]


@given(st.lists(st.text(max_size=30), max_size=ENDPOINTS_LIMIT).map(tuple), st.binary(min_size=16, max_size=16))
def test_every_code_can_be_read(endpoints: tuple[str, ...], secret: bytes) -> None:
    """What is made is parsed, in capitals and broken over lines too."""
    text = make(A, ALONE.fleet_id, endpoints, secret)
    assert (parse(text).endpoints, parse(text).secret) == (endpoints, secret)
    broken = "\n  ".join(text[at : at + 40] for at in range(0, len(text), 40))
    assert parse(f" {broken.upper()}\n") == parse(text)


@pytest.mark.parametrize("host", ["a", "ab", "abc", "abcd", "abcde"])
def test_every_letter_of_a_code_counts(host: str) -> None:
    """A mistyped letter anywhere is noticed, in the spare bits of the last one too."""
    text = make(A, ALONE.fleet_id, (host,), SECRET)
    for at in range(len("fleet1-"), len(text)):
        for letter in "ab7" if at < len(text) - 1 else "abcdefghijklmnopqrstuvwxyz234567":
            if text[at] != letter:
                refused("usage.invite", lambda: parse(text[:at] + letter + text[at + 1 :]))  # noqa: B023


def test_every_cut_of_a_code_is_noticed() -> None:
    """A code that was not copied to its end is told from a whole one."""
    for end in range(len(TEXT)):
        refused("usage.invite", lambda: parse(TEXT[:end]))  # noqa: B023
    assert "missing" in refused("usage.invite", lambda: parse(TEXT[:-8])).detail


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begins with fleet1-"),
        ("hello", "begins with fleet1-"),
        ("tskey-auth-k123", "begins with fleet1-"),
        (TEXT.replace("fleet1", "fleet2"), "begins with fleet2-"),
        (TEXT[:50] + "0!" + TEXT[52:], "holds ! 0"),
        (TEXT + "aaaaaaaa", "wrong"),
        (TEXT + TEXT, "holds"),
    ],
    ids=["nothing", "a word", "another program's", "another version's", "no such letters", "too long", "twice"],
)
def test_what_is_no_code_is_told_how(text: str, why: str) -> None:
    """The error says what is wrong with it, and to copy the whole word."""
    assert why in refused("usage.invite", lambda: parse(text)).detail


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567", max_size=300))
def test_invented_codes_are_refused(letters: str) -> None:
    """Nothing that was not made is read, and nothing crashes."""
    refused("usage.invite", lambda: parse("fleet1-" + letters))


def test_an_expired_code() -> None:
    """Its end is the first moment at which it is refused; only the admin's clock counts."""
    assert check_request(OPEN, ASKED, END - 1)
    assert "5 s ago" in refused("refused.invite_expired", lambda: check_request(OPEN, ASKED, END + 5_000)).detail


def test_a_code_is_for_one_machine_once() -> None:
    """Another machine, and the same one asking anew, are refused; nothing else was in the way. Who came is known."""
    used, _ = joined(OPEN, ASKED)
    assert (user(OPEN, CODE), user(used, CODE)) == ("", "b")
    again = request(CODE, B, "b", HERE, b"m" * 16)
    for asked in (request(CODE, C, "c", (), NONCE), again):
        assert check_request(OPEN, asked, NOW)
        refused("refused.invite_used", lambda: check_request(used, asked, NOW))  # noqa: B023


def test_a_lost_answer_can_be_asked_for_again() -> None:
    """The same request, bit for bit, gets an answer again, and admits nobody a second time."""
    used, first = joined(OPEN, ASKED)
    later = set_role(first.roster, A, "b", Role.WORKER, NOW)
    _, second = joined(used, ASKED, later)
    assert second.roster is later
    assert check_answer(CODE, ASKED, second) == later


def test_a_code_of_another_node_or_another_start() -> None:
    """A node knows only what it gave out since it started."""
    refused("refused.invite_foreign", lambda: check_request(Invites(), ASKED, NOW))
    other = invite(Invites(), b"o" * 16, Role.WORKER, END, NOW)
    refused("refused.invite_foreign", lambda: check_request(other, ASKED, NOW))


@pytest.mark.parametrize(
    "changed",
    [
        replace(ASKED, bundle=C.bundle),
        replace(ASKED, name="c"),
        replace(ASKED, addresses=()),
        replace(ASKED, nonce=b""),
        replace(ASKED, hmac=b""),
        replace(request(replace(CODE, secret=b"x" * 16), B, "b", HERE, NONCE), invite=ASKED.invite),
    ],
    ids=["bundle", "name", "addresses", "nonce", "no proof", "another secret"],
)
def test_a_request_that_was_changed(changed: JoinRequest) -> None:
    """Whoever does not hold the secret can ask for nothing, and knowing the invite's public name does not help."""
    refused("refused.invite_forged", lambda: check_request(OPEN, changed, NOW))


def test_a_request_with_keys_of_another() -> None:
    """The holder of a code cannot join in the name of a device it does not own."""
    mixed = replace(B.bundle, sealing=C.bundle.sealing)
    asked = request(CODE, B, "b", HERE, NONCE)
    forged = replace(asked, bundle=mixed, hmac=b"")
    signed = replace(forged, hmac=request_mac_of(CODE, forged))
    pending = check_request(OPEN, signed, NOW)
    refused("trust.bundle", lambda: member(signed, pending))


def request_mac_of(code: InviteCode, asked: JoinRequest) -> bytes:
    """The proof that a modified joiner would make: `request` for an identity that carries the forged bundle."""

    class Forger:
        bundle = asked.bundle

    return request(code, Forger(), asked.name, asked.addresses, asked.nonce).hmac  # type: ignore[arg-type]


def test_an_answer_that_was_changed() -> None:
    """A roster that is not the one the admin answered with is refused, however well it is signed."""
    _, given_answer = joined(OPEN, ASKED)
    older = replace(given_answer, roster=ALONE)
    refused("trust.join", lambda: check_answer(CODE, ASKED, older))
    refused("trust.join", lambda: check_answer(CODE, ASKED, replace(given_answer, hmac=b"")))
    refused("trust.join", lambda: check_answer(CODE, replace(ASKED, hmac=b"x"), given_answer))


def answered_with(roster: Roster) -> JoinAnswer:
    """An answer of somebody who holds the secret and is dishonest about the roster."""
    return answer(OPEN, ASKED, roster)[1]


def test_an_answer_from_somebody_else() -> None:
    """Even with the secret nobody can make a joiner believe in another fleet, another issuer, or one without itself."""
    stranger = found(C, "c", "home", NOW, lambda size: b"c" * size)
    _, good = joined(OPEN, ASKED)
    for roster in (stranger, replace(stranger, fleet_id=ALONE.fleet_id), ALONE, replace(good.roster, fleet_name="x")):
        with pytest.raises(FleetError) as caught:
            check_answer(CODE, ASKED, answered_with(roster))
        assert caught.value.code.startswith("trust.")
    without_issuer = found(C, "c", "home", NOW, lambda size: bytes(range(size)))
    assert without_issuer.fleet_id == ALONE.fleet_id
    pending = check_request(OPEN, ASKED, NOW)
    own = admit(without_issuer, C, member(ASKED, pending), NOW)
    assert "issuer" in refused("trust.join", lambda: check_answer(CODE, ASKED, answered_with(own))).detail


def test_a_revoked_device_with_a_good_code() -> None:
    """The code is good; the device is not."""
    _, given_answer = joined(OPEN, ASKED)
    without = revoke(given_answer.roster, A, "b", NOW, b"k" * 32)
    another = invite(OPEN, b"2" * 16, Role.WORKER, END, NOW)
    asked = request(replace(CODE, secret=b"2" * 16), B, "b", HERE, NONCE)
    refused("refused.revoked", lambda: joined(another, asked, without))


def test_invites_are_few() -> None:
    """So many may wait; those over make room, and the last of them are still told why."""
    invites = Invites()
    for number in range(PENDING_LIMIT):
        invites = invite(invites, bytes([number]) * 16, Role.WORKER, END, NOW)
    refused("refused.invites", lambda: invite(invites, SECRET, Role.WORKER, END, NOW))
    for number in range(PENDING_LIMIT, 3 * PENDING_LIMIT):
        invites = invite(
            invites, bytes([number]) * 16, Role.WORKER, END + number * 1_000_000, END + number * 1_000_000 - 1
        )
    assert len(invites.known) <= 2 * PENDING_LIMIT


@pytest.mark.parametrize("data", [b"", b"\xc1", b"{}", b"\x91" * 5_000, bytes(REQUEST_LIMIT + 1)])
def test_what_is_no_request(data: bytes) -> None:
    """Nonsense at the join door is refused, oversized before it is parsed."""
    refused("bad.join", lambda: unpack_request(data))
    refused("bad.join", lambda: unpack_answer(data))
