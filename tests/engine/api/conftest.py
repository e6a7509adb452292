"""One fleet for all that only looks or writes; whoever stops, stalls or breaks something has a stage of its own."""

from collections.abc import Iterator

import pytest

from tests.engine.api.stage import Stage, stage


@pytest.fixture(scope="package")
def trio() -> Iterator[Stage]:
    """atlas, birch, and cedar who is away."""
    with stage("atlas", "birch", "cedar") as running:
        yield running


@pytest.fixture
def alone() -> Iterator[Stage]:
    """atlas, for this test only."""
    with stage() as running:
        yield running
