"""Repairs on the screens: the ladder as it is said, and the keys that begin, choose and approve."""

import msgspec
import pytest
from immutables import Map

from engine.errors import FleetError
from engine.model.channel import KEPT_FAILS, SLOTS, Cause, Change, Channel, ChannelState
from engine.model.finding import Finding, Severity
from engine.model.repair import Level, digest
from engine.model.ways import SshWay, Ways
from screens import channel_lines, peer_lines
from screens.channel_rows import ChannelRows
from screens.confirm import Confirm
from screens.format import trace
from screens.repair_lines import ladder, plan_text, unaskable, unrepairable
from screens.rungs import Rungs
from screens.sheet import Sheet
from screens.spans import Spans, width, words
from tests.screens.control_room import SIZES, asked, control_room, press, room, said, script, settle, told
from tests.screens.golden import BROKEN, NOW, B, H, ago, health
from tests.screens.golden_repair import ASKED, WAITS, repairing

N = Channel.NATS


def lines(found: list[Spans]) -> list[str]:
    return [words(line).rstrip() for line in found]


def test_the_ladder_says_where_it_is_and_what_comes() -> None:
    """What is behind with its sign, the rung in progress with its age and its countdown, what is left of the hour."""
    (line,) = lines(ladder(repairing(ASKED), "id-linux1", N, NOW, 130))
    assert line.startswith(
        "repair  L1 noted ✓   L2 asked linux1 to restart its broker ✓ 0:48  next in 1:12   L3 agent   L4 you"
    )
    assert line.endswith("2 of 3 left")


def test_a_held_ladder_says_until_when() -> None:
    """At the limit the countdown is the hour's."""
    held = msgspec.structs.replace(ASKED, held_until=NOW.mono + 2_460, due=NOW.mono + 2_460)
    said = " ".join(lines(ladder(repairing(held, 3), "id-linux1", N, NOW, 130)))
    assert "held for 41 min" in said
    assert "0 of 3 left" in said


@pytest.mark.parametrize("size", [40, 58, 78, 118, 198])
@pytest.mark.parametrize("repair", [ASKED, WAITS])
def test_no_line_is_wider_than_the_panel(size: int, repair: object) -> None:
    """The rungs go below each other where they do not fit beside."""
    fleet = repairing(ASKED if repair is ASKED else WAITS)
    assert all(width(line) <= size for line in ladder(fleet, "id-linux1", N, NOW, size))
    assert all(width(line) <= size for line in channel_lines.panel(fleet, "id-linux1", N, NOW, size))


def test_what_is_well_has_no_ladder_and_what_is_ill_shows_what_would_come() -> None:
    """Nothing is claimed of a repair that is not."""
    assert ladder(BROKEN, "id-studio", N, NOW, 118) == []
    (line,) = lines(ladder(BROKEN, "id-linux1", N, NOW, 118))
    assert "L1 noted   L2 asked   L3 agent   L4 you" in line


def test_the_cell_under_the_cursor_names_the_rung() -> None:
    """Beside its age where there is room; elsewhere the grid stays calm."""
    rows = ChannelRows(repairing(ASKED), NOW, "", "name")
    at = rows.index("id-linux1")
    assert "○ L2" in words(rows.row(at, 118, 1))
    assert "52 s L2" in words(rows.row(at, 150, 1))
    assert "L2" not in words(rows.row(at, 118, 2))
    assert "L2" not in words(rows.row(at, 118, -1))


def test_the_question_names_what_is_touched() -> None:
    """Every command with what it does, and whom it changes."""
    text = plan_text(repairing(WAITS), WAITS)
    assert "They change linux1; no other machine is touched." in text
    assert "1. signs in to linux1 as ann and makes it restart its broker:\n   ssh -o BatchMode=yes" in text


def test_a_curve_has_gaps_where_nothing_was_measured() -> None:
    """Five minutes in ten cells: of each half minute the slowest, the newest at the end."""
    assert trace([(70, 2.0), (71, 8.0), (99, 2.0)], 99, SLOTS, 10) == "█        ▁"
    assert trace([(10, 2.0)], 99, SLOTS, 10) == ""
    assert trace([], 99, SLOTS, 10) == ""


def test_a_peer_has_a_story() -> None:
    """What broke, what was done and what healed, over all its channels, newest first."""
    fleet = repairing(ASKED)
    found = lines(peer_lines.panel(fleet, "id-linux1", NOW, 60))
    story = [line for line in found if "nats" in line and ("healed by" in line or "responders" in line or "L2" in line)]
    assert [("L2 asked linux1" in line, "healed by L2" in line) for line in story[-3:]] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    first = msgspec.structs.replace(
        fleet.health("id-linux1", N),
        changes=(Change(ago(9), ChannelState.UNKNOWN, H, "first"), Change(ago(5), H, B, "x")),
    )
    fleet = msgspec.structs.replace(
        fleet, channels=fleet.channels.set(("id-linux1", N), first), repairs=type(fleet.repairs)()
    )
    assert not [line for line in lines(peer_lines.panel(fleet, "id-linux1", NOW, 60)) if "first" in line]


# ------------------------------------------------------------------------------------------------------------ by key


@pytest.mark.slow
async def test_r_begins_and_R_chooses() -> None:  # noqa: N802 - the key's own name
    """`r` begins at the first rung; `R` shows what each does and begins at the one that was chosen."""
    app = control_room(repairing(ASKED))
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        app.show_peer("channels", "id-linux1")
        await press(pilot, "r")
        assert asked(app, "repair") == [("id-linux1", N, 1)]
        assert "the repair of linux1 · nats is at L2" in said(app)
        await press(pilot, "R")
        assert isinstance(app.screen, Rungs)
        assert "asks linux1 to restart its broker" in told(app)
        assert "2 of 3 left this hour" in told(app)
        await press(pilot, "escape")
        assert len(asked(app, "repair")) == 1
        await press(pilot, "R", "3")
        assert asked(app, "repair")[-1] == ("id-linux1", N, 3)
        await press(pilot, "R", "down", "enter")
        assert asked(app, "repair")[-1] == ("id-linux1", N, 4)


@pytest.mark.slow
async def test_a_shows_asks_runs_and_tells() -> None:
    """`A` names the blast radius before anything runs; saying nothing runs nothing; then it shows what was said."""
    app = control_room(repairing(WAITS))
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        app.show_peer("channels", "id-linux1")
        await press(pilot, "A")
        assert isinstance(app.screen, Confirm)
        assert "no other machine is touched" in app.screen.text
        await press(pilot, "enter")
        assert asked(app, "approve") == []
        await press(pilot, "A", "tab", "enter")
        assert asked(app, "approve") == [("id-linux1", N, digest(WAITS.plan))]
        assert isinstance(app.screen, Sheet)
        assert "its broker is up again" in told(app)


@pytest.mark.slow
async def test_the_next_need_leads_to_the_cell_whose_commands_wait() -> None:
    """`n` puts the cursor on the channel itself, in a room that is new and in one that is there, and says in a line
    that nothing cuts which key goes on; that key works."""
    waits = repairing(WAITS)
    found = Finding("repair.nats", "A repair needs your word", Severity.HIGH, "nats to linux1: no answer",
                    "linux1/nats", "`fleet repair linux1 --channel nats --approve` runs them", at_ms=1)  # fmt: skip
    app = control_room(msgspec.structs.replace(waits, findings=Map({("repair.nats", "linux1/nats"): found})))
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        for _ in range(2):
            app.show_peer("channels", "id-studio", Channel.HTTP)
            await press(pilot, "1")
            app._actions.visited = -1
            await press(pilot, "n")
            assert (app.room.name_of_room, app.room.peer(), app.room.channel) == ("channels", "id-linux1", N)
            assert "A repair needs your word: nats to linux1 · A shows its commands, and asks" in said(app)
            await press(pilot, "A")
            assert isinstance(app.screen, Confirm)
            await press(pilot, "escape")


async def test_a_need_has_a_column_on_a_narrow_screen() -> None:
    """Where columns that nobody has set up are left out, one whose repair waits for a word is not: `n` leads there."""
    waits = repairing(msgspec.structs.replace(WAITS, channel=Channel.GIT))
    found = Finding("repair.git", "A repair needs your word", Severity.HIGH, "git to linux1: no hub in common",
                    "linux1/git", "`fleet repair linux1 --channel git --approve` runs them", at_ms=1)  # fmt: skip
    unset = waits.channels.set(("id-linux1", Channel.GIT), health(ChannelState.ABSENT, (), "no hub in common"))
    needy = msgspec.structs.replace(waits, channels=unset, findings=Map({("repair.git", "linux1/git"): found}))
    app = control_room(needy)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app._actions.visited = -1
        await press(pilot, "n")
        assert (app.room.name_of_room, app.room.peer(), app.room.channel) == ("channels", "id-linux1", Channel.GIT)
        await press(pilot, "A")
        assert isinstance(app.screen, Confirm)
        await press(pilot, "escape")


@pytest.mark.slow
async def test_what_cannot_be_says_why() -> None:
    """A healthy channel, a plan that is not there, a limit that is reached, a control room that only looks."""
    app = control_room("broken")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        app.show_peer("channels", "id-studio")
        await press(pilot, "r")
        assert "nothing to repair" in said(app)
        await press(pilot, "A")
        assert "no commands wait" in said(app)
        app.show_peer("channels", "id-linux1")
        script(app).refuse["repair"] = FleetError("refused.repairs", "No more repairs in this hour", "3 already")
        await press(pilot, "r")
        assert "No more repairs in this hour" in said(app)
    looking = control_room("broken", readonly=True)
    async with looking.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        looking.show_peer("channels", "id-linux1")
        for key in ("r", "R", "A"):
            await press(pilot, key)
            assert "read-only" in said(looking)
        assert asked(looking, "repair") == []


async def test_where_there_is_nobody_to_ask_no_repair_is_offered() -> None:
    """On a peer that nobody hears `r` and `R` are not in the footer and say why, and no ladder is promised."""
    app = control_room("broken")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        for name in ("channels", "peers"):
            app.show_peer(name, "id-nas")
            await settle(pilot)
            assert not {"repair", "rung"} & {key.verb for key in room(app).keys_shown}
            for key in ("r", "R") if name == "channels" else ("r",):
                await press(pilot, key)
                assert "nobody to ask" in said(app)
    assert not asked(app, "repair")
    assert ladder(BROKEN, "id-nas", N, NOW, 118) == []


def test_a_node_that_ended_is_repaired_by_its_ssh() -> None:
    """Though nobody hears it: its machine is there and can start it. Its other channels say so."""
    way = Ways(SshWay("me", 22, ("ssh-ed25519 AAAA",), start=("fleet", "up")))
    nas = BROKEN.peers["id-nas"]
    told = msgspec.structs.replace(nas, beat=msgspec.structs.replace(nas.beat, ways=way))
    channels = BROKEN.channels.set(("id-nas", Channel.SSH), health(B, (), cause=Cause.NOBODY_IN))
    ended = msgspec.structs.replace(BROKEN, peers=BROKEN.peers.set("id-nas", told), channels=channels)
    assert unrepairable(ended, "id-nas") == ""
    assert unaskable(ended, "id-nas", Channel.SSH) == ""
    assert "a repair of ssh starts it" in unaskable(ended, "id-nas", N)


@pytest.mark.slow
async def test_from_the_map_the_worst_channel_is_repaired() -> None:
    """`r` on a peer asks for its worst; on a peer that is well it says so."""
    app = control_room("broken")
    async with app.run_test(size=SIZES["wide"]) as pilot:
        await settle(pilot)
        app.show_peer("peers", "id-linux1")
        await press(pilot, "r")
        assert asked(app, "repair") == [("id-linux1", None, 1)]
        assert f"to linux1 is at L{Level.NOTED:d}" in said(app)
        app.show_peer("peers", "id-studio")
        await press(pilot, "r")
        assert "no channel to it is broken" in said(app)


def test_more_failures_than_are_remembered_are_so_many_or_more() -> None:
    """The newest sixteen are kept: with all of them in the window nobody knows how many there were."""
    few = tuple(NOW.mono - at for at in range(KEPT_FAILS))
    for fails, said_so in ((few[1:], "15 failures in 5 min"), (few, "16 or more failures in 5 min")):
        ill = health(B, (), "no answer", 20, fails=fails)
        value = msgspec.structs.replace(BROKEN, channels=BROKEN.channels.set(("id-linux1", N), ill))
        assert said_so in channel_lines.facts(value, "id-linux1", N, NOW)
