"""How a machine can be reached besides its own ports: what a node says of itself in its heartbeat.

It is the machine's own word over an authenticated way, so it pins what it names: whoever calls its sshd accepts these
host keys and no others. A node says only what it found true of itself; a peer that never spoke has no ways. Every
text has a form, because it ends in a command line, a path or a packet of somebody else's machine.
"""

import hashlib
from typing import Annotated

import msgspec

from engine.model.channel import Channel
from engine.model.roster import Host, Port

# Neither a line end nor a sign that drives a terminal or turns text around; `\Z`, for `$` lets a last line end pass.
_SIGN = r"[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069"
# What may stand on a command line of ssh or git: never an option, never a second line.
Word = Annotated[str, msgspec.Meta(max_length=256, pattern=rf"^(?:{_SIGN}\s\-]{_SIGN}\s]*)?\Z")]
# An absolute path; what is beyond fits neither a Unix socket nor a screen.
Path = Annotated[str, msgspec.Meta(max_length=1_024, pattern=rf"^(?:/{_SIGN}]*)?\Z")]
# "ssh-ed25519 AAAA…", as `known_hosts` has it.
HostKey = Annotated[str, msgspec.Meta(max_length=2_048, pattern=r"^[\w.@-]+ [A-Za-z0-9+/=]+\Z")]
Mac = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{2}(?::[0-9a-f]{2}){5}\Z")]
Argument = Annotated[str, msgspec.Meta(max_length=1_024, pattern=rf"^{_SIGN}]*\Z")]
# Our keys may write in many places of another's machine: a member can name none but a folder made for this.
Seeds = Annotated[str, msgspec.Meta(max_length=1_024, pattern=rf"^(?:/{_SIGN}]*/seed-in)?\Z")]
SessionName = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[\w.@-]+\Z")]
# One word: which there are, a later version may know better.
State = Annotated[str, msgspec.Meta(max_length=16, pattern=r"^[a-z_]+\Z")]


class SshWay(msgspec.Struct, frozen=True):
    """Its sshd. `socket`: the Unix socket on which it takes sealed frames (P5). `seeds`: the directory it watches
    (P4). `start`: the command that starts this node there when it does not run."""

    user: Word
    port: Port
    host_keys: Annotated[tuple[HostKey, ...], msgspec.Meta(max_length=8)]
    socket: Path = ""
    seeds: Seeds = ""
    start: Annotated[tuple[Argument, ...], msgspec.Meta(max_length=16)] = ()


def door(way: SshWay) -> str:
    """What names the sshd, and the node behind it: another name for any of it has to be proved anew."""
    named = (way.user, way.port, sorted(way.host_keys), way.socket, way.seeds)
    return hashlib.sha256(msgspec.json.encode(named)).hexdigest()


class Nic(msgspec.Struct, frozen=True):
    """A network card that can wake it (P6): its hardware address, its own IPv4 address and that network's broadcast."""

    mac: Mac
    host: Host = ""
    broadcast: Host = ""


class Seat(msgspec.Struct, frozen=True):
    """A session that lets itself be typed into (P8). `state`: idle, busy, asking or unknown, as last seen."""

    session: SessionName
    state: State = "unknown"


class Ways(msgspec.Struct, frozen=True):
    """All of them. `git`: the hubs it reads its refs from (P7)."""

    ssh: SshWay | None = None
    nics: Annotated[tuple[Nic, ...], msgspec.Meta(max_length=8)] = ()
    git: Annotated[tuple[Word, ...], msgspec.Meta(max_length=4)] = ()
    seats: Annotated[tuple[Seat, ...], msgspec.Meta(max_length=32)] = ()


NO_WAYS = Ways()


def armed(channel: Channel, ways: Ways) -> str:
    """What is known of a channel that is never tried without a message, before its first."""
    if channel is Channel.WOL:
        return f"`fleet wake` would call {', '.join(nic.mac for nic in ways.nics)}"
    if channel is Channel.TEXT:
        states = ", ".join(seat.state for seat in ways.seats)
        return f"{len(ways.seats)} session{'s' if len(ways.seats) != 1 else ''} opted in: {states or 'none'}"
    return "configured; only a message would tell"
