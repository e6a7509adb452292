"""A hub's name: what may be one, and the one it has among peers.

It ends on git's command line and in every process list, so it is looked at where it is configured and where it is used.
"""

import re

import msgspec

from engine.model.ways import Word

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<user>[^/@:]*)(?P<password>:[^/@]*)?@)?(?P<rest>.+)", re.I)
_SCP = re.compile(r"[^/:]+:.+")


def flaw(hub: str) -> str:
    """Why this cannot be the name of a hub, in six words or fewer; empty when it can."""
    if not hub:
        return "no hub configured"
    try:
        msgspec.convert(hub, Word)
    except msgspec.ValidationError:
        return "the hub's name cannot be used"
    url = _URL.fullmatch(hub)
    if url:
        # It would stand in the list of processes, where everybody on this machine reads it.
        return "the hub's name holds a password" if url["password"] else ""
    return "" if hub.startswith(("/", "~/")) or _SCP.fullmatch(hub) else "the hub's path is not absolute"


def name(hub: str) -> str:
    """The hub as it is told to peers, for them to find that it is theirs too: one repository, however it is written."""
    url = _URL.fullmatch(hub)
    if url and url["scheme"].lower() == "file":
        hub = url["rest"]
    elif url and url["scheme"].lower() in ("http", "https"):
        hub = f"{url['scheme'].lower()}://{url['rest']}"
    return hub.rstrip("/") or "/"
