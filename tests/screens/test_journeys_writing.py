"""Journeys that write: a message to one, to the marked, to many; an invite; a code typed in."""

import pytest
from msgspec.structs import replace
from textual.widgets import Button, Input, TextArea

from engine.errors import FleetError
from engine.model.envelope import Kind, Rung
from screens.confirm import Confirm
from screens.invite import InviteCard, folded
from screens.peers import Peers
from screens.spans import words
from screens.widgets.choice import Choice
from tests.screens.control_room import SIZES, asked, control_room, press, room, said, script, settle, told
from tests.screens.golden import NOW, SMALL, large
from tests.screens.scripted import CODE

pytestmark = pytest.mark.slow

WIDE, NARROW = SIZES["wide"], SIZES["narrow"]


async def test_compose_shows_whom_it_reaches_and_follows_the_receipt() -> None:
    """`m`: the address is explained before sending, in a terminal that was too narrow for a word meanwhile as well;
    afterwards each recipient's receipt climbs in sight."""
    app = control_room("small")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        app.show_peer("peers", "id-mac2")
        await press(pilot, "m")
        for size in ((8, 24), WIDE):
            await pilot.resize_terminal(*size)
            await settle(pilot)
        assert "reaches 1 peer" in told(app)
        assert "nats → http" in told(app)
        await press(pilot, *"hello", "ctrl+s")
        assert asked(app, "send") == [("mac2", "hello", Kind.CONTEXT)]
        assert "accepted" in told(app)
        card = app.screen.query_one("#compose")
        assert "goes on without you" in str(card.border_subtitle)
        script(app).moved("sent-mac2", Rung.ON_HOST)
        app._pull()
        await settle(pilot)
        assert "on host" in told(app)
        assert "P1 ●" in told(app)
        assert "without you" not in str(card.border_subtitle), "nothing goes on any more"
        await press(pilot, "escape")
        assert isinstance(app.screen, Peers)


async def test_what_was_not_sent_is_kept() -> None:
    """`esc` keeps the words and the kind for whom they are to, until they are sent or emptied; so does a refusal."""
    app = control_room("small")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        app.show_peer("peers", "id-mac2")
        await press(pilot, "m", *"hello", "shift+tab", "right", "escape")
        assert "kept, not sent" in said(app)
        app.show_peer("peers", "id-studio")
        await press(pilot, "m")
        assert app.screen.query_one(TextArea).text == ""
        await press(pilot, "escape")
        app.show_peer("peers", "id-mac2")
        script(app).refuse["send"] = FleetError("store.full", "The store is full", "", "free some space")
        await press(pilot, "m", "!", "ctrl+s", "escape")
        assert asked(app, "send") == [("mac2", "hello!", Kind.TASK)]
        del script(app).refuse["send"]
        await press(pilot, "m", "ctrl+s", "escape")
        assert asked(app, "send")[1:] == [("mac2", "hello!", Kind.TASK)]
        await press(pilot, "m")
        assert app.screen.query_one(TextArea).text == ""


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_what_sends_is_in_sight(size: tuple[int, int]) -> None:
    """Also in a low terminal, and where it reaches more than there are lines for."""
    app = control_room(large(14))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, "m")
        app.screen.query_one("#to", Input).value = "all"
        app.screen._ask_reach()  # type: ignore[attr-defined]
        await settle(pilot)
        assert "reaches 14 peers" in told(app)
        assert app.screen.query_one("#send").region.bottom < app.screen.query_one("#compose").region.bottom
        assert app.screen.query_one("#compose").region.bottom <= size[1]


async def test_compose_to_the_marked() -> None:
    """`space` marks, `m` writes to all that are marked, each with a receipt of its own."""
    app = control_room("small")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "v", "g")
        for _ in range(4):
            await press(pilot, "space", "down")
        assert room(app).marks == {"id-studio", "id-mac2", "id-linux1"}
        await press(pilot, "m", *"hi", "ctrl+s")
        assert asked(app, "send") == [("linux1,mac2,studio", "hi", Kind.CONTEXT)]
        assert "0 of 3 on host" in told(app)
        script(app).moved("sent-mac2", Rung.ON_HOST)
        app._pull()
        await settle(pilot)
        assert "1 of 3 on host" in told(app)


async def test_compose_says_why_a_recipient_cannot_be_reached_now() -> None:
    """Each recipient has its channels or the reason, asked anew for another kind; a name too many sends nothing."""
    app = control_room("broken")
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        await press(pilot, "m")
        to = app.screen.query_one("#to", Input)
        to.value = "mac2, nas"
        app.screen._ask_reach()  # type: ignore[attr-defined]
        await settle(pilot)
        assert "reaches 2 peers" in told(app)
        assert "nats → http" in told(app)
        assert "waits in the outbox" in told(app)
        assert "tried again when nas is back" in " ".join(told(app).split())
        app.screen.query_one(Choice).focus()
        await press(pilot, "right")
        assert ("nas", Kind.TASK) in asked(app, "preview")
        to.value = "mac2, nobody-like-that"
        app.screen.query_one(TextArea).text = "hello"
        app.screen._ask_reach()  # type: ignore[attr-defined]
        await press(pilot, "ctrl+s")
        assert "No such peer" in told(app)
        assert not asked(app, "send")


async def test_compose_asks_before_many_and_refuses_nobody() -> None:
    """Ten or more recipients are counted by hand first; nobody, no words and unknown names are told, not sent."""
    app = control_room(large(14))
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "m")
        to = app.screen.query_one("#to", Input)
        to.value = "nobody-like-that"
        app.screen._ask_reach()  # type: ignore[attr-defined]
        await settle(pilot)
        assert "No such peer" in told(app)
        to.value = "all"
        app.screen._ask_reach()  # type: ignore[attr-defined]
        await settle(pilot)
        await press(pilot, "ctrl+s")
        assert "no words" in told(app)
        app.screen.query_one(TextArea).text = "all hands"
        await press(pilot, "ctrl+s")
        assert isinstance(app.screen, Confirm)
        assert not asked(app, "send")
        app.screen.query_one(Input).value = "14"
        await settle(pilot)
        app.screen.query_one("#yes", Button).press()
        await settle(pilot)
        ((to_all, words, _),) = asked(app, "send")
        assert (len(to_all.split(",")), words) == (14, "all hands")


async def test_compose_tells_a_refused_send() -> None:
    """A message the engine refuses shows title and next step, whomever it was for."""
    app = control_room("small")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        script(app).refuse["send"] = FleetError("store.full", "The store is full", "", "free some space")
        app.show_peer("peers", "id-mac2")
        await press(pilot, "m", "x", "ctrl+s")
        assert "The store is full" in told(app)
        assert "free some space" in told(app)


@pytest.mark.parametrize("size", range(20, 260, 3))
@pytest.mark.parametrize("there", ["", "ssh attic "])
def test_a_folded_command_is_one_command(size: int, there: str) -> None:
    """Pasted with its line breaks a shell reads what was meant: they are within the quotes, or behind the bar."""
    lines = [words(line).rstrip() for line in folded("echo '", CODE, f"' | {there}fleet join -", size)]
    assert max(map(len, lines)) <= max(size, len(there) + 12)
    before, code, behind = "\n".join(lines).split("'")
    assert (before, "".join(code.split())) == ("echo ", CODE)
    assert behind.replace("|\n", "| ") == f" | {there}fleet join -"


async def test_invite_shows_the_command_counts_down_and_copies() -> None:
    """`i`: the code, the one command for the other side, how long it is good; `y` copies the command."""
    moments = [NOW]
    app = control_room("empty", clock=lambda: moments[0])
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        await press(pilot, "i")
        assert isinstance(app.screen, InviteCard)
        assert "15:00" in told(app)
        moments[0] = replace(NOW, wall_ms=NOW.wall_ms + 61_000, mono=NOW.mono + 61)
        app._pull()
        await settle(pilot)
        assert "13:59" in told(app)
        await press(pilot, "y")
        assert app.clipboard == f"echo '{CODE}' | fleet join -"
        script(app).become(SMALL)
        app._pull()
        await settle(pilot)
        assert "studio has joined" in told(app)
        assert "13:59" in told(app)
        moments[0] = replace(NOW, wall_ms=NOW.wall_ms + 901_000, mono=NOW.mono + 901)
        app._pull()
        await settle(pilot)
        assert "This code is over" in told(app)
        script(app).user = "studio"
        moments[0] = replace(NOW, wall_ms=NOW.wall_ms + 902_000, mono=NOW.mono + 902)
        app._pull()
        await settle(pilot)
        assert "used by studio; esc, then i makes another" in told(app)


async def test_join_by_code_from_the_palette() -> None:
    """A code that another machine printed is typed into one line."""
    app = control_room("empty")
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        await press(pilot, "colon", *"join", "enter", *"abc-123", "enter")
        assert asked(app, "join") == [("abc-123",)]
        assert "joined" in said(app)


async def test_leaving_the_fleet_wants_the_name() -> None:
    """`leave` in the palette names what happens, and does it only after this node's name was typed."""
    app = control_room("small")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "colon", *"leave", "enter")
        assert isinstance(app.screen, Confirm)
        await press(pilot, "enter")
        assert not asked(app, "leave")
        await press(pilot, *"mac1", "enter")
        assert asked(app, "leave") == [()]
        assert "has left home" in said(app)


async def test_revoking_wants_the_name() -> None:
    """`X` names the blast radius, and puts a machine out only after its name was typed."""
    app = control_room("small")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        app.show_peer("peers", "id-mac2")
        await press(pilot, "X", "enter")
        assert not asked(app, "revoke")
        await press(pilot, *"mac2", "enter")
        assert asked(app, "revoke") == [("mac2",)]


async def test_leaving_tells_what_is_given_up() -> None:
    """The messages that wait are counted in the question; what became of them is a sheet of its own."""
    app = control_room("broken")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        app.perform("leave")
        await settle(pilot)
        assert isinstance(app.screen, Confirm)
        assert "3 messages waiting in the outbox will be given up" in app.screen.text
        await press(pilot, *"mac1", "enter")
        assert len(asked(app, "leave")) == 1
        assert "This machine has left home." in told(app)
