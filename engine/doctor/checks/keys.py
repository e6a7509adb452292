"""Keys, token and home: of the kind a start takes, this user's, and nobody else's to read (edge).

A secret that is a link is judged by where it leads, for that is what a start reads; of the device key a start is asked
itself. What is of another kind than it must be is a person's to mend: something of theirs lies there.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.doctor.check import Check, Saw, cannot
from engine.doctor.scene import Scene
from engine.errors import FleetError
from engine.home import KEY, Entry, Shape, aside, misplaced, things
from engine.model.exam import judged, unused
from engine.model.finding import Finding, Severity
from engine.security import keyfile


class Thing(msgspec.Struct, frozen=True):
    """A file or folder as it lies there. `wrong`: what lies there, if something else belongs there.
    `real`: where it leads, if it is a link."""

    path: str
    mode: int
    owner: int
    folder: bool
    secret: bool
    wrong: str = ""
    real: str = ""


def look(scene: Scene) -> Saw:
    """What lies where, and who may read what."""
    if not scene.home.exists():
        return unused(f"{scene.home} does not exist yet; it is made at the first start")
    seen = list(_things(scene))
    found = [*judge(seen, os.geteuid()), *_unreadable(scene)]
    return judged(f"{len(seen)} files and folders looked at", found)


def judge(seen: list[Thing], me: int) -> list[Finding]:
    """Those of another kind, those that belong to somebody else, and those that others may read."""
    found = []
    for one in seen:
        wanted, real = "700" if one.folder else "600", one.real or one.path
        if one.wrong:
            title, step = "Something else lies where this belongs", aside(Path(one.path))
            found.append(Finding("keys.kind", title, Severity.HIGH, one.wrong, one.path, step))
        elif one.owner != me:
            what = f"{_leads(one)}owned by uid {one.owner}, this is uid {me}"
            step = f"sudo chown {me} {real}"
            found.append(Finding("keys.owner", "A file is another user's", Severity.HIGH, what, one.path, step))
        elif one.mode & (0o022 if not one.secret and not one.folder else 0o077):
            closed = "" if one.folder else ", or others could be you"
            what = f"{_leads(one)}mode {one.mode:04o}; it must be {wanted}{closed}"
            severe = Severity.HIGH if one.secret or one.folder else Severity.LOW
            step = f"chmod {wanted} {real}"
            title = "Others can read a key" if one.secret else "Others can get at the files"
            # What a link leads to may not be the home's.
            found.append(Finding("keys.mode", title, severe, what, one.path, step, fixable=not one.real))
    return found


def _leads(one: Thing) -> str:
    return f"a link to {one.real}: " if one.real else ""


def _unreadable(scene: Scene) -> list[Finding]:
    """What a start says of the device key. That others can read it is found as of any other secret."""
    named = scene.environ.get("FLEET_KEY_FILE")
    try:
        keyfile.check(scene.home, Path(named) if named else None)
    except FleetError as error:
        if error.code == "node.key":
            subject = named or str(scene.home / KEY)
            return [Finding(error.code, error.title, Severity.HIGH, error.detail, subject, error.next_step)]
    return []


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
    entries = [(scene.home, Entry("", shape=Shape.FOLDER)), *things(scene.home)]
    entries += [(Path(named), Entry(KEY, secret=True))] if named else []
    for path, entry in entries:
        try:
            seen, link = path.stat(), path.is_symlink()
        except OSError:
            continue
        wrong = misplaced(path, entry.shape)
        if wrong and entry.pattern == KEY:
            continue  # a start's own rule says so
        if link and not (wrong or entry.secret or entry.shape is Shape.FOLDER):
            continue  # whoever keeps it elsewhere decides who reads it there
        folder, real = stat.S_ISDIR(seen.st_mode), str(path.resolve()) if link else ""
        yield Thing(str(path), stat.S_IMODE(seen.st_mode), seen.st_uid, folder, entry.secret, wrong, real)


CHECK = Check("keys", "keys and permissions", look, fix)
