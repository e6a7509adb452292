"""What was found out: by looking, by examining, by greeting a newcomer."""

import msgspec

from engine.model.exam import Exam, Tick
from engine.model.finding import Finding
from engine.model.vitals import Vitals


class Found(msgspec.Struct, frozen=True):
    """A finding holds (`present`), or does so no longer."""

    finding: Finding
    present: bool = True


class Measured(msgspec.Struct, frozen=True):
    """How this machine and its node are now, in numbers."""

    vitals: Vitals


class Examined(msgspec.Struct, frozen=True):
    """The doctor has looked: every check, or some of them again."""

    exams: tuple[Exam, ...]


class Ticked(msgspec.Struct, frozen=True):
    """The onboarding of a peer is this far."""

    peer: str
    ticks: tuple[Tick, ...]


class Greeted(msgspec.Struct, frozen=True):
    """A new machine's first message came, and wants one back. `msg_id`: its id."""

    peer: str
    msg_id: str


class Told(msgspec.Struct, frozen=True):
    """Whoever sits here was told that an alert to `peer` waits, or could not be: `how` says it."""

    peer: str
    how: str
