"""Watching a folder, in the system's own way and in the one for all others."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.transports.seed import watch
from engine.transports.seed.watch import watched

FOREVER_S = 20.0

pytestmark = pytest.mark.slow


@pytest.fixture(params=[True, False], ids=["native", "watchfiles"])
def native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param and sys.platform != "linux":
        pytest.skip("inotify is Linux's")
    monkeypatch.setattr(watch, "_GLANCE_MS", 200)
    return bool(request.param)


async def turn(changes: AsyncIterator[None]) -> bool:
    """Whether there is another change; False at the end."""
    async with asyncio.timeout(FOREVER_S):
        return await anext(changes, "over") != "over"


async def test_what_comes_to_lie_there_is_told(home: Path, native: bool) -> None:
    """Once at the beginning; then for a file that was moved there."""
    changes = watched(home, lambda name: name.endswith(".seed"), native)
    assert await turn(changes)
    (home / "a.part").write_bytes(b"x")
    (home / "a.part").rename(home / "a.seed")
    assert await turn(changes)
    await changes.aclose()


async def test_it_ends_with_the_folder(home: Path, native: bool) -> None:
    """Whoever watches can make it again."""
    folder = home / "in"
    folder.mkdir()
    changes = watched(folder, lambda name: True, native)
    assert await turn(changes)
    if not native:
        assert await turn(changes)  # only now it watches
    folder.rmdir()
    while await turn(changes):
        pass
    with pytest.raises(OSError, match=r"inotify|No such|No path"):
        assert not await turn(watched(home / "missing", lambda name: True, True))
