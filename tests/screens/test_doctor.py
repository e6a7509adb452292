"""Room 8 by keyboard: what is asked of the engine, what is refused and why, and what comes back."""

import pytest
from immutables import Map
from msgspec.structs import replace

from engine.errors import FleetError
from engine.model.channel import Channel
from engine.model.exam import STILL, Exam, Health, Tick, judged
from engine.model.exam import found as everything
from engine.model.finding import Finding, Severity
from screens.confirm import Confirm
from screens.doctor_lines import checks, mended, placed, ticks
from screens.needs import needs
from screens.needs import told as everywhere
from screens.peer_lines import findings
from screens.sheet import Sheet
from screens.spans import words
from screens.widgets.lines import TextLines
from screens.widgets.one_line import OneLine
from tests.screens.control_room import asked, control_room, press, said, script, told
from tests.screens.golden import BROKEN, NOW, SMALL
from tests.screens.golden_doctor import CUT, FOUND, HEALTHY, ILL, KEY, MISSING, PORT, examined


def test_causes_stand_before_their_symptoms() -> None:
    """What the missing broker explains stands under it, and what is too new is not shown."""
    shown = [(one.finding.code, one.depth) for one in placed(ILL, NOW)]
    at = shown.index(("node.broker", 0))
    assert shown[at + 1 : at + 1 + len(CUT)] == [("reach.channel", 1)] * len(CUT)
    assert not any(one.finding.subject == "pi/http" for one in placed(ILL, NOW))


@pytest.mark.slow
async def test_entering_looks_again_only_after_a_while() -> None:
    """Twelve seconds old is new enough; an hour is not, and `!` always looks."""
    for age_s, looks in ((12, 0), (3_600, 1)):
        doctor = replace(HEALTHY.doctor, checked_ms=NOW.wall_ms - age_s * 1_000)
        app = control_room(replace(HEALTHY, doctor=doctor))
        async with app.run_test(size=(120, 40)) as pilot:
            await press(pilot, "8")
            assert len(asked(app, "examine")) == looks
            await press(pilot, "exclamation_mark")
            assert len(asked(app, "examine")) == looks + 1
            assert "well" in said(app)


async def on(pilot: object, code: str) -> None:
    """The cursor on a finding."""
    grid = pilot.app.room.main()  # type: ignore[attr-defined]
    key = next(one for one in grid.rows.keys if one.startswith(code))
    grid.put(key)
    await press(pilot, "left")  # type: ignore[arg-type]


async def test_what_the_doctor_found_is_as_grave_in_every_room() -> None:
    """The banner and the count of what needs somebody say what the doctor says, whatever the node made of it before;
    `n` goes to where it is mended. What may pass by itself is no need, nor is advice."""
    low = Finding("disk.low", "The disk is nearly full", Severity.HIGH, "9 MB free", "", "free some", fixable=True)
    live = replace(low, severity=Severity.MEDIUM, detail="90 MB free")
    value = examined(
        SMALL, {**FOUND, "disk": (low,), "clock": (replace(low, code="clock.tip", severity=Severity.INFO),)}
    )
    value = replace(value, findings=Map({(live.code, ""): live}))
    found = {one.title: one.room for one in needs(value)}
    assert found == {low.title: "doctor", KEY.title: "doctor", MISSING.title: "doctor", PORT.title: "doctor"}
    assert {one.severity for one in everywhere(value) if one.code == low.code} == {Severity.HIGH}
    app = control_room(value)
    async with app.run_test(size=(120, 40)) as pilot:
        assert "▲ high" in words(app.room.query_one("#banner", OneLine).framed.spans)  # type: ignore[union-attr]
        await press(pilot, "n")
        assert (app.room.name_of_room, "1 of 4: " in said(app)) == ("doctor", True)  # type: ignore[union-attr]


@pytest.mark.slow
async def test_fix_asks_first() -> None:
    """`f` names what it would do; Enter alone does nothing, esc is no, and the word is typed without a way to it."""
    app = control_room(ILL)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "8")
        await on(pilot, KEY.code)
        await press(pilot, "f")
        assert isinstance(app.screen, Confirm)
        assert KEY.next_step in app.screen.text
        await press(pilot, "enter")
        assert isinstance(app.screen, Confirm)
        await press(pilot, "escape", "f", "f", "i", "x", "enter")
        assert asked(app, "fix") == [(KEY.code, KEY.subject)]
        assert said(app).startswith("mended: chmod 600")
    assert mended(f"nothing was freed{STILL}") == (f"tried: nothing was freed{STILL}", "warn")


async def test_what_cannot_be_mended_says_so_and_is_copied() -> None:
    """`f` on a finding that only a person may mend is refused with a reason; `y` copies the exact command."""
    app = control_room(ILL)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "8")
        await on(pilot, MISSING.code)
        await press(pilot, "f")
        assert "does not mend that itself" in said(app)
        await press(pilot, "y")
        assert app.clipboard == MISSING.next_step


async def test_what_needs_nobody_is_not_copied() -> None:
    """Where nothing is to be done by hand, `f` says that instead of promising a command, and `y` copies none."""
    idle = "nothing yet: it goes on by itself"
    found = {**FOUND, "broker": (replace(MISSING, next_step=idle),)}
    app = control_room(examined(BROKEN, found))
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "8")
        await on(pilot, MISSING.code)
        for key in ("f", "y"):
            await press(pilot, key)
            assert idle in said(app)
            assert "copies" not in said(app)
        assert not app.clipboard


async def test_what_was_looked_at_can_be_read_to_its_end() -> None:
    """On a small terminal where nothing is wrong: whole reasons, and the moving keys scroll to the last line."""
    long = "supervised by systemd and started at every boot, by the unit in the home of whoever installed it"
    exams = tuple(replace(one, said=f"{one.said}; {long}") for one in HEALTHY.doctor.exams)
    app = control_room(replace(HEALTHY, doctor=replace(HEALTHY.doctor, exams=exams)))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "8")
        well = app.room.main()  # type: ignore[union-attr]
        assert isinstance(well, TextLines)
        text = " ".join(" ".join(words(well.line(at, 80)) for at in range(well.total())).split())
        assert "…" not in text
        for one in exams:
            assert one.said.split()[-1] in text
        await press(pilot, "j")
        assert well.scroll_y == 1
        await press(pilot, "G")
        assert well.seen()[-1] == well.total() - 1
        assert well.size.height >= len(well.seen())


async def test_the_terminal_it_is_drawn_on_is_the_one_looked_at() -> None:
    """Whoever asks says how large the terminal is."""
    app = control_room(HEALTHY)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "8", "exclamation_mark")
        assert asked(app, "examine") == [((80, 24),)]


async def test_read_only_mends_nothing() -> None:
    """With --readonly the key says why it does nothing."""
    app = control_room(ILL, readonly=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "8")
        await on(pilot, KEY.code)
        await press(pilot, "f")
        assert "read-only" in said(app)
        assert asked(app, "fix") == []


@pytest.mark.slow
async def test_a_failure_is_told() -> None:
    """What the engine cannot mend is said, with its next step."""
    app = control_room(ILL)
    script(app).refuse["fix"] = FleetError("world.os", "The machine said no", "read-only file system", "remount it")
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "8")
        await on(pilot, KEY.code)
        await press(pilot, "f")
        await press(pilot, "f", "i", "x", "enter")
        assert "remount it" in said(app)


async def test_enter_shows_the_checks_behind() -> None:
    """The finding, its cause, and every check."""
    app = control_room(ILL)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "8")
        await on(pilot, CUT[0].code)
        await press(pilot, "enter")
        assert isinstance(app.screen, Sheet)
        assert f"because: {MISSING.title}" in told(app)
        assert "store integrity" in told(app)


async def test_onboarding_from_the_peer_panel() -> None:
    """`o` on a peer asks for the ten ticks of the two machines; on this node it says where to look instead."""
    app = control_room("small")
    async with app.run_test(size=(120, 40)) as pilot:
        app.show_peer("peers", "id-mac2")
        await press(pilot, "o")
        assert asked(app, "onboarded") == [("id-mac2",)]
        assert isinstance(app.screen, Sheet)
        await press(pilot, "escape")
        app.show_peer("peers", "id-mac1")
        await press(pilot, "o")
        assert "fleet doctor" in said(app)


@pytest.mark.parametrize(
    ("health", "required", "end"),
    [
        (Health.WELL, True, "can work together"),
        (Health.ILL, True, "must hold does not"),
        (Health.ILL, False, "can work"),
    ],
)
def test_ticks_end_with_a_verdict(health: Health, required: bool, end: str) -> None:
    """Only what must hold decides; while one is out nothing is concluded."""
    made = (Tick("keys", "keys", required, True, health, "so"), Tick("p1", "P1 nats", False, True, Health.WELL, "1 ms"))
    assert end in words(ticks(made, 60)[-1])
    assert "…" in words(ticks((*made, Tick("p2", "P2 http")), 60)[-1])


async def test_advice_is_nothing_wrong() -> None:
    """Three pieces of it are rows of the room, and no fault: neither of the room nor of the check."""
    tips = tuple(Finding("terminal.tmux", "tmux could be better", Severity.INFO, "x", name, "y") for name in "abc")
    fleet = replace(
        HEALTHY, doctor=replace(HEALTHY.doctor, exams=(Exam("terminal", "terminal", *judged("tmux", tips)),))
    )
    app = control_room(fleet)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "8", "exclamation_mark")
        assert "Everything looks well." in said(app)
        grid = app.room.main()  # type: ignore[union-attr]
        assert "nothing is wrong" in words(grid.rows.heading(120))  # type: ignore[attr-defined]
    shown = [words(line) for line in checks(fleet.doctor.exams, NOW, 80)]
    assert shown[0].startswith("● terminal")


def test_a_repair_that_needs_a_word_is_told_under_its_cause() -> None:
    """It is a need of its own all the same, and the sheet of findings has both."""
    cold = Finding("channel.cold", "No direct channel works", Severity.HIGH, "no answer", "linux1", "see", at_ms=5)
    asks = Finding("repair.nats", "A repair needs your word", Severity.HIGH, "so", "linux1/nats", "approve",
                   ("channel.cold",), at_ms=9)  # fmt: skip
    fleet = replace(HEALTHY, findings=Map({(one.code, one.subject): one for one in (cold, asks)}))
    assert [(need.peer, need.channel) for need in needs(fleet)] == [("id-linux1", None), ("id-linux1", Channel.NATS)]
    lines = [words(line) for line in findings(fleet, 80)]
    assert lines.index("     ▲ high  A repair needs your word") > 0


async def test_what_needs_somebody_is_not_called_well() -> None:
    """Where `F` has nothing to show it says so, and which key has what the header counts."""
    app = control_room(replace(BROKEN, findings=Map()))
    async with app.run_test(size=(120, 40)) as pilot:
        assert app.room.needs(app.fleet)  # type: ignore[union-attr]
        await press(pilot, "F")
        assert "n goes to what needs you" in said(app)


def test_the_report_names_everything_once() -> None:
    """What the node noticed itself and a check saw as well is one line, with the earlier moment."""
    live = replace(KEY, at_ms=KEY.at_ms - 1_000, detail="old")
    found = everything(ILL.doctor.exams, [live])
    mine = [one for one in found if one.code == KEY.code]
    assert [(one.at_ms, one.detail) for one in mine] == [(live.at_ms, KEY.detail)]
