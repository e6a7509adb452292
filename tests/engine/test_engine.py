"""One node, started and stopped, whatever its disk does."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import resolve
from engine.engine import Engine

CONFIG = """
[net]
listen = "127.0.0.1"
http_port = 0
udp_port = 0
[broker]
enabled = false
"""


@pytest.fixture
def home() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
    yield made
    shutil.rmtree(made)


@pytest.mark.slow
async def test_a_node_on_a_full_disk_can_be_stopped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk does not take is given up in order; nobody waits for room that may never come."""
    engine = Engine(home, resolve(CONFIG, {}), "test")
    await engine.start()

    def full(submissions: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(engine._store._writer, "write", full)
    engine.terminal("attached")
    await engine.stop(drain_s=0.0)


async def test_a_token_that_was_cut_off_is_made_anew(home: Path) -> None:
    """An empty file lets nobody in for ever; the next start fills it, for this user alone."""
    (home / "token").touch(mode=0o600)
    engine = Engine(home, resolve(CONFIG, {}), "test")
    await engine.start()
    assert len(engine.token) > 40
    assert (home / "token").read_text().strip() == engine.token
    await engine.stop(drain_s=0.0)
