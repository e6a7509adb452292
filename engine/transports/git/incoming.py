"""The receiving half of P7: what lies at the hub for us is fetched, judged, handed on and taken away (edge).

    a ref for us, of a present member --> fetch --> a commit? plain files, few, small --> arrived(...) each --> delete
                                           |               | no                           | busy
                                           +-- too large --+--> refused, counted, deleted +--> the rest stays there

Anybody who can push to the hub may have put anything there. So refs of strangers and of revoked members are passed
over, each ref is judged by itself, and all is fetched into a repository that is thrown away once it is read: whatever
it held, it neither stays nor grows. A ref is deleted only as it was read; what its sender added meanwhile is read the
next time, and what was handed on before is known by its name.
"""

from collections.abc import Callable, Mapping

from engine.model.channel import Channel
from engine.transports.base import Arrivals
from engine.transports.git.refs import BYTES, FILES, Blob, Poison, Refs, bodies, contents, ref
from engine.transports.git.remote import Remote, Trouble, run
from engine.transports.git.repository import Repository

# Refs fetched together; what is beyond comes with the next look.
TOGETHER = 64
# A ref that cannot be fetched alone, so often in a row, while the hub itself answers, is no mail.
STRIKES = 3
# A line of `ls-tree -l` is some seventy bytes.
_TREE_LIMIT = 2 * FILES * 100


class Incoming:
    """What comes through one hub. `refuse` hears (why, from whom). Not for two at once: its user sees to that."""

    def __init__(self, me: str, here: Repository, hub: Remote, refuse: Callable[[str, str], None]):
        self._me, self._here, self._hub, self._refuse = me, here, hub, refuse
        self._taken: dict[str, frozenset[str]] = {}  # sender -> frames of the last commit that were handed on
        self._strikes: dict[tuple[str, str], int] = {}
        self._refused: dict[str, str] = {}  # sender -> a commit that was refused and may still lie there

    async def take(self, refs: Refs, present: Callable[[str], bool], arrived: Arrivals) -> bool:
        """Hand on what lies there for us; whether anything did. Raises `Trouble`."""
        ours = {frm: commit for (to, frm), commit in refs.items() if to == self._me and present(frm)}
        self._strikes = {(frm, one): n for (frm, one), n in self._strikes.items() if ours.get(frm) == one}
        wanted = [frm for frm, commit in ours.items() if self._refused.get(frm) != commit]
        if not wanted:
            return False
        try:
            await self._fetch(sorted(wanted)[:TOGETHER], ours)
            done = {frm: commit for frm, commit in self._refused.items() if ours.get(frm) == commit}
            for frm, (kind, commit) in (await self._fetched()).items():
                if await self._handed_on(frm, kind, commit, arrived):
                    done[frm] = commit
            if done:
                await self._hub.push(self._here, {ref(self._me, frm): ("", commit) for frm, commit in done.items()})
        finally:
            self._begin_anew()
        return True

    # ------------------------------------------------------------------------------------------------------- fetching

    async def _fetch(self, senders: list[str], ours: Mapping[str, str]) -> None:
        """All of them together, or, where one of them spoils it, each alone."""
        trouble = await self._trouble(senders)
        if trouble is None:
            return
        for frm in senders:
            alone = await self._trouble([frm]) if len(senders) > 1 else trouble
            if alone is not None:
                self._strike(frm, ours[frm], alone)

    async def _trouble(self, senders: list[str]) -> Trouble | None:
        try:
            await self._hub.fetch(self._here, {ref(self._me, frm): _here(frm) for frm in senders})
        except Trouble as trouble:
            return trouble
        return None

    def _strike(self, frm: str, commit: str, trouble: Trouble) -> None:
        strikes = self._strikes[frm, commit] = self._strikes.get((frm, commit), 0) + 1
        if trouble.large or strikes == STRIKES:
            self._poisoned(frm, commit, "oversized" if trouble.large else "garbage")

    def _poisoned(self, frm: str, commit: str, code: str) -> None:
        self._refused[frm] = commit
        self._refuse(code, frm)

    async def _fetched(self) -> dict[str, tuple[str, str]]:
        """{sender: (kind of object, its name)} of what is here now."""
        words = ("for-each-ref", "--format=%(refname) %(objecttype) %(objectname)", _ROOT)
        ran = await run(self._here, *words)
        rows = (line.split() for line in ran.out.decode().splitlines())
        return {name.rpartition("/")[2]: (kind, commit) for name, kind, commit in rows}

    # -------------------------------------------------------------------------------------------------------- reading

    async def _handed_on(self, frm: str, kind: str, commit: str, arrived: Arrivals) -> bool:
        """Whether nothing of it is left to be read: it was handed on, or refused."""
        try:
            blobs = await self._contents(kind, commit)
            known = self._taken.get(frm, frozenset())
            fresh = [one for one in blobs if one.sha not in known]
            found = await self._bodies(fresh) if fresh else []
        except Poison as poison:
            self._poisoned(frm, commit, poison.code)
            return True
        self._taken[frm] = known.intersection(one.sha for one in blobs)
        for blob, data in zip(fresh, found, strict=True):
            if not arrived(data, Channel.GIT, None):
                return False
            self._taken[frm] |= {blob.sha}
        return True

    async def _contents(self, kind: str, commit: str) -> list[Blob]:
        if kind != "commit":
            raise Poison("garbage")
        ran = await self._local("ls-tree", "-l", commit, limit=_TREE_LIMIT)
        return contents(ran.decode(errors="replace"))

    async def _bodies(self, blobs: list[Blob]) -> list[bytes]:
        asked = "".join(f"{blob.sha}\n" for blob in blobs).encode()
        return bodies(await self._local("cat-file", "--batch", stdin=asked, limit=BYTES + _TREE_LIMIT), blobs)

    async def _local(self, *words: str, stdin: bytes = b"", limit: int) -> bytes:
        """What our own copy says; it came from outside, so any trouble with it is poison."""
        try:
            ran = await run(self._here, *words, stdin=stdin, limit=limit)
        except Trouble as trouble:
            raise Poison("oversized" if trouble.large else "garbage") from None
        if ran.status:
            raise Poison("garbage")
        return ran.out

    def _begin_anew(self) -> None:
        self._here.discard()
        try:
            self._here.begin()
        except OSError as error:
            raise Trouble(f"our copy cannot be written: {error.strerror}") from None


_ROOT = "refs/in"


def _here(frm: str) -> str:
    return f"{_ROOT}/{frm}"
