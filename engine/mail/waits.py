"""What a message of ours waits for, as half a sentence: who keeps it meanwhile, which way a person holds back, or which
one it is not allowed to go.

Nothing is guessed: that a relay keeps it was its own word (a try that landed); which channels work is the cascade's.
"""

from engine.health.cascade import choose, held_back, works
from engine.model.channel import CHANNELS, NAMED, Channel, ChannelState, Verdict, kept_out, listed
from engine.model.envelope import Kind
from engine.model.mail import Lane, Waiting
from engine.model.moment import Moment
from engine.model.peer import THERE, Standing
from engine.model.roster import Role
from engine.model.story import FLYING, Story, TryLine
from engine.state import Fleet

Flying = tuple[tuple[Channel, float], ...]

LATER = "it goes as soon as one does"


def waits(fleet: Fleet, peer: str, story: Story) -> str:
    """Why a message to the node `peer` is not on its disk yet, and what will become of it."""
    here = _open(fleet, peer, story.id)
    if here is None:
        return foretold(fleet, peer, story)
    return foretold(fleet, peer, story, here.via, here.widened, here.flying)


def foretold(
    fleet: Fleet, peer: str, story: Story, via: Channel | None = None, widened: bool = False, flying: Flying = ()
) -> str:
    """The same of a message that is in no lane yet, or of which is known what its lane says. `via`: the channel its
    sender named."""
    if fleet.revoked:
        return "this node was revoked, and nobody takes anything from it"
    keeper = _keeper(fleet, story)
    again = " again" if story.tries or flying else ""
    if keeper:
        return f"it is queued at {keeper}, which passes it on when it reaches {story.to}"
    if via:
        way = fleet.health(peer, via)
        cannot = f" ({way.reason})" if way.state is ChannelState.ABSENT and way.reason else ""
        cannot += f" ({NAMED})" if way.held else ""
        return f"only {via} may carry it{cannot}, and it is tried{again} until it has"
    usable = works(fleet, peer, story.kind, widened=widened)
    held = () if usable else held_back(fleet, peer, story.kind, widened=widened)
    unused = kept_out(held, story.to) if held else ""
    if not widened and not usable:
        unused = _barred(fleet, peer, story, unused) or unused
    live = fleet.peers.get(peer)
    standing = live.standing if live else Standing.UNKNOWN
    if unused:
        return unused if standing in THERE or not held else f"{story.to} is {standing.lower()}; {unused}"
    if standing in THERE:
        # What was tried once is tried on, over a channel that was given up as well.
        return f"it is tried{again} until it is" if usable or again else f"no channel to {story.to} works now; {LATER}"
    return f"{story.to} is {standing.lower()}: it is kept and tried{again} when {story.to} is back"


def under_way(fleet: Fleet, peer: str, msg_id: str, now: Moment) -> tuple[TryLine, ...]:
    """The tries of a message that have not ended yet."""
    open_ = _open(fleet, peer, msg_id)
    ages = [(channel, round((now.mono - since) * 1000, 3)) for channel, since in (open_.flying if open_ else ())]
    return tuple(TryLine(channel, FLYING, ms, at=now.wall_ms - round(ms)) for channel, ms in ages)


def _barred(fleet: Fleet, peer: str, story: Story, held: str) -> str:
    """Whether other channels would work, which a message of this kind may not use; after what is `held` back."""
    others = choose(fleet, peer, story.kind, widened=True)
    if not others:
        return ""
    does = "do" if others[1:] else "does"
    command = f"`fleet resend {story.id} --any`" if story.id else "`--any`"
    if held:
        return f"{held}, and {command} would use {listed(others)}"
    live = fleet.peers.get(peer)
    if live and live.standing not in THERE and all(CHANNELS[one].stores for one in others):
        does = f"would keep it until {story.to} is back"
    return (
        f"no channel that {_one(story.kind)} may use works now: {listed(others)} {does}; "
        f"{command} would use {'them' if others[1:] else 'it'}"
    )


def _one(kind: Kind) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _keeper(fleet: Fleet, story: Story) -> str:
    """The relay that took it last, by its own word."""
    took = [one for one in story.tries if one.channel is Channel.RELAY and one.outcome == Verdict.LANDED]
    name = took[-1].keeper if took else ""
    member = fleet.roster.named(name)
    return f"{name} (chief)" if member and member.role is Role.CHIEF else name


def _open(fleet: Fleet, peer: str, msg_id: str) -> Waiting | None:
    lane = fleet.mail.lanes.get(peer, Lane())
    return next((one for one in lane.open.values() if one.envelope.msg_id == msg_id), None)
