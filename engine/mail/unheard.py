"""An alert that nobody took: whoever sits at the sender's machine is told, and it stays queued.

Said once a message, when its first cascade ended in nothing; unsaid when the last alert to that peer is over. How a
desktop is told, and that no peer fills it with notices, is `engine.deeds.notice`.
"""

from collections.abc import Iterable

from engine.effects import Effect, Notify, Raise
from engine.model.envelope import KINDS
from engine.model.finding import ALERT_WAITS, Finding, Severity
from engine.model.mail import Waiting
from engine.signals import Found
from engine.state import Fleet


def unheard(fleet: Fleet, waiting: Waiting) -> list[Effect]:
    """The notice that is due after this cascade, if any."""
    envelope = waiting.envelope
    if waiting.cascades != 1 or waiting.skipping or not KINDS[envelope.kind].notifies:
        return []
    return [Notify(envelope.dst, fleet.name_of(envelope.dst), str(envelope.kind), envelope.msg_id)]


def heard_of(fleet: Fleet, peer: str, over: Iterable[Waiting], left: Iterable[Waiting]) -> list[Effect]:
    """The end of that finding, where one of these was the last such message to `peer`."""
    if (ALERT_WAITS, peer) not in fleet.findings or not any(KINDS[one.envelope.kind].notifies for one in over):
        return []
    if any(KINDS[one.envelope.kind].notifies for one in left):
        return []
    return [Raise(Found(Finding(ALERT_WAITS, "", Severity.INFO, subject=peer), present=False))]
