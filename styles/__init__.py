"""The style sheets: tokens first, then widgets, then one sheet a screen. This module only says where they lie."""

from pathlib import Path

FOLDER = Path(__file__).parent

# Later rules win, so the general sheets come before the particular ones.
GENERAL = ("tokens", "widgets")
SHEETS: list[Path] = [
    *(FOLDER / f"{name}.tcss" for name in GENERAL if (FOLDER / f"{name}.tcss").exists()),
    *sorted(path for path in FOLDER.glob("*.tcss") if path.stem not in GENERAL),
]
