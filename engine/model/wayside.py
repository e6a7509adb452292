"""What a person is told of machines that have to be woken, and of tunnels that are kept to them.

Their field names are the JSON shapes others rely on (`fleet wake`, `fleet tunnel list`).
"""

import msgspec

from engine.model.peer import Standing


class Woken(msgspec.Struct, frozen=True):
    """What came of waking a machine. `awake`: its node was heard; a packet that was sent is no proof of that. `steps`:
    what was done and seen, in order."""

    name: str
    awake: bool
    standing: Standing
    steps: tuple[str, ...] = ()
    waited_s: float = 0.0


class TunnelLine(msgspec.Struct, frozen=True):
    """One kept tunnel. `ssh`: the host as a person named it (empty: as the peer told it). `state`: opening, up or
    retrying, since `since_ms`, for `reason`. `http`, `nats`: its near ends, ports on loopback (0: none)."""

    peer: str
    ssh: str
    state: str
    since_ms: int
    reason: str = ""
    http: int = 0
    nats: int = 0
