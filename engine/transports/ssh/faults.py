"""How an ssh connection may fail, and what that says of the channel: each failure brings its `Outcome`.

Light on purpose: what stands here is known without asyncssh, which is imported only once somebody has to be called.
"""

from engine.model.channel import Cause, Outcome, Verdict
from engine.transports.staggered import Impostor, Place


class Broken(ConnectionError):
    """An attempt ended, as `outcome` says."""

    def __init__(self, outcome: Outcome):
        super().__init__(outcome.note)
        self.outcome = outcome


class WrongKey(Impostor):
    """Whoever answers shows a host key that the peer did not announce."""

    def __init__(self, place: Place):
        super().__init__("its sshd showed a host key that the peer did not announce", place)


class Dropped(Broken):
    """The connection ended under a session, or before one could begin."""

    def __init__(self) -> None:
        super().__init__(Outcome(Verdict.LOST, "the connection to its sshd dropped", hard=True))


class NoEntry(Broken):
    """Its sshd took none of our keys."""

    def __init__(self) -> None:
        super().__init__(Outcome(Verdict.LOST, "its sshd refuses our keys", hard=True))


class NoRoom(Broken):
    """Its sshd opens no more sessions on this connection."""

    def __init__(self) -> None:
        super().__init__(Outcome(Verdict.LOST, "its sshd opens no more sessions (MaxSessions)", hard=True))


class NodeAbsent(Broken):
    """Nobody at the peer's letter slot: its machine is there, its node is not. OpenSSH says the same in the same words
    where AllowStreamLocalForwarding is off."""

    def __init__(self) -> None:
        why = "nobody at its socket: its node is away, or its sshd forwards none"
        super().__init__(Outcome(Verdict.LOST, why, hard=True, cause=Cause.NOBODY_IN))


def lost(why: str) -> Broken:
    """The connection failed, or dropped."""
    return Broken(Outcome(Verdict.LOST, why, hard=True))


def barred(why: str) -> Broken:
    """It could not be tried."""
    return Broken(Outcome(Verdict.BARRED, why, hard=True))


def ending(error: Exception, budget_s: float) -> Outcome:
    """What an attempt came to that ended with `error`."""
    if isinstance(error, Broken):
        return error.outcome
    if isinstance(error, Impostor):
        return Outcome(Verdict.LOST, str(error), hard=True, pin=True)
    if isinstance(error, TimeoutError):
        # With a number it is the system's, which gave up before the budget ended.
        return Outcome(Verdict.LOST, str(error) if error.errno else f"no answer in {budget_s:.3g} s")
    return Outcome(Verdict.LOST, str(error) or type(error).__name__, hard=True)
