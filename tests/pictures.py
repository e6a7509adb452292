"""Where the pictures of screens lie: `snapshots/<screen>/<test>.svg`, each with a text twin that a diff can show.

The folder is the test module's name without what every module has in it: `test_peers.py`, `test_peers_snapshots.py` and
`test_snapshots_peers.py` all draw into `snapshots/peers`. The twin is written from the picture and never compared.
"""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pytest_textual_snapshot import SVGImageExtension
from rich.cells import cell_len
from syrupy.data import SnapshotCollection, SnapshotCollections
from syrupy.location import PyTestLocation

SNAPSHOTS = Path(__file__).parent.parent / "snapshots"
EVERYWHERE = {"test", "snapshot", "snapshots", "pictures", "screen"}
SVG_TEXT = "{http://www.w3.org/2000/svg}text"
# Rich draws a cell 12.2 wide, and a line 24.4 high.
CELL, LINE = 12.2, 24.4


def folder(location: PyTestLocation) -> Path:
    """The folder of the test module at `location`."""
    words = [word for word in Path(location.filepath).stem.split("_") if word not in EVERYWHERE]
    return SNAPSHOTS / ("_".join(words) or "screens")


def shares_folder(location: PyTestLocation, snapshot_location: str) -> bool:
    """Whether the picture at `snapshot_location` belongs to the test at `location`; syrupy expects another layout."""
    return Path(snapshot_location).parent == folder(location)


def words_of(svg: str) -> str:
    """The characters of a picture, each in its row and column, without colour."""
    rows: dict[int, list[tuple[int, str]]] = {}
    for text in ElementTree.fromstring(svg).iter(SVG_TEXT):
        if "clip-path" in text.attrib:
            row, column = round(float(text.attrib["y"]) / LINE), round(float(text.attrib["x"]) / CELL)
            rows.setdefault(row, []).append((column, (text.text or "").replace("\xa0", " ")))
    lines = [_line(rows.get(row, [])) for row in range(min(rows, default=0), max(rows, default=-1) + 1)]
    return "\n".join(lines) + "\n"


def _line(pieces: list[tuple[int, str]]) -> str:
    line = ""
    for column, text in sorted(pieces):
        line += " " * (column - cell_len(line)) + text
    return line.rstrip()


class PictureExtension(SVGImageExtension):
    """The plugin's pictures, in our folders and with their twins."""

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return str(folder(test_location))

    def discover_snapshots(self, *, test_location: PyTestLocation) -> SnapshotCollections:
        found = SnapshotCollections()
        for path in sorted(folder(test_location).glob("*.svg")):
            found.add(self._read_snapshot_collection(snapshot_location=str(path)))
        return found

    def delete_snapshots(self, *, snapshot_location: str, snapshot_names: set[str]) -> None:
        super().delete_snapshots(snapshot_location=snapshot_location, snapshot_names=snapshot_names)
        Path(snapshot_location).with_suffix(".txt").unlink(missing_ok=True)

    @classmethod
    def _write_snapshot_collection(cls, *, snapshot_collection: SnapshotCollection) -> None:
        super()._write_snapshot_collection(snapshot_collection=snapshot_collection)
        drawn: Any = next(iter(snapshot_collection)).data
        twin = re.sub(r"\.svg$", ".txt", snapshot_collection.location)
        Path(twin).write_text(words_of(drawn), encoding="utf-8")
