"""The finding about a repair: how grave it is, what was done last, and what a person can do about it now."""

from engine.health import plan
from engine.model.channel import Channel
from engine.model.finding import Finding, Severity
from engine.model.repair import Action, Ended, Level, Repair, above
from engine.state import Fleet

CODE = "repair."
# Why a channel needs repair at all; of P1 this node's own broker may be the reason.
BEHIND, OF_P1 = ("channel.cold", "reach.channel"), ("broker", "node.broker")


def finding(fleet: Fleet, repair: Repair) -> Finding:
    """As it stands now; loud while it waits for a person."""
    name, loud = fleet.name_of(repair.peer), repair.level is Level.PERSON and not repair.working
    where = "P1 to everybody" if repair.ours else f"{repair.channel} to {name}"
    title = "A channel is under repair"
    if loud:
        title = "A repair needs your word" if repair.plan else "Fleet cannot repair a channel by itself"
    last = repair.steps[-1] if repair.steps else None
    said = f"{last.what}{f' ({last.said})' if last.outcome == Ended.FAILED else ''}" if last else ""
    return Finding(
        CODE + repair.channel,
        title,
        Severity.HIGH if loud else Severity.LOW,
        f"{where}: {repair.why or 'broken'}; {said}",
        subject=_subject(fleet, repair),
        next_step=_next_step(fleet, repair),
        depends_on=(*BEHIND, *OF_P1) if repair.channel is Channel.NATS else BEHIND,
        visible_after_s=0.0 if repair.level > Level.NOTED else fleet.config.repair.l2_s,
    )


def over(fleet: Fleet, repair: Repair) -> Finding:
    """The same, which nobody need know of any more."""
    return Finding(CODE + repair.channel, "", Severity.INFO, subject=_subject(fleet, repair))


def _subject(fleet: Fleet, repair: Repair) -> str:
    """A channel to a peer, as whatever else is found of it calls it."""
    return f"{fleet.name_of(repair.peer)}/{repair.channel}"


def _next_step(fleet: Fleet, repair: Repair) -> str:
    """What a person can do about it now."""
    target = "" if repair.ours else f" {fleet.name_of(repair.peer)} --channel {repair.channel}"
    if repair.working:
        return "nothing yet: its commands run; `fleet repair` shows since when"
    if repair.plan:
        return f"`fleet repair{target} --approve` runs its commands; A in the Channels screen shows them first"
    if not repair.held_until and above(repair.level, fleet.config.repair.levels):
        return "nothing yet: it goes on by itself; `fleet repair` shows how far it is"
    if repair.ours:
        return f"`fleet repair --local {repair.action or Action.RESTART_NATS}` does it now"
    if not plan.commands(fleet, repair):
        return plan.instead(fleet, repair.peer, repair.channel)
    return f"`fleet repair{target} --level 4` shows commands that you can run"
