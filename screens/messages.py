"""Room 6: the log of everything sent and received, a hundred thousand rows like a hundred."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer

from engine.model.envelope import FAILED, Rung
from engine.model.story import Group, Line, Page, Story
from screens import message_lines
from screens.desk import Engine
from screens.format import count
from screens.keymap import ROOMS, bindings
from screens.message_lines import Told
from screens.message_rows import MessageRows, path, question
from screens.pages import Ask, Pages
from screens.room import Room
from screens.sheet import Sheet
from screens.spans import Span, Spans, wrap
from screens.widgets.line_grid import LineGrid
from screens.widgets.lines import TextLines

# How long the cursor rests on a line before its body and story are read: a held arrow key reads nothing.
REST_S = 0.12
Answer = TypeVar("Answer")
KEPT = 64
ON_A_LINE = ("open", "why", "copy", "resend")
NEVER = {"sort": "the log has one order: the newest first", "mark": "messages are not marked; peers are"}


class Messages(Room):
    """The log, and the panel of the message under the cursor."""

    BINDINGS = bindings("messages", ROOMS["messages"])
    name_of_room = "messages"
    filter_hint = "filter: words, or peer:mac2  kind:task  dir:out  rung:dead; enter keeps it, esc shows all"

    def __init__(self) -> None:
        super().__init__()
        self.pages = Pages()
        self.revision = -1
        self.told: OrderedDict[str, Told] = OrderedDict()
        # Whose story is as new as the log, and who is being read about.
        self.fresh: set[str] = set()
        self.reading: set[str] = set()
        self.rest: Timer | None = None
        self.wrong = ""
        # Whether the rows of another filter are to be held still as those before were, and on which line.
        self.held = False
        self.held_at = ""

    def body(self) -> ComposeResult:
        with Vertical(id="body"):
            yield LineGrid(id="log")
            yield TextLines(id="empty")
        yield TextLines(id="panel")

    def main(self) -> LineGrid:
        return self.query_one("#log", LineGrid)

    def refresh_body(self) -> None:
        revision = self.fleet.mail.revision
        if revision != self.revision:
            self.revision = revision
            self.pages.outdated()
            self.fresh.clear()
            self._read_item()
        self._show()
        self._fetch()

    def _show(self) -> None:
        self.main().show(MessageRows(self.pages, self.desk.moment(), self.desk.zone), follow=self.pages.following)
        self.set_class(not self.pages.total, "-empty")
        if not self.pages.total:
            self.query_one("#empty", TextLines).show(self._nothing(max(20, self.size.width - 6)))

    def _nothing(self, size: int) -> list[Spans]:
        if self.wrong or self.query_text:
            return wrap(self.wrong or "Nothing matches. esc shows all again.", size, "dim")
        first = "m writes the first message; what comes in appears here by itself."
        alone = "Nobody to write to yet: i prints a line that brings another machine in."
        return [
            *wrap("Nothing was sent or received yet.", size, "title"),
            *wrap(alone if self.fleet.alone else first, size, "dim"),
        ]

    # --- pages and bodies -------------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        """Ask for the next page that is needed, one at a time."""
        ask = self.pages.wanted(self.main().seen())
        if ask is None:
            return
        query, self.wrong = question(self.fleet, self.query_text)
        wanted = replace(query, before=ask.before, limit=ask.limit)
        self.desk.ask(
            self,
            lambda engine: engine.messages(wanted),
            lambda page: self._came(ask, page),
            lambda error: self._failed(error.title),
        )

    def _came(self, ask: Ask, page: Page) -> None:
        self.pages.put(ask, page, self.main().seen())
        if self.held:
            self.pages.pause()
            self.held = self.pages.following
        self._show()
        if not self.query_text and self.held_at:
            self.main().put(self.held_at)
            self.held_at = ""
        self.draw_frame()
        line = self.item()
        if line and line.id not in self.fresh:
            self._read_item()
        self._fetch()

    def _failed(self, title: str) -> None:
        self.pages.lost()
        self.wrong = title
        self._show()

    def item(self) -> Line | None:
        """The line under the cursor."""
        return self.pages.line(self.main().cursor)

    def peer(self) -> str:
        line = self.item()
        member = self.fleet.roster.named(line.peer) if line else None
        return member.id if member else ""

    @on(LineGrid.Moved)
    def _item_changed(self) -> None:
        if self.main().cursor > 0:
            self.pages.pause()
        self._rested()

    @on(LineGrid.Scrolled)
    def _scrolled(self) -> None:
        seen = self.main().seen()
        if seen and seen[0] > 0:
            self.pages.pause()
        self._fetch()

    def _rested(self) -> None:
        if self.rest:
            self.rest.stop()
        line = self.item()
        if line and line.id not in self.fresh:
            self.rest = self.set_timer(REST_S, self._read_item)

    def _read_item(self) -> None:
        """Read the body of the line under the cursor once, and its story whenever it may have moved."""
        line = self.item()
        if not line or line.id in self.reading:
            return
        self.fresh.add(line.id)
        if self.told.get(line.id, Told()).body is None:
            self._read(line.id, lambda engine: engine.body(line.id), lambda body: self._tell(line.id, body=body))
        if line.dir == "out":
            self._read(line.id, lambda engine: engine.story(line.id), lambda story: self._story_came(line.id, story))

    def _story_came(self, msg_id: str, story: Story) -> None:
        self._tell(msg_id, story=story)
        if story.group:
            self._read(msg_id, lambda engine: engine.group(story.group), lambda group: self._tell(msg_id, group=group))

    def _read(
        self, msg_id: str, question: Callable[[Engine], Awaitable[Answer]], tell: Callable[[Answer], None]
    ) -> None:
        """Ask for one fact; while it is under way the same line is not asked about again."""

        def came(answer: Answer) -> None:
            self.reading.discard(msg_id)
            tell(answer)

        self.reading.add(msg_id)
        self.desk.ask(self, question, came, lambda _: self.reading.discard(msg_id))

    def _tell(self, msg_id: str, **facts: Story | str | Group | None) -> None:
        self.told[msg_id] = replace(self.told.pop(msg_id, Told()), **facts)
        while len(self.told) > KEPT:
            self.told.popitem(last=False)
        self.draw_panel()
        for screen in self.app.screen_stack:
            if isinstance(screen, Sheet):
                screen.look()

    # --- what is said -----------------------------------------------------------------------------------------------

    def panel_lines(self, size: int) -> list[Spans]:
        line = self.item()
        told = self.told.get(line.id, Told()) if line else Told()
        return message_lines.panel(line, told, size, self.desk.moment(), self.desk.zone)

    def summary(self) -> Spans:
        line = self.item()
        if line is None:
            return self._paused("{}")
        reason: Span = (f"  {line.reason}", "dim")
        return (*self._paused("{}  "), (f"{line.peer} {line.kind}  ", "strong"), *path(line), reason)

    def _paused(self, form: str) -> Spans:
        """That the list holds still, and what came meanwhile."""
        if self.pages.following and not self.held:
            return ()
        newer = f", {self.pages.newer} newer" if self.pages.newer else ""
        return ((form.format(f"paused{newer}: f follows"), "warn" if newer else "dim"),)

    def _kept(self) -> Spans:
        kept: list[Span] = list(super()._kept())
        if self.wrong:
            kept.append((f"  {self.wrong}", "warn"))
        if self.pages.total:
            kept.append((f"{'  ' if kept else ''}{count(self.pages.total, 'row')}", "dim"))
        # Where the panel is folded the line is short, and the summary begins with it.
        return tuple(kept) if self.folded else (*kept, *self._paused("  {}"))

    def title_of_item(self) -> str:
        line = self.item()
        return f"{line.kind} {'to' if line.dir == 'out' else 'from'} {line.peer}" if line else ""

    # --- verbs ------------------------------------------------------------------------------------------------------

    def refusal(self, verb: str) -> str:
        asked = super().refusal(verb)
        if asked or verb in NEVER:
            return asked or NEVER[verb]
        line = self.item()
        if verb in ON_A_LINE and line is None:
            return "nothing was sent or received yet" + ("" if self.fleet.alone else "; m writes the first message")
        if verb == "resend" and line is not None:
            return resend_refused(line)
        return ""

    def refilter(self) -> None:
        if not self.pages.following:
            line = self.item()
            self.held, self.held_at = True, self.held_at or (line.id if line else "")
        self.pages = Pages()
        self.main().cursor = 0
        self.look()

    def do_follow(self) -> None:
        """Hold the list still, or go back to the newest."""
        if self.pages.following:
            self.pages.pause()
            self.desk.note("paused; f follows again")
        else:
            self.pages.follow()
            self.held, self.held_at = False, ""
            self.main().move_to(0, 0)
            self.desk.note("following the newest")
        self.look()

    def do_open(self) -> None:
        """The timeline of the message under the cursor."""
        line = self.item()
        if line is None:
            return

        def lines(size: int) -> list[Spans]:
            now, told = self.desk.moment(), self.told.get(line.id, Told())
            return message_lines.timeline(self._newest(line), told, size, now, self.desk.zone)

        self._read_item()
        self.app.push_screen(Sheet(self.title_of_item(), lines))

    def do_why(self) -> None:
        """Why the message is where it is."""
        line = self.item()
        if line is None:
            return

        def lines(size: int) -> list[Spans]:
            return message_lines.why(self._newest(line), self.told.get(line.id, Told()).story, size, self.desk.zone)

        self._read_item()
        self.app.push_screen(Sheet(f"why: {self.title_of_item()}", lines))

    def _newest(self, line: Line) -> Line:
        at = self.pages.index(line.id)
        return (self.pages.line(at) if at >= 0 else None) or line

    def do_resend(self) -> None:
        """Try the message under the cursor again, under its own id."""
        line = self.item()
        if line is not None:
            self.desk.ask(self, lambda engine: engine.resend(line.id), self._resent)

    def _resent(self, story: Story) -> None:
        """What becomes of it: with no channel left nothing was tried, and that is said."""
        self.desk.note(f"{story.kind} to {story.to}: {story.waits}", "heal")

    def do_copy(self) -> None:
        """The id of the message."""
        line = self.item()
        if line is not None:
            self.desk.copy(line.id, "the message's id")


def resend_refused(line: Line) -> str:
    if line.dir == "in":
        return "it came from there; only what this node sent can be sent again"
    if line.rung in FAILED:
        return f"it is over ({line.rung}); m writes a new one"
    return "" if line.rung is Rung.ACCEPTED else "it arrived; sending it again would change nothing"
