"""Something came to lie in a folder (edge).

On Linux inotify itself, on the loop: nothing runs while nothing happens, and a file is seen within a millisecond.
Elsewhere `watchfiles`, whose thread looks every few milliseconds: at an interval that costs a hundredth of what a node
may use at rest, it sees a file after 80 ms (`docs/decisions`).
"""

import asyncio
import ctypes
import os
import struct
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

Wanted = Callable[[str], bool]

# inotify(7).
_CLOSE_WRITE, _MOVED_TO, _CREATE = 0x8, 0x80, 0x100
_DELETE_SELF, _MOVE_SELF, _IGNORED, _UNMOUNT, _OVERFLOW = 0x400, 0x800, 0x8000, 0x2000, 0x4000
_ONLYDIR, _DONT_FOLLOW = 0x0100_0000, 0x0200_0000
_GONE = _DELETE_SELF | _MOVE_SELF | _IGNORED | _UNMOUNT
_EVENT = struct.Struct("iIII")
_READ = 64 << 10

# Milliseconds between two looks of `watchfiles`, and between two that it tells of even if nothing changed.
_STEP_MS, _GLANCE_MS = 50, 5_000


async def watched(folder: Path, wanted: Wanted, native: bool = sys.platform == "linux") -> AsyncGenerator[None, None]:
    """Once at the beginning, and then whenever a name that is `wanted` came to lie in `folder`; many at once are one.
    Ends when the folder is gone. Raises `OSError` when it cannot be watched."""
    changes = _by_inotify(folder, wanted) if native else _by_watchfiles(folder, wanted)
    async for _ in changes:
        yield


async def _by_inotify(folder: Path, wanted: Wanted) -> AsyncGenerator[None, None]:
    libc = ctypes.CDLL(None, use_errno=True)
    watcher = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if watcher < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    loop, woken = asyncio.get_running_loop(), asyncio.Event()
    came: list[tuple[int, str]] = []

    def read() -> None:
        came.extend(_events(os.read(watcher, _READ)))
        woken.set()

    try:
        mask = _CLOSE_WRITE | _MOVED_TO | _CREATE | _DELETE_SELF | _MOVE_SELF | _ONLYDIR | _DONT_FOLLOW
        if libc.inotify_add_watch(watcher, os.fsencode(folder), mask) < 0:
            raise OSError(ctypes.get_errno(), f"inotify: {folder}")
        loop.add_reader(watcher, read)
        # Watched first and looked at then: what comes in between is seen twice and not missed.
        yield
        while True:
            await woken.wait()
            woken.clear()
            happened, came[:] = tuple(came), ()
            if any(mask & _GONE for mask, _ in happened):
                return
            if any(mask & _OVERFLOW or wanted(name) for mask, name in happened):
                yield
    finally:
        loop.remove_reader(watcher)
        os.close(watcher)


def _events(data: bytes) -> list[tuple[int, str]]:
    """(mask, name) of each event."""
    found, start = [], 0
    while start < len(data):
        _, mask, _, size = _EVENT.unpack_from(data, start)
        start += _EVENT.size
        found.append((mask, os.fsdecode(data[start : start + size].rstrip(b"\0"))))
        start += size
    return found


async def _by_watchfiles(folder: Path, wanted: Wanted) -> AsyncGenerator[None, None]:
    import watchfiles  # 10 ms and 3 MB that Linux does without

    yield
    async for changes in watchfiles.awatch(
        folder, step=_STEP_MS, rust_timeout=_GLANCE_MS, yield_on_timeout=True, recursive=False, watch_filter=None
    ):
        if not os.path.isdir(folder):  # noqa: ASYNC240 - one call in five seconds
            return
        # Nothing changed: looked all the same, because a file may have come between the first look and the watch.
        if not changes or any(wanted(Path(path).name) for _, path in changes):
            yield
