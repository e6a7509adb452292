"""The app around the rooms: its life, its memory, its answers, and the terminals it has to make do with."""

import json
import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual import events

from engine.errors import FleetError
from fleet_tui.app import FleetApp
from screens.channels import Channels
from screens.peers import Peers
from tests.screens.control_room import SIZES, control_room, press, room, said, script, settle
from tests.screens.golden import BROKEN, FLEETS, NOW, SMALL


async def test_a_picture_needs_no_engine() -> None:
    """A value alone can be looked at; a verb then says that there is no engine."""
    app = FleetApp(fleet=SMALL, clock=lambda: NOW)
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        app.show_peer("peers", "id-mac2")
        await press(pilot, "p")
        assert "No engine" in said(app)
        await press(pilot, "6", "1")
        assert isinstance(room(app), Peers)


async def test_an_engine_that_refuses_is_told_in_one_line() -> None:
    """An error shows its title, why and the next step, and nothing else happens."""
    app = control_room("small")
    script(app).refuse["check"] = FleetError("peer.gone", "The peer is gone", "it left", "i invites it again")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        app.show_peer("peers", "id-mac2")
        await press(pilot, "p")
        assert said(app) == "The peer is gone · it left · i invites it again"


@pytest.mark.slow
async def test_what_was_open_comes_back(tmp_path: Path) -> None:
    """Room, cursor, filter, marks, layout and theme are kept, and the next start has them."""
    kept = tmp_path / "ui.json"
    app = control_room("broken", memory_file=kept)
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        await press(pilot, "v", "s", "slash", "m", "enter", "t")
        app.show_peer("peers", "id-mac2")
        await press(pilot, "space", "2")
        app.show_peer("channels", "id-nas")
        await press(pilot, "right", "D")
    assert app.return_value == "detached"
    again = control_room("broken", memory_file=kept)
    async with again.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        screen = room(again)
        assert isinstance(screen, Channels)
        assert (screen.peer(), screen.channel) == ("id-nas", "http")
        assert again.theme == "fleet-light"
        await press(pilot, "1")
        home = room(again)
        assert isinstance(home, Peers)
        assert (home.table, home.sort, home.query_text, home.marks) == (True, "name", "m", {"id-mac2"})
        assert home.peer() == "id-mac2"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"room": "attic", "peers": {"sort": 7, "marks": 3}}', "\x00"])
async def test_a_memory_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    """A torn or foreign file never keeps the control room from opening."""
    kept = tmp_path / "ui.json"
    kept.write_text(text)
    app = control_room("broken", memory_file=kept)
    async with app.run_test(size=SIZES["narrow"]) as pilot:
        await settle(pilot)
        assert isinstance(room(app), Peers)
        await press(pilot, "D")
    assert json.loads(kept.read_text())["room"] == "peers"


@pytest.mark.slow
@pytest.mark.parametrize("fleet", FLEETS)
@pytest.mark.parametrize("size", [(20, 5), (39, 9), (40, 10), (60, 20), (81, 25), (300, 90)], ids=str)
async def test_no_size_crashes(fleet: str, size: tuple[int, int]) -> None:
    """Every room opens at every size, and so do its dialogs."""
    app = control_room(fleet)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, "2", "w", "escape", "6", "enter", "escape", "1", "v", "m", "escape", "i", "escape", "colon")
        assert app.is_running


@pytest.mark.slow
async def test_no_color_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR not one colour reaches the terminal; what has the cursor is still told apart."""
    monkeypatch.setenv("NO_COLOR", "1")
    app = control_room("broken", memory_file=None)
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        assert app.theme == "ansi-dark"
        for keys in (("2",), ("m",), ("escape", "1", "v")):
            await press(pilot, *keys)
            styles = [style for line in app.screen._compositor.render_strips() for _, style, _ in line if style]
            assert {str(style.color.name) for style in styles if style.color} <= {"default"}
            assert {str(style.bgcolor.name) for style in styles if style.bgcolor} <= {"default"}
        assert any(style.bold for style in styles)
        await press(pilot, "t")
        assert "NO_COLOR" in said(app)


@pytest.mark.slow
async def test_ascii_means_ascii() -> None:
    """With --ascii nothing but ASCII reaches the terminal, on any screen and in any dialog."""
    app = control_room("broken", ascii=True)
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        for keys in ((), ("2",), ("6",), ("w",), ("escape", "m"), ("escape", "question_mark"), ("escape", "colon")):
            await press(pilot, *keys)
            text = "".join(text for line in app.screen._compositor.render_strips() for text, _, _ in line)
            assert text.isascii(), sorted(set(re.findall(r"[^\x00-\x7f]", text)))


async def test_nothing_is_drawn_when_nothing_changed() -> None:
    """A pull that finds the same value in the same second looks at nothing."""
    app = control_room("broken")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        app._pull()
        looked: list[int] = []
        app.look = lambda: looked.append(1)  # type: ignore[method-assign]
        app._pull()
        assert not looked
        script(app).become(replace(BROKEN, mail=replace(BROKEN.mail, waiting=4)))
        app._pull()
        assert looked == [1]


async def test_a_blurred_terminal_is_drawn_less_often() -> None:
    """Without focus one pull in five looks: twice a second."""
    app = control_room("broken")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        app.post_message(events.AppBlur())
        await settle(pilot)
        assert app._blurred
        looked: list[int] = []
        app.look = lambda: looked.append(1)  # type: ignore[method-assign]
        for waiting in range(10):
            script(app).become(replace(BROKEN, mail=replace(BROKEN.mail, waiting=waiting)))
            app._pull()
        assert len(looked) == 2
        app.post_message(events.AppFocus())
        await settle(pilot)
        assert not app._blurred


async def test_an_answer_for_somebody_who_left_is_dropped() -> None:
    """Who asked and went away hears nothing, and nobody else does."""
    app = control_room("broken")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        sheet = app.screen
        heard: list[object] = []
        await press(pilot, "escape")
        app.ask(sheet, lambda engine: engine.invite(), heard.append)
        await settle(pilot)
        assert not heard


async def test_a_plan_that_fails_is_no_plan() -> None:
    """A peer nobody can plan for is shown without an order, and asked for once a value."""
    asked: list[str] = []

    def refuses(peer: str) -> tuple[()]:
        asked.append(peer)
        raise FleetError("unknown.recipient", "No such recipient")

    app = control_room("small", plan=refuses)
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        await press(pilot, "2")
        assert app.plan("id-mac2") == ()
        assert len(asked) == len(set(asked))
