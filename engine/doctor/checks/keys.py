"""Keys, token and home: this user's, and nobody else's to read (edge)."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.doctor.check import Check, Saw, cannot
from engine.doctor.scene import Scene
from engine.home import things
from engine.model.exam import judged, unused
from engine.model.finding import Finding, Severity


class Thing(msgspec.Struct, frozen=True):
    """A file or folder as it lies there."""

    path: str
    mode: int
    owner: int
    folder: bool
    secret: bool


def look(scene: Scene) -> Saw:
    """Who may read what."""
    if not scene.home.exists():
        return unused(f"{scene.home} does not exist yet; it is made at the first start")
    seen = list(_things(scene))
    return judged(f"{len(seen)} files and folders looked at", judge(seen, os.geteuid()))


def judge(seen: list[Thing], me: int) -> list[Finding]:
    """Those that belong to somebody else, and those that others may read."""
    found = []
    for one in seen:
        wanted = "700" if one.folder else "600"
        if one.owner != me:
            what = f"owned by uid {one.owner}, this is uid {me}"
            step = f"sudo chown {me} {one.path}"
            found.append(Finding("keys.owner", "A file is another user's", Severity.HIGH, what, one.path, step))
        elif one.mode & (0o022 if not one.secret and not one.folder else 0o077):
            what = f"mode {one.mode:04o}; it must be {wanted}" + ("" if one.folder else ", or others could be you")
            severe = Severity.HIGH if one.secret or one.folder else Severity.LOW
            step = f"chmod {wanted} {one.path}"
            title = "Others can read a key" if one.secret else "Others can get at the files"
            found.append(Finding("keys.mode", title, severe, what, one.path, step, fixable=True))
    return found


def fix(scene: Scene, finding: Finding) -> str:
    """Close it to others."""
    path = Path(finding.subject)
    if finding.code != "keys.mode" or not path.is_relative_to(scene.home) or path.is_symlink():
        raise cannot(PermissionError(1, "not ours to change", str(path)), finding.next_step)
    wanted = 0o700 if path.is_dir() else 0o600
    try:
        path.chmod(wanted)
    except OSError as error:
        raise cannot(error, finding.next_step) from None
    return f"chmod {wanted:o} {path}"


def _things(scene: Scene) -> Iterator[Thing]:
    named = scene.environ.get("FLEET_KEY_FILE")
    paths = [(scene.home, False), *((path, entry.secret) for path, entry in things(scene.home))]
    for path, secret in (*paths, *([(Path(named), True)] if named else ())):
        try:
            seen = path.lstat()
        except OSError:
            continue
        if not stat.S_ISLNK(seen.st_mode):
            yield Thing(str(path), stat.S_IMODE(seen.st_mode), seen.st_uid, stat.S_ISDIR(seen.st_mode), secret)


CHECK = Check("keys", "keys and permissions", look, fix)
