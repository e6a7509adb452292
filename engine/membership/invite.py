"""Invites: how a machine comes into the fleet, proved by one secret that was carried by hand.

    admin   make(code)   ──(a person copies it)──>   joiner   parse
    admin   check_request   <──JoinRequest, HMAC under the secret──   joiner   request
    admin   answer   ──JoinAnswer: the countersigned roster, HMAC over both──>   joiner   check_answer

The code names the fleet, the admin's device key and TLS key (so the joiner talks to nobody else), where to find it, a
128-bit secret and its end. Only the admin's clock decides whether it has expired: the joiner's may be minutes off.

A code is good for one request. The same request, bit for bit, may be asked again, because an answer can be lost; any
other is refused, from the same machine too. Pending invites live in memory alone: a secret that no disk holds cannot be
read from one, and a restart of the admin's node ends them.
"""

import hashlib
import hmac
from base64 import b32decode
from typing import TypeVar

import msgspec
from immutables import Map
from msgspec.structs import replace

from engine.errors import FleetError
from engine.model.roster import Address, Bundle, Member, Role, Roster
from engine.security.ancestry import body, verify
from engine.security.identity import Identity, base32, tls_pin, verify_bundle

SECRET_SIZE = 16
NONCE_SIZE = 16
# Few enough that a forgotten loop of `fleet invite` is noticed, many enough for a room full of machines.
PENDING_LIMIT = 32
ENDPOINTS_LIMIT = 4
REQUEST_LIMIT = 16 * 1_024
ANSWER_LIMIT = 4 << 20
_PREFIX = "fleet1-"
_CHECK_SIZE = 4
_REQUEST, _ANSWER = b"fleet join request 1\0", b"fleet join answer 1\0"

_T = TypeVar("_T")
_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class InviteCode(msgspec.Struct, frozen=True, array_like=True):
    """What a code says. `issuer`: the first 16 bytes of the hash of its device key; `pin`: SHA-256 of its TLS key
    (SPKI); `endpoints`: `host:port` of its peer port, most likely first."""

    fleet_id: str
    issuer: bytes
    pin: bytes
    endpoints: tuple[str, ...]
    secret: bytes

    def __repr__(self) -> str:
        return f"InviteCode({self.fleet_id}, {self.endpoints})"


class JoinRequest(msgspec.Struct, frozen=True):
    """A machine asks to be let in. `invite`: which secret it holds, without telling it. `nonce`: makes each attempt
    its own. `hmac`: under the secret, over everything else."""

    invite: bytes
    bundle: Bundle
    name: str
    addresses: tuple[Address, ...]
    nonce: bytes
    hmac: bytes = b""


class JoinAnswer(msgspec.Struct, frozen=True):
    """The roster that holds the joiner. `hmac`: under the secret, over the request and the roster."""

    roster: Roster
    hmac: bytes


class Pending(msgspec.Struct, frozen=True):
    """One invite this node gave out. `answered`: the HMAC of the request that used it up (empty: none yet); `user`: who
    came by it."""

    secret: bytes
    expires_ms: int
    role: Role = Role.WORKER
    answered: bytes = b""
    user: str = ""

    def __repr__(self) -> str:
        return f"Pending({self.role}, {self.expires_ms}, answered={bool(self.answered)})"


class Invites(msgspec.Struct, frozen=True):
    """The invites of this node since it started, by the hash of their secret; the expired are kept while there is room,
    so that a late joiner is told why."""

    known: Map[bytes, Pending] = Map()


def make(identity: Identity, fleet_id: str, endpoints: tuple[str, ...], secret: bytes) -> str:
    """The code as one word to copy: `fleet1-…`, base32 with a length and a checksum. `secret`: 16 random bytes."""
    pin = tls_pin(identity.bundle.tls_cert)
    ends = endpoints[:ENDPOINTS_LIMIT]
    code = InviteCode(fleet_id, _mark(identity.bundle), pin, ends, secret)
    packed = _encode(code)
    framed = len(packed).to_bytes(2) + packed
    return _PREFIX + base32(framed + hashlib.sha256(framed).digest()[:_CHECK_SIZE])


def parse(text: str) -> InviteCode:
    """What a code says; white space and case do not matter. Raises `FleetError` `usage.invite`, which says what is
    wrong with it."""
    word = "".join(text.split()).lower()
    if not word.startswith(_PREFIX):
        raise _unreadable(_why_foreign(word))
    letters = word.removeprefix(_PREFIX)
    try:
        data = b32decode(letters.upper() + "=" * (-len(letters) % 8))
    except ValueError:
        raise _unreadable(_why_broken(letters)) from None
    if base32(data) != letters:
        raise _unreadable("a character of it is wrong")
    size = int.from_bytes(data[:2])
    if len(data) < 2 + size + _CHECK_SIZE:
        raise _unreadable("the end of it is missing")
    framed, check = data[: 2 + size], data[2 + size :]
    if hashlib.sha256(framed).digest()[:_CHECK_SIZE] != check:
        raise _unreadable("a character of it is wrong")
    try:
        return msgspec.msgpack.decode(framed[2:], type=InviteCode)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _unreadable("it was made by another version of Fleet") from None


def invite(invites: Invites, secret: bytes, role: Role, expires_ms: int, now_ms: int) -> Invites:
    """With one more pending invite. Raises `FleetError` `refused.invites` when too many wait."""
    over = [(one.expires_ms, key) for key, one in invites.known.items() if one.answered or one.expires_ms <= now_ms]
    if len(invites.known) - len(over) >= PENDING_LIMIT:
        step = "use them, or wait for the first to expire"
        raise FleetError("refused.invites", "Too many invites are open", f"{PENDING_LIMIT} wait", step)
    known = invites.known
    for _, key in sorted(over)[:-PENDING_LIMIT]:
        known = known.delete(key)
    return Invites(known.set(_invite_id(secret), Pending(secret, expires_ms, role)))


def request(
    code: InviteCode, identity: Identity, name: str, addresses: tuple[Address, ...], nonce: bytes
) -> JoinRequest:
    """The joiner's question. `nonce`: 16 random bytes. Ask again with the same value, never with a new one."""
    asked = JoinRequest(_invite_id(code.secret), identity.bundle, name, addresses, nonce)
    return replace(asked, hmac=_request_mac(code.secret, asked))


def check_request(invites: Invites, asked: JoinRequest, now_ms: int) -> Pending:
    """The invite that this request may use. When its `answered` is set, the request is a repeated one: answer again,
    and admit nobody.

    Raises `FleetError`: `refused.invite_foreign`, `refused.invite_forged`, `refused.invite_expired`,
    `refused.invite_used`.
    """
    pending = invites.known.get(asked.invite)
    if pending is None:
        why = "this node gave out no such code since it started"
        raise _refused("foreign", "The invite is not known here", why)
    if not hmac.compare_digest(_request_mac(pending.secret, asked), asked.hmac):
        raise _refused("forged", "The join request was changed", "its proof does not fit the invite's secret")
    if pending.expires_ms <= now_ms:
        raise _refused("expired", "The invite has expired", f"{(now_ms - pending.expires_ms) // 1_000} s ago")
    if pending.answered and pending.answered != asked.hmac:
        raise _refused("used", "The invite was used already", "a code lets one machine in, once")
    return pending


def member(asked: JoinRequest, pending: Pending) -> Member:
    """Who is to be admitted for a request that was checked. Raises `FleetError` `trust.bundle`."""
    node = verify_bundle(asked.bundle)
    return Member(node, asked.name, asked.bundle, addresses=asked.addresses, role=pending.role)


def answer(invites: Invites, asked: JoinRequest, roster: Roster) -> tuple[Invites, JoinAnswer]:
    """The answer to a request that was checked, and the invites with this one used up."""
    pending = invites.known[asked.invite]
    user = next((one.name for one in roster.members if one.bundle == asked.bundle), asked.name)
    used = Invites(invites.known.set(asked.invite, replace(pending, answered=asked.hmac, user=user)))
    return used, JoinAnswer(roster, _answer_mac(pending.secret, asked, roster))


def user(invites: Invites, code: InviteCode) -> str:
    """The name of the machine that came by this code; empty while nobody did."""
    pending = invites.known.get(_invite_id(code.secret))
    return pending.user if pending else ""


def check_answer(code: InviteCode, asked: JoinRequest, given: JoinAnswer) -> Roster:
    """The roster to adopt: it is the invite's fleet, its issuer is an admin in it, and it holds us with our own keys.

    Raises `FleetError`: `trust.join` or another `trust.*`.
    """
    roster = given.roster
    if not hmac.compare_digest(_answer_mac(code.secret, asked, roster), given.hmac):
        raise _untrue("its proof does not fit the invite's secret")
    if roster.fleet_id != code.fleet_id:
        raise _untrue(f"it is of fleet {roster.fleet_id}, the invite is for {code.fleet_id}")
    verify(roster)
    if not any(one.admin and one.present and _mark(one.bundle) == code.issuer for one in roster.members):
        raise _untrue("the invite's issuer is not an admin in it")
    if not any(one.bundle == asked.bundle and one.present for one in roster.members):
        raise _untrue("it does not hold this node")
    return roster


def pack(message: JoinRequest | JoinAnswer) -> bytes:
    """For the wire: msgpack."""
    return _encode(message)


def unpack_request(data: bytes) -> JoinRequest:
    """Raises `FleetError` `bad.join` when it is none, or too large to be read at all."""
    return _unpack(data, JoinRequest, REQUEST_LIMIT)


def unpack_answer(data: bytes) -> JoinAnswer:
    """Raises `FleetError` `bad.join` when it is none, or too large to be read at all."""
    return _unpack(data, JoinAnswer, ANSWER_LIMIT)


def _unpack(data: bytes, kind: type[_T], limit: int) -> _T:
    try:
        if len(data) <= limit:
            return msgspec.msgpack.decode(data, type=kind)
        why = f"{len(data)} bytes, where {limit} are allowed"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = str(error)
    raise FleetError("bad.join", "The join message cannot be read", why)


def _mark(bundle: Bundle) -> bytes:
    return hashlib.sha256(bundle.device).digest()[:16]


def _invite_id(secret: bytes) -> bytes:
    return hashlib.sha256(b"fleet invite 1\0" + secret).digest()[:16]


def _request_mac(secret: bytes, asked: JoinRequest) -> bytes:
    return hmac.digest(secret, _REQUEST + _encode(replace(asked, hmac=b"")), "sha256")


def _answer_mac(secret: bytes, asked: JoinRequest, roster: Roster) -> bytes:
    return hmac.digest(secret, _ANSWER + asked.hmac + body(roster) + roster.signature, "sha256")


def _why_foreign(word: str) -> str:
    if word.startswith("fleet") and "-" in word:
        return f"it begins with {word.partition('-')[0]}-, this version of Fleet reads {_PREFIX}"
    return f"a code begins with {_PREFIX}"


def _why_broken(letters: str) -> str:
    wrong = sorted(set(letters) - set("abcdefghijklmnopqrstuvwxyz234567"))
    return f"it holds {' '.join(wrong)}, which no code does" if wrong else "the end of it is missing"


def _unreadable(why: str) -> FleetError:
    step = "copy the whole word that `fleet invite` printed, from fleet1- to its end"
    return FleetError("usage.invite", "The invite code cannot be read", why, step)


def _refused(word: str, title: str, why: str) -> FleetError:
    step = "ask for a new code (`fleet invite`) and join with it"
    return FleetError(f"refused.invite_{word}", title, why, step)


def _untrue(why: str) -> FleetError:
    step = "nothing was changed; ask for a new code, and tell its giver if this happens again"
    return FleetError("trust.join", "The answer cannot be trusted", why, step)
