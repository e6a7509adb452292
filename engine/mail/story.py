"""The story of one message, as a sentence a person can read: what was tried, what proved it, what it waits for."""

from itertools import groupby

from engine.model.channel import CHANNELS, Channel
from engine.model.envelope import Rung
from engine.model.peer import Standing
from engine.model.story import Story, TryLine

_ENDED = {
    "confirmed": "answered in {took}",
    "landed": "took it in {took}, the peer's own receipt was still owed",
    "refused": "was refused after {took}",
    "lost": "gave no answer in {took}",
    "barred": "could not be tried",
}

_REACHED = {
    Rung.ACCEPTED: "It is accepted here and not proved at {to} yet",
    Rung.ON_HOST: "It is on {to}'s disk",
    Rung.POSTED: "It was given to the session on {to}",
    Rung.HELD: "The session on {to} holds it back",
    Rung.QUEUED: "It waits in the session on {to}",
    Rung.SEEN: "The session on {to} saw it",
    Rung.ANSWERED: "The session on {to} answered it",
    Rung.EXPIRED: "Its time to live ended before {to} was reached",
    Rung.REFUSED: "{to} refused it",
    Rung.DEAD: "It was given up",
}


def tell(story: Story, standing: Standing) -> str:
    """One or two sentences on a message of ours; `standing` is its recipient's now."""
    told = [_attempts(story.tries)] if story.tries else []
    proved = f", proved over {_named(story.channel)}" if story.channel and story.rung is not Rung.ACCEPTED else ""
    told.append(f"{_REACHED[story.rung].format(to=story.to)}{proved}")
    if story.rung is Rung.ACCEPTED:
        told[-1] += f"; {_waits(story, standing)}"
    elif story.reason:
        told[-1] += f": {story.reason}"
    return ". ".join(told) + "."


def _attempts(tries: tuple[TryLine, ...]) -> str:
    """The tries in order; the same ending of the same channel in a row is told once, with its count."""
    runs = [list(run) for _, run in groupby(tries, key=lambda one: (one.channel, one.outcome, one.note))]
    return ", then ".join(_run(run[0], len(run)) for run in runs)


def _run(one: TryLine, count: int) -> str:
    text = f"{_named(one.channel)} {_ENDED.get(one.outcome, one.outcome).format(took=_took(one.ms))}"
    text += f" ({one.note})" if one.note and one.outcome != "confirmed" else ""
    return text if count == 1 else f"{text}, {count} times"


def _waits(story: Story, standing: Standing) -> str:
    if standing in (Standing.ALIVE, Standing.SUSPECT):
        return "it is tried again until it is"
    return f"{story.to} is {standing.lower()}: it is kept and tried again when {story.to} is back"


def _named(channel: Channel) -> str:
    return f"P{CHANNELS[channel].number} {channel}"


def _took(ms: float) -> str:
    return f"{ms:.1f} ms" if ms < 100 else f"{ms / 1000:.1f} s"
