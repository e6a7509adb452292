"""The broken fleet with repairs under way: one at which linux1 was asked, one whose commands wait for a person."""

import msgspec
from immutables import Map

from engine.model.channel import Change, Channel
from engine.model.repair import Action, Command, Level, Mending, Repair, Step
from engine.state import Fleet
from tests.screens.golden import BROKEN, HEALING, NOW, B, H, ago, health

CHANGES = (
    Change(ago(3_000), B, HEALING, "answered again"),
    Change(ago(2_991), HEALING, H, "healed by L2 in 9 s"),
    Change(ago(52), H, B, "no responders: its broker or node is away"),
)
ASKED = Repair(
    "id-linux1",
    Channel.NATS,
    Level.ASKED,
    ago(52),
    NOW.mono - 52,
    NOW.mono + 72,
    "no responders: its broker or node is away",
    Action.RESTART_NATS,
    "mend-1-1",
    (
        Step(Level.NOTED, ago(52), "noted: no responders: its broker or node is away", "done"),
        Step(
            Level.ASKED, ago(48), "asked linux1 to restart its broker", "done", note="its broker is up again, pid 4711"
        ),
    ),
)
WAITS = msgspec.structs.replace(
    ASKED,
    level=Level.PERSON,
    due=float("inf"),
    ask="",
    steps=(
        *ASKED.steps,
        Step(
            Level.AGENT,
            ago(30),
            "asked linux1 to start its repair agent",
            "refused",
            note="no repair agent is configured",
        ),
        Step(Level.PERSON, ago(30), "1 command waits for your word"),
    ),
    plan=(
        Command(
            ("ssh", "-o", "BatchMode=yes", "-p", "22", "ann@192.168.1.20", "fleet repair --local restart_nats"),
            "signs in to linux1 as ann and makes it restart its broker",
        ),
    ),
)


def repairing(repair: Repair, spent: int = 1) -> Fleet:
    """The broken fleet while this repair is under way."""
    ill = health(B, (), "no responders: its broker or node is away", 52, changes=CHANGES, retry_at=NOW.mono + 12,
                 fails=(NOW.mono - 52, NOW.mono - 41), ok_at=NOW.mono - 91)  # fmt: skip
    return msgspec.structs.replace(
        BROKEN,
        channels=BROKEN.channels.set(("id-linux1", Channel.NATS), ill),
        repairs=Map({(repair.peer, repair.channel): repair}),
        mending=Mending(escalations=Map({repair.peer: tuple(NOW.mono - 48 + at for at in range(spent))})),
    )
