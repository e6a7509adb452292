"""A home that went back in time while its peers went on: found, said, healed from the peers; nothing new is lost."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.conftest import FleetOf
from tests.e2e.node import Node, together
from tests.e2e.until import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def duo(fleet_of: FleetOf) -> list[Node]:
    return fleet_of(2)


def backup(node: Node, to: Path) -> None:
    """A copy of a running node's database, as `sqlite3 .backup` makes it."""
    with closing(sqlite3.connect(node.home / "fleet.db")) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def drop(node: Node) -> None:
    """Its database is gone."""
    for path in node.home.glob("fleet.db*"):
        path.unlink()


def swap(duo: list[Node], word: str) -> None:
    """Ten letters each way."""
    for here, there in (duo, duo[::-1]):
        ids = [story["id"] for story in here.bulk(there.name, (f"{word} {number}" for number in range(10)))]
        until(lambda here=here, ids=ids: all(here.rung(one) == "on_host" for one in ids), f"{word} from {here.name}")


def all_of(*words: str) -> dict[str, int]:
    """What an inbox must hold, once each."""
    return {f"{word} {number}": 1 for word in words for number in range(10)}


def test_an_old_backup_is_restored(duo: list[Node], tmp_path: Path) -> None:
    """birch is put back to a backup. It says so; new letters in both directions arrive, once, and none is taken for a
    replay; what birch had received and lost comes again from atlas, which still has it."""
    atlas, birch = duo
    swap(duo, "old")
    backup(birch, tmp_path / "backup.db")
    birch.down()
    birch.up()
    together(duo)
    swap(duo, "lost")
    birch.down()
    drop(birch)
    (tmp_path / "backup.db").replace(birch.home / "fleet.db")
    birch.up()
    finding = birch.findings()["store.went_back"]
    assert finding["severity"] == "high"
    assert finding["next_step"]
    swap(duo, "new")
    until(lambda: birch.bodies() == all_of("old", "lost", "new"), "everything birch ever had")
    assert atlas.bodies() == all_of("old", "lost", "new")
    for node in duo:
        assert node.refused("replayed") == 0


def test_the_database_is_deleted(duo: list[Node]) -> None:
    """birch keeps its key and loses everything else: it says so, is let in again by a new code, and gets its letters
    back from atlas, once each; numbers it used before are not used again."""
    atlas, birch = duo
    before = birch.bodies()
    birch.down()
    drop(birch)
    birch.up()
    assert "store.went_back" in birch.findings()
    waiting = atlas.post("birch", "meanwhile")["id"]
    birch.must("join", atlas.must("invite")["code"])
    together(duo)
    swap(duo, "after")
    until(lambda: atlas.rung(waiting) == "on_host", "what waited")
    until(lambda: birch.bodies() == {**before, **all_of("after"), "meanwhile": 1}, "everything birch ever had")
    assert atlas.bodies() == all_of("old", "lost", "new", "after")
