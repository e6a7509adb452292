"""How it stands with the nats-server beside a node."""

from enum import StrEnum


class BrokerState(StrEnum):
    """ABSENT: none of ours is to run. SILENT: it runs, and does not answer this node's own client. DOWN: it ended, and
    is started again, or could not be started. EXTERNAL: the configuration names one that is not ours."""

    ABSENT = "absent"
    STARTING = "starting"
    UP = "up"
    SILENT = "silent"
    DOWN = "down"
    EXTERNAL = "external"


# It runs, and answers as far as anybody knows.
RUNS = (BrokerState.UP, BrokerState.EXTERNAL)
# There should be one, and nobody is served by it.
FALLEN = (BrokerState.SILENT, BrokerState.DOWN)
# None that this node could start, stop or tell anything.
NOT_OURS = (BrokerState.ABSENT, BrokerState.EXTERNAL)
