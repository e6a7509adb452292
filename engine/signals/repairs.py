"""What happens while something is repaired."""

import msgspec

from engine.model.channel import Channel
from engine.model.packets import Mend, Mended
from engine.model.repair import Action, Ended


class RepairAsked(msgspec.Struct, frozen=True):
    """Somebody here wants a channel repaired, from this rung on. `by`: who; empty for a part of this node."""

    peer: str
    channel: Channel
    level: int
    why: str = ""
    by: str = ""


class MendCame(msgspec.Struct, frozen=True):
    """A peer asks this node to repair itself."""

    frm: str
    mend: Mend


class MendWanted(msgspec.Struct, frozen=True):
    """This node, or a person at it (`ticket`), wants an action of the closed table done here. `ask`: its id."""

    action: Action
    channel: str = ""
    why: str = ""
    ask: str = ""
    ticket: int = 0


class MendEnded(msgspec.Struct, frozen=True):
    """An action of ours ended."""

    action: Action
    outcome: Ended
    note: str = ""


class MendAnswered(msgspec.Struct, frozen=True):
    """What came of a request of ours, told by `frm` (ourselves for our own)."""

    frm: str
    mended: Mended


class PlanApproved(msgspec.Struct, frozen=True):
    """A person lets the commands of a repair's plan run. `digest`: of the plan as it was shown. `ticket`: the verb that
    runs them once this is answered."""

    peer: str
    channel: Channel
    digest: str
    by: str
    ticket: int = 0


class PlanDismissed(msgspec.Struct, frozen=True):
    """A person has seen to approved commands that were broken off: they are shown no more. `peer` empty, `channel`
    None: of any."""

    peer: str
    channel: Channel | None
    by: str
    ticket: int = 0


class PlanRan(msgspec.Struct, frozen=True):
    """The approved commands ended: `ran` of them well, and what the last one said. `ok` None: they were broken off,
    and nobody knows how far the last of them came. `ticket`: as it was approved."""

    peer: str
    channel: Channel
    ran: int
    ok: bool | None
    note: str = ""
    ticket: int = 0
