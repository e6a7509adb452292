"""A slip: sealed frames, or what came of them, on a stream that many deliveries share.

    mark 1 | kind 1 | token 4 | length 4 | that many bytes            integers are big-endian

`FRAMES` asks, `ANSWER` and `BUSY` reply under the same token, in any order. The length is judged before a byte of the
rest is kept. Whoever sends anything else is told nothing: the reader raises, and the stream is cut.
"""

from collections.abc import Callable, Iterator
from struct import Struct

import msgspec

from engine.model.envelope import CARRIAGE_LIMIT

FRAMES, ANSWER, BUSY = 1, 2, 3
_MARK = 0xF5
_HEAD = Struct(">BBII")
TOKENS = 1 << 32


class Garbled(Exception):
    """The stream holds something that is no slip, or one that may not be sent here."""


class Slip(msgspec.Struct, frozen=True):
    """One slip. `data` is None when there was no room to keep it: it was read to its end, and is gone."""

    kind: int
    token: int
    data: bytes | None


def packed(kind: int, token: int, data: bytes = b"") -> bytes:
    """A slip as it goes on the stream."""
    return _HEAD.pack(_MARK, kind, token, len(data)) + data


class SlipReader:
    """Cuts a stream into slips of these kinds. `claim(size)` sets bytes aside, and gives them back when negative."""

    def __init__(self, *kinds: int, claim: Callable[[int], bool] = lambda size: True):
        self._kinds, self._claim = kinds, claim
        self._head, self._body = bytearray(), bytearray()
        self._kind = self._token = self._size = self._left = 0
        self._kept = True

    @property
    def partial(self) -> int:
        """Bytes of a slip that is not complete; 0 between two."""
        return len(self._head) + self._size - self._left

    def feed(self, data: bytes) -> Iterator[Slip]:
        """The slips that became complete. Raises `Garbled`."""
        rest = memoryview(data)
        while rest:
            if len(self._head) < _HEAD.size:
                missing = _HEAD.size - len(self._head)
                self._head += rest[:missing]
                rest = rest[missing:]
                if len(self._head) < _HEAD.size:
                    return
                self._begin()
            part = rest[: self._left]
            rest = rest[self._left :]
            self._left -= len(part)
            self._keep(part)
            if not self._left:
                yield self._complete()

    def forget(self) -> None:
        """Nothing more is read; what was set aside is given back."""
        self._claim(-len(self._body))
        self._head, self._body = bytearray(), bytearray()
        self._size = self._left = 0

    def _begin(self) -> None:
        mark, self._kind, self._token, self._size = _HEAD.unpack(self._head)
        self._left = self._size
        if mark != _MARK or self._kind not in self._kinds or self._size > CARRIAGE_LIMIT:
            raise Garbled

    def _keep(self, part: memoryview) -> None:
        if self._kept and self._claim(len(part)):
            self._body += part
        elif self._kept:
            self._kept = False
            self._claim(-len(self._body))
            self._body = bytearray()

    def _complete(self) -> Slip:
        slip = Slip(self._kind, self._token, bytes(self._body) if self._kept else None)
        self._kept = True
        self.forget()
        return slip
