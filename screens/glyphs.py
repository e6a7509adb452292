"""What every state looks like: a glyph, a word and an ink, never an ink alone. The ASCII stand-ins are here as well."""

import re
from typing import NamedTuple

from engine.model.broker import BrokerState
from engine.model.channel import ChannelState, Verdict
from engine.model.envelope import Rung
from engine.model.finding import Severity
from engine.model.peer import Standing
from engine.model.story import FLYING, OVERTAKEN


class Look(NamedTuple):
    """How one state is shown."""

    glyph: str
    word: str
    ink: str


CHANNEL: dict[ChannelState, Look] = {
    ChannelState.HEALTHY: Look("●", "healthy", "good"),
    ChannelState.DEGRADED: Look("◐", "degraded", "warn"),
    ChannelState.BROKEN: Look("○", "broken", "bad"),
    ChannelState.HEALING: Look("◌", "healing", "heal"),
    ChannelState.QUARANTINED: Look("⊘", "quarantined", "bad"),
    ChannelState.UNKNOWN: Look("·", "unknown", "dim"),
    ChannelState.ABSENT: Look("–", "no way now", "faint"),
}

STANDING: dict[Standing, Look] = {
    Standing.ALIVE: Look("●", "alive", "good"),
    Standing.SUSPECT: Look("◐", "suspect", "warn"),
    Standing.UNREACHABLE: Look("○", "unreachable", "bad"),
    Standing.STALE: Look("○", "stale", "bad"),
    Standing.OFFLINE: Look("○", "offline", "dim"),
    Standing.LEFT: Look("–", "left", "faint"),
    Standing.UNKNOWN: Look("·", "not heard yet", "dim"),
}

RUNG: dict[Rung, Look] = {
    Rung.ACCEPTED: Look("◌", "accepted", "heal"),
    Rung.ON_HOST: Look("●", "on host", "good"),
    Rung.POSTED: Look("●", "posted", "good"),
    Rung.HELD: Look("◐", "held", "warn"),
    Rung.QUEUED: Look("◌", "queued", "heal"),
    Rung.SEEN: Look("●", "seen", "good"),
    Rung.EXPIRED: Look("○", "expired", "bad"),
    Rung.REFUSED: Look("○", "refused", "bad"),
    Rung.DEAD: Look("○", "dead", "bad"),
}

OUTCOME: dict[str, Look] = {
    Verdict.CONFIRMED: Look("●", "confirmed", "good"),
    Verdict.LANDED: Look("◌", "landed", "heal"),
    Verdict.REFUSED: Look("✗", "refused", "bad"),
    Verdict.LOST: Look("✗", "no answer", "bad"),
    Verdict.BARRED: Look("–", "barred", "dim"),
    "untried": Look("–", "not tried", "dim"),
    FLYING: Look("▸", "on its way", "heal"),
    OVERTAKEN: Look("▸", "overtaken", "dim"),
}

SEVERITY: dict[Severity, Look] = {
    Severity.CRITICAL: Look("▲", "critical", "need"),
    Severity.HIGH: Look("▲", "high", "bad"),
    Severity.MEDIUM: Look("▲", "medium", "warn"),
    Severity.LOW: Look("△", "low", "dim"),
    Severity.INFO: Look("△", "info", "dim"),
}

BROKER: dict[str, Look] = {
    BrokerState.UP: Look("●", "up", "good"),
    BrokerState.EXTERNAL: Look("●", "external", "good"),
    BrokerState.STARTING: Look("◌", "starting", "heal"),
    BrokerState.SILENT: Look("○", "silent", "bad"),
    BrokerState.DOWN: Look("○", "down", "bad"),
    BrokerState.ABSENT: Look("–", "none", "dim"),
}

# One cell stays one cell, so that nothing moves when a terminal has no such glyph.
_STAND_INS = {
    "●": "*", "◐": "%", "○": "o", "◌": "~", "⊘": "!", "·": ".", "–": "-", "✗": "x", "✓": "v", "▲": "!", "△": "i",
    "▸": ">", "‹": "<", "›": ">", "→": ">", "←": "<", "↑": "^", "↓": "v", "…": ".", "×": "x", "±": "~", "│": "|",
    "╎": ":", "╌": ".", "━": "=", "⟶": ">", "•": "*", "▏": "|", "▎": "|", "▌": "|",
}  # fmt: skip
_BARS = dict(zip("▁▂▃▄▅▆▇█", "_.-~=+*#", strict=True))
_SMALL = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True))
_LINES = {chr(point): "+" for point in range(0x2500, 0x2580)} | {chr(point): "#" for point in range(0x2580, 0x25A0)}
_STRAIGHT = dict.fromkeys("─┄┈", "-") | dict.fromkeys("┃┆┊", "|")
ASCII = str.maketrans(_LINES | _STRAIGHT | _STAND_INS | _BARS | _SMALL)
_RAISED = re.compile("([⁰¹²³⁴⁵⁶⁷⁸⁹]) ")


def plain(text: str) -> str:
    """The same cells in ASCII. A raised digit that is raised no more trades places with the blank behind it, or it
    would be read as part of the word before."""
    return text if text.isascii() else _RAISED.sub(r" \1", text).translate(ASCII)


def small(number: int) -> str:
    """A number as raised digits: an order beside a state, without a column of its own."""
    return "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in str(number))
