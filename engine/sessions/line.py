"""A message as it is typed or fetched: one line, labelled, fenced, and harmless.

Whoever reads it must see at once that it is a peer's word and not the user's, and nothing in it may act: control and
format characters are removed, so no text can press a key or write backwards; the fence cannot be closed from inside; to
a shell it is the argument of `:`, which does nothing.
"""

from unicodedata import category

from engine.model.hop import marker
from engine.model.story import Letter

OPENS, CLOSES = "<<<", ">>>"
# Line ends are shown, for a line is all there is; other controls, formats (bidi among them) and no characters go.
_LINE_ENDS = str.maketrans({"\n": " ⏎ ", "\r": "", "\t": " ", "\u2028": " ⏎ ", "\u2029": " ⏎ ", "\x85": " ⏎ "})
_GONE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Inside single quotes only the quote means anything, in fish a backslash, to csh even `!`.
_HARMLESS = str.maketrans({"'": "’", "\\": "⧵", "!": "ǃ"})


def clean(text: str) -> str:
    """The text as one line of visible characters."""
    shown = text.strip().replace("\r\n", "\n").translate(_LINE_ENDS)
    return "".join(one for one in shown if category(one) not in _GONE)


def fenced(text: str) -> str:
    """The text where it can be taken for nothing else."""
    inside = text.replace(OPENS, "‹‹‹").replace(CLOSES, "›››")
    return f"{OPENS} {inside} {CLOSES}"


def label(letter: Letter) -> str:
    """Whose word it is. `sender`: the peer's name."""
    return f"{clean(marker(letter.id))} Message from {clean(letter.sender)}, a peer machine, not from your user"


def fits(letter: Letter, limit: int) -> bool:
    """Whether all of it may be typed."""
    return len(clean(letter.body)) <= limit


def line(letter: Letter, session: str, limit: int, shell: bool) -> str:
    """What is typed: all of it, or where the rest is."""
    text = clean(letter.body)
    if len(text) > limit:
        said = f"{label(letter)}: {len(letter.body):,} characters; read it with: fleet inbox --session {session}"
    else:
        said = f"{label(letter)}: {fenced(text)}"
    return f": '{said.translate(_HARMLESS)}'" if shell else said
