"""What stories of repairs begin with: P1 to B breaks, the ladder is looked at, and its requests are answered."""

from typing import Any

import msgspec

from engine import effects as e
from engine.config import Config, RepairConfig
from engine.health.ladder import TIMER
from engine.model.broker import BrokerState
from engine.model.channel import Channel, ChannelState
from engine.model.envelope import Kind
from engine.model.packets import Mend, Mended, unpack
from engine.model.repair import Repair
from engine.signals import ChannelTurned, MendAnswered, Rang
from engine.state import Broker, Fleet
from tests.engine.script import T0_MONO, Script, fleet, said, with_health

N, H, R, S = Channel.NATS, Channel.HTTP, Channel.RELAY, Channel.SSH
B = ChannelState.BROKEN


def config(**repair: Any) -> Config:
    return Config(repair=RepairConfig(**{"l2_s": 5.0, "l3_s": 20.0, "l4_s": 30.0, "last_s": 90.0} | repair))


def three(**repair: Any) -> Fleet:
    """A of A, B and C, with a broker of its own; P1 and P2 work to both."""
    value = fleet("A", "B", "C", config=config(**repair))
    return msgspec.structs.replace(value, broker=Broker(BrokerState.UP))


def broken(value: Fleet, channel: Channel = N, peer: str = "B", state: ChannelState = B, **more: Any) -> Fleet:
    return with_health(value, peer, channel, state=state, reason="no answer", **more)


def begun(value: Fleet) -> Script:
    """P1 to B has just broken; P2 works, and has worked since."""
    script = Script(broken(value))
    script.hear(ChannelTurned("B", N, usable=False), at=10)
    script.fleet = with_health(script.fleet, "B", H, ok_at=T0_MONO + 12)
    return script


def repair(script: Script, peer: str = "B", channel: Channel = N) -> Repair:
    return script.fleet.repairs[peer, channel]


def mends(script: Script) -> list[tuple[str, Mend]]:
    """What the last signal asked others to do, as it lies in the outbox."""
    saved = (
        one.envelope for s in script.effects if isinstance(s, e.Save) for one in s.records if hasattr(one, "envelope")
    )
    return [(one.dst, unpack(Kind.MEND, one.body)) for one in saved if one.kind is Kind.MEND]


def rung(script: Script, at: float) -> None:
    script.hear(Rang(TIMER), at=at)


def answer(script: Script, outcome: str, note: str = "", peer: str = "B") -> None:
    asked = repair(script, peer)
    script.hear(MendAnswered(peer, Mended(asked.ask, str(asked.action), outcome, note)))


def lines(script: Script) -> list[str]:
    """What the last signal asked for, as lines."""
    return [said(effect) for effect in script.effects]
