"""What may be asked of the API (pure): a type for each body, and one way to read them.

A body that does not fit is refused with the path of the offending field, before anything happens. Fields this version
does not know are ignored, so that a newer client can talk to an older node; not beside a message, which would go out as
something else than was meant, and nobody would be told.
"""

from collections.abc import Mapping
from typing import Annotated, TypeVar

import msgspec

from engine.errors import Fault, FleetError
from engine.model.channel import Channel
from engine.model.envelope import BODY_LIMIT, KINDS, TTL_LIMIT_S, Kind, Rung, Urgency, said, waitable
from engine.model.hop import session_of
from engine.model.repair import Action
from engine.model.roster import Role
from engine.model.story import Query

# JSON doubles a body of quotes and backslashes, and wraps it.
REQUEST_LIMIT = 2 * BODY_LIMIT + 65_536
WAIT_LIMIT_S = 3_600.0
PUBLIC = [kind.value for kind, spec in KINDS.items() if spec.public]

Ask = TypeVar("Ask", bound=msgspec.Struct)


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said. `body`: text, at most 1 MiB as UTF-8."""

    body: str


class MessageAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /message`. `any`: any channel may carry it. `ttl`: seconds it is worth something (null: the kind's own).
    `session`: the one it is for. `wait`: answer when it is on this rung, or after `timeout` seconds."""

    to: str
    payload: Payload
    type: Kind = Kind.CONTEXT
    via: Channel | None = None
    any: bool = False
    ttl: int | None = None
    urgency: Urgency | None = None
    thread: str = ""
    session: str = ""
    wait: Rung | None = None
    timeout: float = 30.0


class InviteAsk(msgspec.Struct, frozen=True):
    """`POST /invite`. `ttl`: seconds."""

    role: Role = Role.WORKER
    ttl: Annotated[int, msgspec.Meta(ge=1, le=TTL_LIMIT_S)] = 900


class JoinAsk(msgspec.Struct, frozen=True):
    """`POST /join`."""

    code: str


class NameAsk(msgspec.Struct, frozen=True):
    """`POST /revoke`, `POST /check`: a member by name or id."""

    name: str


class FixAsk(msgspec.Struct, frozen=True):
    """`POST /doctor/fix`: a finding that Fleet can mend itself."""

    code: str
    subject: str = ""


class OnboardAsk(msgspec.Struct, frozen=True):
    """`POST /onboard`: with whom; empty for the chief."""

    name: str = ""


class RoleAsk(msgspec.Struct, frozen=True):
    """`POST /role`."""

    name: str
    role: Role


class ProbeAsk(msgspec.Struct, frozen=True):
    """`POST /probe`: one channel, or every one."""

    name: str
    channel: Channel | None = None


class HoldAsk(msgspec.Struct, frozen=True):
    """`POST /hold`: take a channel out of the cascade, or put it back."""

    name: str
    channel: Channel
    held: bool = True


class RepairAsk(msgspec.Struct, frozen=True):
    """`POST /repair`: begin a repair, or take it to this rung. Without a channel: the one in the worst state. `by`: who
    says so; empty for the user of this node."""

    name: str
    channel: Channel | None = None
    level: Annotated[int, msgspec.Meta(ge=1, le=4)] = 1
    by: str = ""


class ApproveAsk(msgspec.Struct, frozen=True):
    """`POST /repair/approve`: run the commands of a repair, if they are those that were shown (`digest`). `name` empty:
    of this node itself. `by`: who says so; empty for the user of this node."""

    digest: str
    name: str = ""
    channel: Channel | None = None
    by: str = ""


class DismissAsk(msgspec.Struct, frozen=True):
    """`POST /repair/dismiss`: approved commands that were broken off are shown no more. `name` empty and no channel: of
    any. `by`: who says so; empty for the user of this node."""

    name: str = ""
    channel: Channel | None = None
    by: str = ""


class MendAsk(msgspec.Struct, frozen=True):
    """`POST /mend`: do one action of the closed table to this node."""

    action: Action


class ResendAsk(msgspec.Struct, frozen=True):
    """`POST /resend`: the same id again, so it can never take effect twice. `any`: over any channel from now on."""

    id: str
    any: bool = False


class WakeAsk(msgspec.Struct, frozen=True):
    """`POST /wake`. `wait`: seconds in which its node has to be heard; 0 only sends."""

    name: str
    wait: Annotated[float, msgspec.Meta(ge=0, le=WAIT_LIMIT_S)] = 60.0


class TunnelAsk(msgspec.Struct, frozen=True):
    """`POST /tunnels`. `ssh`: the host as ssh is to be told (empty: as the peer told of its sshd)."""

    name: str
    ssh: str = ""


class DownAsk(msgspec.Struct, frozen=True):
    """`POST /down`. `now`: without waiting for what is under way; it stays in the outbox either way."""

    now: bool = False


def read(body: bytes, ask: type[Ask]) -> Ask:
    """The body as an `ask`. Raises `FleetError` `usage.body` naming the field that does not fit."""
    try:
        return msgspec.json.decode(body or b"{}", type=ask)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        of_this = "unknown field" in str(error) and " - at " not in str(error)
        known = f"; known are {', '.join(ask.__struct_fields__)}" if of_this else ""
        raise refused("body", "The request does not fit", f"{error}{known}") from None


def message(body: bytes) -> MessageAsk:
    """A message that a person may send. Raises `FleetError` `usage.body`, `usage.kind`, `usage.rung`, `usage.size`."""
    ask = read(body, MessageAsk)
    kind(ask.type)
    if ask.wait is not None:
        waitable(ask.wait, ask.session or session_of(ask.thread))
    said(ask.payload.body)
    size = len(ask.payload.body.encode())
    if size > BODY_LIMIT:
        raise refused("size", "The message is too large", f"{size} bytes; at most {BODY_LIMIT}", "split it")
    if not 0 < ask.timeout <= WAIT_LIMIT_S:
        raise refused("timeout", "The timeout is out of range", f"{ask.timeout:g} s; above 0, at most {WAIT_LIMIT_S:g}")
    return ask


def query(params: Mapping[str, str], most: int = 1_000) -> Query:
    """The `Query` in a URL's parameters. Raises `FleetError` `usage.body` naming the one that does not fit."""
    known = {key: value for key, value in params.items() if key in Query.__struct_fields__}
    try:
        found = msgspec.convert(known, Query, strict=False)
    except msgspec.ValidationError as error:
        raise refused("body", "The request does not fit", str(error)) from None
    return msgspec.structs.replace(found, limit=max(1, min(found.limit, most)))


def kind(word: str) -> Kind:
    """A kind that people send, by its word. Raises `FleetError` `usage.kind`."""
    if word not in PUBLIC:
        raise refused("kind", "Not a kind people send", f"`{word}`", f"use {', '.join(PUBLIC)}")
    return Kind(word)


def channel(word: str) -> Channel | None:
    """A channel by its word; None for no word. Raises `FleetError` `usage.channel`."""
    if word and word not in set(Channel):
        raise refused("channel", "No such channel", f"`{word}`", f"use {', '.join(Channel)}")
    return Channel(word) if word else None


def number(params: Mapping[str, str], name: str, default: int, low: int = 0, high: int = 1 << 62) -> int:
    """A whole number among a URL's parameters. Raises `FleetError` `usage.body`."""
    try:
        value = int(params.get(name, default))
    except ValueError:
        raise refused("body", "The request does not fit", f"`{name}` is not a whole number") from None
    return max(low, min(value, high))


def refused(code: str, title: str, detail: str, next_step: str = "see docs/api.md for what fits") -> FleetError:
    """A mistake in what was asked."""
    return FleetError(f"usage.{code}", title, detail, next_step, Fault.THEIRS)
