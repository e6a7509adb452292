"""A look at the machine, with a real git."""

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.membership.look import OUTPUT_LIMIT, Looker, read
from engine.model.packets import Heartbeat, pack


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=f", "-c", "user.email=f@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "known").write_text("one")
    git(tmp_path, "add", "known")
    return tmp_path


@pytest.mark.needs("git")
async def test_a_repository_before_its_first_commit(repo: Path) -> None:
    """There is a branch and no head yet."""
    seen = await Looker(str(repo)).look()
    assert (seen.branch, seen.head, seen.dirty, seen.cwd) == ("main", "", 1, str(repo))


@pytest.mark.needs("git")
async def test_branch_head_and_changes_are_seen(repo: Path) -> None:
    """Twelve digits of the head; changed files that git knows; untracked ones are not searched for."""
    git(repo, "commit", "-q", "-m", "one")
    (repo / "known").write_text("two")
    (repo / "unknown").write_text("new")
    seen = await Looker(str(repo)).look()
    assert (seen.branch, seen.head, seen.dirty) == ("main", git(repo, "rev-parse", "HEAD")[:12], 1)
    assert seen.load >= 0


@pytest.mark.needs("git")
async def test_looking_takes_no_locks(repo: Path) -> None:
    """A look in the middle of somebody's commit neither waits nor fails."""
    (repo / ".git" / "index.lock").touch()
    assert (await Looker(str(repo)).look()).branch == "main"


@pytest.mark.parametrize("where", ["", "missing"])
async def test_elsewhere_git_says_nothing(tmp_path: Path, where: str) -> None:
    """Outside a repository, or in a directory that is gone, the fields are empty and there is still a load."""
    seen = await Looker(str(tmp_path / where)).look()
    assert (seen.branch, seen.head, seen.dirty) == ("", "", 0)


async def test_without_git_there_is_still_a_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without git is looked at all the same."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (await Looker(str(tmp_path)).look()).branch == ""


def pretend(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program named git that does what a slow or talkative one does."""
    program = folder / "git"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


async def test_a_slow_git_is_cut_off_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed at the deadline; the next look does not start it again, since it has had its share of the time."""
    monkeypatch.setattr("engine.membership.look.DEADLINE_S", 0.2)
    pretend(tmp_path, f"echo x >> {tmp_path}/started; exec sleep 600", monkeypatch)
    looker = Looker(str(tmp_path))
    assert (await asyncio.wait_for(looker.look(), 30)).branch == ""
    await asyncio.wait_for(looker.look(), 30)
    assert (tmp_path / "started").read_text() == "x\n"


async def test_a_talkative_git_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million changed files are known to be many; nobody waits to count them."""
    pretend(tmp_path, 'echo "# branch.head main"; exec yes "1 .M changed"', monkeypatch)
    seen = await asyncio.wait_for(Looker(str(tmp_path)).look(), 30)
    assert seen.branch == "main"
    assert 1_000 < seen.dirty < OUTPUT_LIMIT


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("", ("", "", 0)),
        ("# branch.oid (initial)\n# branch.head main", ("main", "", 0)),
        ("# branch.oid 0123456789abcdef\n# branch.head (detached)\n1 .M x\nu UU y", ("(detached)", "0123456789ab", 2)),
        ("# branch.head\n# stash 1", ("", "", 0)),
    ],
)
def test_what_git_says_is_read(said: str, seen: tuple[str, str, int]) -> None:
    """Porcelain version 2: headers by name, one line a changed or unmerged file."""
    assert read(said) == seen


@pytest.mark.skipif(sys.platform == "darwin", reason="APFS takes no name that is not UTF-8")
async def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    """What is told of it fits a heartbeat: the name's odd bytes are replaced."""
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    os.mkdir(folder)
    seen = await Looker(folder).look()
    assert pack(Heartbeat(0, "1", cwd=seen.cwd)).find("\ufffd".encode()) > 0
