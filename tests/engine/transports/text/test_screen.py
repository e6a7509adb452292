"""What a terminal shows: real captures of real agents, and everything that must never be taken for an idle prompt."""

import json
from pathlib import Path

import pytest

from engine.transports.text.prompts import PROMPTS, own
from engine.transports.text.screen import (
    ASKS,
    BUSY,
    DEAD,
    HALF_TYPED,
    IDLE,
    IN_MODE,
    UNKNOWN,
    Look,
    folded,
    read,
    row_of,
    shown_above,
    stands,
)

CAPTURES = Path(__file__).with_name("captures")


def capture(name: str, **changes: object) -> Look:
    """A screen as a real program drew it."""
    kept = json.loads((CAPTURES / f"{name}.json").read_text())
    facts = {"text": "\n".join(kept["lines"]), "x": kept["x"], "y": kept["y"], "command": kept["command"]}
    return Look(**{**facts, **changes})


def screen(*lines: str, command: str = "bash", x: int | None = None) -> Look:
    """A screen whose last line has the cursor, at its end unless told."""
    return Look("\n".join(lines), len(lines[-1]) if x is None else x, len(lines) - 1, command)


STATES = {
    **dict.fromkeys(("claude-idle", "claude-after", "claude-interrupted"), IDLE),
    **dict.fromkeys(("codex-idle", "codex-after", "gemini-idle", "opencode-idle", "opencode-after"), IDLE),
    **dict.fromkeys(("claude-busy", "claude-busy-queued", "codex-busy", "gemini-busy", "opencode-busy"), BUSY),
    **dict.fromkeys(("claude-half", "claude-busy-half", "claude-menu"), HALF_TYPED),
    **dict.fromkeys(("codex-half", "gemini-half", "opencode-half"), HALF_TYPED),
    **dict.fromkeys(("claude-asking", "codex-asking", "gemini-asking", "opencode-asking"), ASKS),
}


@pytest.mark.parametrize(("name", "state"), STATES.items())
def test_captures_of_real_agents(name: str, state: str) -> None:
    """Each capture is what it was when it was taken: Claude Code, Codex, Gemini CLI and OpenCode."""
    found = read(capture(name))
    assert found.state == state
    assert bool(found.why) is (state != IDLE)


def test_every_capture_is_read() -> None:
    """A capture that no test names would prove nothing."""
    assert {path.stem for path in CAPTURES.glob("*.json")} == set(STATES)


@pytest.mark.parametrize("name", [name for name, state in STATES.items() if state == IDLE])
def test_an_idle_agent_in_another_mood(name: str) -> None:
    """The same screen in copy-mode, of a dead pane, of an unknown program, or with the cursor elsewhere: not idle."""
    assert read(capture(name, hold=IN_MODE)).why == IN_MODE
    assert read(capture(name, hold=DEAD)).state == UNKNOWN
    assert read(capture(name, command="vim")).state == UNKNOWN
    assert read(capture(name, y=0)).state != IDLE
    assert read(capture(name, x=capture(name).x + 3)).state != IDLE


def test_text_behind_the_cursor_was_typed() -> None:
    """A user who went back to the start of the line has still typed it; faint text is only a suggestion."""
    half = capture("codex-half")
    assert read(Look(half.text, 2, half.y, half.command)).state == HALF_TYPED
    assert read(capture("codex-idle")).state == IDLE


def test_a_second_line_of_input_was_typed() -> None:
    """An empty first line of a prompt over a second one that is not: half typed."""
    look = capture("claude-idle")
    lines = look.text.split("\n")
    lines.insert(look.y + 1, "  the second line")
    assert read(Look("\n".join(lines), look.x, look.y, look.command)).state == HALF_TYPED


SHELLS = {
    "bash": ("bash-5.2# ", "bash", IDLE),
    "user": ("ada@mac2:~/src$ ", "bash", IDLE),
    "zsh": ("mac2% ", "zsh", IDLE),
    "starship": ("❯ ", "zsh", IDLE),
    "fish": ("ada@mac2 ~/src> ", "fish", IDLE),
    "half typed": ("bash-5.2# rm -rf ", "bash", HALF_TYPED),
    "half typed, ends like a prompt": ("bash-5.2# echo 100% ", "bash", HALF_TYPED),
    "continued": ("> ", "bash", UNKNOWN),
    "continued in zsh": ("dquote> ", "zsh", UNKNOWN),
    "searching": ("(reverse-i-search)`ls': ls", "bash", UNKNOWN),
    "a password": ("Password: ", "bash", UNKNOWN),
    "a question": ("Remove it? [y/N] ", "bash", ASKS),
    "another program": ("$ ", "vim", UNKNOWN),
    "a pager": (":", "less", UNKNOWN),
    "nothing": ("", "bash", UNKNOWN),
}


@pytest.mark.parametrize(("line", "command", "state"), SHELLS.values(), ids=SHELLS)
def test_shells(line: str, command: str, state: str) -> None:
    """A shell is idle behind its sign and nothing else."""
    found = read(screen("some output", line, command=command))
    assert found.state == state
    assert found.shell is (state in (IDLE, HALF_TYPED))


def test_blanks_the_terminal_left_out() -> None:
    """A capture ends before the blanks of a prompt; the cursor tells that they are there."""
    assert read(Look("bash-5.2#", 10, 0, "bash")).state == IDLE
    assert read(Look("bash-5.2#", 9, 0, "bash")).state == UNKNOWN


def test_a_prompt_of_ones_own() -> None:
    """Whoever has another prompt says what it is; then nothing else counts."""
    mine = own("➜  [^ ]+ ", "zsh")
    assert read(screen("➜  src ", command="zsh"), [mine]).state == IDLE
    assert read(screen("➜  src ls", command="zsh"), [mine]).state == HALF_TYPED
    assert read(screen("mac2% ", command="zsh"), [mine]).state == UNKNOWN
    assert mine.shell
    assert not own("> ", "python3").shell


def test_wide_letters_count_twice() -> None:
    """The cursor is told in columns, not in letters."""
    assert read(Look("项目$", 6, 0, "bash")).state == IDLE
    assert read(Look("项目$ ls", 8, 0, "bash")).state == HALF_TYPED


def test_colours_are_no_text() -> None:
    """Colour numbers are neither text nor faintness; a title or a charset change is nothing at all."""
    row = row_of("\x1b]0;title\x07\x1b(B\x1b[38;5;2mgreen\x1b[2m faint\x1b[22m plain\x1b[48;2;2;2;2m x\x1b[0m")
    assert row.text == "green faint plain x"
    assert "".join(one for one, dim in zip(row.text, row.faint, strict=True) if dim) == " faint"


def test_what_was_typed_stands_whatever_wraps_it() -> None:
    """Line ends, indents and boxes of the program do not matter; a single letter more or less does."""
    look = screen("┃  one two", "┃  three", command="opencode")
    assert stands(look, "one two three")
    assert not stands(look, "one two thre")
    assert not stands(screen("❯\u00a0one two threex", command="claude"), "one two three")


def test_a_folded_paste() -> None:
    """Gemini and OpenCode show a long paste as a word; alone in the prompt it is ours."""
    shown = screen(" > [Pasted Text: 561 chars]", command="gemini")
    assert folded(shown, read(shown, PROMPTS))
    more = screen(" > x[Pasted Text: 561 chars]", command="gemini")
    assert not folded(more, read(more, PROMPTS))


def test_seen_is_above_the_prompt() -> None:
    """In the prompt it is only typed; above it, it was said."""
    mark = "[fleet 7F3K9QAB]"
    typed = screen(f"❯\u00a0{mark} hello", command="claude")
    assert not shown_above(typed, read(typed), mark)
    said = capture("claude-after")
    assert shown_above(said, read(said), "say it slowly")
    assert not shown_above(said, read(said), mark)
