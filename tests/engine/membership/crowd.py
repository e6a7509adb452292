"""A hundred nodes on virtual time that lose some: what tests and benchmarks of the limits T11 and T12 ask.

Gossip alone: heartbeats are off. One seed is one history.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from engine.config import Config
from engine.model.peer import Standing
from tests.engine.membership.harness import Net, name, settled

CROWD = 100


class Noticed(NamedTuple):
    """Seconds after a death: first suspected by anybody, first called unreachable, so called by 99 %."""

    suspected: float
    lost: float
    known: float


def deaths(loss: float, seed: int, victims: int = 6) -> tuple[list[Noticed], set[str]]:
    """How soon so many deaths, one after another, are noticed; and who was called unreachable without having died."""
    net = settled(CROWD, seed, loss=loss, beats=False)
    dead = [name((seed + index * 7) % CROWD) for index in range(victims)]
    noticed = list(_noticed(net, dead))
    return noticed, {event.peer for _, _, event in net.moved_to(Standing.UNREACHABLE)} - set(dead)


def _noticed(net: Net, victims: list[str]) -> Iterator[Noticed]:
    for victim in victims:
        net.kill(victim)
        died = net.now
        net.run(died + 20.0)
        # Under loss it may have been suspected, and cleared, in its lifetime.
        suspected = min(at for at, _, _ in net.moved_to(Standing.SUSPECT, victim) if at > died) - died
        heard = [at - died for at, _, _ in net.moved_to(Standing.UNREACHABLE, victim) if at > died]
        yield Noticed(suspected, heard[0], heard[int(len(net.running()) * 0.99) - 1])


def falsely_lost(loss: float, seed: int, *, stalls: int = 40, config: Config | None = None, tcp: bool = True) -> int:
    """How often somebody was called unreachable through so many stalls of one to six seconds, one every three."""
    net, chance = Net(CROWD, seed, loss=loss, beats=False, config=config, tcp=tcp), Random(seed)
    victims = [name(index) for index in range(CROWD)]
    chance.shuffle(victims)
    for turn, victim in enumerate(victims[:stalls]):
        stall_s = chance.uniform(1.0, 6.0)
        net.at(15.0 + 3.0 * turn, lambda victim=victim, stall_s=stall_s: net.stall(victim, stall_s))
    net.run(15.0 + 3.0 * stalls + 15.0)
    return len([move for move in net.moved_to(Standing.UNREACHABLE) if move[0] > 15.0])
