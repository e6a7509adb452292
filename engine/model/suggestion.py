"""A machine that might join: somebody nearby said that it is there. A suggestion and no more: trust is the key."""

import re

import msgspec

# What may follow `ssh` on a line that a person copies: no option, no second word, nothing a shell would read.
_HOST = re.compile(r"[A-Za-z0-9_][\w.:%@-]{0,252}", re.ASCII)
NAME_LIMIT = 64


class Suggestion(msgspec.Struct, frozen=True):
    """`name`: as the machine is called there. `host`: what ssh takes. `source`: who said so: mdns, ssh, tailscale.
    `note`: what else it said. `known_member`: the member that it is already (empty: none)."""

    name: str
    host: str
    source: str
    note: str = ""
    known_member: str = ""


def callable_host(host: str) -> bool:
    """Whether a host may stand on a command line."""
    return _HOST.fullmatch(host) is not None


def shown(text: str) -> str:
    """Words of a stranger, fit for a screen."""
    return "".join(sign for sign in text if sign.isprintable())[:NAME_LIMIT]
