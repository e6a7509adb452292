"""The frames of SQLite's log, looked through before SQLite does (edge).

SQLite takes the first frame whose checksum is wrong for the end of the log. After a crash that is true: what was being
written is torn, and nothing follows. A flipped bit looks the same to it, and everything that was committed behind it
would be dropped without a word. But behind damage the log goes on: its frames bear its two salts, and each still
follows from the checksum that the one before it states.

    good, good, torn | remains of an older log      an ordinary crash: SQLite goes on with the good ones
    good, BAD, good, good |                         damage: a commit of this log lies behind its first bad frame

`mended` chains what is good anew. A page whose last image was lost is then as old as in the file, so a store with such
a log is read row by row into a fresh one and never used itself. Format: sqlite.org/fileformat2.html#the_write_ahead_log
"""

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

HEADER, HEAD = 32, 24
# The two magic numbers differ in the order of the bytes that checksums are made of.
_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}
_NATIVE = "<" if sys.byteorder == "little" else ">"
_USUAL_PAGE = 4096
_MASK = 0xFFFFFFFF

Sum = tuple[int, int]


class Frame(msgspec.Struct, frozen=True):
    """One frame of this log. `follows`: its bytes have its checksum; `salted`: it bears the log's salts. SQLite wants
    both. `commits`: it ends a transaction."""

    number: int
    start: int
    follows: bool
    salted: bool
    commits: bool


class Log(msgspec.Struct, frozen=True):
    """A log as it was found. `sound`: its header has its checksum; `frames`: all that are of this log, good and bad."""

    data: bytes
    order: str
    page: int
    sound: bool
    frames: tuple[Frame, ...]

    def flaw(self) -> str:
        """What SQLite would pass over in silence; empty where that is nothing."""
        if not self.sound:
            return f"the header of its log is damaged, and {len(self.frames)} pages follow it" if self.frames else ""
        bad = next((one for one in self.frames if not (one.follows and one.salted)), None)
        if bad is None:
            return ""
        behind = self.frames[self.frames.index(bad) + (not bad.follows) :]
        if not any(one.commits for one in behind):
            return ""
        return f"its log is damaged at page {bad.number} of {len(self.frames)}, and what follows was committed"

    def mended(self) -> bytes:
        """A log of what is good in this one, up to the last commit."""
        good = [one for one in self.frames if one.follows]
        last = max((place for place, one in enumerate(good, 1) if one.commits), default=0)
        magic = next(magic for magic, order in _ORDERS.items() if order == self.order)
        head = struct.pack(">4I", magic, 3_007_000, self.page, 0) + b"mended\0\0"
        at = _summed(self.order, head)
        parts = [head, struct.pack(">2I", *at)]
        for one in good[:last]:
            said, image = self._parts(one.start)
            at = _summed(self.order, said[:8] + image, at)
            parts += [said[:8], head[16:24], struct.pack(">2I", *at), image]
        return b"".join(parts)

    def _parts(self, start: int) -> tuple[bytes, bytes]:
        return self.data[start : start + HEAD], self.data[start + HEAD : start + HEAD + self.page]


def read(log: Path, store: Path) -> Log | None:
    """The log beside a store that is not open; None where there is none, or nothing in it. Raises `OSError`."""
    try:
        data = log.read_bytes()
    except FileNotFoundError:
        return None
    return parsed(data, _page_of(store)) if len(data) > HEADER else None


def parsed(data: bytes, page: int) -> Log:
    """A log by its bytes; `page`: the size of pages, where the header does not say it."""
    magic, _, said_page, _, *rest = struct.unpack(">8I", data[:HEADER])
    order = _ORDERS.get(magic, _NATIVE)
    stated, made = (rest[2], rest[3]), _summed(order, data[:24])
    sound = magic in _ORDERS and stated == made
    page = said_page if sound else page
    # What the header says of the salts is believed only with its checksum; the first frame bears them as well.
    salts = data[16:24] if sound else data[HEADER + 8 : HEADER + 16]
    log = Log(data, order, page, sound, ())
    return msgspec.structs.replace(log, frames=tuple(_frames(log, salts, [stated, made])))


def _frames(log: Log, salts: bytes, seeds: list[Sum]) -> Iterator[Frame]:
    """Those of this log. `seeds`: what the next one may follow from: the checksum that the one before it states, and,
    where that was not true of its bytes, the one it should have stated."""
    size, ours = HEAD + log.page, True
    for number, start in enumerate(range(HEADER, len(log.data) - size + 1, size), 1):
        said, image = log._parts(start)
        salted = said[8:16] == salts
        if not (ours or salted):
            continue
        commits, stated = bool(int.from_bytes(said[4:8], "big")), struct.unpack(">2I", said[16:24])
        made = [_summed(log.order, said[:8] + image, seed) for seed in seeds]
        follows = stated in made
        # Of an older log there may be remains behind: they follow from each other, and from nothing of this one.
        ours = salted or follows
        if ours:
            yield Frame(number, start, follows, salted, commits)
        seeds = [stated] if follows else [stated, made[0]]


def _summed(order: str, data: bytes, at: Sum = (0, 0)) -> Sum:
    """SQLite's checksum of these bytes behind others with the checksum `at`."""
    first, second = at
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for one, two in zip(words, words, strict=True):
        first = (first + one + second) & _MASK
        second = (second + two + first) & _MASK
    return first, second


def _page_of(store: Path) -> int:
    try:
        with store.open("rb") as file:
            size = int.from_bytes(file.read(18)[16:18], "big")
    except OSError:
        return _USUAL_PAGE
    # SQLite writes 65,536, for which two bytes are too few, as 1.
    size = 65_536 if size == 1 else size
    return size if size in _SIZES else _USUAL_PAGE


_SIZES = frozenset(1 << power for power in range(9, 17))
