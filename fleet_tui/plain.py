"""Answers as text for people: JSON values in, aligned lines out. Pure; colourless, so that it reads the same anywhere.

Calm: a state is a sign and a word, numbers stand under each other, what needs a person comes last with its next step.
"""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from engine.model.broker import BrokerState
from engine.model.channel import HOT, KEPT_FAILS, Channel, ChannelState
from engine.model.envelope import Rung
from engine.model.finding import Severity
from engine.model.peer import Standing
from engine.model.story import TryLine, beside, proving
from screens import format, glyphs

GAP = "   "
# A last column that is wider holds sentences, and no words of a list.
SAID = 30
# Instead of rows, in a fleet of one.
ALONE = "No peers yet. Run the line that `fleet invite` prints on the other machine."
INDENT = "  "
# Tries of one message that stand in a line.
MOST_TRIES = 4


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = (), width: int = 0) -> Iterator[str]:
    """Rows in aligned columns, under a head if there are any. Where that is wider than `width`, columns go on in a
    further line, all rows alike, and only a sentence in the last one is parted, at a word."""
    # A line break in a word of a peer must not look like a row of ours.
    listed = [tuple(cell.replace("\n", " ") for cell in row) for row in rows]
    if not listed:
        return
    shown = [tuple(head), *listed] if head else listed
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    said = widths[-1] > SAID
    bands = _bands(widths[:-1] if said else widths, width)
    for row in shown:
        lines = [GAP.join(row[at].ljust(widths[at]) for at in band) for band in bands]
        yield from _hung(_with_said(lines, row[-1], width) if said else lines)


def _with_said(lines: list[str], said: str, width: int) -> list[str]:
    """A sentence in the last column: beside the others if it fits there, else under them."""
    *before, last = lines
    whole = last + GAP + said if last else said
    if not width or len(whole) <= width - len(INDENT) * (3 if before else 1):
        return [*before, whole]
    return [*before, last, *_words(said, width - 3 * len(INDENT))]


def _bands(widths: Sequence[int], width: int) -> list[range]:
    """The columns that stand in one line."""
    bands: list[range] = []
    begun, used = 0, len(INDENT)
    for at, wide in enumerate(widths):
        if width and at > begun and used + wide > width:
            bands.append(range(begun, at))
            begun, used = at, 3 * len(INDENT)
        used += wide + len(GAP)
    return [*bands, range(begun, len(widths))]


def _hung(lines: Iterable[str]) -> Iterator[str]:
    first, *more = (line.rstrip() for line in lines)
    yield (INDENT + first).rstrip()
    yield from (3 * INDENT + line for line in more if line)


def folded(line: str, width: int, hang: int = 0) -> Iterator[str]:
    """A sentence that fits in `width` columns, parted at words; the rest stands under its beginning, or `hang` columns
    in where that is further."""
    inside = len(line) - len(line.lstrip())
    if not width or len(line) <= width:
        yield line
        return
    rest = " " * max(inside, min(hang, width // 2))
    yield from _words(line[inside:], width, line[:inside], rest)


def _words(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Never within a word: an id or a path that is longer stands alone, for it is copied. `first`, `rest`: what stands
    before the first line and the others."""
    return textwrap.wrap(
        text,
        max(width, 8 + len(first)),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def status(now: dict[str, Any], width: int = 0) -> Iterator[str]:
    """`fleet status`."""
    node, fleet, broker, outbox = now["node"], now["fleet"], now["broker"], now["outbox"]
    chief = "its chief" if fleet["chief"] == node["name"] else f"chief {fleet['chief'] or 'nobody'}"
    yield f"{node['name']}   fleet {fleet['name']}, {chief}   up {format.age(node['uptime_s'])}"
    sign = glyphs.BROKER.get(broker["state"], glyphs.BROKER[BrokerState.ABSENT])
    dead = f", {outbox['dead']} dead" if outbox["dead"] else ""
    full = ", full: no room on the disk" if outbox.get("full") else ""
    yield from table(
        [
            ("broker", f"{sign.glyph} {sign.word} {broker['url']}"),
            ("outbox", f"{outbox['waiting']} waiting{dead}{full}"),
            ("terminal", node["terminal"]),
            ("roster", f"version {fleet['roster_version']}"),
            ("node", f"{node['id']}   version {node['version']}   pid {node['pid']}"),
            ("key", node["fingerprint"]),
            *api(now.get("api")),
        ]
    )
    yield ""
    yield from peers(now["peers"], width)
    yield from findings(now.get("findings", ()))


def api(doors: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Where the control API listens beside its socket."""
    if doors and doors["tcp"]:
        yield "api", f"http://127.0.0.1:{doors['tcp']}"


def peers(listed: Sequence[dict[str, Any]], width: int = 0) -> Iterator[str]:
    """`fleet peers`: a row each, and what to do while there are none."""
    if not listed:
        yield ALONE
        return
    channels = [name for name in listed[0]["channels"] if name in HOT or any(_usable(one, name) for one in listed)]
    head = ("peer", "role", "standing", "seen", "best", *channels)
    yield from table((_peer(one, channels) for one in listed), head, width)
    yield from _released(
        [(one["name"], name) for one in listed for name in channels if name in one.get("held", ())], width
    )


def _usable(one: dict[str, Any], channel: str) -> bool:
    """Whether a column for this channel would say anything."""
    return one["channels"][channel] not in (ChannelState.UNKNOWN, ChannelState.ABSENT)


def _peer(one: dict[str, Any], channels: Sequence[str]) -> tuple[str, ...]:
    look = glyphs.STANDING[Standing(one["standing"])]
    word = "revoked" if one.get("revoked") else look.word
    seen = "never" if one["seen_s"] is None else f"{format.age(one['seen_s'])} ago"
    states, held, retried = one["channels"], one.get("held", ()), one.get("retried", ())
    # The next message would go there, but nobody has measured yet that it arrives.
    best = one["best"] if states.get(one["best"]) != ChannelState.UNKNOWN else None
    cells = (state(states[name], held=name in held, retried=name in retried) for name in channels)
    return one["name"], one["role"], f"{look.glyph} {word}", seen, best or "–", *cells


def state(word: str, *, held: bool = False, retried: bool = False) -> str:
    """A channel's state, as a sign and a word; and whether a person holds it back, however it is. What is only tried
    again is broken."""
    look = glyphs.CHANNEL[ChannelState.BROKEN if retried else ChannelState(word)]
    return f"{look.glyph} {look.word}{' (held)' if held else ''}"


def findings(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What a person should know, causes first, each with its next step."""
    for one in found:
        look = glyphs.SEVERITY[Severity(one["severity"])]
        about = f" ({one['subject']})" if one["subject"] else ""
        yield ""
        yield f"{look.glyph} {look.word}: {one['title']}{about}"
        yield from (INDENT + text for text in (one["detail"], one["next_step"]) if text)


def channels(grid: dict[str, dict[str, dict[str, Any]]], width: int = 0) -> Iterator[str]:
    """`fleet channels`: a row for each peer and channel."""
    if not grid:
        yield ALONE
        return
    rows = [_channel(peer, name, cell) for peer, row in grid.items() for name, cell in row.items()]
    yield from table(rows, ("peer", "channel", "state", "latency", "fails", "why"), width)
    held = [(peer, name) for peer, row in grid.items() for name, cell in row.items() if cell.get("held")]
    yield from _released(held, width)


def _released(held: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Once under a table: what `(held)` means in it, and how the first of them is let back in."""
    if held:
        (peer, name), each = held[0], "it" if len(held) == 1 else "the first"
        yield ""
        yield from folded(f"(held): kept back by you. `fleet hold {peer} {name} --off` lets {each} back in.", width)


def _channel(peer: str, name: str, cell: dict[str, Any]) -> tuple[str, ...]:
    round_trip = "–" if cell["latency_ms"] is None else format.latency(cell["latency_ms"])
    word = state(cell["state"], held=bool(cell.get("held")), retried=bool(cell.get("retried")))
    fails = f"{cell['fails']}{'+' if cell['fails'] >= KEPT_FAILS else ''}"
    return peer, name, word, round_trip, fails, cell["reason"]


def check(peer: str, answers: dict[str, dict[str, Any]], width: int = 0) -> Iterator[str]:
    """`fleet check`: how each round trip ended."""
    head = ("channel", "state", "answer", "", "why")
    yield from table((_checked(name, one) for name, one in answers.items()), head, width)
    yield from _released([(peer, name) for name, one in answers.items() if one.get("held")], width)


def _checked(name: str, one: dict[str, Any]) -> tuple[str, ...]:
    look = glyphs.OUTCOME.get(one["outcome"])
    word = f"{look.glyph} {look.word}" if look else one["outcome"]
    now = state(one["state"], held=bool(one.get("held")), retried=bool(one.get("retried")))
    return name, now, word, format.latency(one["ms"]) if one.get("ms") else "", one.get("reason", "")


def rung(word: str) -> str:
    """A rung, as a sign and a word."""
    look = glyphs.RUNG[Rung(word)]
    return f"{look.glyph} {look.word}"


def path(tries: Sequence[dict[str, Any]], proved: str | None = None) -> str:
    """The tries of a message in order: `nats ✗ 40 ms → http ● 18 ms`, with a `+` between those that were under way
    together, and a `✓` at the one over `proved` where several were answered. Of many the first and the last are told.
    """
    lines = [TryLine(Channel(one["channel"]), one["outcome"], one["ms"], at=one.get("at", 0)) for one in tries]
    proof = proving(lines, Channel(proved) if proved else None)
    told = [_try(one, proof) for one in lines[:1]]
    for before, one in pairwise(lines):
        told += [" + " if beside(before, one) else " → ", _try(one, proof)]
    if len(lines) > MOST_TRIES:
        told[1:-4] = [f" → {len(lines) - 3} more"]
    return "".join(told)


def _try(one: TryLine, proof: TryLine | None) -> str:
    look = glyphs.OUTCOME.get(one.outcome)
    sign = f"{look.glyph if look else one.outcome}{'✓' if one is proof else ''}"
    return f"{one.channel} {sign} {format.latency(one.ms)}"


def sent(story: dict[str, Any]) -> str:
    """One message just sent, in a line."""
    way = path(story["tries"], story["channel"]) or (story["channel"] or "")
    return GAP.join(part for part in (story["id"], story["to"], rung(story["rung"]), way) if part)


def group(told: dict[str, Any]) -> Iterator[str]:
    """`fleet why GROUP`: one message to several, a row each."""
    yield told["story"]
    yield from table(
        (one["to"], rung(one["rung"]), path(one["tries"], one["channel"]), one["id"]) for one in told["messages"]
    )


def why(story: dict[str, Any]) -> Iterator[str]:
    """`fleet why`: the sentence, then the evidence."""
    if story.get("dir") == "in":
        yield f"{story['kind']} from {story['peer']}: {rung(story['rung'])}, {format.day(story['at'])}"
        yield INDENT + story["story"]
        return
    yield f"{story['kind']} to {story['to']}: {rung(story['rung'])}"
    if story.get("story"):
        yield INDENT + story["story"]
    rows = [(format.stamp(one["at"]) if one.get("at") else "", *_tried(one)) for one in story["tries"]]
    if rows:
        yield ""
        yield from table(rows)


def _tried(one: dict[str, Any]) -> tuple[str, ...]:
    look = glyphs.OUTCOME.get(one["outcome"])
    return (
        one["channel"],
        f"{look.glyph} {look.word}" if look else one["outcome"],
        format.latency(one["ms"]),
        one["note"],
    )


def message(line: dict[str, Any]) -> tuple[str, ...]:
    """A row of the log."""
    arrow = "→" if line["dir"] == "out" else "←"
    way = path(line.get("path", ()), line["channel"]) or (line["channel"] or "")
    return format.day(line["at"]), f"{arrow} {line['peer']}", line["kind"], rung(line["rung"]), line["id"], way


def letter(one: dict[str, Any], width: int = 0) -> Iterator[str]:
    """A message for us: who, when, and what it says, its lines folded at words."""
    yield f"{format.day(one['at'])}   {one['from']}   {one['kind']}   {one['id']}"
    for line in printable(one["body"]).splitlines() or [""]:
        yield from folded(INDENT + line, width)


# Besides what Python calls printable: the joiners drive no terminal, and scripts and emoji need them.
ALLOWED = "\n\t\u200c\u200d"


def printable(body: str) -> str:
    """A peer's text without what could drive a terminal: control characters other than line breaks and tabs."""
    return "".join(sign if sign in ALLOWED or sign.isprintable() else "�" for sign in body)


def entry(one: dict[str, Any]) -> tuple[str, ...]:
    """A row of the ledger."""
    said = " ".join(f"{key}={value}" for key, value in one["facts"].items())
    return str(one["seq"]), format.day(one["ts"]), one["actor"], one["verb"], one["subject"], said


def woken(one: dict[str, Any]) -> Iterator[str]:
    """`fleet wake`: what was done and seen, and how it ended."""
    yield from (INDENT + step for step in one["steps"])
    look = glyphs.STANDING[Standing(one["standing"])]
    ended = "awake" if one["awake"] else "not heard yet; it was not waited for"
    yield f"{look.glyph} {one['name']} is {ended}   {format.age(one['waited_s'])}"


def suggestions(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """`fleet discover`: a row each, and how one of them joins."""
    if not found:
        yield "Nobody was found: no beacon on this network, no host in ~/.ssh/config, no tailnet."
        return
    rows = ((one["name"], one["host"], one["source"], one["known_member"] or "–", one["note"]) for one in found)
    yield from table(rows, ("machine", "ssh host", "told by", "member", "note"))
    if any(not one["known_member"] for one in found):
        yield ""
        yield "To bring one in: `fleet invite` prints a code, `echo 'CODE' | ssh HOST fleet join -` uses it there."


def tunnels(kept: Sequence[dict[str, Any]], width: int = 0) -> Iterator[str]:
    """`fleet tunnel list`: a row each."""
    if not kept:
        yield "No tunnel is kept. `fleet tunnel add PEER` keeps one."
        return
    rows = (
        (
            one["peer"],
            one["state"],
            format.stamp(one["since_ms"]),
            one["ssh"] or "its own sshd",
            _near(one),
            one["reason"],
        )
        for one in kept
    )
    yield from table(rows, ("peer", "state", "since", "through", "near end", "why"), width)


def _near(one: dict[str, Any]) -> str:
    return " ".join(f"{name} {one[name]}" for name in ("http", "nats") if one[name]) or "–"


def seats(listed: Sequence[dict[str, Any]]) -> Iterator[str]:
    """`fleet text list`: a row each, with why nothing can be typed now."""
    rows = ((one["session"], f"{one['kind']} {one['pane']}", one["state"], one["why"]) for one in listed)
    return table(rows, ("session", "terminal", "state", ""))
