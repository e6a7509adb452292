"""State is never colour alone, and ASCII moves nothing."""

from engine.model.channel import ChannelState, Verdict
from engine.model.envelope import Rung
from engine.model.finding import Severity
from engine.model.peer import Standing
from screens import glyphs
from screens.glyphs import ASCII
from screens.spans import cells

TABLES = (
    (glyphs.CHANNEL, ChannelState), (glyphs.STANDING, Standing), (glyphs.RUNG, Rung), (glyphs.SEVERITY, Severity),
    (glyphs.OUTCOME, Verdict),
)  # fmt: skip


def test_every_state_has_a_glyph_and_a_word() -> None:
    """Every state of every machine is shown by a glyph of one cell and a word of its own."""
    for table, states in TABLES:
        for state in states:
            look = table[state]  # type: ignore[index]
            assert cells(look.glyph) == 1
            assert look.word
        said = [look.word for look in table.values()]  # type: ignore[attr-defined]
        assert len(set(said)) == len(said)


def test_channel_glyphs_differ_without_colour() -> None:
    """Seven states, seven glyphs, in ASCII as well."""
    marks = [look.glyph for look in glyphs.CHANNEL.values()]
    assert len(set(marks)) == len(marks)
    plain = [mark.translate(ASCII) for mark in marks]
    assert len(set(plain)) == len(plain)
    assert all(mark.isascii() for mark in plain)


def test_ascii_keeps_every_cell() -> None:
    """A stand-in is as wide as what it stands for."""
    assert all(cells(chr(point)) == cells(stand) for point, stand in ASCII.items())


def test_small_numbers() -> None:
    """An order beside a state is raised digits."""
    assert glyphs.small(12) == "¹²"
    assert glyphs.small(12).translate(ASCII) == "12"


def test_an_order_is_no_part_of_the_word_before_it() -> None:
    """In ASCII it is parted from it by the blank behind it; every cell stays."""
    assert glyphs.plain("● 2 ms¹  ● 18ms² ") == "* 2 ms 1 * 18ms 2"
    assert glyphs.plain("2 ms¹") == "2 ms1"
