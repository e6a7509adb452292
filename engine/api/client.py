"""The other end of the API (edge): asks the node of a home over its Unix socket.

The standard library only, because every command pays for what this imports. A node that does not answer is
`node.absent`; an error of the node comes out as the same `FleetError` it went in as. Answers are plain JSON values:
what they hold is in `engine.api.views` and `docs/api.md`.
"""

import http.client
import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

from engine.errors import ErrorFacts, Fault, FleetError

SOCKET = "api.sock"
# Longer than any verb takes that was not asked to wait.
PATIENCE_S = 60.0
PAGE = 1_000


class Client:
    """A node's control API. `path`: its socket, `<run dir>/api.sock`. Every method raises `FleetError`: the node's
    own, or `node.absent`, `node.gone`, `timeout.api`, `refused.socket`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, path: str, **params: Any) -> Any:
        """What a path answers, decoded; parameters that are None or empty are left out."""
        given = {key: value for key, value in params.items() if value not in (None, "")}
        return json.loads(self._ask("GET", f"{path}?{urlencode(given)}" if given else path, None, PATIENCE_S))

    def text(self, path: str) -> str:
        """What a path answers, as text."""
        return self._ask("GET", path, None, PATIENCE_S).decode()

    def post(self, path: str, body: dict[str, Any] | None = None, timeout_s: float = PATIENCE_S) -> Any:
        """What comes of doing something, decoded. `timeout_s`: how long it may take."""
        return json.loads(self._ask("POST", path, json.dumps(body or {}).encode(), timeout_s))

    def why(self, msg_id: str) -> Any:
        """The story of one message of ours."""
        return self.get(f"/why/{quote(msg_id, safe='')}")

    def alive(self) -> bool:
        """Whether a node answers here now."""
        try:
            self.get("/health")
        except FleetError:
            return False
        return True

    def lines(self, limit: int | None, **filters: Any) -> Iterator[Any]:
        """The log, newest first, page by page; at most `limit` lines (None: all)."""
        before, left = None, limit
        while left is None or left > 0:
            page = self.get("/messages", before=before, limit=PAGE if left is None else min(PAGE, left), **filters)
            yield from page["lines"]
            left = None if left is None else left - len(page["lines"])
            before = page["next"]
            if not before:
                return

    def events(self, since: int | None = None) -> Iterator[tuple[str, Any]]:
        """What happens, as (name, data), without end; the first is `snapshot`."""
        with self._connection(None) as connection:
            connection.request("GET", "/events" if since is None else f"/events?since={since}")
            name = ""
            for raw in _answer(connection):
                word, _, rest = raw.decode().rstrip("\n").partition(": ")
                if word == "event":
                    name = rest
                elif word == "data":
                    yield name, json.loads(rest)

    def stream(self, asks: Iterable[dict[str, Any]]) -> Iterator[Any]:
        """Send each ask and yield its answer, in order, while more are still being asked."""
        with self._connection(None) as connection:
            connection.putrequest("POST", "/messages/stream")
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders()
            # A file of its own: http.client lets go of the socket once it knows that this answer is the last.
            Thread(target=_feed, args=(connection.sock.makefile("wb"), asks), daemon=True).start()
            yield from (json.loads(line) for line in _answer(connection))

    def _ask(self, method: str, path: str, body: bytes | None, timeout_s: float) -> bytes:
        with self._connection(timeout_s) as connection:
            connection.request(method, path, body)
            return _answer(connection).read()

    @contextmanager
    def _connection(self, timeout_s: float | None) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(timeout_s)
        try:
            connection.sock.connect(str(self._path))
            yield connection
        except (OSError, http.client.HTTPException) as error:
            raise self._translated(error, timeout_s) from None
        finally:
            connection.close()

    def _translated(self, error: Exception, timeout_s: float | None) -> FleetError:
        match error:
            case TimeoutError():
                said = f"no answer in {timeout_s:g} s"
                return FleetError("timeout.api", "The node is slow to answer", said, "try `fleet log`", Fault.OURS)
            case PermissionError():
                said = f"{self._path} belongs to another user"
                return FleetError("refused.socket", "Not your node", said, "run this as the user whose node it is")
            case FileNotFoundError() | ConnectionRefusedError():
                said = f"nothing answers at {self._path}"
                return FleetError("node.absent", "No node is running", said, "start it with `fleet up`", Fault.WORLD)
        said = f"it closed the connection ({error})" if str(error) else "it closed the connection"
        return FleetError("node.gone", "The node went away", said, "`fleet log` shows its last words", Fault.WORLD)


def _answer(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    """The response, once its status says that it is an answer and not an error."""
    response = connection.getresponse()
    if response.status < 400:
        return response
    raw = response.read()
    try:
        raise ErrorFacts(**json.loads(raw)["error"]).raised()
    except (ValueError, TypeError, KeyError):
        said = f"HTTP {response.status}"
        raise FleetError("node.busy", "The node cannot answer now", said, "try again", Fault.WORLD) from None


def _feed(out: BinaryIO, asks: Iterable[dict[str, Any]]) -> None:
    """Write the asks as chunks of lines. A node that goes away is noticed by whoever reads the answers."""
    with suppress(OSError), out:
        for ask in asks:
            line = json.dumps(ask).encode() + b"\n"
            out.write(b"%x\r\n%s\r\n" % (len(line), line))
            out.flush()
        out.write(b"0\r\n\r\n")
