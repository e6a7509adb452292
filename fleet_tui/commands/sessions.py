"""Sessions from the command line (edge): which terminals may be typed into, and the mail of one session.

A hook runs at every prompt of an agent, so it never fails one: whatever goes wrong, it says nothing and ends with 0.
What it found already waits in the seed file, which it falls back to while the node is down.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.api.client import PAGE
from engine.errors import Fault, FleetError
from engine.home import SEEDS
from engine.model.hop import SESSION
from fleet_tui import harmless, plain
from fleet_tui.call import Call

# A transcript's end: where letters of the last turns would stand.
TAIL_BYTES = 1 << 20
_MARK = re.compile(r"\[fleet [0-9A-Z]{8}\]")
HOOK_STDIN_BYTES = 4 << 20


def text(call: Call) -> int:
    """`fleet text allow|list|forbid`."""
    return _TEXT[call.args.what](call)


def _allow(call: Call) -> int:
    """The pane is the one it runs in, unless another is named."""
    args = call.args
    pane = args.pane or os.environ.get("TMUX_PANE", "")
    socket = args.socket or os.environ.get("TMUX", "").partition(",")[0]
    asked = {"session": _name(call), "pane": pane, "socket": socket if args.kind == "tmux" else ""}
    seat = call.node.post("/text/allow", {**asked, "kind": args.kind, "prompt": args.prompt})
    call.show(seat, plain.seats([seat]))
    call.tell(f"`fleet text forbid {seat['session']}` takes it back")
    return 0


def _list(call: Call) -> int:
    seats = call.node.get("/text")
    call.show(seats, plain.seats(seats))
    if not seats:
        call.tell("No session may be typed into. `fleet text allow NAME`, run in its terminal, allows one.")
    return 0


def _forbid(call: Call) -> int:
    name = _name(call)
    seats = call.node.post("/text/forbid", {"session": name})
    call.show(seats, [f"Nothing is typed into {name} any more.", *plain.seats(seats)])
    return 0


_TEXT = {"allow": _allow, "list": _list, "forbid": _forbid}


def _name(call: Call) -> str:
    if not call.args.session:
        step = f"`fleet text {call.args.what} NAME`"
        raise FleetError("usage.arguments", "Which session?", "its name is missing", step, Fault.THEIRS)
    return str(call.args.session)


def inbox(call: Call) -> int:
    """What came for one session since it read last; read then, unless `--peek`."""
    args = call.args
    if args.after or args.follow:
        why = "a session goes on where it has read; --after and --follow are for the whole inbox"
        raise FleetError("usage.arguments", "That does not go together", why, "leave them out", Fault.THEIRS)
    letters, row, left, known = _waiting(call, args.session, args.limit)
    call.show(letters, (line for letter in letters for line in plain.letter(letter, call.width)))
    if not letters:
        call.tell(f"Nothing new for {args.session}." if known else f"Nothing ever came for a session {args.session}.")
    if left:
        call.tell(f"{left} more wait; run it again")
    sys.stdout.flush()  # what cannot be printed was not read
    if row and not args.peek:
        call.node.post("/session/ack", {"session": args.session, "row": row})
    return 0


def _waiting(call: Call, session: str, limit: int | None) -> tuple[list[Any], int, int, bool]:
    """The oldest `limit`, page by page: large bodies end a page early; up to which row, how many are left, and whether
    anything is known of such a session."""
    path, wanted = f"/session/{_checked(session)}", PAGE if limit is None else limit
    letters: list[Any] = []
    row, left, known = 0, 0, True
    while len(letters) < wanted:
        mail = call.node.get(path, limit=min(wanted - len(letters), PAGE), after=row)
        letters += mail["letters"]
        row, left, known = max(row, mail["row"]), mail["left"], mail["known"]
        if not left or not mail["letters"]:
            break
    return letters, row, left, known


def _checked(session: str) -> str:
    if not SESSION.fullmatch(session.lower()):
        why = f"`{session}`: up to 64 letters, digits and _ . @ -"
        raise FleetError("usage.session", "That is no session's name", why, "`fleet text list`", Fault.THEIRS)
    return session.lower()


# --- the hook ---------------------------------------------------------------------------------------------------------


def hook(call: Call) -> int:
    """Answer an agent's hook: what waits for the session as context of its next turn; nothing where nothing does."""
    with suppress(Exception):
        session = _checked(call.args.session)
        event = _event()
        context, row = _context(call, session)
        if context:
            named = str(event.get("hook_event_name") or "UserPromptSubmit")
            said = {"hookSpecificOutput": {"hookEventName": named, "additionalContext": context}}
            print(harmless.as_json(said), flush=True)
        shown = sorted(_shown(event))
        if (row and not call.args.peek) or shown:
            taken = 0 if call.args.peek else row
            call.node.post("/session/ack", {"session": session, "row": taken, "how": "hook", "shown": shown})
    return 0


def _event() -> dict[str, Any]:
    """What the agent told its hook on standard input; nothing where a person runs it."""
    if sys.stdin.isatty():
        return {}
    with suppress(ValueError):
        found = json.loads(sys.stdin.buffer.read(HOOK_STDIN_BYTES))
        return found if isinstance(found, dict) else {}
    return {}


def _context(call: Call, session: str) -> tuple[str, int]:
    try:
        mail = call.node.get(f"/session/{session}", limit=PAGE, hook="1")
    except FleetError:
        # Unread as far as anybody knows: it comes once more when the node is back, which is better than never.
        with suppress(OSError, UnicodeDecodeError):
            return (call.home / SEEDS / f"{session}.md").read_text(), 0
        return "", 0
    return str(mail["text"]), int(mail["row"])


def _shown(event: dict[str, Any]) -> Iterator[str]:
    """Markers of letters in the agent's own words: the prompt it was given, and the end of its transcript."""
    yield from _MARK.findall(str(event.get("prompt", "")))
    with suppress(OSError, TypeError):
        path = Path(event["transcript_path"]) if event.get("transcript_path") else None
        if path is not None:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - TAIL_BYTES))
                yield from _MARK.findall(file.read(TAIL_BYTES).decode(errors="replace"))
