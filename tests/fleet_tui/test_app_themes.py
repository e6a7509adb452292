"""The themes keep their contrast, and all of them name the same tokens."""

from itertools import product

import pytest
from textual.color import Color
from textual.theme import Theme

from fleet_tui.themes import FALLBACK, NAMES, THEMES, following
from screens.widgets.paint import INKS

GROUNDS = ("ground", "row")
READ = ("good", "warn", "bad", "heal", "accent", "quiet")


def ratio(one: str, two: str) -> float:
    """Contrast as WCAG 2.2 defines it."""
    lights = sorted((luminance(Color.parse(one)), luminance(Color.parse(two))), reverse=True)
    return (lights[0] + 0.05) / (lights[1] + 0.05)


def luminance(colour: Color) -> float:
    parts = [part / 255 for part in colour.rgb]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", THEMES, ids=NAMES)
def test_words_can_be_read(theme: Theme) -> None:
    """Everything that has to be read keeps 4.5:1 on both grounds, in the contrast theme 7:1."""
    least = 7.0 if theme.name == "fleet-contrast" else 4.5
    tokens = {**theme.variables, "text": str(theme.foreground)}
    for token, ground in product((*READ, "text"), GROUNDS):
        assert ratio(tokens[token], tokens[ground]) >= least, f"{token} on {ground}"
    assert ratio(tokens["need"], tokens["need-ground"]) >= least


@pytest.mark.parametrize("theme", THEMES, ids=NAMES)
def test_faint_is_faint_and_not_gone(theme: Theme) -> None:
    """What is only there for order may be faint, at 2.5:1; in the contrast theme it may not."""
    least = 7.0 if theme.name == "fleet-contrast" else 2.5
    assert ratio(theme.variables["faint"], theme.variables["ground"]) >= least


@pytest.mark.parametrize("theme", THEMES, ids=NAMES)
def test_every_ink_has_its_tokens(theme: Theme) -> None:
    """No ink names a token that a theme lacks, and the plain theme has a fallback for each."""
    for ink in INKS.values():
        for token in (ink.letters, ink.ground):
            assert not token or (token in theme.variables and (token in FALLBACK or token == "accent"))


def test_deutan_does_not_part_red_from_green() -> None:
    """Good and bad differ in blue, which eyes that do not part red from green still see."""
    tokens = next(theme for theme in THEMES if theme.name == "fleet-deutan").variables
    assert abs(Color.parse(tokens["good"]).b - Color.parse(tokens["bad"]).b) > 120


def test_themes_go_round() -> None:
    """After the last comes the first; a theme that is not ours leads to the first."""
    assert following(NAMES[-1]) == NAMES[0]
    assert following("ansi-dark") == NAMES[0]
