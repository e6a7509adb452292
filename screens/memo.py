"""Not computing again what cannot have changed: a slice of the value that is the same object says the same thing."""

from collections.abc import Callable
from typing import Generic, TypeVar

from engine.state import Fleet

Made = TypeVar("Made")


class Memo(Generic[Made]):
    """A function of a few slices of the fleet, computed anew only when one of them is another object."""

    def __init__(self, make: Callable[[Fleet], Made], *slices: str) -> None:
        self._make = make
        self._slices = slices
        self._seen: tuple[object, ...] = ()
        self._made: Made | None = None

    def __call__(self, fleet: Fleet) -> Made:
        now = tuple(getattr(fleet, name) for name in self._slices)
        if self._made is None or any(new is not old for new, old in zip(now, self._seen, strict=True)):
            self._made, self._seen = self._make(fleet), now
        return self._made
