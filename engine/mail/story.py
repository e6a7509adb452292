"""The story of one message, as a sentence a person can read: what was tried, what proved it, what it waits for."""

from collections.abc import Sequence
from itertools import groupby, pairwise

from engine.model.channel import CHANNELS, NAMED, Channel, Verdict
from engine.model.envelope import FAILED, HEIGHT, Rung
from engine.model.story import FLYING, OVERTAKEN, Story, TryLine, beside

_ENDED = {
    "confirmed": "answered in {took}",
    "landed": "took it in {took}, the peer's own receipt was still owed",
    "refused": "was refused after {took}",
    "lost": "gave no answer in {took}",
    "barred": "could not be tried",
    FLYING: "had not ended after {took}",
    OVERTAKEN: "had not ended after {took}",
}

_REACHED = {
    Rung.ACCEPTED: "It is accepted here and not proved at {to} yet",
    Rung.ON_HOST: "It is on {to}'s disk",
    Rung.POSTED: "It was given to {session} on {to}",
    Rung.HELD: "It is on {to}'s disk and held back from {session}",
    Rung.QUEUED: "It was handed to {session} on {to}",
    Rung.SEEN: "It was seen in {session} on {to}",
    Rung.EXPIRED: "It was not proved at {to}",
    Rung.REFUSED: "{to} refused it",
    Rung.DEAD: "It was given up",
}


# What a machine did with it in its session's terminal, as tries over P8; how it came there is another matter.
_TYPED: dict[str, str] = {
    Rung.HELD: "held back",
    Rung.POSTED: "typed into {session}",
    Rung.QUEUED: "typed into {session} as a pointer",
    Rung.SEEN: "seen",
}
# Where the channel is the one that proved it.
_CARRIED = frozenset({Rung.ON_HOST, Rung.EXPIRED, Rung.REFUSED, Rung.DEAD})


def tell(story: Story, waits: str) -> str:
    """One or two sentences on a message of ours; `waits`: why it is not on its host yet, should that be so."""
    carried = tuple(one for one in story.tries if one.outcome not in _TYPED)
    typed = tuple(one for one in story.tries if one.outcome in _TYPED)
    told = [_attempts(carried)] if carried else []
    told += [_hop(typed, story.session)] if typed else []
    reached = _REACHED[story.rung].format(to=story.to, session=story.session or "its session")
    told.append(f"{reached}{_proof(story)}")
    if story.rung is Rung.ACCEPTED:
        told[-1] += f"; {waits}" if waits else ""
    elif story.reason:
        told[-1] += f": {story.reason}"
    return ". ".join(told) + "."


def _proof(story: Story) -> str:
    """What proved it. A try without an answer did not, whatever came over its channel; where there was none, only the
    receipt went that way."""
    channel = story.channel
    if channel is None or story.rung not in _CARRIED:
        return ""
    over = [one.outcome for one in story.tries if one.channel is channel]
    if CHANNELS[channel].stores or Verdict.CONFIRMED in over:
        return f", proved over {_named(channel)}"
    return ", as its receipt says" if over else f", as its receipt over {_named(channel)} says"


def summed(stories: Sequence[Story]) -> str:
    """One sentence on the copies of one message to several."""
    there = sum(HEIGHT.get(one.rung, 0) >= HEIGHT[Rung.ON_HOST] for one in stories)
    failed = [one.to for one in stories if one.rung in FAILED]
    waiting = [one.to for one in stories if one.rung is Rung.ACCEPTED]
    told = f"{there} of {len(stories)} on host"
    told += f"; waiting for {', '.join(waiting)}" if waiting else ""
    return told + (f"; not delivered to {', '.join(failed)}" if failed else "")


def _hop(typed: tuple[TryLine, ...], session: str) -> str:
    """What became of it in its session's terminal, each counted from the moment it was on that machine's disk."""
    said: list[str] = []
    before_ms = 0.0
    for one in typed:
        text = f"{_TYPED[one.outcome].format(session=session or 'its session')} {_took(one.ms - before_ms)} later"
        said.append(f"{text} ({one.note})" if one.note else text)
        before_ms = one.ms
    told = ", then ".join(said)
    return told[0].upper() + told[1:]


def _attempts(tries: tuple[TryLine, ...]) -> str:
    """The tries in order; the same ending of the same channel in a row is told once, with its count."""
    runs = [list(run) for _, run in groupby(tries, key=lambda one: one.told)]
    told = _run(runs[0][0], len(runs[0]))
    for before, run in pairwise(runs):
        told += f", {'and beside it' if beside(before[-1], run[0]) else 'then'} {_run(run[0], len(run))}"
    return told


def _run(one: TryLine, count: int) -> str:
    text = f"{_named(one.channel)} {_ENDED.get(one.outcome, one.outcome).format(took=_took(one.ms))}"
    text += f" ({one.note})" if one.note and not _plain(one) else ""
    return text if count == 1 else f"{text}, {count} times"


def _plain(one: TryLine) -> bool:
    """Whether its note adds nothing: how long nobody answered is told as it was, not as it was allowed to be."""
    if one.note.startswith(NAMED):
        return False
    return one.outcome == Verdict.CONFIRMED or (one.outcome == Verdict.LOST and one.note.startswith("no answer in "))


def _named(channel: Channel) -> str:
    return f"P{CHANNELS[channel].number} {channel}"


def _took(ms: float) -> str:
    return f"{ms:.1f} ms" if ms < 100 else f"{ms / 1000:.1f} s"
