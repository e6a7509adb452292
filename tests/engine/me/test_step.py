"""What a node knows of itself: small facts, and findings that are told once."""

import msgspec
from immutables import Map

from engine.effects import Raise
from engine.me import step as me
from engine.model.broker import BrokerState
from engine.model.finding import Finding, Severity
from engine.model.roster import Address
from engine.signals import (
    BrokerChanged,
    Found,
    Listening,
    Looked,
    LoopLagged,
    Refreshed,
    Started,
    StoreFilled,
    StoreFreed,
    TerminalChanged,
)
from tests.engine.script import Script, fleet, moment

CLOCK = Finding("clock.off", "A clock is off", Severity.MEDIUM, "B: 40 s", subject="B")


def script() -> Script:
    return Script(fleet("A", "B"), me.step)


def test_a_start_is_written_down() -> None:
    """With version and epoch, before anything else of it is visible."""
    node = script()
    assert node.hear(Started()) == ["save entry start A"]


def test_what_a_start_found_wrong_with_its_memory_is_written_down() -> None:
    """The finding ends with the process; the ledger keeps it."""
    lost = Finding("store.went_back", "The store went back in time", Severity.HIGH, "3 transactions")
    before = fleet("A", "B")
    findings = Map({("store.went_back", ""): lost, ("clock.off", "B"): CLOCK})
    node = Script(msgspec.structs.replace(before, findings=findings), me.step)
    assert node.hear(Started()) == ["save entry start A, entry store A"]


def test_small_facts_are_kept_where_screens_look() -> None:
    """Broker, terminal, addresses, look, lag and pre-key, each in its place."""
    node = script()
    where = (Address("10.0.0.1", 1, 2, 0, 3),)
    assert "tell BrokerMoved" in node.hear(BrokerChanged(BrokerState.UP, 7, "nats://x", "fine"), at=2.0)
    for signal in (
        TerminalChanged("attached"),
        Listening(where),
        Looked(0.5, "/w", "main", "abc", 3),
        LoopLagged(4.0),
        Refreshed(2, b"key"),
    ):
        node.hear(signal)
    mine, broker = node.fleet.me, node.fleet.broker
    assert (broker.state, broker.pid, broker.url, broker.note, broker.since_ms) == (
        *("up", 7, "nats://x", "fine"),
        moment(2.0).wall_ms,
    )
    assert (mine.terminal, mine.addresses, mine.lag_s, mine.prekey) == ("attached", where, 4.0, (2, b"key"))
    assert mine.look is not None
    assert (mine.look.load, mine.look.branch, mine.look.head, mine.look.dirty) == (0.5, "main", "abc", 3)


def test_a_silent_broker_is_a_finding_until_it_answers_or_dies() -> None:
    """With what a person can do about it; a broker that merely died is called otherwise."""
    node = script()
    node.hear(BrokerChanged(BrokerState.UP, 7, "nats://x"))
    assert "tell found broker.silent" in _all(node, BrokerChanged(BrokerState.SILENT, 7, "nats://x", "it runs, and"))
    assert "restart_nats" in node.fleet.findings["broker.silent", ""].next_step
    assert "tell gone broker.silent" in _all(node, BrokerChanged(BrokerState.UP, 7, "nats://x"))
    _all(node, BrokerChanged(BrokerState.SILENT, 7))
    assert "tell gone broker.silent" in _all(node, BrokerChanged(BrokerState.DOWN, note="exit 1"))


def test_a_broker_s_death_is_written_down() -> None:
    """Each once, with its process; one that never ran has not died."""
    node = script()
    node.hear(BrokerChanged(BrokerState.UP, 7, "nats://x"))
    assert "save entry broker A" in node.hear(BrokerChanged(BrokerState.DOWN, note="exit -9"))
    assert "save entry broker A" not in node.hear(BrokerChanged(BrokerState.STARTING))
    assert "save entry broker A" not in node.hear(BrokerChanged(BrokerState.DOWN, note="no such file"))


def test_a_broker_that_keeps_dying_is_found_until_it_is_up() -> None:
    """A death whose next start is held back is told; one that is mended at once is not."""
    node = script()
    assert "tell found broker.dying" not in _all(node, BrokerChanged(BrokerState.DOWN, note="exit 1"))
    assert "tell found broker.dying" in _all(node, BrokerChanged(BrokerState.DOWN, note="exit 1", dying=True))
    assert "tell gone broker.dying" not in _all(node, BrokerChanged(BrokerState.STARTING))
    assert "tell gone broker.dying" in _all(node, BrokerChanged(BrokerState.UP, 7, "nats://x"))


def _all(node: Script, signal: BrokerChanged) -> list[str]:
    """What a signal and those that it raises make the node do."""
    told = node.hear(signal)
    raised = [one.signal for one in node.effects if isinstance(one, Raise)]
    return told + [line for one in raised for line in node.hear(one)]


def test_a_finding_is_told_once_when_it_appears_and_once_when_it_goes() -> None:
    """Found again it keeps its first moment and takes the new detail."""
    node = script()
    assert node.hear(Found(CLOCK), at=1.0) == ["tell found clock.off"]
    assert node.hear(Found(msgspec.structs.replace(CLOCK, detail="B: 50 s")), at=9.0) == []
    kept = node.fleet.findings["clock.off", "B"]
    assert (kept.at_ms, kept.detail) == (moment(1.0).wall_ms, "B: 50 s")
    assert node.hear(Found(CLOCK, present=False)) == ["tell gone clock.off"]
    assert node.hear(Found(CLOCK, present=False)) == []
    assert not node.fleet.findings


def test_findings_are_told_apart_by_their_subject() -> None:
    """The same of another peer is another finding."""
    node = script()
    node.hear(Found(CLOCK))
    assert node.hear(Found(msgspec.structs.replace(CLOCK, subject="C"))) == ["tell found clock.off"]
    assert len(node.fleet.findings) == 2


def test_a_full_disk_is_a_finding_until_there_is_room() -> None:
    """Critical, with how much is free and what to do; gone by itself."""
    node = script()
    assert node.hear(StoreFilled(3)) == ["tell found store.full"]
    full = node.fleet.findings["store.full", ""]
    assert full.severity is Severity.CRITICAL
    assert "3 MB" in full.detail
    assert full.next_step
    assert node.hear(StoreFreed()) == ["tell gone store.full"]
