"""An engine whose answers are written down beforehand, and a bridge that delivers them at once.

The screen's part of a journey is real; what is behind the bridge is a script, so that a picture is the same each time
and a test can ask what the screen asked for. `calls` is that list.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec.structs import replace

from engine.errors import FleetError
from engine.model.channel import Channel
from engine.model.envelope import Kind, Rung, Urgency
from engine.model.peer import Standing
from engine.model.repair import Level, Ran, Repair
from engine.model.roster import Role
from engine.model.story import Group, Invite, Left, Letters, Line, Page, Query, Story, TryLine
from engine.model.suggestion import Suggestion
from engine.model.wayside import Woken
from engine.state import Fleet
from fleet_tui.bridge import Bridge, Done, as_error
from screens.desk import Engine, Reach
from tests.screens.golden import NOW, ago

# As long as a real one.
CODE = (
    "fleet1-acczlotgmztgmztgmztgmztgmztgmztgmztgmztgmztgmztgyqijj6rrpdodfur6ufbphh3qiolhjrbavxb2kt4ytpepz"
    "advlpkyyrgcutmc6neqcwdtvhevpssgc7gm3zqzfmjrhezc4mjwhaxdclrrga5dqobvg2xtcmbqfy3dilrqfy3tuobygu3mieaaa"
    "ebagbafaydqqcikbmga2dqpsb7qswi"
)
N, H, R = Channel.NATS, Channel.HTTP, Channel.RELAY
OK, LOST, REFUSED, LANDED = "confirmed", "lost", "refused", "landed"


def tried(channel: Channel, outcome: str, ms: float, note: str = "", s: float = 0) -> TryLine:
    return TryLine(channel, outcome, ms, note, ago(s))


LINES = (
    Line("01KASD0000000000000TASK001", "out", "studio", Kind.TASK, Rung.SEEN, N, ago(2), "", (tried(N, OK, 2.1, s=2),)),
    Line("01KASD0000000000000CTX0002", "in", "mac2", Kind.CONTEXT, Rung.ON_HOST, H, ago(4)),
    Line("01KASD0000000000000SYNC003", "out", "nas", Kind.SYNC, Rung.ACCEPTED, None, ago(23), "waits for nas",
         (tried(N, LOST, 3_000, "no answer", 23), tried(H, REFUSED, 1.2, "connection refused", 20))),
    Line("01KASD0000000000000CTX0004", "out", "linux1", Kind.CONTEXT, Rung.ON_HOST, H, ago(52), "",
         (tried(N, REFUSED, 0.3, "connection refused", 52), tried(H, OK, 18.4, s=51.98))),
    Line("01KASD0000000000000HELD005", "out", "mac2", Kind.CONTEXT, Rung.HELD, N, ago(61),
         "the session bypasses permissions", (tried(N, OK, 3.2, s=61),)),
    Line("01KASD0000000000000ALRT006", "out", "nas", Kind.ALERT, Rung.DEAD, None, ago(7_300), "gave up after 3 tries",
         tuple(tried(N, LOST, 3_000, "no answer", 7_300 - 3 * at) for at in range(6))),
    Line("01KASD0000000000000RPLY007", "in", "studio", Kind.REPLY, Rung.ON_HOST, N, ago(90_000)),
)  # fmt: skip
BODIES = {
    LINES[0].id: "fix the login race: two tabs, one session; the test is flaky on linux1",
    LINES[1].id: "branch feat/login pushed\n\n3 commits, tests green",
    LINES[2].id: "mirror README before noon",
}


# One message went to two: the copy to nas is in the log at hand, the other further down.
GROUP = "group:mirror"
OTHER = Story(
    "01KASD0000000000000SYNC03B", "linux1", Kind.SYNC, Rung.ON_HOST, H, (tried(H, OK, 18.4, s=23),), group=GROUP
)
AWAY = "nas is unreachable: it is kept and tried again when nas is back"


class Scripted:
    """The engine of the script. Set `lines`, `refuse` or `fleet` to change the story."""

    def __init__(self, fleet: Fleet, lines: Sequence[Line] = LINES) -> None:
        self._fleet = fleet
        self.lines = list(lines)
        self.calls: list[tuple[Any, ...]] = []
        self.refuse: dict[str, FleetError] = {}
        self.rungs: dict[str, Rung] = {}
        self.user = ""
        self.answers: dict[str, dict[str, Any]] = {
            "nats": {"state": "HEALTHY", "outcome": "confirmed", "ms": 3.0},
            "http": {"state": "HEALTHY", "outcome": "confirmed", "ms": 5.0},
            "relay": {"state": "BROKEN", "outcome": "lost", "ms": None},
            "git": {"state": "ABSENT", "outcome": "barred", "ms": None},
            "text": {"state": "UNKNOWN", "outcome": "untried", "ms": None},
        }
        self.nearby = [
            Suggestion("attic", "attic", "ssh, mdns", "ann@192.168.1.31, peer port 8856"),
            Suggestion("phoenix", "phoenix.tail1234.ts.net", "tailscale", "linux, offline"),
            Suggestion("mac2", "mac2", "ssh", known_member="mac2"),
        ]

    @property
    def fleet(self) -> Fleet:
        return self._fleet

    def become(self, fleet: Fleet) -> None:
        """The engine has another value."""
        self._fleet = fleet

    def moved(self, msg_id: str, rung: Rung) -> None:
        """A message climbed: the log has another revision."""
        self.rungs[msg_id] = rung
        mail = replace(self._fleet.mail, revision=self._fleet.mail.revision + 1)
        self._fleet = replace(self._fleet, mail=mail)

    def _called(self, verb: str, *facts: Any) -> None:
        self.calls.append((verb, *facts))
        if verb in self.refuse:
            raise self.refuse[verb]

    async def send(
        self, to: str, body: str, *, kind: Kind = Kind.CONTEXT, via: Channel | None = None, widened: bool = False,
        ttl_s: int | None = None, urgency: Urgency | None = None,
    ) -> list[Story]:  # fmt: skip
        self._called("send", to, body, kind)
        names = to.split(",")
        group = "group:sent" if len(names) > 1 else ""
        at = NOW.wall_ms
        return [Story(f"sent-{one}", one, kind, Rung.ACCEPTED, None, (), at=at, group=group) for one in names]

    def preview(self, to: str, kind: Kind = Kind.CONTEXT) -> list[Reach]:
        self._called("preview", to, kind)
        others = [one for one in self._fleet.roster.members if one.id != self._fleet.me.id]
        found = [one.name for one in others if to in ("all", one.name)]
        if not found:
            raise FleetError("peer.unknown", "No such peer", f"nobody is called {to}", "`fleet peers` lists them")
        return [(name, (), AWAY) if name == "nas" else (name, (N, H), "") for name in found]

    async def story(self, msg_id: str) -> Story:
        self._called("story", msg_id)
        line = next((one for one in self.lines if one.id == msg_id), None)
        if line:
            group = GROUP if line is LINES[2] else ""
            said = f"{line.kind} to {line.peer}: {line.rung.replace('_', ' ')}."
            ends = NOW.wall_ms + 500_000_000
            return Story(
                line.id,
                line.peer,
                line.kind,
                line.rung,
                line.channel,
                line.path,
                line.reason,
                line.at,
                ends,
                said,
                group=group,
                waits="it is tried again until it is" if line.rung is Rung.ACCEPTED else "",
            )
        rung = self.rungs.get(msg_id, Rung.ACCEPTED)
        tries = (tried(N, OK, 2.4),) if rung is not Rung.ACCEPTED else ()
        return Story(msg_id, msg_id[5:], Kind.CONTEXT, rung, N if tries else None, tries, at=NOW.wall_ms)

    async def group(self, name: str) -> Group | None:
        self._called("group", name)
        return Group(name, (OTHER, await self.story(LINES[2].id)), "1 of 2 on host; waiting for nas")

    async def resend(self, msg_id: str) -> Story:
        self._called("resend", msg_id)
        return await self.story(msg_id)

    async def messages(self, query: Query) -> Page:
        self._called("messages", query)
        count = len(self.lines)
        rows = [(count - at, line) for at, line in enumerate(self.lines) if matches(line, query, self._fleet)]
        older = [(row, line) for row, line in rows if not query.before or row < query.before]
        page = older[: query.limit]
        more = len(older) > len(page)
        return Page(
            tuple(line for _, line in page),
            tuple(row for row, _ in page),
            len(rows),
            page[-1][0] if page and more else 0,
        )

    async def body(self, msg_id: str) -> str:
        self._called("body", msg_id)
        return BODIES.get(msg_id, "the words of this message")

    async def inbox(self) -> Letters:
        return Letters((), False)

    async def invite(self, role: Role = Role.WORKER, ttl_s: int = 900) -> Invite:
        self._called("invite", role, ttl_s)
        return Invite(CODE, NOW.wall_ms + ttl_s * 1_000)

    async def invited(self, code: str) -> str:
        return self.user

    async def join(self, code: str) -> object:
        return self._called("join", code)

    async def revoke(self, name: str) -> object:
        return self._called("revoke", name)

    async def leave(self) -> Left:
        self._called("leave")
        waiting = self._fleet.mail.waiting
        return Left("home", "mac1", waiting, "", "This machine has left home.")

    async def hold(self, peer: str, channel: Channel, held: bool) -> object:
        return self._called("hold", peer, channel, held)

    async def repair(self, peer: str, channel: Channel | None = None, level: int = 1) -> Repair:
        self._called("repair", peer, channel, level)
        found = self._fleet.repairs.get((peer, channel or N))
        return found or Repair(peer, channel or N, Level(level), NOW.wall_ms, NOW.mono, NOW.mono + 5)

    async def approve(self, peer: str, channel: Channel | None, shown: str) -> list[Ran]:
        self._called("approve", peer, channel, shown)
        return [Ran("fleet repair linux1", "asks linux1 once more", 0, "done: its broker is up again")]

    async def check(self, peer: str, channel: Channel | None = None) -> dict[str, Any]:
        self._called("check", peer, channel)
        return {one: told for one, told in self.answers.items() if channel in (None, one)}

    async def examine(self, size: tuple[int, int]) -> object:
        self._called("examine", size)
        return []

    async def fix(self, code: str, subject: str = "") -> str:
        self._called("fix", code, subject)
        return f"chmod 600 {subject}"

    async def onboarded(self, peer: str = "") -> object:
        return self._called("onboarded", peer)

    async def wake(self, peer: str, wait_s: float = 60.0) -> Woken:
        self._called("wake", peer)
        return Woken(peer, True, Standing.ALIVE, ("it is offline", "magic packet sent to 2 networks"), 34.0)

    async def discover(self, seconds: float = 2.0) -> list[Suggestion]:
        self._called("discover")
        return self.nearby


def matches(line: Line, query: Query, fleet: Fleet) -> bool:
    """Whether a line is one that the query asks for."""
    wanted = {
        "peer": fleet.name_of(query.peer) if query.peer else "",
        "kind": query.kind,
        "dir": query.dir,
        "rung": query.rung,
    }
    text = f"{line.peer} {line.kind} {line.rung} {line.channel} {line.id}".lower()
    return (
        all(not value or getattr(line, name) == value for name, value in wanted.items()) and query.text.lower() in text
    )


class AtOnce(Bridge):
    """A bridge without threads: an answer is there as soon as it is asked for."""

    def __init__(self, engine: Scripted) -> None:
        super().__init__(engine, asyncio.new_event_loop())
        self.loop.close()
        self.script = engine

    def ask(self, question: Callable[[Engine], Awaitable[Any]], done: Done) -> None:
        asked: Any = question(self.engine)
        try:
            asked.send(None)
        except StopIteration as ended:
            done(ended.value, None)
        except Exception as error:  # noqa: BLE001 - as the real bridge does
            done(None, as_error(error))
        else:
            asked.close()
            raise AssertionError("a scripted answer waits")
