"""The one value seen from outside."""

import msgspec
import pytest
from immutables import Map

from engine.api import shapes
from engine.api.views import DoorsView
from engine.config import MembershipConfig
from engine.model.channel import Channel
from engine.model.finding import Finding, Severity
from engine.model.moment import Moment
from engine.model.peer import Peer, Standing
from screens.roll import link
from tests.engine.api.golden import fleet, member

NOW = Moment(1_000_000, 120.0)


def test_status_has_the_promised_shape() -> None:
    """`fleet status` shows this node, its fleet, its broker, its outbox, and every other member by name."""
    seen = shapes.status(fleet(), NOW, DoorsView("/run/api.sock", 8855), "/home", {"birch": Channel.NATS})
    assert (seen.node.name, seen.node.pid, seen.node.uptime_s, seen.node.terminal) == ("atlas", 7, 20.0, "none")
    assert (seen.fleet.name, seen.fleet.roster_version, seen.fleet.chief) == ("home", 3, "atlas")
    assert (seen.broker.state, seen.outbox.waiting) == ("up", 0)
    birch, cedar = seen.peers
    assert (birch.name, birch.standing, birch.seen_s, birch.best) == ("birch", "ALIVE", 1.5, "nats")
    assert list(birch.channels) == list(Channel), "all nine, whatever is known of them"
    assert {state: name for name, state in birch.channels.items() if state != "UNKNOWN"} == {
        "HEALTHY": "nats",
        "BROKEN": "http",
    }
    assert (cedar.standing, cedar.seen_s, cedar.best) == ("LEFT", None, None)


GRADES = [(0, "SUSPECT"), (9_999, "SUSPECT"), (10_000, "UNREACHABLE"), (90_000, "STALE"), (300_000, "OFFLINE")]


@pytest.mark.parametrize(("age_ms", "grade"), GRADES)
def test_a_peer_not_heard_since_the_start_is_graded_by_its_stored_age(age_ms: int, grade: str) -> None:
    """Nobody is ALIVE who was not measured: the age of the last stored word grades it, from SUSPECT down."""
    peer = Peer("id-birch", heard_ms=NOW.wall_ms - age_ms)
    assert shapes.standing(peer, member("birch"), MembershipConfig(), NOW) == grade


def test_a_peer_never_heard_is_offline() -> None:
    """Without any word of it there is nothing to grade."""
    assert shapes.standing(None, member("birch"), MembershipConfig(), NOW) is Standing.OFFLINE
    assert shapes.standing(Peer("id-birch"), member("birch"), MembershipConfig(), NOW) is Standing.OFFLINE


@pytest.mark.parametrize("end", [{"left_ms": 5}, {"revoked_ms": 5}])
def test_whoever_left_or_was_revoked_has_left(end: dict[str, int]) -> None:
    """What was last measured of a former member does not matter."""
    peer = Peer("id-birch", Standing.ALIVE, heard_mono=119.0)
    assert shapes.standing(peer, member("birch", **end), MembershipConfig(), NOW) is Standing.LEFT


def test_whoever_has_a_name_now_comes_before_who_had_it() -> None:
    """A machine that was revoked and came back as another device is found under its name first."""
    first, again = member("birch", revoked_ms=5), msgspec.structs.replace(member("birch"), id="id-birch-again")
    value = fleet()
    twice = msgspec.structs.replace(value, roster=msgspec.structs.replace(value.roster, members=(first, again)))
    assert [one.id for one in shapes.peers(twice, NOW, {})] == ["id-birch-again", "id-birch"]


def test_who_is_put_out_says_of_nobody_else_that_it_left() -> None:
    """A member that is present in the roster, and to which nothing may be said any more, is unreachable."""
    assert shapes.standing(Peer("id-birch", Standing.LEFT), member("birch"), MembershipConfig(), NOW) == "UNREACHABLE"


def test_channels_show_state_latency_failures_and_reason() -> None:
    """`fleet channels`: the median of the round trips, the failures in the window, and why; present members only."""
    grid = shapes.channels(fleet(), Moment(0, 0.0))
    assert list(grid) == ["birch"]
    nats, http = grid["birch"][Channel.NATS], grid["birch"][Channel.HTTP]
    assert (nats.state, nats.latency_ms, nats.fails, nats.reason) == ("HEALTHY", 2.0, 0, "")
    assert (http.state, http.latency_ms, http.fails, http.reason) == ("BROKEN", None, 2, "refused")
    assert list(shapes.channels(fleet(), Moment(0, 0.0), "id-birch")) == ["birch"]
    assert shapes.channels(fleet(), Moment(0, 0.0), "id-cedar") == {}


def test_a_latency_is_one_number_wherever_it_is_shown() -> None:
    """API, commands and screens say the same: the middle of the last five, so what was slow is forgotten."""
    value = fleet()
    was = value.health("id-birch", Channel.NATS)
    pair = msgspec.structs.replace(was, latencies=(*[148.0] * 9, 30.0, 35.0, 34.0, 900.0, 36.0))
    value = msgspec.structs.replace(value, channels=value.channels.set(("id-birch", Channel.NATS), pair))
    assert shapes.channels(value, NOW)["birch"][Channel.NATS].latency_ms == 35.0
    assert link(Channel.NATS, pair).ms == 35.0


def test_causes_come_before_symptoms() -> None:
    """A finding that another one explains comes after it, whatever its severity; each names its peer."""
    symptom = Finding("p1.broken", "No NATS", Severity.CRITICAL, depends_on=("broker.down",))
    cause = Finding("broker.down", "Broker down", Severity.LOW)
    found = Map({("p1.broken", ""): symptom, ("broker.down", ""): cause})
    assert shapes.findings(fleet(findings=found), NOW) == [cause, symptom]
    waits = Finding("mail.alert_waits", "An alert has not arrived", Severity.HIGH, "", "id-birch")
    (told,) = shapes.findings(fleet(findings=Map({(waits.code, waits.subject): waits})), NOW)
    assert told.subject == "birch", "people know peers by name"
    fresh = Finding("repair.nats", "", Severity.LOW, at_ms=NOW.wall_ms - 4_999, visible_after_s=5.0)
    assert shapes.findings(fleet(findings=Map({("repair.nats", ""): fresh})), NOW) == [], "what may pass is not shown"
    assert shapes.health(fleet(findings=found), NOW).ok is False
    assert shapes.health(fleet(), NOW).ok is True
