"""A terminal that can be looked at and typed into, whatever it runs in (edge).

Everything is conditional on a look: `put` and `enter` do nothing where the terminal is not, at that very moment, as it
was when it was looked at. So what a person types meanwhile is never mixed with ours.
"""

from typing import Protocol

from engine.transports.text.screen import Look


class Gone(Exception):
    """The terminal is not there, or not the one that was allowed; the text says which, for people."""


class Terminal(Protocol):
    """One terminal. Every method may raise `Gone`."""

    async def look(self) -> Look:
        """What it shows now."""
        ...

    async def put(self, line: str, seen: Look) -> bool:
        """Put a line into its prompt without submitting it; False, and nothing done, where it is not as `seen`."""
        ...

    async def enter(self, seen: Look) -> bool:
        """Submit what stands in its prompt; False, and nothing done, where it is not as `seen`."""
        ...

    async def history(self) -> str:
        """What has left its screen at the top."""
        ...

    async def close(self) -> None:
        """Leave it as it is; idempotent."""
        ...
