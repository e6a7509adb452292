"""The filter finds what is meant."""

import pytest

from screens.fuzzy import best, matching, score

FOUND = [
    ("mac", "mac2"),
    ("m2", "mac 2"),
    ("fl", "feat/login"),
    ("chan prob", "probe a channel"),
    ("", "anything"),
    ("avb", "a very big city"),
]
LOST = [("mac3", "mac2"), ("xyz", "mac2"), ("ryg", "a very big city"), ("mac zz", "mac2")]


@pytest.mark.parametrize(("query", "text"), FOUND)
def test_matches(query: str, text: str) -> None:
    """Letters in order match, run or not; every word has to."""
    assert score(query, text)


@pytest.mark.parametrize(("query", "text"), LOST)
def test_does_not_match(query: str, text: str) -> None:
    """Letters that are not there, or scattered anywhere, do not match."""
    assert not score(query, text)


def test_order() -> None:
    """The best match is first; a filtered list keeps its own order."""
    assert best("ch", ["search", "channels", "a chief"], str) == ["channels", "a chief", "search"]
    assert matching("ch", ["search", "channels"], str) == ["search", "channels"]
