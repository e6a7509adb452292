"""One table of keys, from which everything else is read."""

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

from fleet_tui.app import FleetApp
from fleet_tui.palette import Palette
from screens.channels import Channels
from screens.compose import Compose
from screens.confirm import Confirm
from screens.doctor import Doctor
from screens.invite import InviteCard, Prompt
from screens.keymap import ALWAYS, CHANGING, EVERYWHERE, MOVES, PANES, ROOMS, Key
from screens.leaving import Leaving
from screens.messages import Messages
from screens.peers import Peers
from screens.sheet import Sheet
from screens.widgets.choice import Choice
from screens.widgets.lines import Lines

OURS = (
    FleetApp, Peers, Channels, Messages, Doctor,
    Compose, Confirm, InviteCard, Prompt, Leaving, Sheet, Palette, Choice, Lines,
)  # fmt: skip


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_every_binding_has_an_id_and_a_tooltip(kind: type[DOMNode]) -> None:
    """Keys can be remapped by id, and help can be generated: no binding is without either."""
    assert kind.BINDINGS
    for binding in kind.BINDINGS:
        assert isinstance(binding, Binding)
        assert binding.id
        assert binding.tooltip


@pytest.mark.parametrize("name", ROOMS)
def test_no_key_means_two_things(name: str) -> None:
    """In one room a key asks for one verb."""
    keys: dict[str, Key] = {}
    for key in (*ROOMS[name], *EVERYWHERE, *ALWAYS, *MOVES, *PANES):
        for pressed in key.keys.split(","):
            assert pressed not in keys, f"{pressed} is both {keys.get(pressed)} and {key}"
            keys[pressed] = key


def test_a_verb_changes_something_wherever_it_stands() -> None:
    """`--readonly` refuses verbs, not keys: what one row says of a verb, every row of it says."""
    rows = [key for keys in (EVERYWHERE, *ROOMS.values()) for key in keys]
    assert [key for key in rows if key.changes is not (key.verb in CHANGING)] == []


def test_confirming_is_another_key() -> None:
    """A key that asks for something grave is not the key that confirms it."""
    grave = {key.keys for keys in ROOMS.values() for key in keys if key.verb == "revoke"} | {"q"}
    assert not grave & {"enter", "y", "s"}
