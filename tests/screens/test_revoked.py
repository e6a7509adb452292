"""A node that was revoked: its screens offer nothing that nobody would take."""

import pytest
from msgspec.structs import replace

from engine.errors import FleetError
from engine.model.peer import Standing
from engine.state import Fleet
from screens.invite import InviteCard
from tests.screens.control_room import SIZES, control_room, press, room, said, script, settle
from tests.screens.golden import SMALL


def put_out(fleet: Fleet, left: int) -> Fleet:
    """The same fleet after its admin revoked this node, with so many others."""
    others = [one for one in fleet.roster.members if one.id != fleet.me.id][:left]
    mine = [replace(one, revoked_ms=1) for one in fleet.roster.members if one.id == fleet.me.id]
    peers = fleet.peers
    for one in others:
        peers = peers.set(one.id, replace(peers[one.id], standing=Standing.UNKNOWN))
    return replace(fleet, peers=peers, roster=replace(fleet.roster, members=(*mine, *others)))


@pytest.mark.parametrize("left", [1, 2])
async def test_its_rooms_know_it(left: int) -> None:
    """The map shows who is there and not how to add a machine; nothing goes next; `m` and `i` say why not."""
    fleet = put_out(SMALL, left)
    app = control_room(fleet)
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        shown = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "add a machine" not in shown
        assert "revoked" in shown.splitlines()[0]
        assert {"message", "invite"}.isdisjoint(key.verb for key in room(app).keys_shown)
        for key in "mi":
            await press(pilot, key)
            assert "this node was revoked" in said(app)
        await press(pilot, "2")
        shown = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "nothing goes" in shown
        assert app.plan(fleet.others()[0].id) == ()


async def test_an_invite_that_was_refused_has_nothing_to_copy() -> None:
    """The dialog that says why there is no code does not offer to copy one."""
    app = control_room("small")
    script(app).refuse["invite"] = FleetError("refused.role", "Only an admin can do that", "", "ask one")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        await press(pilot, "i")
        assert isinstance(app.screen, InviteCard)
        assert app.screen.query_one("#invite").border_subtitle == " esc closes "
