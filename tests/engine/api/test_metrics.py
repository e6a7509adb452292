"""The value as Prometheus text."""

from immutables import Map
from prometheus_client.parser import text_string_to_metric_families

from engine.api import metrics
from engine.model.moment import Moment
from engine.state import Refusals
from tests.engine.api.golden import fleet, member

NOW = Moment(1_000_000, 120.0)


def families(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    return {
        family.name: [(sample.labels, sample.value) for sample in family.samples]
        for family in text_string_to_metric_families(text)
    }


def test_prometheus_reads_every_family() -> None:
    """The official parser accepts the page, and the numbers are those of the value."""
    value = fleet(refusals=Refusals(Map({"forged": 3})))
    found = families(metrics.text(value, NOW))
    assert all(name.startswith("fleet_") for name in found)
    assert found["fleet_uptime_seconds"] == [({}, 20.0)]
    assert found["fleet_broker_up"] == [({}, 1.0)]
    assert ({"standing": "ALIVE"}, 1.0) in found["fleet_peers"]
    assert ({"peer": "birch", "channel": "nats", "state": "HEALTHY"}, 1.0) in found["fleet_channel_state"]
    assert ({"peer": "birch", "channel": "nats"}, 0.002) in found["fleet_channel_latency_seconds"]
    assert found["fleet_refusals"] == [({"reason": "forged"}, 3.0)]


def test_a_hostile_name_cannot_break_the_page() -> None:
    """Quotes, backslashes and line breaks in a name are escaped as the format says."""
    roster = fleet().roster
    evil = member('a"b\\c\nd')
    value = fleet(roster=type(roster)(roster.fleet_id, "home", 3, 0, (*roster.members, evil)))
    names = {labels["peer"] for labels, _ in families(metrics.text(value, NOW))["fleet_channel_state"]}
    assert 'a"b\\c\nd' in names
