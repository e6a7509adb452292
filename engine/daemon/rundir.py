"""Where a home's sockets lie (edge).

The rule, in order:

1. `<home>/run`, when the longest socket name still fits: a Unix socket's path ends at 104 bytes on macOS, 108 on Linux;
2. otherwise a folder named by the hash of the home's real path, under `$XDG_RUNTIME_DIR/fleet` or `/tmp/fleet-<uid>`.

The node that chooses the second leaves `<home>/run` behind as a link to it. So a stub with another environment (ssh,
cron, a service) finds the same sockets.

`run_dir` looks and writes nothing; `make_run_dir` is for the node. Both refuse a folder that is not this user's alone:
whoever owns it could stand between a person and the node.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

LONGEST_PATH = 100  # bytes, four below macOS's limit
LONGEST_NAME = len("/tty.sock")


def run_dir(home: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of `home`'s sockets, which may not exist yet. Raises `FleetError` `home.foreign`."""
    near = _near(home)
    if near.is_symlink():
        return _checked(Path(os.readlink(near)), near)
    return _checked(near if _fits(near) else _far(near, environ), near)


def make_run_dir(home: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The same folder, made with mode 0700, and recorded as `<home>/run`. Raises `FleetError` `home.foreign`."""
    near, folder = _near(home), run_dir(home, environ)
    for place in (folder.parent, folder) if folder != near else (folder,):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        _ours(place).chmod(0o700)
    if folder != near and not near.is_symlink():
        near.symlink_to(folder)
    return folder


def _near(home: Path) -> Path:
    return Path(os.path.realpath(home)) / "run"


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder)) + LONGEST_NAME <= LONGEST_PATH


def _far(near: Path, environ: Mapping[str, str]) -> Path:
    import hashlib  # 5 ms that the stub only pays for a home this deep

    name = hashlib.sha256(os.fsencode(near)).hexdigest()[:16]
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    folder = Path(runtime) / "fleet" / name
    if os.path.isabs(runtime) and os.path.isdir(runtime) and _fits(folder):
        return folder
    return Path(f"/tmp/fleet-{os.getuid()}") / name


def _checked(folder: Path, near: Path) -> Path:
    """`folder`; a far one and the folder around it must be this user's, for both lie where others may write."""
    if folder != near:
        _ours(folder.parent)
    return _ours(folder)


def _ours(place: Path) -> Path:
    """`place`, if it is this user's folder or does not exist yet."""
    try:
        found = os.lstat(place)
    except FileNotFoundError:
        return place
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
        return place
    from engine.errors import Fault, FleetError  # the stub starts without msgspec

    raise FleetError(
        "home.foreign",
        "The socket folder is not yours",
        f"{place} belongs to someone else, or is no folder",
        f"look at it with `ls -ld {place}`; then remove it, or choose another --home",
        Fault.WORLD,
    )
