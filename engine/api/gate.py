"""Who may use the API over loopback TCP (pure).

The Unix socket is guarded by its mode and by the peer's user id. A TCP port on loopback is open to every user of the
machine and, through a browser, to every web page it shows; so each request needs the bearer token, a Host that names
loopback (a page that rebinds its own name to 127.0.0.1 sends that name), and no Origin but ours.
"""

from collections.abc import Iterable
from hmac import compare_digest

from engine.errors import Fault, FleetError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
Headers = Iterable[tuple[bytes, bytes]]


def refusal(headers: Headers, port: int, token: str) -> FleetError | None:
    """Why a request is not let in, or None. A header given twice is refused: which one counts must not be a guess."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    hosts = {f"{name}:{port}".encode() for name in LOOPBACK}
    if found.get(b"host", []) not in [[host] for host in hosts]:
        return _refused("refused.host", "Wrong Host header", f"this port answers to {LOOPBACK[0]}:{port}")
    if b"origin" in found and found[b"origin"] not in [[b"http://" + host] for host in hosts]:
        return _refused("refused.origin", "Web pages are not let in", "the Origin header names another site")
    given = [value.partition(b" ") for value in found.get(b"authorization", [])]
    if len(given) != 1 or given[0][0].lower() != b"bearer" or not compare_digest(given[0][2], token.encode()):
        return _refused("auth.token", "Bearer token needed", "`Authorization: Bearer …` is missing or wrong")
    return None


def _refused(code: str, title: str, detail: str) -> FleetError:
    return FleetError(code, title, detail, "`fleet token` prints it; see docs/api.md", Fault.THEIRS)
