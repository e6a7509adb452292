"""P4: what may lie in a seed folder, what is taken from it, and what a machine says that cannot keep a file."""

import asyncio
import errno
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.model.channel import Outcome, Verdict
from engine.model.envelope import CARRIAGE_LIMIT
from engine.signals import Found, Rejected, Signal
from engine.transports.seed import bed as folder
from engine.transports.seed.bed import KEPT, Seedbed
from engine.transports.seed.channel import Seed
from engine.transports.ssh import voucher
from engine.transports.ssh.lines import UNPROVED, SshLines
from tests.e2e.until import LOOK_S
from tests.nodes import Inbox, vouched
from tests.sshd import Sshd

FOREVER_S = 30.0
CLOCK = SystemClock()


class Bed:
    """A seed folder that is watched."""

    def __init__(self, home: Path):
        self.folder = home / "seed-in"
        self.inbox = Inbox()
        self.signals: asyncio.Queue[Signal] = asyncio.Queue()
        self.bed = Seedbed(self.folder, self.signals.put_nowait)

    def name(self) -> str:
        """A fresh name that a seed may have."""
        return CLOCK.new_id(CLOCK.now()) + ".seed"

    def leave(self, data: bytes) -> Path:
        """A seed, as a peer leaves it."""
        whole = self.folder / self.name()
        part = whole.with_suffix(".seed.part")
        part.write_bytes(data)
        part.rename(whole)
        return whole

    async def rejected(self) -> str:
        """Why the next thing was not taken."""
        async with asyncio.timeout(FOREVER_S):
            signal = await self.signals.get()
        assert isinstance(signal, Rejected)
        return signal.why

    async def still_works(self) -> None:
        """The next seed is taken, and nothing came before it."""
        self.leave(b"good")
        async with asyncio.timeout(FOREVER_S):
            assert await self.inbox.came.get() == b"good"
        assert self.inbox.came.empty()

    def left(self) -> list[str]:
        """What lies in the folder."""
        return sorted(one.name for one in self.folder.iterdir() if one.name != folder.REFUSED)


@pytest.fixture
async def bed(home: Path) -> AsyncIterator[Bed]:
    made = Bed(home)
    await made.bed.open(made.inbox)
    yield made
    await made.bed.close()


async def test_a_seed_is_taken_once_and_removed(bed: Bed) -> None:
    """It goes to the engine as it is; afterwards the folder, which is this user's alone, is empty."""
    bed.leave(b"frames")
    assert await bed.inbox.came.get() == b"frames"
    await bed.still_works()
    while bed.left():
        await asyncio.sleep(LOOK_S)
    assert bed.folder.stat().st_mode & 0o777 == 0o700


async def test_what_lay_there_before_the_start_is_taken_in_order(home: Path) -> None:
    """A node that was down finds what was left meanwhile, oldest first, however much."""
    made = Bed(home)
    made.folder.mkdir(mode=0o777)
    wanted = [f"seed {number}".encode() for number in range(folder.AT_ONCE + 10)]
    for data in wanted:
        made.leave(data)
    await made.bed.open(made.inbox)
    assert [await made.inbox.came.get() for _ in wanted] == wanted
    assert made.folder.stat().st_mode & 0o777 == 0o700
    await made.bed.close()


async def test_what_is_being_written_is_left_alone(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file under its temporary name is nobody's business; given up long ago, it is swept away."""
    part = bed.folder / (bed.name() + ".part")
    part.write_bytes(b"half")
    await bed.still_works()
    assert bed.left() == [part.name]
    monkeypatch.setattr(folder, "GIVEN_UP_S", -1.0)
    await bed.still_works()
    assert not part.exists()
    assert bed.signals.empty()


async def test_our_own_voucher_is_left_there(bed: Bed) -> None:
    """It is for whoever comes, and no foreign file; left again, it is the same file, and a damaged one is replaced."""
    for said in (b"a" * voucher.SIZE, b"b" * voucher.SIZE):
        voucher.leave(bed.folder, said)
        before = (bed.folder / voucher.NAME).stat().st_ino
        voucher.leave(bed.folder, said)
        assert (bed.folder / voucher.NAME).stat().st_ino == before
        await bed.still_works()
        assert (bed.folder / voucher.NAME).read_bytes() == said
    assert bed.signals.empty()


FOREIGN = ["link", "dangling", "folder", "pipe", "socket", "name", "hidden", "upper", "long", "newline"]


def plant(bed: Bed, what: str, secret: Path) -> Path:
    """Something in the folder that no honest peer leaves there."""
    name = bed.folder / bed.name()
    if what == "link":
        name.symlink_to(secret)
    elif what == "dangling":
        name.symlink_to("/nowhere/at/all")
    elif what == "folder":
        name.mkdir()
    elif what == "pipe":
        os.mkfifo(name)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(name))
    else:
        names = {
            "name": "notes.txt",
            "hidden": "." + name.name,
            "upper": name.name.upper(),
            "long": "A" * 250,
            "newline": name.name + "\n",
        }
        name = bed.folder / names[what]
        name.write_bytes(b"whatever")
    return name


@pytest.mark.parametrize("what", FOREIGN)
async def test_what_is_foreign_is_moved_away_unopened(bed: Bed, home: Path, what: str) -> None:
    """Links, folders, pipes, sockets and other names are counted and out of the way; what a link names is untouched."""
    secret = home / "secret"
    secret.write_bytes(b"not for the engine")
    planted = plant(bed, what, secret)
    assert await bed.rejected() == "foreign"
    await bed.still_works()
    assert not os.path.lexists(planted)
    assert secret.read_bytes() == b"not for the engine"
    assert bed.signals.empty()


@pytest.mark.needs_root
async def test_another_users_file_is_foreign(bed: Bed) -> None:
    """Whoever else could put a file there is not believed."""
    part = bed.folder / (bed.name() + ".part")
    part.write_bytes(b"frames")
    os.chown(part, 12_345, 12_345)
    part.rename(part.with_suffix(""))
    assert await bed.rejected() == "foreign"
    await bed.still_works()


async def test_too_large_a_file_is_refused_unread(bed: Bed) -> None:
    """A file beyond what a delivery may carry costs its size on disk and nothing else."""
    part = bed.folder / (bed.name() + ".part")
    with part.open("wb") as file:
        file.truncate(1 << 40)
    part.rename(part.with_suffix(""))
    assert await bed.rejected() == "oversized"
    await bed.still_works()
    bed.leave(bytes(CARRIAGE_LIMIT))
    assert len(await bed.inbox.came.get()) == CARRIAGE_LIMIT


async def test_what_was_refused_does_not_fill_the_disk(bed: Bed) -> None:
    """Only the newest are kept."""
    for number in range(2 * KEPT):
        (bed.folder / f"junk{number}").write_bytes(b"x")
        assert await bed.rejected() == "foreign"
    assert len(list((bed.folder / folder.REFUSED).iterdir())) <= KEPT


async def test_while_the_node_is_busy_seeds_wait(bed: Bed) -> None:
    """Nothing is lost and nothing is told twice: what could not be taken is offered again."""
    bed.inbox.busy = True
    left = [bed.leave(f"{number}".encode()) for number in range(3)]
    await bed.inbox.asked.wait()
    bed.inbox.busy = False
    assert [await bed.inbox.came.get() for _ in left] == [b"0", b"1", b"2"]


async def test_a_seed_that_cannot_be_read_now_is_not_foreign(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of descriptors: it stays and is taken when there are some, the one behind it at once; the trouble is told."""
    made = Bed(home)
    made.folder.mkdir()
    first, _ = made.leave(b"first"), made.leave(b"second")
    usual, short = folder._read, True

    def read(where: Path, name: str) -> bytes:
        if short and name == first.name:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return usual(where, name)

    monkeypatch.setattr(folder, "_read", read)
    monkeypatch.setattr(folder, "AGAIN_S", LOOK_S)
    await made.bed.open(made.inbox)
    assert await made.inbox.came.get() == b"second"
    assert isinstance(told := await made.signals.get(), Found)
    assert told.present
    short = False
    assert await made.inbox.came.get() == b"first"
    assert isinstance(over := await made.signals.get(), Found)
    assert not over.present
    await made.bed.close()


def test_what_opening_says_of_a_seed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link is foreign; that nothing can be opened now says nothing of the seed."""
    made = Bed(home)
    made.folder.mkdir()
    seed, link = made.leave(b"seed"), made.folder / made.name()
    link.symlink_to(seed)
    with pytest.raises(folder._Foreign):
        folder._read(made.folder, link.name)
    usual = os.open

    def opened(name: str, flags: int, *, dir_fd: int | None = None) -> int:
        if name == seed.name:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return usual(name, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", opened)
    with pytest.raises(OSError, match="open files"):
        folder._read(made.folder, seed.name)


async def test_a_folder_that_was_taken_away_is_made_again(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody tidied up: a moment later seeds are taken as before."""
    monkeypatch.setattr(folder, "AGAIN_S", LOOK_S)
    shutil.rmtree(bed.folder)
    async with asyncio.timeout(FOREVER_S):
        while not bed.folder.exists():
            await asyncio.sleep(LOOK_S)
    await bed.still_works()


async def test_what_stands_in_the_place_of_refused_is_foreign_itself(bed: Bed, home: Path) -> None:
    """A link there leads to somebody's files: it is put aside like any other, and nothing behind it is touched."""
    precious = home / "precious"
    precious.mkdir()
    for number in range(2 * KEPT):
        (precious / f"{number:020d}").write_text("dear")
    (bed.folder / folder.REFUSED).symlink_to(precious)
    (bed.folder / "foreign").write_text("x")
    assert [await bed.rejected(), await bed.rejected()] == ["foreign", "foreign"]
    await bed.still_works()
    aside = bed.folder / folder.REFUSED
    assert aside.is_dir()
    assert not aside.is_symlink()
    assert sorted(one.is_symlink() for one in aside.iterdir()) == [False, True]
    assert len([one for one in precious.iterdir() if one.read_text() == "dear"]) == 2 * KEPT


async def test_only_what_was_put_aside_makes_room(bed: Bed, home: Path) -> None:
    """A folder goes with all that is in it, and nothing that a link in it names; what a person laid there stays."""
    precious = home / "precious"
    precious.mkdir()
    (precious / "letter").write_text("dear")
    aside = bed.folder / folder.REFUSED
    aside.mkdir()
    (aside / "mine").write_text("dear")
    for number in range(KEPT + 4):
        full = home / f"junk{number}"
        full.mkdir()
        (full / "file").write_text("x")
        (full / "link").symlink_to(precious)
        full.rename(bed.folder / full.name)
        assert await bed.rejected() == "foreign"
    assert len(list(aside.iterdir())) == KEPT + 1
    assert [(aside / "mine").read_text(), (precious / "letter").read_text()] == ["dear", "dear"]


async def test_a_folder_that_is_not_ours_is_not_used(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A link where the folder should be is one finding and one line of the log, however long it lasts; nothing behind
    it is touched, and once it is gone the folder is used."""
    looks, look = list[Path](), folder._made

    def looked(path: Path) -> None:
        looks.append(path)
        look(path)

    monkeypatch.setattr(folder, "AGAIN_S", LOOK_S)
    monkeypatch.setattr(folder, "_made", looked)
    elsewhere, made = home / "elsewhere", Bed(home)
    elsewhere.mkdir()
    (elsewhere / "dear").write_text("dear")
    made.folder.symlink_to(elsewhere)
    await made.bed.open(made.inbox)
    found = await made.signals.get()
    async with asyncio.timeout(FOREVER_S):
        while len(looks) < 5:
            await asyncio.sleep(LOOK_S)
    assert isinstance(found, Found)
    assert (found.finding.code, found.present, made.signals.qsize()) == (folder.UNUSABLE, True, 0)
    assert len([one for one in caplog.records if "seed folder" in one.message]) == 1
    with pytest.raises(OSError, match=r"directory|symbolic"):
        voucher.leave(made.folder, b"a" * voucher.SIZE)
    assert [one.name for one in elsewhere.iterdir()] == ["dear"]
    made.folder.unlink()
    async with asyncio.timeout(FOREVER_S):
        over = await made.signals.get()
    assert isinstance(over, Found)
    assert not over.present
    await made.still_works()
    await made.bed.close()


# ------------------------------------------------------------------------------------------------ over a real sshd


class Far:
    """The machine of a peer, as the one sees it that leaves seeds there."""

    def __init__(self, home: Path, sftp: str = "internal-sftp"):
        self.sshd = Sshd(sftp=sftp).start()
        self.seeds = home / "far"
        self.target = vouched("far", (self.sshd.host,), self.sshd.way(seeds=str(self.seeds)))
        self.lines = SshLines(self.sshd.config)
        self.sender = Seed(self.lines, home / "near", lambda signal: None)

    async def leave(self, data: bytes = b"frames") -> Outcome:
        """One delivery."""
        return await self.sender.deliver(data, self.target, FOREVER_S)

    def left(self) -> list[Path]:
        """What lies there besides its voucher."""
        return [one for one in self.seeds.iterdir() if one.name != voucher.NAME]

    async def close(self) -> None:
        await self.sender.close()
        await self.lines.close()
        self.sshd.end()


@pytest.fixture
async def far(home: Path) -> AsyncIterator[Far]:
    made = Far(home)
    yield made
    await made.close()


@pytest.fixture
def small(home: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = home / "far"
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.mark.slow
@pytest.mark.needs("sshd")
async def test_a_whole_file_lies_there_for_its_user_alone(far: Far) -> None:
    """One name of the right form, the bytes, mode 0600, and nothing half done beside it."""
    assert await far.leave() == Outcome(Verdict.LANDED)
    (left,) = far.left()
    assert folder._SEED.fullmatch(left.name)
    assert left.read_bytes() == b"frames"
    assert left.stat().st_mode & 0o777 == 0o600


def _removed(far: Far) -> None:
    (far.seeds / voucher.NAME).unlink()


def _another(far: Far) -> None:
    """Another member lives there, and its own word lies there."""
    vouched("victim", (), far.sshd.way(seeds=str(far.seeds)))


def _otherwise(far: Far) -> None:
    """The word is its own, and about another machine."""
    vouched("far", (), far.sshd.way(seeds=str(far.seeds), host_keys=("ssh-ed25519 AAAA",)))


def _unpacked(far: Far) -> None:
    """As an archive of source code would leave it."""
    (far.seeds / voucher.NAME).chmod(0o600)


def _shared(far: Far) -> None:
    far.seeds.chmod(0o755)


def _pipe(far: Far) -> None:
    """Whoever opened it would wait for ever."""
    _removed(far)
    os.mkfifo(far.seeds / voucher.NAME, voucher.MODE)


def _link(far: Far) -> None:
    """The folder leads elsewhere."""
    far.seeds.rename(far.seeds.with_name("elsewhere"))
    far.seeds.symlink_to(far.seeds.with_name("elsewhere"))


FAKED = [_removed, _another, _otherwise, _unpacked, _shared, _pipe, _link]


@pytest.mark.slow
@pytest.mark.needs("sshd")
async def test_nothing_is_left_at_an_sshd_that_is_not_proved(far: Far) -> None:
    """Whoever announces another's sshd gets no file put there, whatever lies in the folder but the peer's own word for
    just this; once that lies there, the channel works, and does not ask again."""
    for fake in FAKED:
        fake(far)
        before = sorted(os.listdir(far.seeds))
        outcome = await far.leave()
        assert (outcome.verdict, outcome.hard, outcome.note) == (Verdict.LOST, True, UNPROVED), fake
        assert sorted(os.listdir(far.seeds)) == before, fake
        far.seeds.unlink() if far.seeds.is_symlink() else shutil.rmtree(far.seeds)
        vouched("far", (), far.sshd.way(seeds=str(far.seeds)))
    assert await far.leave() == Outcome(Verdict.LANDED)
    _removed(far)
    assert await far.leave() == Outcome(Verdict.LANDED)


@pytest.mark.slow
@pytest.mark.needs("sshd")
async def test_a_server_that_cannot_sync_is_named(home: Path) -> None:
    """It landed, and what that is worth is said."""
    far = Far(home, sftp="internal-sftp -P fsync")
    outcome = await far.leave()
    assert outcome.verdict is Verdict.LANDED
    assert "cannot fsync" in outcome.note
    await far.close()


@pytest.mark.slow
@pytest.mark.needs("sshd")
async def test_a_missing_folder_is_named(far: Far) -> None:
    """The peer's home was moved; once the folder is back, so is the channel."""
    await far.leave()
    shutil.rmtree(far.seeds)
    outcome = await far.leave()
    assert (outcome.verdict, outcome.hard, outcome.note) == (Verdict.LOST, True, "its seed folder is missing")
    far.seeds.mkdir()
    assert (await far.leave()).verdict is Verdict.LANDED


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.needs("sshd")
async def test_a_full_and_a_read_only_disk_are_named(far: Far, small: Path) -> None:
    """Nothing half written is left; what fits still lands."""
    await far.leave()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(small)], check=True)
    outcome = await far.leave(bytes(1 << 20))
    assert (outcome.verdict, outcome.hard, outcome.note) == (Verdict.REFUSED, True, "its disk is full")
    assert list(small.iterdir()) == []
    assert (await far.leave()).verdict is Verdict.LANDED
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    outcome = await far.leave()
    assert (outcome.verdict, outcome.hard, outcome.note) == (Verdict.LOST, True, "its seed folder is read-only")


@pytest.mark.slow
@pytest.mark.needs("sshd")
async def test_a_session_that_rests_ends(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process of ours is left on the peer's machine while nothing is sent; the connection stays."""
    monkeypatch.setattr("engine.transports.seed.channel.IDLE_S", 0.0)
    assert (await far.leave()).verdict is Verdict.LANDED
    (session,) = far.sender._sessions.values()
    while session.alive:
        await asyncio.sleep(LOOK_S)
    assert session.wire.alive
    assert (await far.leave()).verdict is Verdict.LANDED
