"""Who is in the fleet: the signed, versioned roster.

A roster is only ever replaced by a higher version signed by an admin of the version before it; how that is checked is
`engine.security.roster`. Members are never removed, only marked `revoked` or `left`, so that a late reader knows why
a name is refused.
"""

import re
from enum import StrEnum
from functools import cached_property
from typing import Annotated

import msgspec

# What a resolver, a socket and nats-server can all take; anything else that a member says of itself is refused unread.
Host = Annotated[str, msgspec.Meta(max_length=253, pattern=r"^(?!-)[\w.:%-]*\Z")]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]


class Role(StrEnum):
    """What a member is for. An observer hears and may not command."""

    CHIEF = "chief"
    CAPTAIN = "captain"
    WORKER = "worker"
    OBSERVER = "observer"


# Addresses of several at once: everybody, or by role. No member may be called so.
ALL, BY_ROLE = "all", "role:"


# A name becomes a host name, a file and a NATS subject.
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def unfit(name: str) -> str:
    """Why no member can be called so; empty where one can."""
    if name == ALL:
        return f"{name!r} addresses everybody"
    if _NAME.fullmatch(name):
        return ""
    shown = name if len(name) <= 40 else f"{name[:40]}…"
    return f"{shown!r}: up to 32 of a-z, 0-9 and -, beginning with a letter or a digit"


def name_from(text: str) -> str:
    """The nearest name to a host's name or a person's words: `Anna's MacBook.local` gives `anna-s-macbook`."""
    words = re.sub(r"[^a-z0-9]+", "-", text.split(".")[0].lower()).strip("-")
    name = words[:32].rstrip("-")
    return "node" if name in ("", ALL) else name


def is_group(to: str) -> bool:
    """Whether an address may name several: `all`, `role:worker`, or names parted by commas."""
    return to == ALL or to.startswith(BY_ROLE) or "," in to


class Address(msgspec.Struct, frozen=True):
    """Where a node listens: one host, four ports (0: not listening). `http` peer port, `nats` cluster routes,
    `leaf` NATS leaf nodes, `udp` gossip."""

    host: Host
    http: Port = 0
    nats: Port = 0
    leaf: Port = 0
    udp: Port = 0


class Bundle(msgspec.Struct, frozen=True):
    """A node's public keys, bound together by the device key: `device` Ed25519, `sealing` X25519, `signing` Ed25519
    (rosters, vouchers), `nkey` the NATS user key, `tls_cert` DER of the self-signed certificate that peers pin."""

    device: bytes
    sealing: bytes
    signing: bytes
    nkey: str
    tls_cert: bytes
    signature: bytes = b""


class Member(msgspec.Struct, frozen=True):
    """One node as the fleet knows it. `expires_ms` 0: never. Times are wall milliseconds."""

    id: str
    name: str
    bundle: Bundle
    addresses: tuple[Address, ...] = ()
    role: Role = Role.WORKER
    admin: bool = False
    voter: bool = False
    mac: str = ""
    joined_ms: int = 0
    expires_ms: int = 0
    revoked_ms: int = 0
    left_ms: int = 0

    @property
    def present(self) -> bool:
        """Whether it still belongs: neither revoked nor gone."""
        return not self.revoked_ms and not self.left_ms

    @property
    def ended(self) -> str:
        """What became of one that belongs no more: `was revoked`, `has left the fleet`; empty while it belongs."""
        if self.present:
            return ""
        return "was revoked" if self.revoked_ms else "has left the fleet"


class Roster(msgspec.Struct, frozen=True, dict=True):
    """The fleet. `keyring`: gossip keys, the first is used, all are accepted. `previous`: hash of the version before.
    `signer` and `signature`: the admin that issued this version, over everything else."""

    fleet_id: str
    fleet_name: str
    version: int
    issued_ms: int
    members: tuple[Member, ...]
    keyring: tuple[bytes, ...] = ()
    previous: bytes = b""
    signer: str = ""
    signature: bytes = b""

    def member(self, node_id: str) -> Member | None:
        """The member with this id, whatever became of it."""
        return self._by_id.get(node_id)

    def named(self, name: str) -> Member | None:
        """The present member of this name."""
        return self._by_name.get(name)

    def former(self, name: str) -> Member | None:
        """The last of this name or id to be revoked or to leave."""
        gone = [one for one in self.members if name in (one.id, one.name) and not one.present]
        return max(gone, key=lambda one: max(one.left_ms, one.revoked_ms), default=None)

    @property
    def chief(self) -> Member | None:
        """The present member with the role chief, if there is one."""
        return next((one for one in self.members if one.role is Role.CHIEF and one.present), None)

    # Asked for each message, each probe and each row of a screen: looked up, not searched for. What is remembered
    # beside the fields follows from them, and is no part of the value: equality and encoding do not see it.
    @cached_property
    def _by_id(self) -> dict[str, Member]:
        return {one.id: one for one in reversed(self.members)}

    @cached_property
    def _by_name(self) -> dict[str, Member]:
        return {one.name: one for one in reversed(self.members) if one.present}
