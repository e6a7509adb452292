"""The other end of the API (edge): asks the node of a home over its Unix socket.

Every command pays for what this imports, so it speaks the little HTTP/1.1 that our own server needs, over a plain
socket: `http.client` would bring `ssl` and `email`, a quarter of the time that `fleet status` takes. A node that does
not answer is `node.absent`; an error of the node comes out as the same `FleetError` it went in as. Answers are plain
JSON values: what they hold is in `engine.api.views` and `docs/api.md`.
"""

import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any
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

    def get(self, path: str, *, patience_s: float = PATIENCE_S, **params: Any) -> Any:
        """What a path answers within `patience_s`, decoded; parameters that are None or empty are left out."""
        given = {key: value for key, value in params.items() if value not in (None, "")}
        return json.loads(self._ask("GET", f"{path}?{urlencode(given)}" if given else path, None, patience_s))

    def text(self, path: str) -> str:
        """What a path answers, as text."""
        return self._ask("GET", path, None, PATIENCE_S).decode()

    def post(self, path: str, body: dict[str, Any] | None = None, timeout_s: float = PATIENCE_S) -> Any:
        """What comes of doing something, decoded. `timeout_s`: how long it may take."""
        return json.loads(self._ask("POST", path, json.dumps(body or {}).encode(), timeout_s))

    def why(self, msg_id: str) -> Any:
        """What became of one message."""
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

    def events(self, since: int | None = None, patience_s: float | None = None) -> Iterator[tuple[str, Any]]:
        """What happens, as (name, data), without end; the first is `snapshot`. `patience_s`: silence of this length
        raises `timeout.api`."""
        path = "/events" if since is None else f"/events?since={since}"
        with self._connected(patience_s) as door:
            door.sendall(_head("GET", path))
            name = ""
            for line in _Answer(door).lines():
                word, _, rest = line.decode().partition(": ")
                if word == "event":
                    name = rest
                elif word == "data":
                    yield name, json.loads(rest)

    def stream(self, asks: Iterable[dict[str, Any]]) -> Iterator[Any]:
        """Send each ask and yield its answer, in order, while more are still being asked."""
        with self._connected(None) as door:
            door.sendall(_head("POST", "/messages/stream", "Transfer-Encoding: chunked"))
            Thread(target=_feed, args=(door, asks), daemon=True).start()
            yield from map(json.loads, _Answer(door).lines())

    def told(self, path: str, body: dict[str, Any], patience_s: float = PATIENCE_S) -> Iterator[Any]:
        """What comes of doing something, value by value as it comes."""
        with self._connected(patience_s) as door:
            said = json.dumps(body).encode()
            door.sendall(_head("POST", path, f"Content-Length: {len(said)}") + said)
            yield from map(json.loads, _Answer(door).lines())

    def _ask(self, method: str, path: str, body: bytes | None, timeout_s: float) -> bytes:
        with self._connected(timeout_s) as door:
            with suppress(BrokenPipeError):  # a node that has read enough has answered already
                door.sendall(_head(method, path, f"Content-Length: {len(body or b'')}") + (body or b""))
            return _Answer(door).body()

    @contextmanager
    def _connected(self, timeout_s: float | None) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(timeout_s)
            try:
                door.connect(str(self._path))
                yield door
            except OSError as error:
                raise self._translated(error, timeout_s) from None

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


def _head(method: str, path: str, *headers: str) -> bytes:
    """The head of a request; the connection is for this one."""
    lines = (f"{method} {path} HTTP/1.1", "Host: fleet", "Connection: close", *headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class _Answer:
    """A response once its status says that it is an answer; the `FleetError` it holds otherwise."""

    def __init__(self, door: socket.socket) -> None:
        self._file = door.makefile("rb")
        try:
            self._status = int(self._file.readline().split(b" ", 2)[1])
        except (IndexError, ValueError):
            raise ConnectionResetError from None
        self._headers: dict[str, str] = {}
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            self._headers[name.strip().lower()] = value.strip()
        if self._status >= 400:
            raise _refused(self._status, self.body())

    def body(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces())

    def lines(self) -> Iterator[bytes]:
        """Line by line, as they come."""
        rest = b""
        for piece in self._pieces():
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole

    def _pieces(self) -> Iterator[bytes]:
        if self._headers.get("transfer-encoding") != "chunked":
            yield self._exactly(int(self._headers.get("content-length", 0)))
            return
        while size := self._size():
            yield self._exactly(size)
            self._file.readline()

    def _size(self) -> int:
        try:
            return int(self._file.readline(), 16)
        except ValueError:
            raise ConnectionResetError from None  # cut off in the middle

    def _exactly(self, size: int) -> bytes:
        found = self._file.read(size)
        if len(found) < size:
            raise ConnectionResetError
        return found


def _refused(status: int, body: bytes) -> FleetError:
    try:
        return ErrorFacts(**json.loads(body)["error"]).raised()
    except (ValueError, TypeError, KeyError):
        # The web server itself, too busy to ask the node.
        return FleetError("node.busy", "The node cannot answer now", f"HTTP {status}", "try again", Fault.WORLD)


def _feed(door: socket.socket, asks: Iterable[dict[str, Any]]) -> None:
    """Write the asks as chunks of lines. A node that goes away is noticed by whoever reads the answers."""
    with suppress(OSError):
        for ask in asks:
            line = json.dumps(ask).encode() + b"\n"
            door.sendall(b"%x\r\n%s\r\n" % (len(line), line))
        door.sendall(b"0\r\n\r\n")
