"""Every key does what it says: each is pressed on every screen, at both sizes, and the effect is looked for."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.widgets import Input

from fleet_tui.app import FleetApp
from fleet_tui.palette import Palette
from screens.compose import Compose
from screens.confirm import Confirm
from screens.invite import InviteCard
from screens.keymap import EVERYWHERE, ROOMS, TABS, Key, footer
from screens.leaving import Leaving
from screens.messages import Messages
from screens.peers import Peers
from screens.room import Room
from screens.rungs import Rungs
from screens.sheet import Plain, Sheet
from screens.spans import words
from screens.widgets.lines import TextLines
from tests.screens.control_room import SIZES, asked, control_room, press, room, said, script, settle, told

BOTH = [SIZES["wide"], SIZES["narrow"]]


def on_top(kind: type, text: str = "") -> Callable[[FleetApp], bool]:
    return lambda app: isinstance(app.screen, kind) and (not text or text in told(app))


def sheet(title: str) -> Callable[[FleetApp], bool]:
    return lambda app: isinstance(app.screen, Sheet) and title in app.screen.sheet_title and bool(told(app).strip())


def says(text: str) -> Callable[[FleetApp], bool]:
    return lambda app: text in said(app)


def follows(app: FleetApp) -> bool:
    screen = room(app)
    return isinstance(screen, Messages) and not screen.pages.following and "paused" in said(app)


def is_table(app: FleetApp) -> bool:
    screen = room(app)
    return isinstance(screen, Peers) and screen.table


# What a key visibly does; by room where a verb means another thing there.
EFFECTS: dict[str, Callable[[FleetApp], bool]] = {
    "peers": lambda app: room(app).name_of_room == "peers",
    "channels": lambda app: room(app).name_of_room == "channels",
    "messages": lambda app: room(app).name_of_room == "messages",
    "doctor": lambda app: room(app).name_of_room == "doctor",
    "doctor.open": sheet("pi shows another key"),
    "doctor.examine": lambda app: len(asked(app, "examine")) == 1 and "2 findings" in said(app),
    "doctor.fix": on_top(Confirm),
    "peers.onboard": lambda app: asked(app, "onboarded") == [("id-mac2",)] and sheet("onboarding mac2")(app),
    "peers.open": sheet("mac2"),
    "channels.open": sheet("history: linux1 · nats"),
    "messages.open": sheet("task to studio"),
    "message": on_top(Compose, "reaches 1 peer"),
    "invite": on_top(InviteCard, "fleet join"),
    "next": lambda app: "3 messages wait for nas" in said(app),
    "findings": sheet("findings"),
    "why": sheet("why: "),
    "filter": lambda app: app.screen.query_one("#filter", Input).has_focus,
    "sort": says("sorted by"),
    "mark": lambda app: len(room(app).marks) == 1,
    "copy": lambda app: bool(app.clipboard) and "copied: " in said(app),
    "palette": on_top(Palette),
    "theme": lambda app: app.theme == "fleet-light" and "theme fleet-light" in said(app),
    "help": sheet("keys of"),
    "back": lambda app: isinstance(app.screen, type(room(app))),
    "detach": lambda app: app.return_value == "detached",
    "quit": on_top(Leaving),
    "peers.view": is_table,
    "peers.probe": lambda app: (
        asked(app, "check") == [("id-mac2", None)] and "mac2: nats 3 ms, http 5 ms; relay no answer" in said(app)
    ),
    "channels.probe": lambda app: asked(app, "check") == [("id-linux1", "nats")] and "linux1: nats 3 ms" in said(app),
    "peers.hold": lambda app: room(app).name_of_room == "channels" and room(app).peer() == "id-mac2",
    "channels.hold": lambda app: asked(app, "hold") == [("id-linux1", "nats", True)] and "is held back" in said(app),
    "peers.repair": lambda app: asked(app, "repair") == [("id-mac2", None, 1)] and "is at L1" in said(app),
    "channels.repair": lambda app: asked(app, "repair") == [("id-linux1", "nats", 1)] and "is at L1" in said(app),
    "rung": on_top(Rungs, "L3 agent"),
    "approve": on_top(Confirm),
    "peers.revoke": on_top(Confirm),
    "peers.wake": on_top(Confirm),
    "messages.follow": follows,
    "messages.resend": lambda app: bool(asked(app, "resend")) and "it is tried again until it is" in said(app),
}
# Where the cursor has to be for a key to have something to work on.
WAYS = {"messages.resend": ("down", "down")}


async def begin(app: FleetApp, pilot: Any, name: str, verb: str = "") -> None:
    """The room as it was first entered, with the cursor on an item on which its keys work."""
    while not isinstance(app.screen, Room):
        app.pop_screen()
        await settle(pilot)
    for one in app._rooms():
        one.marks = frozenset()
        if one.ready:
            one.close_filter()
        if isinstance(one, Peers):
            one.table = False
        if isinstance(one, Messages) and one.ready:
            one.pages.follow()
            one.main().move_to(0, 0)
    script(app).calls.clear()
    app.theme, app._actions.visited = "fleet-dark", -1
    app.show_peer(name, {"peers": "id-mac2", "channels": "id-linux1"}.get(name, ""))
    await settle(pilot)
    room(app).say(())
    await press(pilot, *WAYS.get(f"{name}.{verb}", ()))


async def check(app: FleetApp, pilot: Any, name: str, key: Key) -> None:
    """Press one key and look for what it is said to do, or for the reason why it cannot."""
    await begin(app, pilot, name, key.verb)
    reason = room(app).refusal(key.verb)
    await press(pilot, key.keys.split(",")[0])
    effect = EFFECTS.get(f"{name}.{key.verb}") or EFFECTS[key.verb]
    if reason:
        assert reason in said(app), f"{name}: {key.shown} {key.label} should say why not: {reason}"
    else:
        assert effect(app), f"{name}: {key.shown} {key.label} should: {key.tooltip}; it said {said(app)!r}"


LAST = ("detach",)


@pytest.mark.slow
@pytest.mark.parametrize("size", BOTH, ids=["120x40", "80x24"])
@pytest.mark.parametrize("name", ROOMS)
async def test_every_key_does_what_it_says(name: str, size: tuple[int, int]) -> None:
    """Every key of a screen, in its footer or not, visibly does what its tooltip says, or says why it cannot now."""
    app = control_room("broken")
    async with app.run_test(size=size) as pilot:
        await begin(app, pilot, name)
        shown = list(room(app).keys_shown)
        assert len(shown) >= 5
        assert all(not room(app).refusal(key.verb) for key in shown)
        every = {key.verb: key for key in (*shown, *EVERYWHERE, *ROOMS[name])}
        for key in sorted(every.values(), key=lambda key: key.verb in LAST):
            await check(app, pilot, name, key)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROOMS)
async def test_a_lonely_node_refuses_with_reasons(name: str) -> None:
    """In a fleet of one, keys that need another machine are not shown and say why when they are pressed."""
    app = control_room("empty")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        await press(pilot, TABS[name].keys)
        assert "probe" not in [key.verb for key in room(app).keys_shown]
        for key in ROOMS[name]:
            reason = room(app).refusal(key.verb)
            if reason:
                await press(pilot, key.keys.split(",")[0])
                assert reason in said(app)


@pytest.mark.parametrize("width", range(40, 200, 7))
@pytest.mark.parametrize("name", ROOMS)
def test_footer_is_never_cut_in_the_middle(name: str, width: int) -> None:
    """Whatever the width, a key is shown whole or not at all, and help is always there."""
    from screens.frame import footer as drawn

    framed, shown = drawn(footer(name), width)
    line = words(framed.spans)
    assert all(f"{key.shown} {key.label}" in line for key in shown)
    assert "…" not in line
    assert shown[-1].verb == "help"


def test_the_general_keys_outlive_what_sorts_and_marks() -> None:
    """On a short line the way out and the way to everything else stay, at its end, before those for comfort."""
    from screens.frame import footer as drawn

    shown = [key.verb for key in drawn(footer("peers"), 120)[1]]
    assert shown[-4:] == ["palette", "quit", "detach", "help"]


async def test_a_click_on_a_footer_key_is_the_key() -> None:
    """The mouse does what the keyboard does."""
    app = control_room("small")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        line = room(app).query_one("#keys")
        start = next(start for start, _, verb in line.framed.targets if verb == "help")  # type: ignore[attr-defined]
        await pilot.click("#keys", offset=(start, 0))
        await settle(pilot)
        assert isinstance(app.screen, Sheet)


@pytest.mark.parametrize("tab", ["1", "2", "6", "8"])
async def test_alone_nobody_is_written_to(tab: str) -> None:
    """In a fleet of one every room refuses to write with the same words, which say what to do; and a room that has
    nothing to show says so too."""
    app = control_room("empty")
    async with app.run_test(size=SIZES["narrow"]) as pilot:
        await settle(pilot)
        await press(pilot, tab, "m")
        assert said(app) == "m message: nobody to write to; i invites"
        assert app.screen is room(app)
        if tab in "26":
            text = room(app).query_one("#empty", TextLines)
            assert text.display
            assert "i prints a line" in " ".join(words(text.line(at, 80)) for at in range(text.total()))


async def test_read_only_stops_nothing() -> None:
    """`q` offers no button that does nothing; it says what stops the node."""
    app = control_room("broken", readonly=True)
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        await press(pilot, "q")
        assert not app.screen.query("#stop")
        assert any("fleet down" in str(one.content) for one in app.screen.query(Plain))
        await press(pilot, "escape", "question_mark")
        assert "ctrl+z" in told(app)


async def test_read_only_disables_what_changes_others() -> None:
    """`--readonly`: nothing that changes another machine is shown, and the key says why."""
    app = control_room("broken", readonly=True)
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await begin(app, pilot, "peers")
        assert not {"message", "invite", "revoke", "hold"} & {key.verb for key in room(app).keys_shown}
        await press(pilot, "m")
        assert "read-only" in said(app)
        assert not isinstance(app.screen, Compose)
