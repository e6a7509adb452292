"""The filter behind `/` and the palette: letters in order, not necessarily side by side.

Every blank-separated word has to match. A run of letters, and a match at the start of a word, weigh more than letters
picked from all over, so that `ch` finds `channels` before `search`.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
STARTS = " -_.·:"


def score(query: str, text: str) -> int:
    """How well `text` matches, 0 for not at all. An empty query matches everything alike."""
    text = text.lower()
    total = 1
    for word in query.lower().split():
        found = _word(word, text)
        if not found:
            return 0
        total += found
    return total


def _word(word: str, text: str) -> int:
    at = text.find(word)
    if at >= 0:
        # Side by side: always better than scattered, best at the start of a word.
        return 100 + 10 * len(word) + (50 if at == 0 else 25 if text[at - 1] in STARTS else 0)
    place, worth = 0, 0
    for letter in word:
        at = text.find(letter, place)
        if at < 0:
            return 0
        worth += 5 if at == place or text[at - 1] in STARTS else 1
        place = at + 1
    # Scattered letters match nearly any long text: most of them have to continue a run or start a word.
    return worth if worth >= 3 * len(word) else 0


def best(query: str, items: Iterable[Item], text: Callable[[Item], str]) -> list[Item]:
    """The matching items, best first; equal ones keep their order."""
    rated = [(score(query, text(item)), item) for item in items]
    return [item for rate, item in sorted(rated, key=lambda pair: -pair[0]) if rate]


def matching(query: str, items: Iterable[Item], text: Callable[[Item], str]) -> list[Item]:
    """The matching items in their own order: a filtered list does not jump."""
    if not query.strip():
        return list(items)
    return [item for item in items if score(query, text(item))]
