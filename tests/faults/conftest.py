"""The laboratories, built once and shared; one in which a case failed is torn down and built again.

Every chance is drawn from `FLEET_FAULT_SEED` (default below) and a failure prints it: run it again with that seed.
"""

from collections.abc import Iterator

import pytest

from tests.faults.fabric import Bridge
from tests.faults.lab import Holder, Lab


@pytest.fixture(scope="session")
def _cabled() -> Iterator[Holder[Bridge]]:
    holder = Holder(lambda: Lab(Bridge()))
    yield holder
    holder.clear()


@pytest.fixture
def lab(_cabled: Holder[Bridge]) -> Lab[Bridge]:
    """Three machines on a bridge, all well."""
    return _cabled.get()
