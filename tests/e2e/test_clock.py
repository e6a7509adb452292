"""Clocks that are wrong by ten minutes, and a clock that is set while the node runs: nothing changes, and it shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.node import Node, living, start, together
from tests.e2e.until import until

pytestmark = [pytest.mark.slow, pytest.mark.needs("faketime")]

MINUTES_MS = 60_000
# Nobody's clock in a test is exact to more than this: the machine may be busy.
SLACK_MS = 30_000


def faked(offset: str, file: Path | None = None) -> dict[str, str]:
    """The environment of a process whose wall clock is wrong and whose monotonic clock is right."""
    for library in sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")):
        told = (
            {"FAKETIME": offset} if file is None else {"FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
        )
        left = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        return {"LD_PRELOAD": str(library), **told, **left}
    pytest.skip("libfaketimeMT.so.1 is missing: apt install faketime")


@pytest.fixture(scope="module")
def trio() -> Iterator[list[Node]]:
    """One node with the right time, one ten minutes ahead, one ten minutes behind: joined as they are."""
    with living(Node("atlas"), Node("birch", faked("+10m")), Node("cedar", faked("-10m"))) as nodes:
        yield nodes


def test_mail_does_not_care(trio: list[Node]) -> None:
    """Every pair, both ways, also with a time to live far shorter than the error of the clocks: on host, once."""
    for here in trio:
        for there in (one for one in trio if one is not here):
            here.send(there.name, f"{here.name} to {there.name}")
            here.send(there.name, f"{here.name} to {there.name}, briefly", ttl=30)
    for node in trio:
        assert sum(node.bodies().values()) == len(node.bodies()) == 4
        # That the clocks differ is told, and that the machine is busy may be; nothing else is wrong because of it.
        assert node.findings().keys() <= {"clock.off", "clock.differs", "loop.lag"}
        assert {peer["standing"] for peer in node.status()["peers"]} == {"ALIVE"}


def test_the_offset_is_shown(trio: list[Node]) -> None:
    """`fleet status` has how far each peer's clock is from ours."""
    atlas, birch, cedar = trio
    for here, there, minutes in ((atlas, birch, 10), (atlas, cedar, -10), (birch, atlas, -10), (birch, cedar, -20)):

        def offset_ms(here: Node = here, there: Node = there) -> float:
            return float(here.peer(there.name)["clock_offset_ms"] or 0.0)

        until(offset_ms, f"{here.name} to know {there.name}'s clock")
        assert abs(offset_ms() - minutes * MINUTES_MS) < SLACK_MS


def test_what_waits_does_not_expire(trio: list[Node]) -> None:
    """Mail for a peer that is down, and whose clock is ahead by more than the mail has to live, arrives."""
    atlas, birch, _ = trio
    birch.down()
    kept = atlas.post("birch", "kept", ttl=300)["id"]
    birch.up()
    until(lambda: atlas.rung(kept) == "on_host", "the kept one on its host")
    assert birch.bodies()["kept"] == 1
    together(trio)


def test_a_recorded_frame_stays_refused(trio: list[Node]) -> None:
    """Nothing is refused because of a clock, and nothing was let in because of one: no refusal was counted."""
    for node in trio:
        assert not {"first_contact_clock", "replayed", "expired_member"} & node.api.get("/refusals")["counts"].keys()


def test_a_clock_set_while_it_runs(trio: list[Node], tmp_path: Path) -> None:
    """A node whose clock jumps ten minutes ahead, and back: nobody is suspected, nothing expires, ids still ascend."""
    atlas = trio[0]
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    dune = Node("dune", faked("", clock))
    try:
        start([dune])
        dune.must("join", atlas.must("invite")["code"])
        until(lambda: dune.sees(atlas) and atlas.sees(dune), "dune to be well")
        ids: list[str] = []
        for offset in ("+0", "+10m", "+0", "-10m", "+1d"):
            clock.write_text(f"{offset}\n")
            ids.append(dune.send("atlas", f"at {offset}", ttl=60)["id"])
            atlas.send("dune", f"at {offset}", ttl=60)
            assert atlas.peer("dune")["standing"] == dune.peer("atlas")["standing"] == "ALIVE"
        assert ids == sorted(ids)
        assert dune.bodies() == {"at +0": 2, "at +10m": 1, "at -10m": 1, "at +1d": 1}
        dune.must("leave")
    finally:
        dune.end()
