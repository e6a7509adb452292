"""The grid of channels says state, value and order in every cell, at every width."""

from functools import partial

import pytest
from msgspec.structs import replace

from engine.model.channel import CHANNELS, Change, Channel, ChannelState
from engine.model.moment import Moment
from engine.model.peer import Peer
from engine.model.repair import Level
from screens import channel_lines, peer_lines
from screens.census import Census
from screens.channel_rows import ChannelRows
from screens.spans import Spans, width, words
from tests.screens.golden import BROKEN, NOW, SMALL, B, ago, fleet, health, member, plan
from tests.screens.golden_repair import WAITS, repairing

LATER = Moment(NOW.wall_ms + 7_000, NOW.mono + 7)
# A peer of whom nothing is known yet.
LONELY = fleet([(member("mac2"), Peer("id-mac2"), {})])


def told(lines: list[Spans]) -> str:
    return "\n".join(words(line) for line in lines)


def rows(query: str = "", sort: str = "name") -> ChannelRows:
    return ChannelRows(BROKEN, NOW, query, sort, partial(plan, BROKEN))


def said(grid: ChannelRows, name: str, size: int = 118, column: int = -1) -> str:
    return words(grid.row(grid.index(f"id-{name}"), size, column))


CELLS = {
    ("linux1", Channel.NATS): ("○", "52 s"),
    ("linux1", Channel.HTTP): ("●", "18 ms"),
    ("linux1", Channel.RELAY): ("◌", "0:03"),
    ("mac2", Channel.NATS): ("◐", "212 ms"),
    ("mac2", Channel.HTTP): ("–", "held"),
    ("pi", Channel.NATS): ("·", ""),
    ("pi", Channel.SSH): ("–", ""),
}


@pytest.mark.parametrize(
    ("pair", "cell"), CELLS.items(), ids=lambda one: "-".join(one) if isinstance(one, tuple) else ""
)
def test_cell(pair: tuple[str, Channel], cell: tuple[str, str]) -> None:
    """A latency where it works, an age where it is broken, a countdown where it heals, a word where it is held."""
    glyph, value, _ = rows().says(f"id-{pair[0]}", pair[1], 9)
    assert (glyph, value.strip()) == cell


def test_a_mere_retry_is_no_healing() -> None:
    """While nothing has answered since the break it is broken in cell, panel, legend and map, since then and for that
    reason; the first good probe makes it heal."""
    broke = Change(ago(9), ChannelState.HEALTHY, ChannelState.BROKEN, "no answer")
    again = Change(ago(1), ChannelState.BROKEN, ChannelState.HEALING, "trying again")
    pair = health(ChannelState.HEALING, (), "trying again", 1, changes=(broke, again), broke_ms=ago(9))
    tried = fleet([(member("mac2"), Peer("id-mac2"), {Channel.NATS: pair})])
    glyph, value, _ = ChannelRows(tried, NOW, "", "name").says("id-mac2", Channel.NATS, 9)
    assert (glyph, value.strip()) == ("○", "9 s")
    panel = told(channel_lines.panel(tried, "id-mac2", Channel.NATS, NOW, 120))
    assert "broken, trying again  no answer" in panel
    assert "[○ broken]" in panel
    assert "◌" not in panel
    assert "○ broken" in told(peer_lines.why(tried, "id-mac2", NOW, 120))
    healing = replace(pair, good=1)
    answered = replace(tried, channels=tried.channels.set(("id-mac2", Channel.NATS), healing))
    assert "[◌ healing]" in told(channel_lines.panel(answered, "id-mac2", Channel.NATS, NOW, 120))


@pytest.mark.parametrize("size", [56, 58, 60, 76, 78, 80, 100, 118])
def test_a_latency_keeps_its_unit(size: int) -> None:
    """Where a cell is short the gap and the order give way to it, on the row under the cursor as well."""
    told = said(rows(), "mac2", size, 1)
    assert "212ms" in told or "212 ms" in told


@pytest.mark.parametrize("size", range(34, 200, 7))
def test_rows_fit(size: int) -> None:
    """Heading and rows are never wider than the grid, and the columns stand under their names."""
    grid = rows()
    for index in range(len(grid)):
        assert width(grid.row(index, size, 1)) <= max(size, 36)
    assert width(grid.heading(size)) == size
    x = words(grid.heading(size)).index("http")
    assert grid.column_at(x, size) == CHANNELS[Channel.HTTP].number


def test_what_is_not_set_up_says_why_and_what_nobody_tried_is_unknown() -> None:
    """A dash and its reason, those with one reason together; a peer of whom nothing is known yet has dots."""
    assert ChannelRows(SMALL, NOW, "", "name").says("id-mac2", Channel.GIT, 9)[0] == "–"
    assert "no hub configured" in told(channel_lines.why(SMALL, "id-mac2", Channel.GIT, NOW, 80))
    assert "– seed ssh: it told of no sshd" in told(peer_lines.panel(SMALL, "id-mac2", NOW, 80))
    grid = ChannelRows(LONELY, NOW, "", "name")
    assert {grid.says("id-mac2", one, 9)[0] for one in CHANNELS} == {"·"}
    assert "git text: never tried" in told(peer_lines.panel(LONELY, "id-mac2", NOW, 80))


def test_order_is_numbered_under_the_cursor_only() -> None:
    """The row under the cursor numbers the cascade's order; other rows do not."""
    assert "● 2 ms¹  ● 18ms²  ● 4 ms³" in said(rows(), "studio", column=1)
    assert "¹" not in said(rows(), "studio")


def test_next_in_words() -> None:
    """What the next message goes by is said in words, and that it waits where nothing works."""
    assert said(rows(), "mac2").rstrip().endswith("relay, then nats")
    assert said(rows(), "nas").rstrip().endswith("waits")


def test_narrow_leaves_out_what_nobody_has() -> None:
    """On a short line only the channels somebody has are shown, the others counted, and the cursor skips them."""
    grid = rows()
    assert grid.shown(76) == (Channel.NATS, Channel.HTTP, Channel.RELAY)
    assert "+6 not set up" in words(grid.heading(76))
    assert (grid.across(1, -1, 76), grid.across(1, 1, 76), grid.across(3, 1, 76), grid.across(8, 0, 76)) == (1, 2, 3, 1)
    assert (grid.across(1, -1, 118), grid.across(8, 1, 118)) == (0, 8)
    armed = replace(SMALL, channels=SMALL.channels.set(("id-nas", Channel.WOL), health(ChannelState.UNKNOWN)))
    grid = ChannelRows(armed, NOW, "", "name")
    assert Channel.WOL in grid.shown(76)
    assert "+5 not set up" in words(grid.heading(76))


def test_filter_and_sort() -> None:
    """By name by default, the worst first on request; the filter looks at name, role and state."""
    assert [key.removeprefix("id-") for key in rows().keys] == ["linux1", "mac2", "nas", "pi", "studio"]
    assert rows(sort="worst").keys[0] == "id-nas"
    assert rows("captain").keys == ["id-studio"]
    assert rows("degraded").keys == ["id-linux1", "id-mac2"]


def test_what_is_repaired_or_under_the_cursor_has_a_column() -> None:
    """However narrow it is; a row that was drawn without the column is drawn anew."""
    without = rows()
    assert Channel.GIT not in without.shown(60)
    said(without, "linux1", 60)
    repaired = repairing(replace(WAITS, channel=Channel.GIT))
    assert Channel.GIT in ChannelRows(repaired, NOW, "", "name").shown(60)
    order = partial(plan, BROKEN)
    here = ChannelRows(BROKEN, NOW, "", "name", order, without.census, without, Channel.GIT)
    fresh = ChannelRows(BROKEN, NOW, "", "name", order, without.census, None, Channel.GIT)
    assert said(here, "linux1", 60) == said(fresh, "linux1", 60) != said(without, "linux1", 60)


def test_this_node_has_no_row() -> None:
    """A node has no channel to itself."""
    assert len(ChannelRows(fleet(), NOW, "", "name")) == 0
    assert "id-mac1" not in ChannelRows(SMALL, NOW, "", "name").keys


def test_rows_taken_over_say_what_rows_made_anew_say() -> None:
    """Rows that remember the ones before them, through changes, seconds, filters and sortings."""
    census, before = Census(), None
    calm, worse = BROKEN, replace(BROKEN, channels=BROKEN.channels.set(("id-mac2", Channel.HTTP), health(B)))
    slower = replace(calm, channels=calm.channels.set(("id-studio", Channel.NATS), health(ms=(90.0,))))
    tellings = [
        (calm, NOW, "", "name"),
        (slower, NOW, "", "name"),
        (calm, NOW, "", "name"),
        (worse, NOW, "", "name"),
        (worse, LATER, "", "name"),
        (calm, LATER, "", "worst"),
    ]
    tellings += [(worse, LATER, "", "worst"), (worse, LATER, "degraded", "name"), (calm, LATER, "degraded", "name")]
    for value, now, query, sort in tellings:
        order = partial(plan, value)
        before = ChannelRows(value, now, query, sort, order, census(value), before)
        fresh = ChannelRows(value, now, query, sort, order)
        assert before.keys == fresh.keys
        for size, column in ((118, -1), (118, 1), (60, 1)):
            assert [before.row(at, size, column) for at in range(len(fresh))] == [
                fresh.row(at, size, column) for at in range(len(fresh))
            ]


def test_a_rung_that_climbs_is_said_anew() -> None:
    """The repair goes on while the pair, the peer and the second stay as they are."""
    before = None
    for level in Level:
        value = repairing(replace(WAITS, level=level))
        before = ChannelRows(value, NOW, "", "name", partial(plan, value), Census()(value), before)
        assert f"L{level:d}" in said(before, "linux1", column=1)
