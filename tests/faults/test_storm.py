"""kill -9 of whomever chance picks, on five nodes under mail in every direction (faults.md, row 9).

The seed decides who dies and when; what was under way at that moment nobody decides. Ten thousand messages under two
hundred kills are `make bench` T15; the simulator does the same on virtual time.
"""

import random
from collections.abc import Iterator
from contextlib import suppress

import pytest

from engine.errors import FleetError
from tests.e2e.node import Node, living, start, together
from tests.faults.books import steady
from tests.faults.scale import SEED, scaled

pytestmark = [pytest.mark.slow]

NAMES = ("atlas", "birch", "cedar", "dune", "elm")


@pytest.fixture(scope="module")
def five() -> Iterator[list[Node]]:
    """Five nodes on loopback."""
    with living(*(Node(name) for name in NAMES)) as nodes:
        yield nodes


def test_a_storm_of_kills(five: list[Node]) -> None:
    """Nodes and brokers die, one or several at a time, and come back: everything a caller was told is in its inbox,
    once, and everybody is well again."""
    chance = random.Random(SEED)
    with steady(five) as books:
        for turn in range(scaled(5, 60)):
            for _ in range(6):
                here, there = chance.sample(five, 2)
                # Who is asked while it dies has promised nothing it did not tell.
                with suppress(FleetError):
                    books.bulk(here, there, 15, f"seed {SEED}, turn {turn}")
            victims = chance.sample(five, chance.choice((1, 1, 2)))
            if chance.random() < 0.3:
                for victim in victims:
                    victim.kill_broker()
                continue
            here = chance.choice([node for node in five if node not in victims])
            for victim in victims:
                victim.kill()
                books.post(here, victim, "to a dead one")
            start(victims)
        together(five)
        assert len(books.accepted) > 300, f"seed {SEED}"
