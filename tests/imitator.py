"""A program that looks like an agent: `python imitator.py CAPTURE FIFO SAID`, with captures of the real one.

It draws a capture and takes what is typed as the agent does: bracketed pastes, wrapped in its prompt, and on Enter said
above an empty prompt and written to the file SAID. Lines in FIFO change it: `show NAME` draws another capture, `deaf`
shows nothing of what is typed, `stubborn` takes no Enter.
"""

import json
import os
import re
import select
import sys
import termios
import tty
from pathlib import Path

CAPTURES = Path(__file__).with_name("engine") / "transports" / "text" / "captures"
WIDTH, ROWS = 80, 29
_COLOUR = re.compile("\x1b\\[[0-9;]*m")


class Imitator:
    def __init__(self, name: str, said: Path):
        self.said, self.typed, self.above = said, "", ""
        self.deaf = self.stubborn = False
        self.show(name)

    def show(self, name: str) -> None:
        """Draw another capture."""
        kept = json.loads((CAPTURES / f"{name}.json").read_text())
        self.lines, self.x, self.y = kept["lines"], kept["x"], kept["y"]
        self.draw()

    def draw(self) -> None:
        """The capture, with what was said above its prompt and what is typed in it."""
        lines = list(self.lines)
        if self.above:
            lines[:3] = [*_wrapped(f"> {self.above}", 3), "", ""][:3]
        typed = _wrapped(self.typed, 9) if self.typed and not self.deaf else [""]
        if typed[0]:
            prompt = _COLOUR.sub("", lines[self.y])[: self.x].ljust(self.x)
            lines[self.y : self.y + 1] = [prompt + typed[0], *(f"  {one}" for one in typed[1:])]
        y, x = self.y + len(typed) - 1, (self.x if len(typed) == 1 else 2) + len(typed[-1])
        top = max(0, y - ROWS + 1)
        shown = "\r\n".join(lines[top : top + ROWS])
        os.write(1, f"\x1b[?2004h\x1b[0m\x1b[2J\x1b[H{shown}\x1b[0m\x1b[{y - top + 1};{x + 1}H".encode())

    def hear(self, data: str) -> None:
        """Keys and pastes."""
        for one in data.replace("\x1b[200~", "").replace("\x1b[201~", ""):
            if one == "\r" and not self.stubborn:
                if self.typed:
                    with self.said.open("a") as file:
                        file.write(self.typed + "\n")
                    self.above, self.typed = self.typed, ""
            elif one == "\x7f":
                self.typed = self.typed[:-1]
            elif one.isprintable():
                self.typed += one
        self.draw()

    def told(self, line: str) -> None:
        """What the test wants."""
        word, _, name = line.partition(" ")
        if word == "show":
            self.show(name)
        else:
            # Nothing of it shows yet; a screen half drawn anew would be looked at.
            setattr(self, word, True)


def _wrapped(text: str, rows: int) -> list[str]:
    return [text[start : start + WIDTH] for start in range(0, max(1, len(text)), WIDTH)][:rows]


def main() -> None:
    name, fifo, said = sys.argv[1:]
    tty.setraw(0, termios.TCSANOW)
    wishes = os.open(fifo, os.O_RDWR)
    imitator = Imitator(name, Path(said))
    while True:
        for ready in select.select([wishes, 0], [], [])[0]:
            data = os.read(ready, 65536).decode(errors="replace")
            if ready == 0:
                imitator.hear(data)
            else:
                for line in data.splitlines():
                    imitator.told(line)


if __name__ == "__main__":
    main()
