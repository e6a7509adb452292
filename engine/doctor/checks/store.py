"""The store: does it contradict itself, and does its log stay small (edge)."""

import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic

import msgspec

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.home import STORE
from engine.model.exam import judged, unused
from engine.model.finding import Finding, Severity

MB = 1 << 20
# The log is carried over at 16 MB; one four times as long is held by a reader that does not end.
LOG_LIMIT_MB = 64
READ_S = 10.0
# Virtual-machine steps between two looks at the clock: some milliseconds.
STEPS = 200_000


class Seen(msgspec.Struct, frozen=True):
    """`said`: what the whole check answered ("ok", a contradiction, or empty: not finished in time)."""

    said: str
    size_mb: int
    log_mb: int
    aside: tuple[str, ...]


def look(scene: Scene) -> Saw:
    """Read the whole file, beside its writer and for `READ_S` at most."""
    path = scene.home / STORE
    if not path.exists():
        return unused("no store yet; it is made at the first start")
    if not path.is_file():
        return unused("what lies in its place is no store")
    log = path.with_name(f"{STORE}-wal")
    aside = tuple(sorted(one.name for one in scene.home.glob(f"{STORE}.damaged-*") if not one.name.endswith("-wal")))
    seen = Seen(_checked(path), path.stat().st_size // MB, log.stat().st_size // MB if log.exists() else 0, aside)
    whole = "consistent" if seen.said == "ok" else "damaged" if seen.said else f"not read through in {READ_S:.0f} s"
    return judged(f"{whole}, {seen.size_mb} MB, log {seen.log_mb} MB", judge(seen, str(scene.home)))


def judge(seen: Seen, home: str) -> list[Finding]:
    """Contradictions, a log that grows, and what was put aside."""
    found = []
    if seen.said not in ("ok", ""):
        step = "`fleet restart`: a start puts a damaged store aside, saves what can be read, and asks the peers"
        found.append(Finding("store.damaged", "The store is damaged", Severity.CRITICAL, seen.said, next_step=step))
    if seen.log_mb > LOG_LIMIT_MB:
        what = f"{seen.log_mb} MB, where {LOG_LIMIT_MB} are plenty"
        step = f"`sqlite3 {home}/{STORE} 'PRAGMA wal_checkpoint(TRUNCATE)'`, or `fleet restart`"
        title = "The store's log does not shrink"
        found.append(Finding("store.log", title, Severity.LOW, what, "", step, ("disk",), fixable=True))
    for name in seen.aside:
        what = f"{home}/{name} is what was left of it; what could be read is in the new one"
        step = f"rm {home}/{name}*   once you miss nothing"
        found.append(Finding("store.aside", "A damaged store was put aside", Severity.INFO, what, name, step))
    return found


def fix(scene: Scene, finding: Finding) -> str:
    """Carry the log over into the file."""
    with closing(sqlite3.connect(scene.home / STORE, timeout=READ_S)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return "the log was carried over into the store"


def _checked(path: Path) -> str:
    deadline = monotonic() + READ_S
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1.0)) as connection:
            connection.set_progress_handler(lambda: monotonic() > deadline, STEPS)
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            return str(said)
    except sqlite3.OperationalError as error:
        return "" if "interrupted" in str(error) else str(error)
    except sqlite3.DatabaseError as error:
        return str(error)


CHECK = Check("store", "store integrity", look, fix, depends_on=("disk",))
