"""The four themes: dark, light, high contrast (7:1), and one for eyes that do not part red from green.

Textual has none for the last two. Each names the same tokens, so a style sheet never names a colour; what a theme
without ours (`ansi-dark`, for NO_COLOR) lacks, `FALLBACK` gives. Ratios are held by a test.
"""

from textual.theme import Theme

# The tokens of `styles/tokens.tcss` that Textual's own themes do not have.
FALLBACK = {
    "good": "ansi_default",
    "warn": "ansi_default",
    "bad": "ansi_default",
    "heal": "ansi_default",
    "quiet": "ansi_default",
    "faint": "ansi_default",
    "line": "ansi_default",
    "row": "ansi_default",
    "lit": "ansi_default",
    "need": "ansi_default",
    "need-ground": "ansi_default",
}


def _theme(name: str, dark: bool, **tokens: str) -> Theme:
    """A theme from our tokens; Textual's own names are derived from them."""
    return Theme(
        name=name,
        dark=dark,
        primary=tokens["accent"],
        secondary=tokens["heal"],
        accent=tokens["accent"],
        warning=tokens["warn"],
        error=tokens["bad"],
        success=tokens["good"],
        foreground=tokens.pop("text"),
        background=tokens["ground"],
        surface=tokens["ground"],
        panel=tokens["row"],
        variables={
            **{token.replace("_", "-"): colour for token, colour in tokens.items()},
            "border": tokens["line"],
            "border-blurred": tokens["line"],
            "scrollbar": tokens["line"],
            "scrollbar-hover": tokens["quiet"],
            "scrollbar-active": tokens["accent"],
            "scrollbar-background": tokens["ground"],
            "scrollbar-background-hover": tokens["ground"],
            "scrollbar-background-active": tokens["ground"],
            "scrollbar-corner-color": tokens["ground"],
            "input-selection-background": tokens["lit"],
            "input-cursor-background": tokens["accent"],
            "input-cursor-foreground": tokens["ground"],
        },
    )


THEMES = (
    _theme(
        "fleet-dark", True, ground="#14171c", text="#c8ced8", quiet="#8b95a5", faint="#5c6675", line="#3a4250",
        row="#1f252e", lit="#2f3a4a", accent="#7cb7e8", good="#86b886", warn="#dfb060", bad="#e8828b", heal="#a7a2e0",
        need="#14171c", need_ground="#e3b565",
    ),
    _theme(
        "fleet-light", False, ground="#fbfaf7", text="#2a2f38", quiet="#5f6876", faint="#8d95a1", line="#c3c8d0",
        row="#eef0f1", lit="#d9e4ee", accent="#1f67a6", good="#33743a", warn="#8a5a00", bad="#b3263a", heal="#5d51a8",
        need="#fbfaf7", need_ground="#8a5a00",
    ),
    _theme(
        "fleet-contrast", True, ground="#000000", text="#ffffff", quiet="#d6d6d6", faint="#a6a6a6", line="#a6a6a6",
        row="#1c1c1c", lit="#003a5c", accent="#6cd0ff", good="#5dff7f", warn="#ffd84a", bad="#ff9a9a", heal="#d9bbff",
        need="#000000", need_ground="#ffd84a",
    ),
    _theme(
        "fleet-deutan", True, ground="#13161b", text="#d0d4da", quiet="#929aa8", faint="#626b79", line="#3b434f",
        row="#1f242c", lit="#30394a", accent="#e6e6e6", good="#6aa9ff", warn="#f0d060", bad="#ff9540", heal="#b9a6ff",
        need="#13161b", need_ground="#f0d060",
    ),
)  # fmt: skip
NAMES = tuple(theme.name for theme in THEMES)
# What NO_COLOR leads to: Textual's other themes leak greys.
PLAIN = "ansi-dark"


def following(name: str) -> str:
    """The theme after this one."""
    return NAMES[(NAMES.index(name) + 1) % len(NAMES)] if name in NAMES else NAMES[0]
