"""What the Doctor says: findings as rows, causes before symptoms; the panel of the one under the cursor and of this
node's own health; the checks behind them; the ticks of an onboarding. Pure.
"""

from collections.abc import Callable
from statistics import median

from msgspec.structs import replace

from engine.doctor import report
from engine.model import exam
from engine.model.exam import STILL, Exam, Health, Tick
from engine.model.finding import PEERS_AWAY, Finding, Placed, explains
from engine.model.moment import Moment
from engine.model.peer import Standing
from engine.state import Fleet
from screens import format as say
from screens.glyphs import SEVERITY, Look
from screens.peer_lines import finding, flow
from screens.spans import Spans, cell, cells, clip, clip_path, fit, width, wrap
from screens.widgets.line_grid import Rows

HEALTH: dict[Health, Look] = {
    Health.WELL: Look("●", "well", "good"),
    Health.ILL: Look("○", "see above", "bad"),
    Health.UNUSED: Look("–", "not used", "faint"),
    Health.UNKNOWN: Look("·", "unknown", "dim"),
}
WAITING = Look("◌", "waiting", "heal")
# From this width on a row has its reason beside its title.
BESIDE = 72
TITLE = 32


def placed(fleet: Fleet, now: Moment) -> list[Placed]:
    """What is wrong, in reading order."""
    return report.shown(exam.found(fleet.doctor.exams, fleet.findings.values()), now.wall_ms)


def verdict(fleet: Fleet, now: Moment) -> tuple[str, str]:
    """How it all is, in the words of `fleet doctor`, and its ink."""
    found = placed(fleet, now)
    away = next((one.finding.detail for one in found if one.finding.code == PEERS_AWAY), "")
    depths = [(one.depth, exam.is_ill(one.finding)) for one in found]
    ill = any(wrong for _, wrong in depths)
    fresh = any(report.seen(one, now.wall_ms) is not one.health for one in fleet.doctor.exams)
    return exam.verdict(depths, away, fresh=fresh), "warn" if ill else "good"


def mended(did: str) -> tuple[str, str]:
    """What a mend said of itself, whether it was one, and its ink."""
    return (f"tried: {did}", "warn") if did.endswith(STILL) else (f"mended: {did}", "good")


def key_of(one: Finding) -> str:
    """The identity of a row."""
    return f"{one.code} {one.subject}"


def idle(one: Finding) -> str:
    """Why there is nothing to be done by hand, in the finding's own words; empty where there is."""
    return one.next_step if one.next_step.startswith("nothing") else "" if one.next_step else "nothing has to be done"


class FindingRows(Rows):
    """One finding a row."""

    def __init__(self, found: list[Placed], named: Callable[[str], str], query: str = "") -> None:
        self.named = named
        sought = query.lower().strip()
        self.found = [one for one in found if sought in f"{one.finding.title} {key_of(one.finding)}".lower()]
        self.keys = [key_of(one.finding) for one in self.found]

    def heading(self, size: int) -> Spans:
        title = self._title(size)
        ill = any(exam.is_ill(one.finding) for one in self.found)
        head = "  what is wrong" if ill else "  nothing is wrong; to know"
        return fit(((cell(head, title), "dim"), ("  why" if size >= BESIDE else "", "dim")), size)

    def row(self, index: int, size: int, column: int) -> Spans:
        one, depth = self.found[index].finding, self.found[index].depth
        look = SEVERITY[one.severity]
        start = "  " * (depth - 1) + "└ " if depth else ""
        room = self._title(size) - cells(start) - 2
        title = clip(one.title, room)
        left = room - cells(title) - 1
        about = f" · {clip_path(self.named(one.subject), left - 3)}" if one.subject else ""
        named = (cell(about, left) + " ", "dim") if left >= 0 else ("", "")
        mends = ("f ", "key") if one.fixable else ("  ", "")
        reason = (one.detail, "dim") if size >= BESIDE else ("", "")
        strong = "" if depth else "strong"
        return fit(((start, "faint"), (f"{look.glyph} ", look.ink), (title, strong), named, mends, reason), size)

    def _title(self, size: int) -> int:
        return size - 2 if size < BESIDE else max(TITLE, size // 2)


def checked(fleet: Fleet, now: Moment) -> str:
    """When somebody looked."""
    if not fleet.doctor.checked_ms:
        return "not checked yet; ! looks now"
    return f"checked {say.age((now.wall_ms - fleet.doctor.checked_ms) / 1_000)} ago"


def nothing(fleet: Fleet, now: Moment, size: int, query: str) -> list[Spans]:
    """Instead of rows: that all is well, and what was looked at."""
    if query:
        return wrap("Nothing matches. esc shows all again.", size, "dim")
    if not fleet.doctor.checked_ms:
        return [*wrap("Nothing is wrong that this node has noticed by itself.", size, "title"),
                *wrap("! runs every check now.", size, "dim")]  # fmt: skip
    return [((f"● everything looks well, {checked(fleet, now)}", "good"),), (), *checks(fleet.doctor.exams, now, size)]


def checks(exams: tuple[Exam, ...], now: Moment, size: int) -> list[Spans]:
    """Every check and what it saw; those that nothing here needs come last, dim."""
    exams = tuple(replace(one, health=report.seen(one, now.wall_ms)) for one in exams)
    used = [one for one in exams if one.health is not Health.UNUSED]
    unused = [one for one in exams if one.health is Health.UNUSED]
    title = min(max((cells(one.title) for one in exams), default=0), size // 2)
    lines = [line for one in used for line in _exam(one, title, size)]
    if unused:
        lines += [(), *(line for one in unused for line in _exam(one, title, size))]
    return lines


def _exam(one: Exam, title: int, size: int) -> list[Spans]:
    look = HEALTH[one.health]
    ink = "faint" if one.health is Health.UNUSED else ""
    return _beside(((f"{look.glyph} ", look.ink), (cell(one.title, title) + "  ", ink)), one.said, ink or "dim", size)


def _beside(start: Spans, said: str, ink: str, size: int) -> list[Spans]:
    """Words beside a title, over as many lines as they need."""
    room = width(start)
    lines = wrap(said, max(12, size - room), ink) or [()]
    return [((*start, *line) if not at else ((" " * room, ""), *line)) for at, line in enumerate(lines)]


def behind(fleet: Fleet, one: Placed | None, now: Moment, size: int) -> list[Spans]:
    """A finding in full, its cause, and the checks behind it."""
    lines: list[Spans] = []
    if one is not None:
        lines += finding(one.finding, size)
        above = next((two for two in placed(fleet, now) if explains(two.finding, one.finding)), None)
        if above is not None:
            lines += wrap(f"because: {above.finding.title}", size, "warn", "  ")
        lines.append(())
    return [*lines, ((checked(fleet, now), "dim"),), (), *checks(fleet.doctor.exams, now, size)]


def panel(fleet: Fleet, one: Placed | None, now: Moment, size: int) -> list[Spans]:
    """The finding under the cursor, then this node's own health."""
    lines = [*finding(one.finding, size), ()] if one is not None else []
    return [*lines, ((fleet.me.name, "title"), ("  its own health", "dim")), *vitals(fleet, size), (),
            *wrap(checked(fleet, now), size, "dim")]  # fmt: skip


def vitals(fleet: Fleet, size: int) -> list[Spans]:
    """Loop, queues, disk, descriptors, clock, versions: numbers, each with its name."""
    watch, now = fleet.watch, fleet.watch.vitals
    last = f"last stall {watch.stalls[-1][1]:.1f} s" if watch.stalls else "no stall"
    facts = [
        ("loop", f"{last}, {now.backlog} waiting"),
        ("outbox", f"{fleet.mail.waiting} waiting" + (f", {fleet.mail.dead} dead" if fleet.mail.dead else "")),
        ("disk", f"{now.free_mb:,} MB free" if now.free_mb >= 0 and now.home else "not measured yet"),
        ("open", f"{now.descriptors} of {now.descriptor_limit}" if now.descriptor_limit else "not measured yet"),
        ("memory", f"{now.memory_mb} MB" if now.memory_mb else "not measured yet"),
        ("clock", _clock(fleet)),
        ("broker", fleet.broker.state),
        ("version", _versions(fleet)),
    ]
    return [line for name, said in facts for line in _fact(name, said, size)]


def _fact(name: str, said: str, size: int) -> list[Spans]:
    lines = flow([said], max(8, size - 9), "")
    return [((cell(name if not at else "", 9), "dim"), *line) for at, line in enumerate(lines)]


def _clock(fleet: Fleet) -> str:
    alive = [one for one in fleet.peers.values() if one.standing is Standing.ALIVE]
    offsets = [one.offset_ms for one in alive if one.offset_ms is not None]
    return f"{say.offset(median(offsets))}, by {say.count(len(offsets), 'peer')}" if offsets else "nobody to compare"


def _versions(fleet: Fleet) -> str:
    others = {one.beat.version for one in fleet.peers.values() if one.beat} - {fleet.me.version}
    return f"{fleet.me.version}; peers also {', '.join(sorted(others))}" if others else fleet.me.version


def ticks(made: tuple[Tick, ...], size: int) -> list[Spans]:
    """The ten checks of an onboarding, as far as they are."""
    if not made:
        return [(("asking …", "heal"),)]
    lines: list[Spans] = []
    for one in made:
        look = HEALTH[one.health] if one.done else WAITING
        glyph = "✓" if one.done and one.health is Health.WELL else look.glyph
        said = one.said if one.done else "…"
        title = cell(one.title, min(28, size // 2))
        ink = look.ink if one.required or one.health is not Health.ILL else "warn"
        lines += _beside(((f"{glyph} ", ink), (f"{title} ", "")), said, "dim", size)
    done = all(one.done for one in made)
    well = all(one.holds for one in made)
    end = ("They can work together.", "good") if well else ("What must hold does not.", "bad")
    return [*lines, (), (end,)] if done else lines
