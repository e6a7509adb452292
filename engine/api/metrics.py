"""The one value as Prometheus text (pure), exposition format 0.0.4.

Written by hand because the format is a line a number, and the client library would cost every node 65 ms and a
registry beside the value. Names begin with `fleet_`; a name never changes its meaning.
"""

from collections.abc import Iterable, Iterator

import msgspec

from engine.api import shapes
from engine.model.broker import BrokerState
from engine.model.channel import ChannelState
from engine.model.finding import Severity
from engine.model.moment import Moment
from engine.model.peer import Standing
from engine.state import Fleet

Sample = tuple[dict[str, str], float]


class Metric(msgspec.Struct, frozen=True):
    """One family: its type, what it means, and its samples."""

    name: str
    type: str
    help: str
    samples: tuple[Sample, ...]


def text(fleet: Fleet, now: Moment) -> str:
    """The whole page."""
    return "".join(line + "\n" for metric in metrics(fleet, now) for line in _lines(metric))


def metrics(fleet: Fleet, now: Moment) -> Iterator[Metric]:
    """Every family, each measured from the value and nothing else."""
    me, mail = fleet.me, fleet.mail
    peers = [peer for peer in shapes.peers(fleet, now, {}) if peer.standing is not Standing.LEFT]
    grid = shapes.channels(fleet, now)
    cells = [(peer, channel, cell) for peer, row in grid.items() for channel, cell in row.items()]
    yield _gauge("info", "Constant 1; who this is.", ({"name": me.name, "id": me.id, "version": me.version}, 1))
    yield _gauge("uptime_seconds", "Since the node started.", ({}, round(now.mono - me.started_mono, 3)))
    yield _gauge("loop_lag_seconds", "How late the engine's loop last ran.", ({}, me.lag_s))
    yield _gauge("roster_version", "Version of the roster in force.", ({}, fleet.roster.version))
    yield _gauge("outbox_waiting", "Messages not yet on their host.", ({}, mail.waiting))
    yield _gauge("outbox_dead", "Messages given up, expired or refused, in the store.", ({}, mail.dead))
    yield _gauge("store_full", "1 while the disk is full and sends are refused.", ({}, int(mail.full)))
    up = fleet.broker.state is BrokerState.UP
    yield _gauge("broker_up", "1 while the node's own nats-server runs.", ({}, int(up)))
    yield _gauge("peers", "Members by standing.", *_counted("standing", Standing, (peer.standing for peer in peers)))
    seen = tuple(({"peer": peer.name}, peer.seen_s) for peer in peers if peer.seen_s is not None)
    yield _gauge("peer_seen_seconds", "Since a peer was last heard.", *seen)
    states = tuple(
        ({"peer": peer, "channel": channel, "state": state}, float(cell.state is state))
        for peer, channel, cell in cells
        for state in ChannelState
    )
    yield _gauge("channel_state", "1 for the state a (peer, channel) is in, 0 for the others.", *states)
    rounds = tuple(
        ({"peer": peer, "channel": channel}, cell.latency_ms / 1000)
        for peer, channel, cell in cells
        if cell.latency_ms is not None
    )
    yield _gauge("channel_latency_seconds", "Median of the last round trips.", *rounds)
    severities = (finding.severity for finding in fleet.findings.values())
    yield _gauge("findings", "Present findings by severity.", *_counted("severity", Severity, severities))
    refused = tuple(({"reason": reason}, float(count)) for reason, count in sorted(fleet.refusals.counts.items()))
    yield Metric("fleet_refusals_total", "counter", "Frames refused at the door, by reason.", refused)


def _gauge(name: str, what: str, *samples: Sample) -> Metric:
    return Metric(f"fleet_{name}", "gauge", what, samples)


def _counted(label: str, words: Iterable[str], found: Iterable[str]) -> Iterator[Sample]:
    listed = list(found)
    return (({label: str(word)}, float(listed.count(word))) for word in words)


def _lines(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}"
    yield f"# TYPE {metric.name} {metric.type}"
    for labels, value in metric.samples:
        inside = ",".join(f'{key}="{_escaped(word)}"' for key, word in labels.items())
        yield f"{metric.name}{{{inside}}} {value:g}" if inside else f"{metric.name} {value:g}"


def _escaped(word: str) -> str:
    return str(word).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
