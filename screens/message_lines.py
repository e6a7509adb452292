"""One message told: its panel, its timeline, and why it is not further. Pure. Bodies are shown here only."""

from datetime import tzinfo

import msgspec

from engine.model.channel import CHANNELS
from engine.model.envelope import FAILED, HEIGHT, Rung
from engine.model.moment import Moment
from engine.model.story import Group, Line, Story, TryLine, arrived
from screens import format as say
from screens.glyphs import OUTCOME, RUNG
from screens.message_rows import UNSURE, path
from screens.spans import Span, Spans, cell, sides, wrap


class Told(msgspec.Struct, frozen=True):
    """What was read of a line: the story of a message of ours, the words, and the group it was sent in."""

    story: Story | None = None
    body: str | None = None
    group: Group | None = None


LADDER = (Rung.ACCEPTED, Rung.ON_HOST, Rung.POSTED, Rung.SEEN)
TOLD = {
    Rung.ACCEPTED: "It is safe in this node's outbox and not yet on its host.",
    Rung.ON_HOST: "The receiving node has it on disk and said so.",
    Rung.POSTED: "It was handed to the session's last hop.",
    Rung.HELD: "It is on its host and held there.",
    Rung.QUEUED: "It was handed to the session: its inbox or hook took it, or a pointer to it was typed.",
    Rung.SEEN: "The agent has it in its transcript.",
    Rung.EXPIRED: "Its time ran out before anyone took it.",
    Rung.REFUSED: "The receiver refused it.",
    Rung.DEAD: "It was given up.",
}


def panel(line: Line | None, told: Told, size: int, now: Moment, zone: tzinfo | None = None) -> list[Spans]:
    """Who, what, how far; every try; and the body."""
    if line is None:
        return []
    story, body, group = told.story, told.body, told.group
    lines = [*head(line, size, zone), *ladder(line.rung, size), ()]
    if group:
        lines += [*wrap(f"to {len(group.messages)} at once: {group.story}", size), ()]
    lines += came(line) if line.dir == "in" else tries(story.tries if story else line.path, size, zone)
    if story and story.expires_at and line.rung is Rung.ACCEPTED:
        lines += wrap(f"given up in {say.age((story.expires_at - now.wall_ms) / 1_000)}", size, "dim")
    reason = (story.reason if story else "") or line.reason
    if reason:
        lines += wrap(reason, size, "warn" if line.rung not in FAILED else "bad")
    lines += [(), (("─" * size, "rule"),)]
    return lines + (wrap(body, size) if body is not None else [(("reading …", "faint"),)])


def head(line: Line, size: int, zone: tzinfo | None = None) -> list[Spans]:
    """Direction, peer and kind; the receipt; time and id."""
    look = RUNG[line.rung]
    way = "→ " if line.dir == "out" else "← "
    name: Spans = ((way, "accent"), (line.peer, "title"), (f"  {line.kind}", "dim"))
    return [
        sides(name, ((f"{look.glyph} {look.word}", look.ink),), size),
        ((say.day(line.at, zone), "dim"),),
        ((line.id, "faint"),),
    ]


def ladder(rung: Rung, size: int) -> list[Spans]:
    """The rungs below and above; an ending without delivery stands alone."""
    if rung in FAILED:
        return []
    height = HEIGHT[rung]
    spans: list[Span] = []
    for one in LADDER:
        reached = HEIGHT[one] <= height
        here = one is rung or (HEIGHT[one] == height and rung not in LADDER)
        ink = f"{RUNG[rung].ink} strong" if here else "" if reached else "faint"
        spans += [(" ─ ", "faint")] if spans else []
        spans.append((RUNG[rung if here else one].word, ink))
    return [tuple(spans)] if sum(len(text) for text, _ in spans) <= size else []


def came(line: Line) -> list[Spans]:
    """How a message of somebody else's got here; its tries are known to its sender alone."""
    return [((f"came over P{CHANNELS[line.channel].number} {line.channel}", "dim"),)] if line.channel else []


def tries(made: tuple[TryLine, ...], size: int, zone: tzinfo | None = None) -> list[Spans]:
    """Every try in order: time, channel, end, how long, why."""
    if not made:
        return [(("no try has ended yet", "dim"),)]
    lines: list[Spans] = []
    for one in made:
        look = OUTCOME.get(one.outcome, UNSURE)
        at = f"{say.stamp(one.at, zone)}  " if one.at and size >= 44 else ""
        first: Spans = (
            (at, "dim"),
            (f"{look.glyph} ", look.ink),
            (cell(f"P{CHANNELS[one.channel].number} {one.channel}", 9), ""),
            (cell(look.word, 10), look.ink),
            (cell(say.latency(one.ms) if one.ms else "", 7, right=True), "dim"),
        )
        note = wrap(one.note, size, "dim", " " * (len(at) + 2)) if one.note and one.note != look.word else []
        lines += [first, *note]
    return lines


def timeline(line: Line, told: Told, size: int, now: Moment, zone: tzinfo | None = None) -> list[Spans]:
    """The whole life of a message; of one to several, also how far it is with each."""
    theirs = arrived(line) if line.dir == "in" else ""
    said = wrap(theirs or (told.story and told.story.story) or TOLD[line.rung], size)
    each = [*map(copy, told.group.messages), ()] if told.group else []
    return [*said, (), *each, *panel(line, told, size, now, zone)]


def copy(story: Story) -> Spans:
    """One recipient of a group: its receipt and the way there."""
    look = RUNG[story.rung]
    line = Line(story.id, "out", story.to, story.kind, story.rung, story.channel, story.at, path=story.tries)
    reason = f"  {story.reason}" if story.reason and story.rung is not Rung.ON_HOST else ""
    head: Spans = ((f"{look.glyph} ", look.ink), (cell(story.to, 14), "strong"), (cell(look.word, 10), look.ink))
    return (*head, *path(line), (reason, "dim"))


def why(line: Line, story: Story | None, size: int, zone: tzinfo | None = None) -> list[Spans]:
    """Why a message is where it is."""
    look = RUNG[line.rung]
    lines: list[Spans] = [((f"{look.glyph} {look.word}", look.ink), (f"  {line.kind} {line.id}", "dim")), ()]
    if line.dir == "in":
        return lines + wrap(arrived(line), size)
    lines += wrap(TOLD[line.rung], size)
    if story and story.story:
        lines += wrap(story.story, size)
    reason = (story.reason if story else "") or line.reason
    lines += wrap(f"Because: {reason}.", size, look.ink) if reason else []
    return [*lines, (), *tries(story.tries if story else line.path, size, zone)]
