"""The doctor's report and the onboarding's ticks as text for people. Pure; causes first, symptoms under them."""

from collections.abc import Iterator, Sequence
from typing import Any

from engine.model.exam import ONLY_JUST, verdict
from engine.model.finding import PEERS_AWAY, Severity
from fleet_tui.plain import INDENT, folded, table
from screens import glyphs

STEP = "→ "
TICK = {"well": "✓", "ill": "✗", "unused": "–", "unknown": "·"}


def report(
    found: Sequence[dict[str, Any]], done: Sequence[dict[str, Any]], *, running: bool, width: int = 0
) -> Iterator[str]:
    """What was done, what is wrong, then what was looked at; sentences fit in `width`, what is to be typed is left as
    it is."""
    for line in _report(found, done, running, width):
        yield from folded(line, 0 if line.lstrip().startswith(STEP) else width)


def _report(
    found: Sequence[dict[str, Any]], done: Sequence[dict[str, Any]], running: bool, width: int
) -> Iterator[str]:
    if not running:
        yield "No node runs here: only files, ports, disk and programs were looked at (`fleet up` starts it)."
        yield ""
    for one in done:
        about = f" ({one['subject']})" if one["subject"] else ""
        end = "✓ mended" if one["ok"] else "△ tried" if one["tried"] else "✗ not mended"
        yield f"{end}: {one['code']}{about}: {one['did']}"
    yield from ("",) if done else ()
    findings = [one for one in found if not one["ok"] or (one["detail"] and one["next_step"])]
    for one in findings:
        yield from finding(one)
    looked = [one for one in found if one not in findings]
    used = [one for one in looked if one["health"] != "unused"]
    yield from table(((f"{TICK[one['health']]} {one['title']}", one["detail"]) for one in used), (), width)
    idle = [one for one in looked if one["health"] == "unused"]
    yield from (f"{INDENT}– {one['title']}, not used: {one['detail']}" for one in idle)
    yield ""
    away = next((one["detail"] for one in findings if one["code"] == PEERS_AWAY), "")
    fresh = any(one["check"] and one["health"] == "unknown" and ONLY_JUST in one["detail"] for one in looked)
    mended = sum(one["ok"] for one in done)
    yield (f"{mended} mended. " if mended else "") + verdict(
        [(one["depth"], not one["ok"]) for one in findings], away, fresh=fresh
    )


def finding(one: dict[str, Any]) -> Iterator[str]:
    """A finding, its reason and its next step; a symptom stands under its cause."""
    look = glyphs.SEVERITY[Severity(one["severity"])]
    about = f" ({one['subject']})" if one["subject"] else ""
    inside = INDENT * 2 * one["depth"]
    by_itself = "  [--fix]" if one["fixable"] else ""
    yield f"{inside}{'└ ' if one['depth'] else ''}{look.glyph} {look.word}: {one['title']}{about}"
    yield f"{inside}{INDENT}{one['detail']}"
    yield f"{inside}{INDENT}{STEP}{one['next_step']}{by_itself}"
    yield ""


def tick(one: dict[str, Any]) -> str:
    """One tick of an onboarding."""
    must = "" if one["health"] == "well" or not one["required"] else "  (must hold)"
    return f"{TICK[one['health']]} {one['title']:<26} {one['said']}{must}"
