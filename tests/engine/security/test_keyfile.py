"""A node's key is made once, read by nobody else, and never replaced by another."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from engine.errors import FleetError
from engine.home import KEY, STORE
from engine.security import keyfile
from engine.security.identity import Identity
from engine.security.keyfile import check, load, write_tls

NOBODY = 65_534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refused(code: str, home: Path, key_file: Path | None = None) -> FleetError:
    with pytest.raises(FleetError) as caught:
        load(home, key_file)
    assert caught.value.code == code
    assert caught.value.next_step
    return caught.value


def test_first_start_makes_a_key(home: Path) -> None:
    """Home 0700, key 0600, nothing else left behind, whatever the umask; the second start reads the same seed."""
    inner = home / "data" / "node"
    before = os.umask(0)
    try:
        seed = load(inner)
    finally:
        os.umask(before)
    assert len(seed) == 32
    assert load(inner) == seed
    assert (mode(inner), mode(inner / KEY)) == (0o700, 0o600)
    assert os.listdir(inner) == [KEY]


def test_two_homes_are_two_nodes(home: Path) -> None:
    """A seed is chance."""
    assert load(home / "1") != load(home / "2")


def test_starting_at_once_makes_one_key(home: Path) -> None:
    """Of any number of processes that start together each ends with the same seed."""
    gate = Barrier(8)

    def start(_: int) -> bytes:
        gate.wait()
        return load(home)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 1
    assert os.listdir(home) == [KEY]


def test_losing_the_race_takes_the_other_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that appears between looking and writing is kept."""
    winner = load(home)
    monkeypatch.setattr(keyfile.os.path, "lexists", lambda _: False)
    assert load(home) == winner


@pytest.mark.parametrize("loose", [0o644, 0o640, 0o604, 0o660, 0o602])
def test_a_key_others_can_read_is_refused(home: Path, loose: int) -> None:
    """The error is the command that mends it, and that command mends it."""
    seed = load(home)
    key = home / KEY
    key.chmod(loose)
    step = refused("node.key_mode", home).next_step
    assert step == f"chmod 600 {key}"
    subprocess.run(step.split(), check=True)
    assert load(home) == seed


@pytest.mark.parametrize("loose", [0o755, 0o750, 0o701])
def test_a_home_others_can_enter_is_refused(home: Path, loose: int) -> None:
    """Before a key is made in it, too."""
    home.chmod(loose)
    assert refused("node.key_mode", home).next_step == f"chmod 700 {home}"
    assert os.listdir(home) == []


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda line: b"",
    "garbage": lambda line: b"\xff\x00garbage",
    "another form": lambda line: line.replace(b"key-1", b"key-2"),
    "no checksum": lambda line: b" ".join(line.split()[:2]),
    "cut in the seed": lambda line: line[:40],
    "cut in the checksum": lambda line: line[:-4],
    "a letter changed": lambda line: line[:30] + (b"a" if line[30:31] != b"a" else b"b") + line[31:],
    "a letter that is none": lambda line: line[:30] + b"1" + line[31:],
    "more behind it": lambda line: line + b"more\n",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_key_is_said_and_kept(home: Path, damage: Callable[[bytes], bytes]) -> None:
    """What cannot be read is never overwritten: a new key would be a new node that no fleet knows."""
    load(home)
    key = home / KEY
    spoilt = damage(key.read_bytes())
    key.write_bytes(spoilt)
    error = refused("node.key", home)
    assert str(key) in error.detail
    assert key.read_bytes() == spoilt


def test_a_key_that_is_gone_is_not_made_again(home: Path) -> None:
    """Where a store lies a node has lived; only its own key may open it, wherever that is now."""
    seed = load(home)
    (home / STORE).write_bytes(b"")
    (home / KEY).rename(home / "moved")
    for start in (load, check):
        with pytest.raises(FleetError) as caught:
            start(home)
        assert caught.value.code == "node.key"
        assert f"mv {home} {home}.aside" in caught.value.next_step
    assert sorted(os.listdir(home)) == [STORE, "moved"]
    assert load(home, home / "moved") == seed


def test_every_letter_of_a_key_counts(home: Path) -> None:
    """No single changed letter goes unnoticed."""
    load(home)
    key = home / KEY
    line = key.read_bytes()
    for at in range(len(line) - 1):
        key.write_bytes(line[:at] + (b"q" if line[at : at + 1] != b"q" else b"r") + line[at + 1 :])
        refused("node.key", home)


def test_what_is_no_file_is_no_key(home: Path) -> None:
    """A directory, a pipe, or a link that leads nowhere is an error, at once."""
    for make in (lambda path: path.mkdir(), lambda path: os.mkfifo(path, 0o600), lambda path: path.symlink_to("gone")):
        make(home / KEY)
        refused("node.key", home)
        subprocess.run(["rm", "-r", str(home / KEY)], check=True)


def test_a_home_that_is_a_file_is_said(home: Path) -> None:
    """The data directory cannot be used, and why."""
    (home / "file").write_text("")
    assert str(home / "file") in refused("node.home", home / "file" / "node").detail


def test_another_key_file(home: Path) -> None:
    """`FLEET_KEY_FILE` is read where it lies, held to the same modes, and never made."""
    seed = load(home / "elsewhere")
    key = home / "elsewhere" / KEY
    assert load(home / "node", key) == seed
    assert os.listdir(home / "node") == []
    key.chmod(0o644)
    assert refused("node.key_mode", home / "node", key).next_step == f"chmod 600 {key}"
    refused("node.key", home / "node", home / "nothing")
    assert not (home / "nothing").exists()


AS_NOBODY = """
import os, sys
from pathlib import Path
from engine.errors import FleetError
from engine.security.keyfile import load
os.setgroups([]); os.setgid({nobody}); os.setuid({nobody})
try:
    load(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
except FleetError as error:
    print(error.code, error.detail, error.next_step, sep="|")
"""


def as_nobody(*paths: Path) -> str:
    """What another user is told who starts with these paths."""
    script = AS_NOBODY.format(nobody=NOBODY)
    run = subprocess.run([sys.executable, "-c", script, *map(str, paths)], capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.slow
@pytest.mark.needs_root
def test_another_user_is_told(home: Path) -> None:
    """A read-only home, a home of somebody else and an unreadable key: each an error with its next step."""
    load(home)
    assert as_nobody(home).startswith("node.key_mode|")
    assert f"chown -R {NOBODY}" in as_nobody(home)
    home.chmod(0o755)
    (home / "mine").mkdir(mode=0o700)
    os.chown(home / "mine", NOBODY, NOBODY)
    assert as_nobody(home / "mine", home / KEY).startswith(f"node.key|{home / KEY}: Permission denied")
    (home / "mine").chmod(0o500)
    assert as_nobody(home / "mine").startswith(f"node.home|{home / 'mine'}: Permission denied")
    assert as_nobody(home / "new").startswith("node.home|")


def test_files_for_tls(home: Path) -> None:
    """Certificate and key lie in the home at 0600; the same identity leaves them alone, another or a stranger's hand
    has them written anew."""
    first = Identity(b"a" * 32)
    cert, key = write_tls(home, first)
    assert (cert.read_bytes(), key.read_bytes()) == (first.tls_cert_pem, first.tls_key_pem)
    assert (mode(cert), mode(key)) == (0o600, 0o600)
    was = key.stat()
    write_tls(home, first)
    assert (key.stat().st_ino, key.stat().st_mtime_ns) == (was.st_ino, was.st_mtime_ns)
    key.chmod(0o644)
    write_tls(home, first)
    assert mode(key) == 0o600
    second = Identity(b"b" * 32)
    assert write_tls(home, second)[1].read_bytes() == second.tls_key_pem
    assert sorted(os.listdir(home)) == [cert.name, key.name]
