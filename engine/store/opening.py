"""A start: the store is found, checked, brought up to date, and read (edge).

    as it is -> damaged, or its log is: what is readable is copied into a fresh one, the damaged one is put aside
    full disk: the ballast is given back, once, and all of it tried again

It never ends in a loop of crashes over a damaged file, and never hides that it has started anew: a finding says what
was put aside and what was kept. The fresh store takes the name only when it is whole, so a crash while mending mends
again. What it cannot open for another reason (rights, a newer Fleet) it leaves untouched.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from engine.model.finding import Finding, Severity
from engine.store import database, frames, generation
from engine.store.restore import mint, restore
from engine.store.restored import Birth, Generation, Restored
from engine.store.salvage import salvage
from engine.store.schema import migrate
from engine.store.space import Ballast
from engine.store.trouble import Trouble, full, trouble_of, unopened

Opened = tuple[sqlite3.Connection, Restored]

_ERRORS = (sqlite3.Error, OSError, ValueError, database.Damaged)


def open_store(path: Path, beside: Path, ballast: Ballast, wall_ms: int) -> Opened:
    """The store at `path`, made if there is none, and what it holds. `beside`: the file that counts starts.

    Raises `FleetError`: `store.newer`, `store.migration`, `store.full`, `store.open`.
    """
    try:
        return _start(path, beside, wall_ms)
    except _ERRORS as error:
        if trouble_of(error) is not Trouble.FULL:
            raise unopened(path, error) from error
    ballast.release()
    try:
        return _start(path, beside, wall_ms)
    except _ERRORS as error:
        raise full() if trouble_of(error) is Trouble.FULL else unopened(path, error) from error


def _start(path: Path, beside: Path, wall_ms: int) -> Opened:
    seen = generation.read(beside)
    connection, restored = _sound_or_mended(path, seen, wall_ms)
    try:
        generation.write(beside, Generation(restored.birth.boots, restored.birth.epoch))
    except OSError:
        connection.close()
        raise
    return connection, restored


def _sound_or_mended(path: Path, seen: Generation, wall_ms: int) -> Opened:
    database.take_over(_mending(path), path)
    log = frames.read(database.log_of(path), path)
    why = log.flaw() if log else ""
    if not why:
        log = None
        try:
            return _read(path, seen, wall_ms)
        except _ERRORS as error:
            if not _is_damage(error):
                raise
            why = str(error)
    with _readable(path, log) as source:
        kept = _mend(path, source)
    aside = database.put_aside(path, wall_ms)
    database.take_over(_mending(path), path)
    connection, restored = _read(path, seen, wall_ms)
    return connection, _noticed(restored, aside, why, kept, wall_ms)


def _read(path: Path, seen: Generation, wall_ms: int) -> Opened:
    was, doubtful = path.exists(), database.doubtful(path)
    connection = database.connect(path)
    try:
        if doubtful:
            database.check(connection)
        migrate(connection, path)
        birth = mint(connection, seen, wall_ms)
        restored = restore(connection, birth)
    except BaseException:
        connection.close()
        raise
    found = (_went_back(birth, was, wall_ms),) if birth.went_back else ()
    return connection, msgspec.structs.replace(restored, findings=found)


@contextmanager
def _readable(path: Path, damaged: frames.Log | None) -> Iterator[Path]:
    """Where to read what is left of a damaged store: itself; if its log is damaged, a copy with the log mended, for
    SQLite would empty the damaged one."""
    if damaged is None:
        yield path
        return
    copy = path.with_name(f"{path.name}.reading")
    database.remove(copy)
    try:
        database.copy(path, copy, damaged.mended())
        yield copy
    finally:
        database.remove(copy)


def _mend(path: Path, source: Path) -> dict[str, int]:
    """A whole store beside the damaged one, with what is readable of it, or empty; how many rows of each table."""
    for one in (source, None):
        try:
            return _fill(_mending(path), one)
        except _ERRORS as error:
            if one is None or not _is_damage(error):
                raise
    raise AssertionError("an empty store is never damaged")


def _fill(fresh: Path, source: Path | None) -> dict[str, int]:
    database.remove(fresh)
    connection = database.connect(fresh)
    try:
        migrate(connection, fresh)
        kept = salvage(source, connection) if source else {}
        restore(connection, Birth())
    finally:
        connection.close()
    return kept


def _mending(path: Path) -> Path:
    return path.with_name(f"{path.name}.mending")


def _is_damage(error: BaseException) -> bool:
    """At a start nothing is written that could be at fault itself: what cannot be read or kept is damage."""
    return isinstance(error, database.Damaged) or trouble_of(error) in (Trouble.DAMAGED, Trouble.RECORD)


def _noticed(restored: Restored, aside: Path, why: str, kept: dict[str, int], wall_ms: int) -> Restored:
    """Something may be missing, so peers must be asked what they hold, as after a store that went back."""
    count = ", ".join(f"{number} {table}" for table, number in kept.items() if number) or "nothing"
    step = "check this disk; peers send again what is missing; the file that was put aside can be deleted"
    alone = "who belongs to the fleet was not in it: `fleet join` with a new invite; "
    finding = Finding(
        "store.quarantined",
        "The store was damaged",
        Severity.CRITICAL,
        f"{why}; put aside as {aside.name}; rows kept from it: {count}",
        next_step=step if restored.roster else alone + step,
        at_ms=wall_ms,
    )
    birth = msgspec.structs.replace(restored.birth, went_back=True)
    return msgspec.structs.replace(restored, birth=birth, findings=(finding, *restored.findings))


def _went_back(birth: Birth, was: bool, wall_ms: int) -> Finding:
    """`was`: whether there was a file in the place of the store."""
    if birth.fresh:
        found = "the file in its place holds none" if was else "its file is not there"
        return Finding(
            "store.went_back",
            "The store of this home is gone",
            Severity.HIGH,
            f"this home has had one, and {found}: the node is a fleet of its own now",
            next_step="`fleet join` with a new invite; peers send again what they hold for it",
            depends_on=("store.quarantined",),
            at_ms=wall_ms,
        )
    missing = f"{birth.lost} transactions that were on this disk are missing; " if birth.lost else ""
    return Finding(
        "store.went_back",
        "The store went back in time",
        Severity.HIGH,
        f"{missing}it is older than one this home has had; messages are numbered anew from epoch {birth.epoch}",
        next_step="nothing, if it was restored on purpose; else look who replaced the file",
        depends_on=("store.quarantined",),
        at_ms=wall_ms,
    )
