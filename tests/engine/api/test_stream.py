"""What a wait for a rung answers."""

from typing import Any

from engine.api import stream
from engine.model.envelope import FAILED, Kind, Rung
from engine.model.story import Story


class Ended:
    """An engine whose messages are as far as they will get."""

    def __init__(self, rung: Rung):
        self.story = Story("m1", "birch", Kind.CONTEXT, rung, None, (), reason="why not")

    async def wait(self, *asked: Any) -> Story:
        """How it ended."""
        return self.story


async def test_a_wait_that_ends_without_delivery_says_so() -> None:
    """Who waited for the other machine's disk is not told that all is well when the message died."""
    for rung in Rung:
        engine: Any = Ended(rung)
        told = await stream.awaited(engine, engine.story, Rung.ACCEPTED, 1.0)
        assert isinstance(told, stream.Unreached) is (rung in FAILED), rung
        assert told.rung is rung
