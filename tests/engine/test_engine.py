"""One node, started and stopped, whatever its disk does."""

import shutil
import sqlite3
import tempfile
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.broker import machine
from engine.config import resolve
from engine.effects import Arm, Effect, Raise, Save
from engine.engine import Engine
from engine.errors import FleetError
from engine.model.broker import BrokerState

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


async def test_every_effect_has_an_arm(home: Path) -> None:
    """Nothing can be asked of a whole node that nobody does, and no arm is for something that nobody can ask. Records,
    signals and timers are sorted out before: they wait for no disk."""
    engine = Engine(home, resolve(CONFIG, {}), "test")
    await engine.start()
    arms = set(engine.core.hands._arms)
    await engine.stop(drain_s=0.0)
    assert arms == set(typing.get_args(Effect)) - {Save, Raise, Arm}


@pytest.mark.parametrize("left", [b"", b"half-a-token", b"\xff\xfe\x00"], ids=["empty", "half", "no text"])
async def test_a_token_that_was_damaged_is_made_anew(home: Path, left: bytes) -> None:
    """An empty file lets nobody in for ever and half a token is half as good; the next start makes a whole one."""
    (home / "token").write_bytes(left)
    engine = Engine(home, resolve(CONFIG, {}), "test")
    await engine.start()
    assert len(engine.token) > 40
    assert (home / "token").read_text().strip() == engine.token
    assert (home / "token").stat().st_mode & 0o777 == 0o600
    await engine.stop(drain_s=0.0)


async def test_a_token_that_cannot_be_kept_says_so(home: Path) -> None:
    """A folder in its place is not a bug of ours: the start ends with what to do."""
    (home / "token").mkdir()
    with pytest.raises(FleetError) as caught:
        await Engine(home, resolve(CONFIG, {}), "test").start()
    assert caught.value.code == "node.token"


async def test_a_broker_that_is_not_wanted_is_none(home: Path) -> None:
    """Peers hear that there is none, which is nothing broken."""
    engine = Engine(home, resolve(CONFIG, {}), "test")
    await engine.start()
    assert engine.core.loop.fleet.broker.state is BrokerState.ABSENT
    await engine.stop(drain_s=0.0)


@pytest.mark.slow
async def test_a_broker_that_cannot_start_is_down(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is wanted: peers hear that it is down and may ask for it, which starts it once what it lacked is there."""
    monkeypatch.setattr(shutil, "which", lambda program: None)
    monkeypatch.setattr(machine, "PROGRAM", "no-such-server")
    engine = Engine(home, resolve(CONFIG.replace("false", "true"), {}), "test")
    await engine.start()
    loop = engine.core.loop
    await loop.until(lambda fleet: ("node.broker", "") in fleet.findings)
    assert (loop.fleet.broker.state, loop.fleet.broker.note) == (BrokerState.DOWN, "nats-server is not installed")
    with pytest.raises(FleetError, match="The broker is not up"):
        await engine._doors.restart_broker()
    monkeypatch.undo()
    assert "up again" in await engine._doors.restart_broker()
    await loop.until(lambda fleet: fleet.broker.state is BrokerState.UP and ("node.broker", "") not in fleet.findings)
    await engine.stop(drain_s=0.0)
