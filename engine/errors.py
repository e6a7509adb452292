"""What can go wrong, said so that a person can act on it.

An error carries what happened (`title`, six words or fewer), why (`detail`), the next command or key
(`next_step`), and whose fault it is, because that decides who has to move: OURS is a bug of Fleet, THEIRS a
mistake in what was asked, WORLD the machine or the network. `code` is stable and meant for programs.

It never carries a body, a key or a token.
"""

from enum import StrEnum

import msgspec


class Fault(StrEnum):
    """Whose move it is."""

    OURS = "OURS"
    THEIRS = "THEIRS"
    WORLD = "WORLD"


class FleetError(Exception):
    """One refusal or failure, in the five parts every face shows."""

    def __init__(
        self,
        code: str,
        title: str,
        detail: str = "",
        next_step: str = "",
        fault: Fault = Fault.THEIRS,
        retry_after_s: float | None = None,
    ):
        super().__init__(f"{title}: {detail}" if detail else title)
        self.code = code
        self.title = title
        self.detail = detail
        self.next_step = next_step
        self.fault = fault
        self.retry_after_s = retry_after_s

    def facts(self) -> "ErrorFacts":
        """The five parts as a plain value, for JSON and for screens."""
        return ErrorFacts(self.code, self.title, self.detail, self.next_step, self.fault, self.retry_after_s)


class ErrorFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """`FleetError` as data: `{"code","title","detail","next_step","fault"}`; `retry_after_s` where waiting helps."""

    code: str
    title: str
    detail: str
    next_step: str
    fault: Fault
    retry_after_s: float | None = None

    def raised(self) -> FleetError:
        """The error again, on the other side of a socket or a queue."""
        return FleetError(self.code, self.title, self.detail, self.next_step, self.fault, self.retry_after_s)


# The exit code of a command, by its error's whole code or the first word of it. 3 says that no node runs, not that one
# could not start.
EXIT_CODES = {"node.absent": 3, "node.gone": 3, "node.stopping": 3, "usage": 2, "refused": 4, "timeout": 5}


def exit_code(code: str) -> int:
    """Exit status for an error code such as `node.absent`; 1 where the table is silent."""
    return EXIT_CODES.get(code, EXIT_CODES.get(code.partition(".")[0], 1))
