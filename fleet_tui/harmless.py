"""What may reach a terminal: text without the signs that drive it. Names, notes and letters come from other machines.

A control character sets titles, paints elsewhere, writes the clipboard or asks for an answer that a shell then reads;
one of direction shows a text backwards. Whatever a command prints goes through here once, at its last step, and so does
every line of the control room (`fleet_tui.ascii`). Line breaks and tabs are left to whoever prints lines.
"""

import json
import re
from typing import Any

_CONTROL = r"\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069"
_DRIVES = re.compile(rf"[\x00-\x08\x0b-\x1f{_CONTROL}]")
_PAINTS = re.compile(rf"[\x00-\x1f{_CONTROL}]")
_IN_JSON = re.compile(rf"[{_CONTROL}]")
GONE = "�"


def line(text: str) -> str:
    """Text as a terminal may have it; what was there is shown to have been there."""
    return _DRIVES.sub(GONE, text)


def cells(text: str) -> str:
    """A painted piece of a line. What is taken out had no width, so no cell moves."""
    return _PAINTS.sub("", text)


def as_json(value: Any, indent: int | None = None) -> str:
    """The same value for any reader; what a terminal would obey is written as `\\u` and a number."""
    said = json.dumps(value, ensure_ascii=False, indent=indent)
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", said)
