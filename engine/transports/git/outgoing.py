"""The sending half of P7: what we left at the hub, and how more is put beside it (edge).

    post --[what lies there?]--> one commit a receiver: old frames and new --> one push, a lease on each ref
              ^                                                                          |
              +-------------- the ref was not as believed: look, and once more ----------+

What was pushed and not fetched yet is carried along by the next push, because that replaces it. Whether it is still
there is believed from the last push or look, and a lease makes a wrong belief a refusal, never a loss. A receiver that
took the last push in time will take the next one too: then an absent ref is what is expected.

The repository here holds copies only. It is cleaned when it has grown, and begun anew when it is damaged.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from engine.transports.git.refs import DAMAGED, UNKNOWN, Blob, Poison, Refs, commit, contents, kept, numbered, ref, tree
from engine.transports.git.remote import STALE, Remote, Trouble, run
from engine.transports.git.repository import Repository

ROUNDS = 4
# Copies kept here: so many bytes or pushes since the last cleaning.
GROWN_BYTES, GROWN_POSTS = 64 << 20, 256
# Hashing and writing so much takes half a millisecond; what is more is done where it stalls nobody.
ASIDE_BYTES = 128 * 1024


class Outgoing:
    """What we send through one hub. Not for two at once: its user sees to that."""

    def __init__(self, me: str, here: Repository, hub: Remote):
        self._me, self._here, self._hub = me, here, hub
        self._there: dict[str, str] = {}  # receiver -> our commit at the hub, or nothing; absent: not known
        self._swift: set[str] = set()  # receivers that had taken the last push when the next one came
        self._blobs: dict[str, list[Blob]] = {}
        self._bytes, self._posts = 0, 0

    def seen(self, refs: Refs) -> None:
        """What a look at the hub found."""
        found = {to: commit for (to, frm), commit in refs.items() if frm == self._me}
        self._there = {**dict.fromkeys(self._there, ""), **found}

    async def post(self, mail: Mapping[str, Sequence[bytes]]) -> dict[str, str]:
        """Put these beside what lies there: {receiver: deliveries}, no more for one than `room` allows. Nothing where
        it landed, else why not. Raises `Trouble`."""
        left, ended = dict(mail), dict[str, str]()
        for _ in range(ROUNDS):
            if any(to not in self._there for to in left):
                await self._look(left)
            for to, why in (await self._push(left)).items():
                if why != STALE:
                    ended[to] = why
                    del left[to]
            if not left:
                break
        return {**dict.fromkeys(left, STALE), **ended}

    async def tidy(self, present: Callable[[str], bool]) -> None:
        """Take back what lies there for nodes that are no members any more; clean up here. Raises `Trouble`."""
        gone = {to: commit for to, commit in self._there.items() if commit and not present(to)}
        if gone:
            await self._hub.push(self._here, {ref(to, self._me): ("", commit) for to, commit in gone.items()})
            for to in gone:
                del self._there[to]
        if self._bytes > GROWN_BYTES or self._posts > GROWN_POSTS:
            self._bytes, self._posts = 0, 0
            await self._clean()

    # ------------------------------------------------------------------------------------------------------ one round

    async def _look(self, asked: Mapping[str, Sequence[bytes]]) -> None:
        self.seen(await self._hub.look(self._here))
        for to in asked:
            if self._there.setdefault(to, ""):
                self._swift.discard(to)
            elif self._blobs:
                self._swift.add(to)

    async def _push(self, mail: Mapping[str, Sequence[bytes]]) -> dict[str, str]:
        """One commit for each, and what came of pushing them. Whatever ends it early leaves us knowing nothing."""
        was = {to: "" if to in self._swift else self._there[to] for to in mail}
        for to in mail:
            del self._there[to]
        commits = await self._commit(mail, was)
        try:
            said = await self._hub.push(self._here, {ref(to, self._me): (commits[to], was[to]) for to in mail})
        except Trouble as trouble:
            if str(trouble) in (UNKNOWN, DAMAGED):
                self._begin_anew()
            raise
        ended = {to: said[ref(to, self._me)] for to in mail}
        self._there |= {to: commits[to] for to, why in ended.items() if not why}
        self._blobs = {commit: self._blobs[commit] for commit in self._there.values() if commit in self._blobs}
        return ended

    async def _commit(self, mail: Mapping[str, Sequence[bytes]], was: Mapping[str, str]) -> dict[str, str]:
        held = {to: kept(await self._held(was[to]), new) for to, new in mail.items()}
        try:
            size = sum(len(data) for new in mail.values() for data in new)
            if size > ASIDE_BYTES:
                found = await asyncio.to_thread(self._written, mail, held)
            else:
                found = self._written(mail, held)
        except OSError as error:
            raise Trouble(f"our copy cannot be written: {error.strerror}") from None
        self._bytes += size
        self._posts += 1
        self._blobs |= dict(found.values())
        return {to: name for to, (name, _) in found.items()}

    def _written(
        self, mail: Mapping[str, Sequence[bytes]], held: Mapping[str, list[Blob]]
    ) -> dict[str, tuple[str, list[Blob]]]:
        """{receiver: (the commit, what is in it)}, kept here."""
        found = {}
        for to, new in mail.items():
            blobs = [*held[to], *numbered(held[to], new)]
            for data in new:
                self._here.store("blob", data)
            name = self._here.store("commit", commit(self._here.store("tree", tree(blobs))))
            self._here.point(f"refs/fleet/out/{to}", name)
            found[to] = name, blobs
        return found

    async def _held(self, commit: str) -> list[Blob]:
        """The deliveries in a commit of ours; none where it is not ours, or our copy is gone."""
        if commit and commit not in self._blobs:
            ran = await run(self._here, "ls-tree", "-l", commit)
            try:
                self._blobs[commit] = [] if ran.status else contents(ran.out.decode(errors="replace"))
            except Poison:
                self._blobs[commit] = []
        return self._blobs[commit] if commit else []

    # ------------------------------------------------------------------------------------------------------- our copy

    async def _clean(self) -> None:
        """Forget what does not lie at the hub any more."""
        ran = await run(self._here, "for-each-ref", "--format=%(refname) %(objectname)")
        lying = set(self._there.values())
        old = [line.split()[0] for line in ran.out.decode().splitlines() if line.split()[1] not in lying]
        forget = "".join(f"delete {one}\n" for one in old).encode()
        await run(self._here, "update-ref", "--stdin", stdin=forget)
        if (await run(self._here, "gc", "--quiet", "--prune=now")).status:
            self._begin_anew()

    def _begin_anew(self) -> None:
        self._blobs.clear()
        self._here.discard()
        try:
            self._here.begin()
        except OSError as error:
            raise Trouble(f"our copy cannot be written: {error.strerror}") from None
