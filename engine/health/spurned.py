"""Who answers this node and opens nothing of what it sends: whoever was revoked while away is told by nobody else.

A peer that does not know a sender, or not any more, says nothing of it; it answers with nothing. That is no proof of a
revocation, which only a roster is: a peer whose own roster is old does the same. So it is said what was seen, and where
to look.
"""

from engine.health.table import USABLE
from engine.model.channel import Cause
from engine.model.finding import Finding, Severity
from engine.state import Fleet

CODE = "trust.refused"


def spurning(fleet: Fleet) -> list[str]:
    """The present members that refuse what they get from here, none of whose channels works; ids, the chief first."""
    found = []
    for member in fleet.roster.members:
        if not member.present or member.id == fleet.me.id:
            continue
        pairs = [health for (peer, _), health in fleet.channels.items() if peer == member.id]
        works = any(health.state in USABLE and health.ok_at is not None for health in pairs)
        if not works and any(health.cause is Cause.SPURNED for health in pairs):
            found.append((not member.admin, member.name, member.id))
    return [one for _, _, one in sorted(found)]


def findings(fleet: Fleet) -> list[Finding]:
    """What a person should know of it; none where nobody refuses."""
    names = [fleet.name_of(one) for one in spurning(fleet)]
    if not names:
        return []
    who = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
    verb = "refuses" if len(names) == 1 else "refuse"
    what = f"{who} {verb} what this node sends, as if it were no member, or no member any more: was it revoked?"
    step = f"`fleet status` on {names[0]} tells; if it was, `fleet leave` here and `fleet join` with a new code"
    return [Finding(CODE, "Peers refuse what this node sends", Severity.HIGH, what, "", step, ("trust.revoked",))]
