"""An alert that nobody took: whoever sits at the sender's machine is told, and it stays queued.

    its first cascade ended in nothing ─► the finding, and a notice ─► how that was told, if the finding still stands
    the last alert to that peer is over ─► the finding ends

The finding is made here, before anybody is told, so that it ends whenever the alert does, however long a desktop takes.
How that is told, and that no peer fills it with notices, is `engine.deeds.notice`.
"""

from collections.abc import Iterable, Iterator

import msgspec

from engine.effects import Effect, Notify, Raise
from engine.health.cascade import choose, held_back
from engine.model.channel import kept_out
from engine.model.envelope import KINDS
from engine.model.finding import ALERT_WAITS, Finding, Severity
from engine.model.mail import Waiting
from engine.model.moment import Moment
from engine.signals import Found, Signal, Told
from engine.state import Fleet


def unheard(fleet: Fleet, waiting: Waiting) -> list[Effect]:
    """The finding and the notice that are due after this cascade, if any."""
    envelope = waiting.envelope
    if waiting.cascades != 1 or waiting.skipping or not KINDS[envelope.kind].notifies:
        return []
    name = fleet.name_of(envelope.dst)
    text = f"{name} has not taken an {envelope.kind} yet; it stays queued"
    step = "; ".join((f"`fleet why {envelope.msg_id}`", *_ways(fleet, waiting, name)))
    found = Finding(ALERT_WAITS, "An alert has not arrived", Severity.HIGH, text, envelope.dst, step)
    return [Raise(Found(found)), Notify(envelope.dst, text)]


def _ways(fleet: Fleet, waiting: Waiting, name: str) -> Iterator[str]:
    """What a person can do about it. `--any` passes no hold, so it is named where something else would be used."""
    of = waiting.envelope
    held = held_back(fleet, of.dst, of.kind, via=waiting.via, widened=waiting.widened)
    if held:
        yield kept_out(held, name)
    if not waiting.widened and (not held or choose(fleet, of.dst, of.kind, widened=True)):
        yield f"`fleet resend {of.msg_id} --any` lets it go any way"


def step(fleet: Fleet, signal: Signal, now: Moment) -> tuple[Fleet, list[Effect]]:
    """A notice came to its end: said beside the finding, if that still stands."""
    if not isinstance(signal, Told):
        return fleet, []
    found = fleet.findings.get((ALERT_WAITS, signal.peer))
    if found is None:
        return fleet, []
    return fleet, [Raise(Found(msgspec.structs.replace(found, detail=f"{found.detail}; {signal.how}")))]


def heard_of(fleet: Fleet, peer: str, over: Iterable[Waiting], left: Iterable[Waiting]) -> list[Effect]:
    """The end of that finding, where one of these was the last such message to `peer`."""
    if (ALERT_WAITS, peer) not in fleet.findings or not any(KINDS[one.envelope.kind].notifies for one in over):
        return []
    if any(KINDS[one.envelope.kind].notifies for one in left):
        return []
    return [Raise(Found(Finding(ALERT_WAITS, "", Severity.INFO, subject=peer), present=False))]
