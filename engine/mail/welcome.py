"""A new machine's first message is answered by one of ours, so that both ways are proved by mail.

Both are of the kind `hello`: numbered, durable, kept until acknowledged, limited and logged like any mail, and shown in
no inbox, because nobody wrote them. The inbox takes a `HELLO` once and says `Greeted`, and the answer has an id made
from its own: whoever waits for it knows what to wait for.
"""

from engine.effects import Effect, Raise
from engine.model.envelope import ID_LIMIT, Envelope, Kind
from engine.model.moment import Moment
from engine.signals import Greeted, Posted, Signal
from engine.state import Fleet

HELLO = b"fleet onboarding: hello"
WELCOME = b"fleet onboarding: welcome"


def answer_to(msg_id: str) -> str:
    """The id of the answer to a greeting, no longer than an id may be."""
    return f"{msg_id[: ID_LIMIT - 2]}-w"


def is_greeting(envelope: Envelope) -> bool:
    """Whether a message wants one back."""
    return envelope.kind is Kind.HELLO and envelope.body == HELLO


def step(fleet: Fleet, signal: Signal, now: Moment) -> tuple[Fleet, list[Effect]]:
    """Write back."""
    if not isinstance(signal, Greeted) or fleet.mail.full:
        return fleet, []
    envelope = fleet.envelope(signal.peer, Kind.HELLO, answer_to(signal.msg_id), now.wall_ms, WELCOME)
    return fleet, [Raise(Posted(envelope, ticket=0))]
