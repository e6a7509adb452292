"""The last hop: from this machine's inbox into the session a message names.

A message names a session in its thread. `work` may reach it in any way: its seed file, its own hook, its terminal;
`text:work` only by being typed (P8). What became of it here is a hop, kept beside the letter; its states become rungs
of the sender's ladder:

    WAITING ──► TYPING ──► POSTED ──► SEEN          typed into its terminal, each step proved there
       │  ▲        └─────► UNKNOWN                  a crash in between: never typed again
       ▼  │
      HELD ──────────────► FETCHED ──► SEEN         its hook or `fleet inbox` took it
       └──────► EXPIRED                              its life ended first: typed no more, its hook may still take it
"""

import re
from enum import StrEnum

import msgspec

from engine.model.envelope import Rung

# Small letters, because a session's name is also a file's, and some file systems know no others.
SESSION = re.compile(r"[a-z0-9_.@-]{1,64}")
TEXT_ONLY = "text:"
# So many hops of a session are looked at together; the rest waits in the store.
WINDOW = 64


class HopState(StrEnum):
    """Where a message is on its last hop."""

    WAITING = "waiting"
    HELD = "held"
    TYPING = "typing"
    POSTED = "posted"
    SEEN = "seen"
    FETCHED = "fetched"
    UNKNOWN = "unknown"
    EXPIRED = "expired"


# What may still be typed, or was being typed when the node ended.
OPEN = (HopState.WAITING, HopState.HELD, HopState.TYPING)
# What its sender may know of it. That nobody knows the outcome proves no rung, so it stays where nothing was given.
RUNG_OF = {
    HopState.HELD: Rung.HELD,
    HopState.POSTED: Rung.POSTED,
    HopState.SEEN: Rung.SEEN,
    HopState.FETCHED: Rung.QUEUED,
    HopState.UNKNOWN: Rung.HELD,
    # It is there and its session may still fetch it: held for good, because of that.
    HopState.EXPIRED: Rung.HELD,
}


class Hop(msgspec.Struct, frozen=True):
    """One message on its last hop. `came_ms`: when it was on this host; `at_ms`: when it came into this state.
    `ends_ms`: when it is typed no more, by the wall clock it came under (0: never); `ends_at`: the same by the clock
    that does not jump, taken once, when it is first looked at."""

    msg_id: str
    src: str
    state: HopState = HopState.WAITING
    reason: str = ""
    came_ms: int = 0
    at_ms: int = 0
    ends_ms: int = 0
    ends_at: float = float("inf")


class Place(msgspec.Struct, frozen=True):
    """A session that lets itself be typed into. `state`, `why`: what its terminal shows, and why nothing can be typed
    now (empty: it can). `open`: the oldest hops not yet settled; `loading`: they were asked for. `turn`: rises with
    whatever makes an older page of them worthless. `typing`: the id in hand. `typed_ms`: when something was typed last,
    `before_ms`: and before that. `word`: how it is announced to peers, since the monotonic second `word_at`."""

    state: str = "unknown"
    why: str = "its terminal was not looked at yet"
    open: tuple[Hop, ...] = ()
    turn: int = 0
    loading: bool = False
    typing: str = ""
    typed_ms: int = 0
    before_ms: int = 0
    word: str = "unknown"
    word_at: float = float("-inf")


class Allowed(msgspec.Struct, frozen=True):
    """A session that was opted in to text, by its owner. `kind`: tmux, or on macOS terminal or iterm2. `socket`: of the
    tmux server, `pane`: `%3`, or the tty of a tab. `stamp`: the server and the pane's first process, because pane
    numbers begin anew with a server. `prompt`: what its empty prompt looks like, where it is none that is known."""

    session: str
    kind: str
    pane: str
    socket: str = ""
    stamp: str = ""
    prompt: str = ""


class Addressee(msgspec.Struct, frozen=True):
    """A message that names a session: its id, who sent it, the session, and when its life ends (0: never)."""

    msg_id: str
    src: str
    session: str
    ends_ms: int = 0


def session_of(thread: str) -> str:
    """The session a thread names; empty when it is no session's name."""
    name = thread.removeprefix(TEXT_ONLY)
    return name if SESSION.fullmatch(name) else ""


def marker(msg_id: str) -> str:
    """What of an id stands in every text that is typed or fetched, so that it can be found again."""
    return f"[fleet {msg_id[-8:]}]"
