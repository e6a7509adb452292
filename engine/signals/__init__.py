"""What can happen, in the past tense. Each is a fact; the steps that hear it are listed in `engine.rooms`.

A signal carries what a step needs to decide and nothing else: sockets, futures and files stay at the edge and are
named by a token.
"""

from engine.signals.channels import (
    ChannelHeld,
    ChannelTurned,
    Detoured,
    NodeStarted,
    NodeStarting,
    Overtaken,
    ProbeAsked,
    Readied,
    Tried,
    WakeCame,
    WakeWanted,
)
from engine.signals.findings import Examined, Found, Greeted, Measured, Ticked, Told
from engine.signals.machine import (
    BrokerChanged,
    Listening,
    Looked,
    LoopLagged,
    Proved,
    Rang,
    Reachable,
    Refreshed,
    Started,
    StoreFilled,
    StoreFreed,
    TerminalChanged,
)
from engine.signals.mail import Arrived, ForwardCame, Loaded, Nudged, Posted, Rejected, Transited
from engine.signals.members import DatagramCame, MemberAsked, RosterMade, RosterOffered
from engine.signals.repairs import (
    MendAnswered,
    MendCame,
    MendEnded,
    MendWanted,
    PlanApproved,
    PlanDismissed,
    PlanRan,
    RepairAsked,
)
from engine.signals.sessions import Addressed, Climbed, Fetched, Glimpsed, HopsLoaded, Seated, Typed

Signal = (
    Started
    | Rang
    | Posted
    | Loaded
    | Arrived
    | Rejected
    | Tried
    | Readied
    | DatagramCame
    | LoopLagged
    | BrokerChanged
    | TerminalChanged
    | RosterOffered
    | RosterMade
    | MemberAsked
    | Listening
    | Proved
    | Reachable
    | Detoured
    | WakeWanted
    | NodeStarting
    | NodeStarted
    | WakeCame
    | Looked
    | StoreFilled
    | StoreFreed
    | ChannelHeld
    | ProbeAsked
    | RepairAsked
    | MendCame
    | MendWanted
    | MendEnded
    | MendAnswered
    | PlanApproved
    | PlanDismissed
    | PlanRan
    | Found
    | Measured
    | Examined
    | Ticked
    | Told
    | Greeted
    | Refreshed
    | Overtaken
    | ChannelTurned
    | ForwardCame
    | Nudged
    | Transited
    | Addressed
    | Climbed
    | Seated
    | Glimpsed
    | HopsLoaded
    | Typed
    | Fetched
)

__all__ = [
    "Addressed",
    "Arrived",
    "BrokerChanged",
    "ChannelHeld",
    "ChannelTurned",
    "Climbed",
    "DatagramCame",
    "Detoured",
    "Examined",
    "Fetched",
    "ForwardCame",
    "Found",
    "Glimpsed",
    "Greeted",
    "HopsLoaded",
    "Listening",
    "Loaded",
    "Looked",
    "LoopLagged",
    "Measured",
    "MemberAsked",
    "MendAnswered",
    "MendCame",
    "MendEnded",
    "MendWanted",
    "NodeStarted",
    "NodeStarting",
    "Nudged",
    "Overtaken",
    "PlanApproved",
    "PlanDismissed",
    "PlanRan",
    "Posted",
    "ProbeAsked",
    "Proved",
    "Rang",
    "Reachable",
    "Readied",
    "Refreshed",
    "Rejected",
    "RepairAsked",
    "RosterMade",
    "RosterOffered",
    "Seated",
    "Signal",
    "Started",
    "StoreFilled",
    "StoreFreed",
    "TerminalChanged",
    "Ticked",
    "Told",
    "Transited",
    "Tried",
    "Typed",
    "WakeCame",
    "WakeWanted",
]
