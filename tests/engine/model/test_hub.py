"""What may be a hub, and that two who share one know it."""

import pytest

from engine.model.hub import flaw, name


@pytest.mark.parametrize(
    ("hub", "why"),
    [
        ("", "no hub configured"),
        ("/srv/fleet.git", ""),
        ("file:///srv/fleet.git", ""),
        ("git@host:fleet.git", ""),
        ("ssh://git@host:2222/srv/fleet.git", ""),
        ("https://host/fleet.git", ""),
        ("https://me:secret@host/fleet.git", "the hub's name holds a password"),
        ("../fleet.git", "the hub's path is not absolute"),
        ("--upload-pack=touch /tmp/x", "the hub's name cannot be used"),
        ("-oProxyCommand=x", "the hub's name cannot be used"),
        ("/srv/two words.git", "the hub's name cannot be used"),
    ],
)
def test_what_may_be_a_hub(hub: str, why: str) -> None:
    """What git could take for an option, and a password that every process list would show, are turned away."""
    assert flaw(hub) == why
    assert len(why.split()) <= 6


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("/srv/fleet.git", "file:///srv/fleet.git/"),
        ("https://me@host/fleet.git", "HTTPS://host/fleet.git/"),
        ("git@host:fleet.git", "git@host:fleet.git"),
    ],
)
def test_one_hub_has_one_name(here: str, there: str) -> None:
    """Two members find that they have a hub in common, however each has written it."""
    assert name(here) == name(there)
