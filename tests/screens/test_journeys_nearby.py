"""Journeys to machines that are not here yet: one is woken, one is offered, over ssh, to bring in."""

import msgspec
import pytest

from engine.errors import FleetError
from engine.model.packets import Heartbeat
from engine.model.ways import Nic, Ways
from engine.state import Fleet
from fleet_tui.app import FleetApp
from screens.confirm import Confirm
from screens.invite import InviteCard
from screens.peers import Peers
from tests.screens.control_room import SIZES, asked, control_room, press, said, script, settle, told
from tests.screens.golden import BROKEN

pytestmark = pytest.mark.slow

WIDE = SIZES["wide"]


def carded() -> Fleet:
    """The broken fleet, in which the unreachable nas told of its card."""
    nas = BROKEN.peers["id-nas"]
    ways = Ways(nics=(Nic("02:00:00:00:00:01", "192.168.1.20", "192.168.1.255"),))
    assert isinstance(nas.beat, Heartbeat)
    nas = msgspec.structs.replace(nas, beat=msgspec.structs.replace(nas.beat, ways=ways))
    return msgspec.structs.replace(BROKEN, peers=BROKEN.peers.set("id-nas", nas))


async def at(app: FleetApp, pilot: object, name: str) -> None:
    """Put the cursor on a peer."""
    app.show_peer("peers", f"id-{name}")
    await settle(pilot)  # type: ignore[arg-type]


async def test_waking_asks_first_and_says_what_came_of_it() -> None:
    """W asks; enter on what has the focus wakes nobody; Yes wakes, and the end is said."""
    app = control_room(carded())
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await at(app, pilot, "nas")
        await press(pilot, "W")
        assert isinstance(app.screen, Confirm)
        await press(pilot, "enter")
        assert asked(app, "wake") == []
        await press(pilot, "W", "tab", "enter")
        assert asked(app, "wake") == [("nas",)]
        assert isinstance(app.screen, Peers)
        assert said(app) == "nas is awake"


async def test_a_machine_that_does_not_wake_is_an_error_with_its_reason() -> None:
    """What the engine could not do is told as it told it."""
    app = control_room(carded())
    script(app).refuse["wake"] = FleetError("timeout.wake", "It is not awake yet", "nas was not heard", "wait")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await at(app, pilot, "nas")
        await press(pilot, "W", "tab", "enter")
        assert "It is not awake yet" in said(app)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("mac1", "it is awake"), ("studio", "it is awake"), ("pi", "it told of no network card")],
)
async def test_who_cannot_be_woken(name: str, reason: str) -> None:
    """The node itself, one that is there, one without a card: said, and nothing is asked."""
    app = control_room(carded())
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await at(app, pilot, name)
        await press(pilot, "W")
        assert isinstance(app.screen, Peers)
        assert reason in said(app)
        assert asked(app, "wake") == []


async def test_machines_nearby_are_offered_with_the_command_to_copy() -> None:
    """The card offers who is no member yet; the arrows choose one, y copies the line for it, and round again to the
    plain one."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "i")
        assert isinstance(app.screen, InviteCard)
        assert "attic" in told(app)
        assert "mac2" not in told(app)
        assert "echo 'fleet1-" in told(app)
        await press(pilot, "down", "y")
        assert app.screen.command.endswith(" | ssh attic fleet join -")
        assert app.clipboard == app.screen.command
        assert "From here, once:" in told(app)
        await press(pilot, "down")
        assert app.screen.command.endswith(" | ssh phoenix.tail1234.ts.net fleet join -")
        await press(pilot, "down")
        assert app.screen.command.endswith(" | fleet join -")
        await press(pilot, "up", "up")
        assert "| ssh attic " in app.screen.command


async def test_nobody_nearby_leaves_the_card_as_it_was() -> None:
    """Where nobody is found, or nobody may look, the invite alone is shown."""
    app = control_room("broken")
    script(app).nearby = []
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "i", "down", "y")
        assert isinstance(app.screen, InviteCard)
        assert app.screen.command.endswith(" | fleet join -")
        assert "ssh" not in told(app)
