"""P1 to P7 cut one after another, with a real sshd on every machine and a real git hub (faults.md, row 33).

After each cut a message is sent: it arrives by the first channel that is left, once, and its story tells what was
tried. With all of them cut it waits. Then everything is put back and becomes well by itself.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple

import pytest

from tests.e2e.node import Node
from tests.e2e.until import until
from tests.faults.books import Books
from tests.faults.lab import Holder
from tests.faults.wide import WideLab

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs_root,
    pytest.mark.needs("ip", "nft", "sshd", "git"),
    pytest.mark.timeout(400),
]


@pytest.fixture(scope="module")
def _wide() -> Iterator[Holder[WideLab]]:
    holder = Holder(WideLab)
    yield holder
    holder.clear()


@pytest.fixture
def lab(_wide: Holder[WideLab]) -> WideLab:
    """Three machines with every way between them, all well."""
    return _wide.get()


class Rung(NamedTuple):
    """One step down: what is cut besides all before it, and by which channels of what is left which message goes."""

    cut: str
    ask: dict[str, Any]
    left: set[str]


LADDER = (
    Rung("p1", {"type": "context"}, {"http", "relay"}),
    Rung("p2", {"type": "context"}, {"relay"}),
    Rung("p3", {"type": "context"}, {"seed"}),
    Rung("p4", {"type": "repair"}, {"ssh"}),
    Rung("p5", {"any": True}, {"git"}),
)


def cut(lab: WideLab, name: str, here: Node, there: Node) -> AbstractContextManager[None]:
    """One channel between these two."""
    cuts = {"p1": lab.p1, "p2": lab.p2, "p3": lab.p3, "p5": lab.p5}
    if name == "p4":
        return lab.p4(here, there)
    if name == "p7":
        return lab.fabric.cut(lab.p7([here, there]))
    return lab.fabric.cut(cuts[name](here, there))


def gave_up(here: Node, msg_id: str) -> bool:
    """Whether a try of a message has come to nothing."""
    return any(one["outcome"] == "lost" for one in here.api.why(msg_id)["tries"])


def test_every_prefix(lab: WideLab) -> None:
    """P1; P1 and P2; … ; P1 to P7 cut between atlas and birch: see the module."""
    atlas, birch, _ = lab.nodes
    with lab.case() as books:
        with ExitStack() as cuts:
            for rung in LADDER:
                cuts.enter_context(cut(lab, rung.cut, atlas, birch))
                arrives(books, atlas, birch, rung)
            # P6 wakes a machine and carries nothing; birch is awake.
            cuts.enter_context(cut(lab, "p7", atlas, birch))
            waiting = books.post(atlas, birch, "nothing is left", any=True)
            until(lambda: gave_up(atlas, waiting), "a try to be given up")
            assert atlas.rung(waiting) == "accepted"
        books.proved([waiting])


def arrives(books: Books, here: Node, there: Node, rung: Rung) -> None:
    """A message, sent as soon as the cut is there: by which channel it came, and what is told of it."""
    story = books.send(here, there, f"with {rung.cut} cut", **rung.ask)
    lines = there.api.get("/messages", dir="in", limit=100)["lines"]
    (brought,) = {line["channel"] for line in lines if line["id"] == story["id"]}
    assert brought in rung.left, story
    assert story["channel"] in rung.left, story
    assert any(one["channel"] == brought for one in story["tries"]), story
    assert f" {brought} " in story["story"]
    assert f"It is on {there.name}'s disk" in story["story"]
