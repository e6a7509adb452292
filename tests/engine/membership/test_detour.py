"""A tunnel to a peer is called first, while it stands."""

from engine.effects import ApplyRoster
from engine.model.roster import Address
from engine.signals import Detoured
from engine.target import target
from tests.engine.script import Script, fleet

NEAR = Address("127.0.0.1", 40_001, 40_002)


def test_a_tunnel_is_called_before_the_peers_own_addresses() -> None:
    """While it stands; brokers are told, and every channel is looked at, once a change."""
    script = Script(fleet("A", "B"))
    own = script.fleet.addresses_of("B")
    lines = script.hear(Detoured("B", NEAR))
    assert script.asked(ApplyRoster, Detoured("B", NEAR)) == []
    assert "apply roster 1" in lines
    assert [line for line in lines if line.startswith("deliver ping")] == [
        "deliver ping to B over nats",
        "deliver ping to B over http",
    ]
    there = target(script.fleet, "B")
    assert there is not None
    assert there.addresses == (NEAR, *own)
    assert script.fleet.addresses_of("B") == own
    assert "apply roster 1" in script.hear(Detoured("B", None))
    there = target(script.fleet, "B")
    assert there is not None
    assert there.addresses == own
    assert script.hear(Detoured("C", None)) == []
