"""A finding: something a person should know, with the next step. Doctor, health, store and trust all speak it."""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How much it matters."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class Finding(msgspec.Struct, frozen=True):
    """`code` and `subject` together are its identity: finding the same thing again replaces it. `depends_on`: codes
    whose presence explains this one, so that causes are shown before symptoms. `at_ms`: wall time first seen; before
    it has lasted `visible_after_s` it is not shown. `fixable`: Fleet can mend it itself, safely and reversibly."""

    code: str
    title: str
    severity: Severity
    detail: str = ""
    subject: str = ""
    next_step: str = ""
    depends_on: tuple[str, ...] = ()
    at_ms: int = 0
    visible_after_s: float = 0.0
    fixable: bool = False


# An alert that nobody took so far.
ALERT_WAITS = "mail.alert_waits"
