"""Naming a session: what a person says of a session becomes the thread a message carries.

    --session work               thread `work`: any last hop will do
    --session work --via text    thread `text:work`: typed into its terminal, or not at all

`text` is a last hop and no way to a machine: the message travels there as its kind does.
"""

from engine.errors import Fault, FleetError
from engine.model.channel import Channel
from engine.model.hop import SESSION, TEXT_ONLY
from engine.model.roster import Member
from engine.state import Fleet


def named(
    fleet: Fleet, members: list[Member], session: str, thread: str, via: Channel | None
) -> tuple[str, Channel | None]:
    """The thread and the channel of a message. Raises `FleetError`: `usage.session`, `unknown.session`."""
    if not session:
        if via is Channel.TEXT:
            why = "text is typed into one session's terminal, and none is named"
            raise FleetError("usage.session", "Text needs a session", why, "add --session NAME", Fault.THEIRS)
        return thread, via
    name = session.lower()
    if thread:
        why = "a session is named in the thread, so there is no other"
        raise FleetError("usage.session", "A session or a thread", why, "leave out --thread", Fault.THEIRS)
    if not SESSION.fullmatch(name):
        why = f"`{session}`: up to 64 letters, digits and _ . @ -"
        raise FleetError("usage.session", "That is no session's name", why, "`fleet text list` there", Fault.THEIRS)
    if via is not Channel.TEXT:
        return name, via
    for member in members:
        _check_seat(fleet, member, name)
    return TEXT_ONLY + name, None


def _check_seat(fleet: Fleet, member: Member, session: str) -> None:
    """A machine that has spoken has said which sessions let themselves be typed into."""
    peer = fleet.peers.get(member.id)
    seats = {seat.session for seat in fleet.ways_of(member.id).seats}
    if peer is None or peer.beat is None or session in seats:
        return
    why = f"`{session}` on {member.name}; those that have: {', '.join(sorted(seats)) or 'none'}"
    step = f"run `fleet text allow {session}` in its terminal there, or leave out --via"
    raise FleetError("unknown.session", "That session takes no text", why, step, Fault.THEIRS)
