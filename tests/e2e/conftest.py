"""Fleets of real processes, made by real invitations and gone at the end of the module, whatever happened."""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.node import Node, join, start

NAMES = ("atlas", "birch", "cedar", "dune", "elm")

FleetOf = Callable[..., list[Node]]


@pytest.fixture(scope="module")
def fleet_of() -> Iterator[FleetOf]:
    """`fleet_of(n, **settings)`: n running nodes of one fleet. They live until the module's last test is done."""
    made: list[Node] = []

    def make(count: int, **settings: str) -> list[Node]:
        nodes = [Node(name, settings) for name in NAMES[:count]]
        made.extend(nodes)
        start(nodes)
        join(nodes)
        return nodes

    yield make
    for node in made:
        node.end()


@pytest.fixture
def lone() -> Iterator[Node]:
    """A node that was never started, in an empty home."""
    node = Node("lone")
    yield node
    node.end()
