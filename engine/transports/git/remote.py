"""The hub, as git shows it: look what is there, push, fetch; each one run, and its failure in words (edge).

A push says of each ref what it must be until then (`--force-with-lease`), so nobody's work is overwritten unseen, and
names every ref in full, so no branch is ever touched.
"""

from collections.abc import Mapping
from pathlib import Path

from engine.transports.git.refs import INBOX, Refs, listed, plain, pushed, stale
from engine.transports.git.repository import Ran, Repository, TooMuch

LOOK_S, MOVE_S = 10.0, 30.0
# Some sixty thousand refs: a hub that has more is somebody's large repository, and no place for this.
LOOK_LIMIT = 4 << 20
# What one fetch may bring: four refs as full as they may be. A pack that is larger is cut off by the system.
FETCH_LIMIT = 64 << 20


class Trouble(Exception):
    """It did not work; the text is for a person. `large`: because more came than is taken."""

    def __init__(self, note: str, large: bool = False):
        super().__init__(note)
        self.large = large


def told(hub: str) -> str:
    """The hub as git is told it, which knows nothing of `~`."""
    return str(Path(hub).expanduser()) if hub.startswith("~/") else hub


class Remote:
    """The hub at `url`, from a repository here that is told with each call. Everything raises `Trouble`."""

    def __init__(self, url: str):
        self._url = url

    async def look(self, here: Repository) -> Refs:
        """What mail lies there."""
        ran = await run(here, "ls-remote", "--quiet", self._url, f"{INBOX}/*", limit=LOOK_LIMIT, within_s=LOOK_S)
        if ran.status:
            raise Trouble(plain(ran.err))
        return listed(ran.out.decode(errors="replace"))

    async def push(self, here: Repository, changes: Mapping[str, tuple[str, str]]) -> dict[str, str]:
        """Set refs: {ref: (commit, or nothing to delete it; what it is until now, or nothing)}. What came of each:
        nothing where it is done, `STALE` where it was something else."""
        leases = [f"--force-with-lease={ref}:{old}" for ref, (_, old) in changes.items()]
        moves = [f"{new}:{ref}" for ref, (new, _) in changes.items()]
        words = ("push", "--porcelain", "--no-verify", *leases, self._url, *moves)
        ran = await run(here, *words, within_s=MOVE_S)
        said = pushed(ran.out.decode(errors="replace"))
        if not said:
            raise Trouble(plain(ran.err))
        silent = "the hub said nothing of it"
        return {ref: _ending(said.get(ref, silent), ran.err) for ref in changes}

    async def fetch(self, here: Repository, wanted: Mapping[str, str]) -> None:
        """Bring these: {ref there: ref here}."""
        moves = [f"+{there}:{ref}" for there, ref in wanted.items()]
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self._url, *moves)
        ran = await run(here, *words, within_s=MOVE_S, file_limit=FETCH_LIMIT)
        if ran.status:
            raise Trouble(plain(ran.err), large=here.was_cut(FETCH_LIMIT))


STALE = "its ref keeps changing, or is locked"


def _ending(said: str, errors: str) -> str:
    if not said:
        return ""
    return STALE if stale(said) else plain(f"{said}\n{errors}")


async def run(
    here: Repository,
    *words: str,
    stdin: bytes = b"",
    limit: int = 1 << 20,
    within_s: float = MOVE_S,
    file_limit: int = 0,
) -> Ran:
    """A run whose every failure to run is `Trouble`."""
    try:
        return await here.run(*words, stdin=stdin, limit=limit, within_s=within_s, file_limit=file_limit)
    except TimeoutError:
        raise Trouble("the hub does not answer") from None
    except TooMuch:
        raise Trouble("more came than is taken", large=True) from None
    except OSError as error:
        raise Trouble(f"git cannot run here: {error.strerror or error}") from None
