"""The prompts of the agents and shells we know, as a table: what they look like empty, busy and asking.

Taken from captures of the real programs (`tests/engine/transports/text/captures`). They change with versions, so
everything leans one way: what no row fits is unknown, and what is unknown is never typed into.
"""

import re
from re import Pattern

import msgspec


class Prompt(msgspec.Struct, frozen=True):
    """One program. `commands`: what the terminal says runs in it (empty: anything). `start`: what stands before the
    cursor when nothing is typed, whole. `ghost`: what may stand behind the cursor besides faint text, though nobody
    typed it. `below`: what must stand under an empty prompt (a second line of input would stand there). `more`: how
    further lines of typed text begin. `busy`: near the prompt while it works. `folded`: what stands there
    instead of a long paste. `shell`: what is typed would be run."""

    name: str
    commands: frozenset[str]
    start: Pattern[str]
    below: Pattern[str] | None = None
    ghost: Pattern[str] = re.compile(r"")
    more: Pattern[str] = re.compile(r"  ")
    busy: Pattern[str] | None = None
    folded: Pattern[str] | None = None
    shell: bool = False


# A numbered choice with its pointer: the arrow of every agent that asks.
_CHOICE = r"^[\s│┃]*[❯›●>] ?1\. "
_ASKS = r"Do you want|Would you like to|Allow execution|Apply this change|Permission required|Press enter to confirm"
ASKING = re.compile(f"{_CHOICE}|{_ASKS}|\\(y/n\\)|\\[y/N\\]|\\[Y/n\\]", re.MULTILINE)

_SH = frozenset("bash zsh sh dash ksh mksh ash".split())
SHELLS = _SH | {"fish"}

PROMPTS: tuple[Prompt, ...] = (
    Prompt(
        "claude",
        frozenset({"claude", "node"}),
        # Its own input has a no-break space behind the arrow; what was said before has a plain one.
        start=re.compile("❯\u00a0"),
        below=re.compile(r"─{20,}"),
        ghost=re.compile(r"Press up to edit queued messages|Try \".*"),
        busy=re.compile(r"esc to interrupt|^[·✢✳✶✻✽*] .*…", re.MULTILINE),
    ),
    Prompt(
        "codex",
        frozenset({"codex", "node"}),
        start=re.compile(r"› "),
        below=re.compile(r"\s*"),
        busy=re.compile(r"esc to interrupt|^• (Working|Running)", re.MULTILINE),
    ),
    Prompt(
        "gemini",
        frozenset({"gemini", "node"}),
        start=re.compile(r" [>*] "),
        # Above a wide terminal's status lines there is a blank one, or a bar in its own colour.
        below=re.compile(r"[\s▄▀]*"),
        ghost=re.compile(r"\s*Type your message or @path/to/file"),
        busy=re.compile(r"esc to cancel|Queued \(press"),
        folded=re.compile(r"\[Pasted Text: \d+ chars\] ?"),
    ),
    Prompt(
        "opencode",
        frozenset({"opencode", "node", "bun"}),
        start=re.compile(r"\s*┃  "),
        below=re.compile(r"\s*┃\s*"),
        ghost=re.compile(r"Ask anything… .*"),
        more=re.compile(r"\s*┃"),
        busy=re.compile(r"esc (again to )?interrupt"),
        folded=re.compile(r"\[Pasted ~\d+ lines?\] ?"),
    ),
    # Whatever a prompt says, its sign stands once, at its end: a sign before it might be half a command.
    Prompt("shell", _SH, start=re.compile(r"[^$#%❯»λ]*[$#%❯»λ] "), more=re.compile(r""), shell=True),
    Prompt("fish", frozenset({"fish"}), start=re.compile(r"[^>❯]*[>❯] "), more=re.compile(r""), shell=True),
)


def own(pattern: str, command: str) -> Prompt:
    """The prompt that its owner described: `pattern` is what stands before the cursor when nothing is typed."""
    return Prompt("own", frozenset(), re.compile(pattern), shell=command in SHELLS, more=re.compile(r""))
