"""What the store's tests share: a store that is started, and ears for its alarms."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.config import StoreConfig
from engine.errors import FleetError
from engine.evidence.ledger import link
from engine.store.restored import Restored
from engine.store.store import Alarms, Store

NOW_MS = 1_700_000_000_000
LIGHT = StoreConfig(ballast_mb=0)


class Ears:
    """Hears the alarms, and keeps them."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.error: FleetError | None = None

    def alarms(self) -> Alarms:
        return Alarms(lambda free_mb: self.heard.append("full"), lambda: self.heard.append("freed"), self._fatal)

    def _fatal(self, error: FleetError) -> None:
        self.heard.append("fatal")
        self.error = error


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def opened(home: Path, ears: Ears) -> Iterator[Callable[..., tuple[Store, Restored]]]:
    """Opens and starts the store of `home`; every one is closed at the end."""
    with ExitStack() as all_of_them:

        def open_it(config: StoreConfig = LIGHT, wall_ms: int = NOW_MS) -> tuple[Store, Restored]:
            store = Store(home, link, config)
            restored = store.open(wall_ms)
            store.start(ears.alarms())
            all_of_them.callback(store.close)
            return store, restored

        yield open_it
