"""How much a case takes on, and from which seed: `FLEET_FAULTS=long` for the long variants, `FLEET_FAULT_SEED` for a
seed that failed. `make faults` runs all of it, long."""

import os

LONG = os.environ.get("FLEET_FAULTS") == "long"
SEED = int(os.environ.get("FLEET_FAULT_SEED", "20261122"))


def scaled(usual: int, long: int) -> int:
    """A number of things to do, in each of the two cases."""
    return long if LONG else usual
