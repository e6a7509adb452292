"""What a fleet may rely on when a peer dies, stalls, sleeps, or only seems to: on virtual time, with the real steps.

Seconds here are virtual and exact; a failure is a seed.
"""

from itertools import pairwise

import pytest

from engine.effects import Arm
from engine.model.peer import Standing
from tests.engine.membership.harness import Net, gentle, name, settled

SEEDS = range(4)
HOURS = 3_600.0
A, B, C = name(0), name(1), name(2)


def between(*pair: str) -> "set[tuple[str, str]]":
    return {(one, other) for one in pair for other in pair if one != other}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", [2, 3, 5, 20])
def test_everybody_meets(size: int, seed: int) -> None:
    """After a common start everybody is ALIVE to everybody within a heartbeat, and nobody was anything worse before."""
    net = Net(size, seed)
    net.run(12.0)
    assert net.everybody_sees(Standing.ALIVE)
    assert {event.new for _, _, event in net.moves} == {Standing.ALIVE}


def test_idle_costs_little() -> None:
    """Idle, a node of three rings once a second for gossip, and sends one ping and one answer a second, and its
    heartbeats, here over two channels because nothing proves one."""
    net = settled(3, 1)
    before, rung = dict(net.sent), net.rung
    net.run(net.now + 100.0)
    assert net.rung - rung <= 3 * 100 * 1.2
    spent = {kind: net.sent[kind] - before[kind] for kind in before}
    assert spent[Arm] <= 3 * 100 * 2.2
    assert sum(spent.values()) <= 3 * 100 * 4.8


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("size", [2, 3, 5, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_dead_peer_is_known(size: int, seed: int, loss: float) -> None:
    """Everybody suspects it, finds it unreachable after about ten seconds, stale after 90, offline after 300; nobody
    else is called dead."""
    net = settled(size, seed, loss=loss)
    died, victim = net.now, name(seed % size)
    net.kill(victim)
    net.run(died + 5.0)
    assert net.moved_to(Standing.SUSPECT, victim)
    net.run(died + 20.0)
    others = net.running()
    assert all(net.standing(one, victim) is Standing.UNREACHABLE for one in others)
    assert all(at - died > 8.0 for at, _, _ in net.moved_to(Standing.UNREACHABLE, victim))
    net.run(died + 105.0)
    assert all(net.standing(one, victim) is Standing.STALE for one in others)
    net.run(died + 315.0)
    assert all(net.standing(one, victim) is Standing.OFFLINE for one in others)
    assert len(net.moved_to(Standing.UNREACHABLE)) == len(others)


@pytest.mark.parametrize("away_s", [4.0, 30.0, 400.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_peer_that_returns_is_alive(seed: int, away_s: float) -> None:
    """After a restart a peer is ALIVE to everybody, and everybody to it, within fifteen seconds, however long it was
    away."""
    net = settled(5, seed)
    net.kill(C)
    net.run(net.now + away_s)
    net.restart(C)
    net.run(net.now + 15.0)
    assert net.everybody_sees(Standing.ALIVE)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_between_two_is_bridged_by_others(seed: int) -> None:
    """Two that cannot hear each other, over UDP or TCP, but have a third in common, are never even suspected."""
    net = settled(5, seed)
    net.cut = lambda sender, receiver: (sender, receiver) in between(A, B)
    net.run(net.now + 120.0)
    assert not net.moves


@pytest.mark.parametrize("seed", SEEDS)
def test_an_asymmetric_cut_is_bridged_by_others(seed: int) -> None:
    """When only one direction is cut, nobody is suspected either."""
    net = settled(5, seed, tcp=False)
    net.cut = lambda sender, receiver: (sender, receiver) == (A, B)
    net.run(net.now + 120.0)
    assert not net.moves


@pytest.mark.parametrize("seed", SEEDS)
def test_without_others_to_ask_the_cut_is_seen(seed: int) -> None:
    """Sabotage: with no indirect pings the same cut makes suspects, so the two tests above can fail."""
    net = settled(5, seed, config=gentle(indirect=0))
    net.cut = lambda sender, receiver: (sender, receiver) in between(A, B)
    net.run(net.now + 120.0)
    assert net.moved_to(Standing.SUSPECT)


@pytest.mark.parametrize("size", [2, 3])
def test_tcp_answers_where_udp_is_blocked(size: int) -> None:
    """A firewall that drops every datagram costs nothing: nobody is unreachable."""
    net = Net(size, 1)
    net.udp_cut = lambda sender, receiver: True
    net.run(60.0)
    assert net.everybody_sees(Standing.ALIVE)
    assert not net.moved_to(Standing.UNREACHABLE)


def test_without_tcp_blocked_udp_is_death() -> None:
    """Sabotage: without the fallback the same firewall makes everybody unreachable."""
    net = settled(2, 1, tcp=False)
    net.udp_cut = lambda sender, receiver: True
    net.run(net.now + 15.0)
    assert net.everybody_sees(Standing.UNREACHABLE)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stall_s", [1.0, 3.0, 6.0])
@pytest.mark.parametrize("size", [2, 3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_stall_is_not_a_death(size: int, stall_s: float, seed: int) -> None:
    """A node that stands still for up to six seconds, under ten per cent loss, is called unreachable by nobody, and
    calls nobody so."""
    net = settled(size, seed, loss=0.1)
    for index in range(5):
        net.at(net.now + index * 20.0, lambda index=index: net.stall(name(index % size), stall_s))
    net.run(net.now + 120.0)
    assert not net.moved_to(Standing.UNREACHABLE)
    assert net.everybody_sees(Standing.ALIVE)


@pytest.mark.parametrize(
    ("sleep_s", "size", "self_doubt"),
    [
        (60.0, 5, True),
        (60.0, 5, False),
        pytest.param(1_000.0, 5, True, marks=pytest.mark.slow),
        pytest.param(1_000.0, 5, False, marks=pytest.mark.slow),
        pytest.param(24 * HOURS, 3, False, marks=pytest.mark.slow),
    ],
)
def test_a_sleeper_calls_nobody_dead(sleep_s: float, size: int, self_doubt: bool) -> None:
    """Resumed after a minute or a day, a laptop drains its sockets first: it declares nobody dead, suspects nobody, and
    is back for everybody within fifteen seconds; a late timer alone is enough to know."""
    net = settled(size, 2, self_doubt=self_doubt)
    net.stall(A, sleep_s)
    net.run(net.now + sleep_s - 0.001)
    assert all(net.standing(one, A) in (Standing.UNREACHABLE, Standing.STALE, Standing.OFFLINE) for one in (B, C))
    net.run(net.now + 15.0)
    assert net.everybody_sees(Standing.ALIVE)
    assert not [move for move in net.moves if move[1] == A]


@pytest.mark.parametrize("jump_ms", [-600_000, 600_000, 86_400_000, -86_400_000])
def test_a_wall_clock_that_jumps_changes_nothing(jump_ms: int) -> None:
    """Clocks of one node, then of all, are set by ten minutes or a day: the same is found at the same moments."""

    def history(jumped: bool) -> list[tuple[float, str, str, Standing]]:
        net = settled(5, 3, loss=0.1)
        if jumped:
            net.nodes[A].wall_ms += jump_ms
        net.run(net.now + 30.0)
        for node in net.nodes.values() if jumped else ():
            node.wall_ms += jump_ms
        net.kill(C)
        net.run(net.now + 120.0)
        return [(at, who, event.peer, event.new) for at, who, event in net.moves]

    assert history(True) == history(False)
    assert history(False)


@pytest.mark.parametrize("seed", SEEDS)
def test_who_is_cut_off_knows_it(seed: int) -> None:
    """A node that hears nothing from anybody calls everybody unreachable after about ten seconds, though it doubts
    itself; and tells nobody of it afterwards: nobody else is suspected when it is back."""
    net = settled(5, seed)
    net.cut = lambda sender, receiver: A in (sender, receiver)
    net.run(net.now + 14.0)
    assert all(net.standing(A, other) is Standing.UNREACHABLE for other in net.nodes if other != A)
    net.run(net.now + 60.0)
    net.moves.clear()
    net.cut = lambda sender, receiver: False
    net.run(net.now + 15.0)
    assert net.everybody_sees(Standing.ALIVE)
    assert not [move for move in net.moves if move[1] != A and move[2].peer != A]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_partition_heals(seed: int) -> None:
    """Three and two: each side loses the other within twenty seconds and keeps its own; healed, all are ALIVE to all
    within thirty."""
    net = settled(5, seed)
    left = {A, B}
    net.cut = lambda sender, receiver: (sender in left) != (receiver in left)
    net.run(net.now + 20.0)
    for one, other in pairwise(sorted(net.nodes)):
        same = (one in left) == (other in left)
        assert net.standing(one, other) is (Standing.ALIVE if same else Standing.UNREACHABLE)
    net.run(net.now + 60.0)
    net.cut = lambda sender, receiver: False
    net.run(net.now + 30.0)
    assert net.everybody_sees(Standing.ALIVE)


def test_a_flapping_node_is_damped() -> None:
    """A node that dies and starts every second is never called unreachable, nor is anybody by it; and is ALIVE when it
    stops flapping."""
    net = settled(5, 1)
    for index in range(20):
        net.at(net.now + index, lambda: net.kill(A))
        net.at(net.now + index + 0.5, lambda: net.restart(A))
    net.run(net.now + 35.0)
    assert not net.moved_to(Standing.UNREACHABLE)
    assert net.everybody_sees(Standing.ALIVE)


def test_the_same_seed_is_the_same_history() -> None:
    """Nothing in the steps is left to chance."""

    def history() -> list[tuple[float, str, str]]:
        net = settled(5, 7, loss=0.3)
        net.kill(B)
        net.run(net.now + 30.0)
        return [(at, who, event.peer) for at, who, event in net.moves]

    assert history() == history()
