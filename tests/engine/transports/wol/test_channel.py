"""P6 on real wires: what a card hears, how often, and what is said when nothing can hear."""

import socket
from collections.abc import Iterator

import pytest

from engine.config import WakeConfig
from engine.model.channel import Verdict
from engine.model.ways import Nic, Ways
from engine.transports.wol.cards import Reach, cards, networks
from engine.transports.wol.channel import Wake
from engine.transports.wol.magic import packet
from tests.lan import Lan
from tests.nodes import Target

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.needs("ip")]

HERE, THERE = "10.77.1", "10.77.2"
BUDGET_S = 0.3


@pytest.fixture
def lan() -> Iterator[Lan]:
    """a and b share a wire, b and c another: a and c never meet."""
    with Lan({HERE: "ab", THERE: "bc"}) as lan:
        yield lan


def ear(lan: Lan, machine: str, port: int = 9) -> socket.socket:
    """What a card there would hear, and no card has to sleep for it."""

    def opened() -> socket.socket:
        heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        heard.bind(("", port))
        heard.setblocking(False)
        return heard

    return lan.inside(machine, opened)


def heard(by: socket.socket) -> list[tuple[bytes, str]]:
    """All that came so far. A packet over a wire of the kernel is there when sending it returns."""
    found = []
    while True:
        try:
            data, (host, _) = by.recvfrom(2_048)
        except BlockingIOError:
            return found
        found.append((data, host))


def sleeper(lan: Lan, machine: str, wire: str) -> Target:
    """A machine that told of its card."""
    nic = Nic(lan.mac(machine, wire), lan.host(machine, wire), f"{wire}.255")
    return Target(machine, (), b"", Ways(nics=(nic,)))


async def test_every_wire_of_ours_hears_three(lan: Lan) -> None:
    """b stands on two wires: whoever listens on either hears the packet three times or more, to the byte, from b's own
    address there; a machine on a third port hears nothing."""
    wake = Wake(WakeConfig(), lambda node: (), lan.runner("b"))
    at_a, at_c, deaf = ear(lan, "a"), ear(lan, "c"), ear(lan, "c", 7)
    target = sleeper(lan, "c", THERE)
    outcome = await wake.deliver(b"never sent", target, BUDGET_S)
    assert outcome.verdict is Verdict.LANDED
    assert outcome.note == "magic packet sent to 2 networks"
    magic = packet(lan.mac("c", THERE))
    at_as, at_cs = heard(at_a), heard(at_c)
    assert at_as == [(magic, lan.host("b", HERE))] * 3
    assert {data for data, _ in at_cs} == {magic}
    assert at_cs.count((magic, lan.host("b", THERE))) >= 3
    assert heard(deaf) == []


async def test_a_configured_broadcast_and_port_are_used(lan: Lan) -> None:
    """`wake.broadcasts` and `wake.port` are where packets go too."""
    wake = Wake(WakeConfig(broadcasts=(f"{HERE}.255",), port=7), lambda node: (), lan.runner("b"))
    at_a, usual = ear(lan, "a", 7), ear(lan, "a")
    assert (await wake.deliver(b"", sleeper(lan, "c", THERE), BUDGET_S)).verdict is Verdict.LANDED
    assert len(heard(at_a)) > 3
    assert heard(usual) == []


async def test_a_machine_is_woken_three_times_a_minute(lan: Lan) -> None:
    """The fourth burst within a minute is refused, says when, and nothing leaves; another machine has its own three.
    Whoever asks for it, here or from elsewhere, counts."""
    asked: list[str] = []
    wake = Wake(WakeConfig(a_minute=3), lambda node: asked.append(node) or ["birch"], lan.runner("b"))  # type: ignore[func-returns-value]
    target = sleeper(lan, "c", THERE)
    first = await wake.deliver(b"", target, BUDGET_S)
    assert first.note == "magic packet sent to 2 networks; asked birch to send it there"
    await wake.shout(target, BUDGET_S)
    await wake.deliver(b"", target, BUDGET_S)
    listening = ear(lan, "c")
    refused = await wake.deliver(b"", target, BUDGET_S)
    assert refused.verdict is Verdict.REFUSED
    assert not refused.hard
    assert "woken 3 times within a minute; again in" in refused.note
    assert heard(listening) == []
    assert asked == ["c", "c"]
    assert (await wake.deliver(b"", sleeper(lan, "a", HERE), BUDGET_S)).verdict is Verdict.LANDED


async def test_what_cannot_be_sent_is_said(lan: Lan) -> None:
    """No card, a card that is none, no network: barred with the reason; a neighbour that was asked is still a hope."""
    alone, helped = (Wake(WakeConfig(), ask, lan.runner("a")) for ask in (lambda node: (), lambda node: ("birch",)))
    target = sleeper(lan, "c", THERE)
    unknown = await alone.deliver(b"", Target("d", (), b""), BUDGET_S)
    assert (unknown.verdict, unknown.note, unknown.hard) == (Verdict.BARRED, "no MAC known", True)
    wrong = await alone.deliver(b"", Target("d", (), b"", Ways(nics=(Nic("12:34"),))), BUDGET_S)
    assert (wrong.verdict, wrong.note, wrong.hard) == (Verdict.BARRED, "no MAC address: 12:34", True)
    lan.unplug("a")
    nowhere = await alone.deliver(b"", target, BUDGET_S)
    assert (nowhere.verdict, nowhere.note, nowhere.hard) == (Verdict.BARRED, "no network to send it to", True)
    outcome = await helped.deliver(b"", target, BUDGET_S)
    assert outcome.verdict is Verdict.LANDED
    assert outcome.note == "no network of ours took it; asked birch to send it there"


def test_a_machine_tells_of_its_cards(lan: Lan) -> None:
    """Configured cards come with the address and broadcast of their network; loopback is no network."""
    mac = lan.mac("b", THERE).upper().replace(":", "-")
    told = lan.inside("b", lambda: cards((mac, "02:02:02:02:02:02")))
    assert told == (Nic(mac.lower().replace("-", ":"), lan.host("b", THERE), f"{THERE}.255"), Nic("02:02:02:02:02:02"))
    assert lan.inside("b", networks) == [Reach(lan.host("b", wire), f"{wire}.255") for wire in (HERE, THERE)]
    assert lan.inside("b", cards) == ()
