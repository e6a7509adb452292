"""What the one value says of this node and of the others."""

import re

from msgspec.structs import replace

from engine.model.channel import Channel, ChannelState
from engine.model.envelope import KINDS, Kind, Urgency
from tests.engine.script import fleet, with_health
from tests.house import ROOT


def test_the_others_are_here_and_not_this_node() -> None:
    """Whoever left or was revoked is no company, and neither is this node; what became of it is told all the same."""
    value = fleet("A", "B", "C", "D")
    ends = {"B": {"left_ms": 1}, "C": {"revoked_ms": 1}, "A": {"revoked_ms": 1}}
    members = tuple(replace(one, **ends.get(one.id, {})) for one in value.roster.members)
    value = replace(value, roster=replace(value.roster, members=members))
    assert [one.id for one in value.others()] == ["D"]
    assert value.mine is not None
    assert (value.mine.id, value.mine.present) == ("A", False)


def test_what_this_node_sends_is_as_its_kind_says() -> None:
    """Mail is as urgent and lives as long as its kind; a pulse yields to everything and is for now."""
    value = fleet("A", "B")
    for kind, spec in KINDS.items():
        made = value.envelope("B", kind, "m1", 5)
        assert (made.src, made.src_epoch, made.seq, made.dst, made.created_ms) == ("A", value.me.epoch, 0, "B", 5)
        assert (made.urgency, made.ttl_s) == ((spec.urgency, spec.ttl_s) if spec.durable else (Urgency.LOW, 0)), kind
    said = value.envelope("B", Kind.CONTEXT, "m1", 5, urgency=Urgency.URGENT, ttl_s=0)
    assert (said.urgency, said.ttl_s) == (Urgency.URGENT, 0)


def test_the_worst_channel_is_the_gravest_and_not_held() -> None:
    """Of two alike the first by its number, a last resort after all others; what a person holds back is no trouble, and
    neither is what works."""
    value = fleet("A", "B")
    assert value.worst("B") is None
    value = with_health(value, "B", Channel.NATS, state=ChannelState.DEGRADED)
    for channel in (Channel.CLOUD, Channel.RELAY, Channel.HTTP):
        value = with_health(value, "B", channel, state=ChannelState.BROKEN)
    assert value.worst("B") is Channel.HTTP
    assert with_health(value, "B", Channel.HTTP, held=True).worst("B") is Channel.RELAY


def test_nobody_else_makes_one() -> None:
    """An envelope is made by this node here, read from the wire, or read from the store."""
    made = re.compile(r"(?<![\w.])Envelope\(\n?\s*\w")
    makers = {path.name for path in (ROOT / "engine").rglob("*.py") if made.search(path.read_text())}
    assert makers == {"state.py", "seal.py", "rows.py", "envelope.py"}
