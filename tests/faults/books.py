"""What every case ends with: nothing accepted is lost, nothing is taken twice, the ledgers hold, every channel that
worked works again, and no node has grown.

    with steady(nodes) as books:
        with fabric.cut(...):
            books.post(atlas, birch)
    # the fault ended with the inner block; here all of it has been held against every node

A letter that nobody of the case sent is a failure too.
"""

import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psutil

from engine.errors import FleetError
from tests.e2e.node import Node
from tests.e2e.until import until

# Half a minute is the promise; twice that is the failure, because a machine that runs a whole test suite is slow.
WELL_AGAIN_S, PATIENCE = 30.0, 2.0
DRAINED_S = 60.0

# What a node may hold more of after a case than before. Python gives memory back to itself and not to the system, so a
# burst of mail leaves its arenas behind: some megabytes a thousand messages. A connection that broke is replaced before
# the old one is collected; pooled ones to each peer, and the default executor's threads, are kept for the next time.
MORE_MB, MORE_FILES, MORE_THREADS = 40, 12, 12

_numbers = itertools.count(1)

Pair = tuple[str, str, str]


class Size(NamedTuple):
    """What one process holds."""

    mb: float
    files: int
    threads: int
    children: Counter[str]


class Books:
    """What was accepted, for whom, by whom; and how things stood before."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.accepted: dict[str, tuple[Node, Node]] = {}
        self.took_s = 0.0
        self._old = {node.name: {letter["id"] for letter in node.letters()} for node in nodes}
        self._healthy = set(_healthy(nodes))
        self._sizes = {node.name: size(node) for node in nodes}

    # ------------------------------------------------------------------------------------------------------ to send

    def post(self, here: Node, there: Node, body: str = "", **ask: Any) -> str:
        """Accept one; its id."""
        return str(self.told(here, there, here.post(there.name, _body(body), **ask))["id"])

    def send(self, here: Node, there: Node, body: str = "", **ask: Any) -> Any:
        """Accept one and wait until it is on its host; its story."""
        story = here.post(there.name, _body(body), wait="on_host", timeout=60, **ask)
        self.told(here, there, story)
        assert story["rung"] == "on_host", story
        return story

    def bulk(self, here: Node, there: Node, count: int, body: str = "") -> list[str]:
        """Accept so many; their ids in order."""
        stories = here.bulk(there.name, (_body(body) for _ in range(count)))
        return [self.told(here, there, story)["id"] for story in stories]

    def proved(self, ids: Iterable[str]) -> list[Any]:
        """The stories of these, once all of them are on their hosts."""
        wanted = list(ids)

        def left() -> list[str]:
            return [one for one in wanted if self.accepted[one][0].rung(one) != "on_host"]

        until(lambda: not left(), f"{len(wanted)} messages on their hosts", DRAINED_S)
        return [self.accepted[one][0].api.why(one) for one in wanted]

    def told(self, here: Node, there: Node, story: Any) -> Any:
        """A node has told the id of a message: from now on it is owed."""
        self.accepted[story["id"]] = (here, there)
        return story

    # ------------------------------------------------------------------------------------------------------- to hold

    def unhealed(self) -> set[Pair]:
        """Channels that worked before and do not now."""
        return self._healthy - set(_healthy(self.nodes))

    def hold(self) -> None:
        """Everything; the fault is over since this moment."""
        began = time.monotonic()
        until(lambda: not _left(self.nodes), f"every outbox to empty; {_left(self.nodes)} are left", DRAINED_S)
        try:
            until(lambda: not self.unhealed(), "what was HEALTHY to be so again", WELL_AGAIN_S * PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}: {_reasons(self.nodes, self.unhealed())}") from None
        self.took_s = time.monotonic() - began
        self._hold_mail()
        for node in self.nodes:
            verdict = node.api.get("/ledger/verify")
            assert not verdict["broken"], f"{node.name}'s ledger: {verdict}"
        for node in self.nodes:
            self._hold_size(node)

    def _hold_mail(self) -> None:
        for node in self.nodes:
            came = Counter(letter["id"] for letter in node.letters() if letter["id"] not in self._old[node.name])
            owed = {msg_id for msg_id, (_, there) in self.accepted.items() if there is node}
            lost, strange = owed - came.keys(), came.keys() - owed
            twice = [msg_id for msg_id, count in came.items() if count > 1]
            assert not lost, f"{node.name}: {len(lost)} of {len(owed)} lost: {_stories(self.accepted, lost)}"
            assert not twice, f"{node.name}: {len(twice)} taken twice: {_stories(self.accepted, twice)}"
            assert not strange, f"{node.name}: {len(strange)} letters that nobody was promised: {sorted(strange)[:3]}"

    def _hold_size(self, node: Node) -> None:
        before = self._sizes[node.name]

        def back() -> bool:
            now = size(node)
            return (
                now.mb <= before.mb + MORE_MB
                and now.files <= before.files + MORE_FILES
                and now.threads <= before.threads + MORE_THREADS
                and not now.children - before.children
            )

        until(back, f"{node.name} to be as large as before; it was {before} and is {size(node)}", 20.0)


def _body(text: str) -> str:
    return f"{next(_numbers)} {text}"


@contextmanager
def steady(nodes: Sequence[Node]) -> Iterator[Books]:
    """A case between these nodes, whose fault ends with the block; held against the promises at its end."""
    books = Books(nodes)
    yield books
    books.hold()


def size(node: Node) -> Size:
    """What a node's process holds now."""
    process = psutil.Process(node.pid)
    with process.oneshot():
        mb = process.memory_info().rss / 1e6
        return Size(round(mb, 1), process.num_fds(), process.num_threads(), Counter(_children(process)))


def _children(process: psutil.Process) -> Iterator[str]:
    for child in process.children(recursive=True):
        try:
            yield child.name()
        except psutil.Error:
            continue


def _healthy(nodes: Iterable[Node]) -> Iterator[Pair]:
    for node in nodes:
        for name, row in node.api.get("/channels").items():
            yield from ((node.name, name, channel) for channel, seen in row.items() if seen["state"] == "HEALTHY")


def _left(nodes: Iterable[Node]) -> dict[str, int]:
    return {node.name: waiting for node in nodes if (waiting := node.status()["outbox"]["waiting"])}


def _reasons(nodes: Iterable[Node], pairs: set[Pair]) -> list[str]:
    rows = {node.name: node.api.get("/channels") for node in nodes}
    return [f"{a} to {b} over {on}: {rows[a][b][on]['state']} ({rows[a][b][on]['reason']})" for a, b, on in pairs]


def _stories(accepted: dict[str, tuple[Node, Node]], ids: Iterable[str]) -> list[str]:
    found = []
    for msg_id in sorted(ids)[:3]:
        here = accepted[msg_id][0]
        try:
            found.append(f"{here.name}: {here.api.why(msg_id)['story']}")
        except FleetError as error:
            found.append(f"{here.name}: {error.detail}")
    return found
