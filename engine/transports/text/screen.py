"""Reading a terminal's screen: is the session there idle, busy, asking, half typed, or something we do not know (pure).

    copy-mode, dead, several panes at once ─► why not
    the cursor stands behind an empty prompt of a known program ─► idle, or busy where it says so
    something stands there                                      ─► half_typed
    a question stands there                                     ─► asking
    anything else                                               ─► unknown, and never typed into

Only the row of the cursor counts as a prompt: transcripts are full of old ones. Faint text behind the cursor is a
suggestion that nobody typed.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from unicodedata import east_asian_width

import msgspec

from engine.transports.text.prompts import ASKING, PROMPTS, Prompt

IDLE, BUSY, ASKS, HALF_TYPED, UNKNOWN = "idle", "busy", "asking", "half_typed", "unknown"
WHY = {
    IDLE: "",
    BUSY: "the session is busy",
    ASKS: "the session is asking its user something",
    HALF_TYPED: "its prompt is half typed",
    UNKNOWN: "its terminal shows no prompt that is known",
}
IN_MODE = "its terminal is in copy-mode"
DEAD = "its terminal's program has ended"
TOGETHER = "its panes are synchronized: others would be typed into as well"
SHUT = "its terminal takes no input"
# Rows above the prompt in which a program says that it works, and so many of a text that was typed.
NEAR, TYPED_ROWS = 8, 16

_SGR = re.compile("\x1b\\[([0-9;:]*)m")
_OTHER = re.compile("\x1b(?:\\[[0-9;?]*[A-Za-z]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[()][A-Z0-9])|[\x0e\x0f]")
_BLANK = re.compile("[\\s\u2800│┃]+")


class Look(msgspec.Struct, frozen=True):
    """A terminal at one moment. `text`: its visible lines, with colours. `x`, `y`: the cursor. `hold`: why it takes
    nothing whatever it shows (empty: it does). `stamp`: what must be the same a moment later for it to be this look."""

    text: str
    x: int
    y: int
    command: str
    hold: str = ""
    stamp: str = ""


class Reading(msgspec.Struct, frozen=True):
    """What a look means. `prompt`: whose prompt it is, at which `row`."""

    state: str
    why: str
    prompt: Prompt | None = None
    row: int = -1

    @property
    def shell(self) -> bool:
        """Whether what is typed would be run."""
        return self.prompt is not None and self.prompt.shell


def read(look: Look, prompts: Sequence[Prompt] = PROMPTS) -> Reading:
    """What this look means, by the prompts that may stand in it."""
    if look.hold:
        return Reading(BUSY if look.hold == IN_MODE else UNKNOWN, look.hold)
    rows = [row_of(line) for line in look.text.split("\n")]
    found = next(_found(look, rows, _able(prompts, look.command)), None)
    if found is None:
        state = ASKS if ASKING.search(_plain(rows[-20:])) and look.command else UNKNOWN
        return Reading(state, WHY[state])
    prompt, row, state = found
    return Reading(state, WHY[state], prompt, row)


def _able(prompts: Iterable[Prompt], command: str) -> Iterator[Prompt]:
    return (one for one in prompts if not one.commands or command in one.commands)


def _found(look: Look, rows: Sequence["Row"], prompts: Iterable[Prompt]) -> Iterator[tuple[Prompt, int, str]]:
    """The prompt at the cursor, or above it where what was typed has several rows."""
    for prompt in prompts:
        for row in range(look.y, max(-1, look.y - TYPED_ROWS), -1):
            if row >= len(rows):
                break
            before = rows[row].upto(look.x) if row == look.y else rows[row].text
            head = prompt.start.match(before)
            if head and (row < look.y or before):
                yield prompt, row, _state(prompt, look, rows, row, before[head.end() :])
                break
            if not prompt.more.match(rows[row].text):
                break


def _state(prompt: Prompt, look: Look, rows: Sequence["Row"], row: int, typed: str) -> str:
    near = _plain(rows[max(0, row - NEAR) : row]) + "\n" + _plain(rows[row + 1 :])
    if ASKING.search(_plain(rows[row + 1 :])):
        return ASKS
    if typed or row != look.y or not _empty(prompt, rows, row, look.x):
        return ASKS if ASKING.search(near) else HALF_TYPED
    return BUSY if prompt.busy and prompt.busy.search(near) else IDLE


def _empty(prompt: Prompt, rows: Sequence["Row"], row: int, x: int) -> bool:
    behind, solid = rows[row].after(x)
    if solid.strip() and not prompt.ghost.fullmatch(behind.strip()):
        return False
    below = rows[row + 1].text if row + 1 < len(rows) else ""
    return prompt.below is None or bool(prompt.below.fullmatch(below))


class Row(msgspec.Struct, frozen=True):
    """One line: its text, and which of its characters are faint."""

    text: str
    faint: tuple[bool, ...]

    def upto(self, column: int) -> str:
        """What stands before a column, blanks the terminal left out put back."""
        cut, width = self._cut(column)
        return self.text[:cut] + " " * (column - width)

    def after(self, column: int) -> tuple[str, str]:
        """What stands at and behind a column: all of it, and what of it is not faint. The cursor may be drawn over the
        first letter of a suggestion, which then is not."""
        cut, _ = self._cut(column)
        behind, faint = self.text[cut:], self.faint[cut:]
        drawn = 1 if len(faint) > 1 and faint[1] else 0
        return behind, "".join(one for one, dim in zip(behind[drawn:], faint[drawn:], strict=True) if not dim)

    def _cut(self, column: int) -> tuple[int, int]:
        width = 0
        for index, one in enumerate(self.text):
            if width >= column:
                return index, width
            width += 2 if east_asian_width(one) in "WF" else 1
        return len(self.text), width


def row_of(line: str) -> Row:
    """A captured line without its colours."""
    text: list[str] = []
    faint: list[bool] = []
    dim, at = False, 0
    line = _OTHER.sub(lambda found: found.group() if found.group().endswith("m") else "", line)
    for found in _SGR.finditer(line):
        text += (piece := line[at : found.start()])
        faint += [dim] * len(piece)
        dim, at = _dims(found.group(1), dim), found.end()
    text += (piece := line[at:])
    faint += [dim] * len(piece)
    return Row("".join(text), tuple(faint))


def _dims(codes: str, dim: bool) -> bool:
    """Whether text is faint after these codes; colours carry numbers of their own, which are none."""
    numbers = iter(codes.replace(":", ";").split(";"))
    for number in numbers:
        if number in ("38", "48", "58"):
            for _ in range(1 if next(numbers, "") == "5" else 3):
                next(numbers, "")
        elif number in ("", "0", "22"):
            dim = False
        elif number == "2":
            dim = True
    return dim


def _plain(rows: Iterable[Row]) -> str:
    return "\n".join(row.text for row in rows)


def squashed(text: str) -> str:
    """Text without what wrapping and boxes put into it."""
    return _BLANK.sub("", text)


def stands(look: Look, line: str) -> bool:
    """Whether the cursor stands right behind this line, however it is wrapped."""
    rows = [row_of(one) for one in look.text.split("\n")]
    before = [row.text for row in rows[: look.y]]
    at = rows[look.y].upto(look.x) if look.y < len(rows) else ""
    return squashed("".join([*before, at])).endswith(squashed(line))


def alone(look: Look, reading: Reading, line: str) -> bool:
    """Whether the prompt holds this line and nothing else, the cursor behind it."""
    prompt, row = reading.prompt, reading.row
    if prompt is None:
        return False
    rows = [row_of(one) for one in look.text.split("\n")]
    texts = [*(one.text for one in rows[row : look.y]), rows[look.y].upto(look.x)]
    head = prompt.start.match(texts[0])
    if head is None or squashed("".join([texts[0][head.end() :], *texts[1:]])) != squashed(line):
        return False
    return _empty(prompt, rows, look.y, look.x)


def folded(look: Look, reading: Reading) -> bool:
    """Whether a folded paste stands in the prompt, and nothing else. What was empty a moment ago holds ours then."""
    if reading.prompt is None or reading.prompt.folded is None or reading.row != look.y:
        return False
    before = row_of(look.text.split("\n")[look.y]).upto(look.x)
    head = reading.prompt.start.match(before)
    return head is not None and bool(reading.prompt.folded.fullmatch(before[head.end() :]))


def shown_above(look: Look, reading: Reading, mark: str) -> bool:
    """Whether a mark stands above the prompt, or the cursor where there is no prompt: said, not only typed."""
    rows = [row_of(line).text for line in look.text.split("\n")]
    upto = reading.row if reading.prompt is not None else look.y
    return squashed(mark) in squashed("".join(rows[: max(0, upto)]))
