"""Mail from the command line (edge): send, why, resend, messages, inbox."""

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from engine.api.client import PAGE
from engine.errors import Fault, FleetError, exit_code
from engine.model.channel import NAMED
from engine.model.envelope import Kind
from engine.model.roster import is_group
from engine.model.story import BEFORE_ALL
from fleet_tui import plain
from fleet_tui.call import Call
from fleet_tui.commands import sessions

SHOWN = 50
# Beyond what it was asked to wait, a node may take this long to answer.
MARGIN_S = 30.0


def send(call: Call) -> int:
    """One message, or with `--stdin` one a line; with `--wait`, until it is on that rung."""
    if call.args.dry_run:
        return _preview(call)
    if call.args.stdin:
        return _send_lines(call)
    ask = _ask(call, _text(call))
    if call.args.kind == Kind.BROADCAST:
        _confirm(call)
    answer = call.node.post("/message", ask, (call.args.timeout if call.args.wait else 0) + MARGIN_S)
    stories = answer.get("messages", [answer])
    call.show(stories if is_group(call.args.to) else answer, map(plain.sent, stories))
    call.tell(*(f"{one['to']}: {one['waits']}" for one in stories if NAMED in one.get("waits", "")))
    if call.args.wait is None:
        name = stories[0].get("group") or stories[0]["id"]
        call.tell(f"safe in the outbox; `fleet why {name}` tells what became of it")
    return _outcome(call, stories)


def _confirm(call: Call) -> None:
    """A broadcast shows whom it would reach before it goes."""
    reach = _reach(call)
    call.tell(*_reached(reach))
    call.confirm(f"send to {len(reach)}?")


def why(call: Call) -> int:
    """The story of one message, either way, or of one to several."""
    story = call.node.why(call.args.id)
    call.show(story, (fit for line in _told(story) for fit in plain.folded(line, call.width)))
    return 0


def resend(call: Call) -> int:
    """Try a waiting message now; the id stays, so it can never arrive twice."""
    story = call.node.post("/resend", {"id": call.args.id, "any": call.args.any})
    call.show(story, plain.why(story))
    return 0


def messages(call: Call) -> int:
    """The log, oldest of those shown first; with `--follow`, on and on."""
    events = call.node.events() if call.args.follow else None
    if events:
        next(events)  # the snapshot: from here on nothing is missed
    asked = {name: getattr(call.args, name) for name in ("peer", "kind", "dir", "rung", "text")}
    limit = _limit(call)
    lines = list(call.node.lines(limit, **asked))[::-1]
    if events:
        rows = [plain.message(line) for line in lines]
        for line, text in zip(lines, plain.table(rows), strict=True):
            call.row(line, text)
        return _follow_messages(call, events, asked)
    call.show(lines, _aligned(call, [plain.message(line) for line in lines]))
    if not lines:
        call.tell("Nothing sent or received yet, or nothing that matches. `fleet send TO TEXT` sends.")
    elif limit == len(lines):
        call.tell(f"the newest {limit}; `--limit` shows more")
    return 0


def inbox(call: Call) -> int:
    """The messages for this machine, oldest of those shown first; with `--follow`, on and on. With `--session` those of
    one session, as far as it has not read them."""
    if call.args.hook:
        return sessions.hook(call)
    if call.args.session:
        return sessions.inbox(call)
    events = call.node.events() if call.args.follow else None
    if events:
        next(events)  # the snapshot: from here on nothing is missed
    limit = _limit(call)
    letters = _shown(call, limit)
    if events:
        for letter in letters:
            call.row(letter, "\n".join(plain.letter(letter, call.width)))
        return _follow_inbox(call, events, letters[-1]["id"] if letters else BEFORE_ALL)
    call.show(letters, (line for letter in letters for line in plain.letter(letter, call.width)))
    if not letters:
        call.tell("Nothing for this machine yet." if not call.args.after else "Nothing after that.")
    elif limit == len(letters) and not call.args.after:
        call.tell(f"the newest {limit}; `--limit` shows more")
    return 0


def _shown(call: Call, limit: int | None) -> list[Any]:
    """The newest `limit`; with `--after`, those next after it."""
    if call.args.after:
        return list(islice(_letters(call, call.args.after), limit))
    if limit is not None and 0 < limit <= PAGE:
        return _newest(call, limit)
    letters = list(_letters(call, BEFORE_ALL))
    return letters if limit is None else letters[len(letters) - min(limit, len(letters)) :]


def _newest(call: Call, limit: int) -> list[Any]:
    """Page by page towards the oldest: large bodies end a page early."""
    letters: list[Any] = []
    while len(letters) < limit:
        before = letters[0]["id"] if letters else None
        page = call.node.get("/inbox", limit=limit - len(letters), before=before)
        if not page:
            break
        letters = [*page, *letters]
    return letters


def _text(call: Call) -> str:
    text = " ".join(call.args.text)
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    if not text.strip():
        said = "say what to send, or `-` for standard input, or `--stdin` for a message a line"
        raise FleetError("usage.arguments", "The message is missing", said, "`fleet send --help` shows examples")
    return text


def _ask(call: Call, body: str) -> dict[str, Any]:
    args = call.args
    return {
        "to": args.to,
        "type": args.kind,
        "payload": {"body": body},
        "via": args.via,
        "any": args.any,
        "ttl": args.ttl,
        "thread": args.thread,
        "session": args.session,
        "wait": args.wait,
        "timeout": args.timeout,
    }


def _send_lines(call: Call) -> int:
    if call.args.text:
        raise FleetError(
            "usage.arguments", "Two messages at once", "TEXT and --stdin", "give one of them", Fault.THEIRS
        )
    count, worst = 0, 0
    for answer in call.node.stream(_ask(call, line) for line in _lines()):
        count += 1
        error = answer.get("error")
        call.line(answer)
        worst = worst or (exit_code(error["code"]) if error else 0)
    rung = call.args.wait or "accepted"
    call.tell(f"{count} {rung}" if not worst else f"{count} tried, not all {rung}")
    return worst


def _lines() -> Iterator[str]:
    for raw in sys.stdin.buffer:
        if (line := raw.decode("utf-8", "replace").rstrip("\r\n")).strip():
            yield line


def _preview(call: Call) -> int:
    reach = _reach(call)
    call.show(reach, _reached(reach))
    return 0


def _reach(call: Call) -> Any:
    args = call.args
    return call.node.get("/preview", to=args.to, type=args.kind, via=args.via, any=args.any or None)


def _reached(reach: Any) -> Iterator[str]:
    rows = ((one["to"], ", ".join(one["channels"]) or "–", one["reason"]) for one in reach)
    return plain.table(rows, ("to", "over", ""))


def _outcome(call: Call, stories: Iterable[dict[str, Any]]) -> int:
    """The exit status of a wait; what was not reached is told on stderr."""
    errors = [story["error"] for story in stories if "error" in story]
    for error in errors:
        call.tell(f"fleet: {error['title']}: {error['detail']}", f"  {error['next_step']}")
    return max((exit_code(error["code"]) for error in errors), default=0)


def _limit(call: Call) -> int | None:
    if call.args.limit is None:
        return None if call.as_json and not call.args.follow else SHOWN
    return int(call.args.limit)


def _aligned(call: Call, rows: list[tuple[str, ...]]) -> list[str]:
    return list(plain.table(rows, width=call.width))


def _told(story: dict[str, Any]) -> Iterator[str]:
    return plain.group(story) if "messages" in story else plain.why(story)


def _follow_messages(call: Call, events: Iterator[tuple[str, Any]], asked: dict[str, Any]) -> int:
    for name, event in events:
        if name in ("MessageMoved", "MessageCame"):
            wanted = asked | {"text": event["msg_id"]}
            for line in call.node.lines(1, **wanted):
                if not asked["text"] or asked["text"] in _words(line):
                    call.row(line, plain.INDENT + plain.GAP.join(plain.message(line)))
    return 0


def _words(line: dict[str, Any]) -> str:
    """What the filter `--text` looks at in a line."""
    return " ".join(str(line[name]) for name in ("peer", "kind", "rung", "channel", "id"))


def _follow_inbox(call: Call, events: Iterator[tuple[str, Any]], after: str) -> int:
    for name, _ in events:
        if name == "MessageCame":
            for letter in _letters(call, after):
                after = letter["id"]
                call.row(letter, "\n".join(plain.letter(letter, call.width)))
    return 0


def _letters(call: Call, after: str) -> Iterator[dict[str, Any]]:
    while page := call.node.get("/inbox", after=after, limit=PAGE):
        yield from page
        after = page[-1]["id"]
