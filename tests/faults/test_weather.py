"""A network that loses, delays, doubles and reorders, on a switch in user space (faults.md, rows 20, 21 and 38).

Everything is drawn from one seed, which a failure prints.
"""

import os
import time
from collections.abc import Iterator

import pytest

from tests.faults.cuts import one_way
from tests.faults.lab import Holder, Lab
from tests.faults.scale import SEED, scaled
from tests.faults.switch import TUN, Switch, Weather

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.needs("ip")]


@pytest.fixture(scope="module")
def _switched() -> Iterator[Holder[Switch]]:
    holder = Holder(lambda: Lab(Switch(SEED)))
    yield holder
    holder.clear()


@pytest.fixture
def lab(_switched: Holder[Switch]) -> Lab[Switch]:
    """Three machines on a switch, all well."""
    if not os.access(TUN, os.R_OK | os.W_OK):
        pytest.skip(f"needs TAP devices, and there is no {TUN} here")
    return _switched.get()


WEATHERS: dict[str, tuple[Weather, str]] = {
    "one in a hundred lost, 50 ms": (Weather(loss=0.01, delay_s=0.025), "lost"),
    "one in ten lost, 100 to 300 ms": (Weather(loss=0.1, delay_s=0.05, jitter_s=0.1), "lost"),
    "three in ten lost": (Weather(loss=0.3, delay_s=0.005), "lost"),
    "each ten times": (Weather(duplicate=1.0, copies=10, jitter_s=0.01), "doubled"),
    "out of order, up to 200 ms": (Weather(jitter_s=0.2), "overtaken"),
}


@pytest.mark.parametrize("what", WEATHERS)
def test_weather(lab: Lab[Switch], what: str) -> None:
    """Mail goes both ways while it lasts, each message once, and nobody is declared gone."""
    weather, sees = WEATHERS[what]
    atlas, birch, _ = lab.nodes
    before = lab.fabric.seen[sees]
    with lab.case() as books:
        seen: set[str] = set()
        with lab.fabric.under(weather):
            ids, ends = [], time.monotonic() + scaled(6, 60)
            while time.monotonic() < ends:
                ids += [books.post(atlas, birch), books.post(birch, atlas)]
                seen |= {peer["standing"] for node in lab.nodes for peer in node.status()["peers"]}
                time.sleep(0.1)
            books.proved(ids)
        assert lab.fabric.seen[sees] > before, f"{lab.fabric}: the weather never happened"
        assert seen <= {"ALIVE", "SUSPECT"}, lab.fabric


def test_one_way_on_a_switch(lab: Lab[Switch]) -> None:
    """The switch carries nothing from atlas to birch and loses one frame in a hundred elsewhere: the third machine
    carries for both, and their receipts."""
    atlas, birch, _ = lab.nodes
    with lab.case() as books:
        with lab.fabric.under(Weather(loss=0.01)), lab.fabric.cut(one_way(lab.place(atlas), lab.place(birch))):
            stories = books.proved([books.post(*pair) for _ in range(20) for pair in ((atlas, birch), (birch, atlas))])
        assert "relay" in {story["channel"] for story in stories}
        assert lab.fabric.seen["cut"], lab.fabric
