"""P7 with a real git and a real hub: nothing lost, no conflict, no harm from strangers, nothing else touched."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from engine.model.channel import ChannelState, Outcome, Verdict
from engine.model.envelope import CARRIAGE_LIMIT
from engine.transports.git import outgoing, remote
from engine.transports.git.refs import FILES, ref
from engine.transports.git.remote import Remote
from engine.transports.git.repository import Repository
from tests.e2e.until import LOOK_S
from tests.hubs import Fellow, Hub, acquainted

pytestmark = [pytest.mark.slow, pytest.mark.needs("git")]

BUDGET_S = 30.0
# What one fetch may bring, in the one test that wants to bring more.
HUGE = 20 << 20
Patch = pytest.MonkeyPatch
Make = Callable[[int], Fellow]


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    made = Hub()
    yield made
    made.end()


@pytest.fixture
async def fellow(hub: Hub) -> AsyncIterator[Make]:
    """`fellow(n)`: member n of one fleet, able to send."""
    made: dict[int, Fellow] = {}

    def make(number: int) -> Fellow:
        one = made[number] = Fellow(number, hub.url)
        acquainted(*made.values())
        one.begin()
        return one

    yield make
    for one in made.values():
        await one.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(BUDGET_S):
        while not true():
            await asyncio.sleep(LOOK_S)


def size(folder: Path) -> int:
    """Bytes under it, while somebody works there."""
    found = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with suppress(FileNotFoundError):
                found += (Path(root) / name).stat().st_size
    return found


async def sent(frm: Fellow, to: Fellow, *bodies: bytes) -> list[Outcome]:
    """What became of these, given to the channel in one breath."""
    ways = replace(to.fleet.me.ways, git=(frm.config.hub,))
    target = replace(to.target, ways=ways)
    return await asyncio.gather(*(frm.git.deliver(one, target, BUDGET_S) for one in bodies))


async def landed(frm: Fellow, to: Fellow, *bodies: bytes) -> None:
    assert [one.verdict for one in await sent(frm, to, *bodies)] == [Verdict.LANDED] * len(bodies)


async def came(to: Fellow, count: int) -> list[bytes]:
    async with asyncio.timeout(BUDGET_S):
        return [await to.inbox.came.get() for _ in range(count)]


async def test_four_senders_at_once(hub: Hub, fellow: Make, monkeypatch: Patch) -> None:
    """Four push to one receiver at the same time, again and again: no push is turned down, and every frame comes."""
    said: list[str] = []
    push = Remote.push

    async def noted(self: Remote, here: Repository, changes: dict[str, tuple[str, str]]) -> dict[str, str]:
        endings = await push(self, here, changes)
        said.extend(endings.values())
        return endings

    monkeypatch.setattr(Remote, "push", noted)
    to, *senders = (fellow(number) for number in range(1, 6))

    async def four(one: Fellow) -> None:
        for number in range(5):
            await landed(one, to, f"{one.id} {number}".encode())

    await asyncio.gather(*map(four, senders))
    assert said == [""] * 20
    assert len(hub.refs()) == 4
    await to.listen()
    found = await came(to, 20)
    for one in senders:
        assert [data for data in found if data.startswith(one.id.encode())] == [
            f"{one.id} {number}".encode() for number in range(5)
        ]
    await until(lambda: not hub.refs())


async def test_what_was_not_fetched_is_carried_along(hub: Hub, fellow: Make) -> None:
    """While the receiver is away three pushes come, one of them after the sender has started anew: all of it arrives,
    once and in order, and the ref is gone afterwards."""
    here, to = fellow(1), fellow(2)
    await landed(here, to, b"one", b"two")
    await landed(here, to, b"three")
    await here.restart()
    await landed(here, to, b"four")
    assert len(hub.refs()) == 1
    commit = hub.refs()[ref(to.id, here.id)]
    assert hub.git("rev-list", "--count", commit) == "1"
    await to.listen()
    assert await came(to, 4) == [b"one", b"two", b"three", b"four"]
    await until(lambda: not hub.refs())
    await landed(here, to, b"five")
    assert await came(to, 1) == [b"five"]
    assert to.inbox.came.empty()


async def test_a_receiver_that_takes_while_more_is_put_there(hub: Hub, fellow: Make) -> None:
    """Sender and receiver meet at the same ref all the time: nothing is lost, nothing comes twice."""
    here, to = fellow(1), fellow(2)
    await to.listen()
    bodies = [f"{number}".encode() for number in range(60)]
    for start in range(0, 60, 3):
        await landed(here, to, *bodies[start : start + 3])
    assert await came(to, 60) == bodies
    await until(lambda: not hub.refs())
    assert to.inbox.came.empty()


async def test_a_ref_that_somebody_else_changed(hub: Hub, fellow: Make) -> None:
    """Deleted, or put to a commit of a stranger's: the next push sees it, and lands all the same."""
    here, to = fellow(1), fellow(2)
    await landed(here, to, b"lost to a stranger")
    hub.git("update-ref", "-d", ref(to.id, here.id))
    await landed(here, to, b"after deletion")
    forged = hub.commit(hub.tree(f"100644 blob {hub.blob(b'forged')}\t00000001"))
    hub.force(to.id, here.id, forged)
    await landed(here, to, b"after forgery")
    assert hub.refs()[ref(to.id, here.id)] != forged
    await to.listen()
    assert await came(to, 1) == [b"after forgery"]


async def test_the_oldest_make_room(hub: Hub, fellow: Make) -> None:
    """For a receiver that stays away the ref stays within what one takes, and the newest are those that are there."""
    here, to = fellow(1), fellow(2)
    await landed(here, to, *(f"{number}".encode() for number in range(FILES)))
    await landed(here, to, b"the last", b"the very last")
    await to.listen()
    found = await came(to, FILES)
    assert found[-2:] == [b"the last", b"the very last"]
    assert found[0] == b"2"


def _poisons(hub: Hub) -> dict[str, tuple[str, str]]:
    small = hub.blob(b"x")
    file = f"100644 blob {small}\t00000001"
    return {
        "a blob": (small, "garbage"),
        "a tree": (hub.tree(file), "garbage"),
        "a tag": (
            hub.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=_tag(hub.commit(hub.tree(file)))),
            "garbage",
        ),
        "a folder": (hub.commit(hub.tree(f"040000 tree {hub.tree(file)}\t00000001")), "garbage"),
        "a link": (hub.commit(hub.tree(f"120000 blob {small}\t00000001")), "garbage"),
        "another name": (hub.commit(hub.tree(f"100644 blob {small}\t.gitmodules")), "garbage"),
        "thousands": (hub.commit(hub.tree(*(f"100644 blob {small}\t{n:08d}" for n in range(20_000)))), "oversized"),
        "a large one": (
            hub.commit(hub.tree(f"100644 blob {hub.blob(bytes(CARRIAGE_LIMIT + 1))}\t00000001")),
            "oversized",
        ),
        "a huge one": (
            hub.commit(hub.tree(f"100644 blob {hub.blob(os.urandom(HUGE + 1))}\t00000001")),
            "oversized",
        ),
    }


def _tag(commit: str) -> bytes:
    return f"object {commit}\ntype commit\ntag x\ntagger x <x@x> 0 +0000\n\nx\n".encode()


async def test_poison_is_refused_and_stops_nobody(hub: Hub, fellow: Make, monkeypatch: Patch) -> None:
    """Whatever a member's ref holds instead of mail is refused with its reason, counted once and taken away; the mail
    of the others comes as if it were not there, and the next mail of the same member too."""
    monkeypatch.setattr(remote, "FETCH_LIMIT", HUGE)
    to, good = fellow(1), fellow(2)
    poisons = _poisons(hub)
    expected = {}
    for number, (commit, why) in enumerate(poisons.values(), 10):
        frm = fellow(number)
        hub.force(to.id, frm.id, commit)
        expected[frm.id] = why
    await landed(good, to, b"good")
    await to.listen()
    assert await came(to, 1) == [b"good"]
    refused = {}
    async with asyncio.timeout(BUDGET_S):
        while len(refused) < len(expected):
            why, frm_id = await to.refused.get()
            assert frm_id not in refused
            refused[frm_id] = why
    assert refused == expected
    await until(lambda: not hub.refs())
    await landed(frm, to, b"an honest word")
    assert await came(to, 1) == [b"an honest word"]
    # What was fetched is thrown away once it is read, whatever it was.
    await until(lambda: size(to.home / "git" / "in") < 1 << 20)


async def test_a_revoked_sender_is_ignored(hub: Hub, fellow: Make) -> None:
    """Mail of somebody who is no member any more is not even fetched; what lies there for him is taken back."""
    to, gone, good = fellow(1), fellow(2), fellow(3)
    await landed(gone, to, b"let me in")
    await landed(to, gone, b"for you")
    to.knows(replace(gone.member, revoked_ms=1), good.member)
    await to.listen()
    await landed(good, to, b"good")
    assert await came(to, 1) == [b"good"]
    await until(lambda: set(hub.refs()) == {ref(to.id, gone.id)})
    assert to.inbox.came.empty()
    assert to.refused.empty()


async def test_a_hub_that_goes_and_comes(hub: Hub, fellow: Make) -> None:
    """Away, it says so at once and in words; back, both sides go on by themselves."""
    here, to = fellow(1), fellow(2)
    await to.listen()
    await landed(here, to, b"before")
    hub.away()
    (outcome,) = await sent(here, to, b"meanwhile")
    assert (outcome.verdict, outcome.hard) == (Verdict.LOST, True)
    assert outcome.note == "there is no repository at the hub"
    hub.back()
    await landed(here, to, b"after")
    assert await came(to, 2) == [b"before", b"after"]


async def test_a_look_that_fails_is_told(hub: Hub, fellow: Make) -> None:
    """Nobody sends, and the hub goes: every pair that counted as working hears of it with the next look, and only
    those."""
    here, two, three = fellow(1), fellow(2), fellow(3)
    here.trusts(two.id)
    here.trusts(three.id, ChannelState.BROKEN)
    await here.listen()
    hub.away()
    async with asyncio.timeout(BUDGET_S):
        told = await here.tried.get()
    assert (told.peer, told.outcome.verdict, told.outcome.hard) == (two.id, Verdict.LOST, True)
    assert told.outcome.note == "there is no repository at the hub"


async def test_a_hub_that_hangs(hub: Hub, fellow: Make) -> None:
    """Whoever waits for it is told in time, and nothing of git is left behind, at the hub's end of the pipe either."""
    here, to = fellow(1), fellow(2)
    await landed(here, to, b"before")
    hub.hang()
    target = replace(to.target, ways=replace(to.target.ways, git=(hub.url,)))
    outcome = await here.git.deliver(b"x", target, 0.5)
    assert (outcome.verdict, outcome.hard) == (Verdict.LOST, False)
    assert not [one for one in psutil.Process().children(recursive=True) if hub.url in " ".join(one.cmdline())]
    hub.let_go()
    await landed(here, to, b"after")
    await to.listen()
    assert await came(to, 2) == [b"before", b"after"]


@pytest.mark.needs_root
async def test_a_hub_whose_disk_is_full(hub: Hub, fellow: Make) -> None:
    """It says so; what fits lands all the same, and what lay there is still there."""
    hub.away()
    hub.path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "fleet", str(hub.path)], check=True)
    try:
        subprocess.run(["git", "init", "-q", "--bare", str(hub.path)], check=True)
        here, to = fellow(1), fellow(2)
        await landed(here, to, b"small")
        (outcome,) = await sent(here, to, os.urandom(3 << 20))
        assert (outcome.verdict, outcome.note) == (Verdict.LOST, "the hub's disk is full")
        await landed(here, to, b"small again")
        await to.listen()
        assert await came(to, 2) == [b"small", b"small again"]
    finally:
        for one in (here, to):
            await one.git.close()
        subprocess.run(["umount", str(hub.path)], check=True)


async def test_nothing_else_is_touched(hub: Hub, fellow: Make, tmp_path: Path, monkeypatch: Patch) -> None:
    """Branches, tags and configuration of the hub stay as they are, and so does the person's own; its signing, hooks,
    identity and tags have no part in it."""
    main = hub.commit(hub.tree(f"100644 blob {hub.blob(b'work')}\tREADME"))
    hub.git("update-ref", "refs/heads/main", main)
    hub.git("tag", "v1", main)
    config = hub.path / "config"
    written = config.read_bytes()
    hook = tmp_path / "hooks" / "pre-push"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    person = f"""
[user]
    name = Ada
    email = ada@example.org
[core]
    hooksPath = {hook.parent}
[commit]
    gpgSign = true
[push]
    gpgSign = true
    followTags = true
    default = matching
[gpg]
    program = /bin/false
"""
    (tmp_path / ".gitconfig").write_text(person)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "somewhere else"))
    here, to = fellow(1), fellow(2)
    await landed(here, to, b"x")
    monkeypatch.delenv("GIT_DIR")
    commit = hub.refs()[ref(to.id, here.id)]
    said = hub.git("cat-file", "commit", commit)
    assert "Ada" not in said
    assert "gpgsig" not in said
    assert "parent" not in said
    await to.listen()
    assert await came(to, 1) == [b"x"]
    await until(lambda: not hub.refs())
    assert hub.refs("refs/") == {"refs/heads/main": main, "refs/tags/v1": main}
    assert config.read_bytes() == written
    assert (tmp_path / ".gitconfig").read_text() == person
    assert {one.name for one in tmp_path.iterdir()} == {".gitconfig", "hooks"}


async def test_our_copies_do_not_grow(hub: Hub, fellow: Make, monkeypatch: Patch) -> None:
    """They are cleaned away as they are taken; what still lies at the hub is carried along after that, too."""
    monkeypatch.setattr(outgoing, "GROWN_POSTS", 3)
    here, to, away = fellow(1), fellow(2), fellow(3)
    await landed(here, away, b"still there")
    await to.listen()
    for _ in range(12):
        await landed(here, to, os.urandom(100_000))
        await came(to, 1)
    await until(lambda: set(hub.refs()) == {ref(away.id, here.id)})
    await here.listen()
    folder = here.home / "git" / "out"
    await until(lambda: size(folder) < 200_000)
    await landed(here, away, b"and more")
    await away.listen()
    assert await came(away, 2) == [b"still there", b"and more"]


async def test_a_damaged_copy_is_begun_anew(hub: Hub, fellow: Make) -> None:
    """Whatever became of our repository, the next delivery lands."""
    here, to = fellow(1), fellow(2)
    await landed(here, to, b"one")
    for one in (here.home / "git" / "out" / "objects").rglob("*"):
        if one.is_file():
            one.chmod(0o600)
            one.write_bytes(b"")
    outcomes = [(await sent(here, to, b"two"))[0] for _ in range(2)]
    assert outcomes[-1].verdict is Verdict.LANDED
