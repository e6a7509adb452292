"""The heartbeat: when it is sent, what it says, and what a peer's changes."""

from typing import Any

import pytest
from immutables import Map
from msgspec.structs import replace

from engine.config import Config
from engine.effects import ApplyRoster, Arm, AskReady, Deliver, Effect, Look, Save
from engine.membership import beat
from engine.membership.beat import FIRST_S, SLICE, clock_offset_ms
from engine.membership.seating import restarted
from engine.model.channel import Channel, ChannelHealth, ChannelState
from engine.model.envelope import Envelope, Kind
from engine.model.mail import Lane, Parcel, Pulse, Stream, Waiting
from engine.model.moment import Moment
from engine.model.packets import SETTLED_S, Heartbeat, pack, unpack
from engine.model.peer import Peer, Standing
from engine.model.roster import Address
from engine.model.ways import Nic, SshWay, Ways
from engine.signals import Arrived, Listening, Looked, Rang, Refreshed, RosterMade, Started
from engine.state import Fleet
from tests.engine.membership.harness import T0_MS, Net, fleet_of, name, roster_of

ME, B, C = (name(index) for index in range(3))
LOOK = Looked(0.5, "/w", "main", "abc", 2)


def at(second: float) -> Moment:
    return Moment(T0_MS + int(second * 1000), second)


def fleet(size: int = 3) -> Fleet:
    return restarted(fleet_of(0, roster_of(size)), at(0.0))


def alive(fleet: Fleet, *peers: str) -> Fleet:
    for peer_id in peers:
        fleet = replace(fleet, peers=fleet.peers.set(peer_id, replace(fleet.peers[peer_id], standing=Standing.ALIVE)))
    return fleet


def with_channels(fleet: Fleet, peer: str, **states: ChannelState) -> Fleet:
    known = {(peer, Channel(name)): ChannelHealth(state) for name, state in states.items()}
    return replace(fleet, channels=fleet.channels.update(known))


def beats(effects: list[Effect]) -> dict[str, Heartbeat]:
    sent = (effect for effect in effects if isinstance(effect, Deliver) and effect.envelope.kind is Kind.HEARTBEAT)
    return {effect.peer: unpack(Kind.HEARTBEAT, effect.envelope.body) for effect in sent}


def rang(fleet: Fleet, second: float = 1.0) -> tuple[Fleet, list[Effect]]:
    return beat.step(fleet, Rang(beat.TIMER), at(second))


def came(frm: str, said: Heartbeat, number: tuple[int, int] = (1, 1), relay: str = "") -> Arrived:
    envelope = Envelope(frm, *number, ME, "m", Kind.HEARTBEAT, body=pack(said))
    return Arrived((Parcel(envelope, relay=relay),), Channel.NATS)


def heard(fleet: Fleet, signal: Arrived, second: float = 1.0) -> tuple[Fleet, list[Any]]:
    return beat.step(fleet, signal, at(second))


# --------------------------------------------------------------------------------------------------------- telling


def test_a_start_looks_and_beats_soon() -> None:
    """The machine is looked at at once; the first round waits for the first channels."""
    assert beat.step(fleet(), Started(), at(5.0))[1] == [Look(), Arm(beat.TIMER, 5.0 + FIRST_S)]


def test_a_heartbeat_tells_how_we_are() -> None:
    """Every peer is told the same of us, and of itself what only concerns it."""
    node = fleet()
    lane = Lane(open=Map({(3, 9): Waiting(Envelope(ME, 3, 9, B, "m", Kind.TASK))}))
    mail = replace(node.mail, lanes=Map({B: lane}), streams=Map({B: Map({7: Stream()})}), pulses=Map({B: Pulse(8, 1)}))
    me = replace(node.me, look=Heartbeat(1, "1", load=0.5, branch="main"), prekey=(2, b"k"), incarnation=6)
    node = replace(with_channels(node, C, http=ChannelState.HEALTHY), mail=mail, me=me)
    told = beats(rang(node, 4.0)[1])
    assert set(told) == {B, C}
    assert (told[B].sent_ms, told[B].uptime_s, told[B].load, told[B].branch) == (T0_MS + 4_000, 4, 0.5, "main")
    assert (told[B].floor_epoch, told[B].your_epoch) == (3, 8)
    assert (told[C].floor_epoch, told[C].your_epoch) == (node.me.epoch, 0)
    assert (told[B].addresses, told[B].prekey, told[B].incarnation) == (me.addresses, (2, b"k"), 6)
    assert (told[B].roster_version, told[B].reaches) == (1, (C,))


@pytest.mark.parametrize(
    ("states", "taken"),
    [
        ({"nats": "HEALTHY", "http": "HEALTHY", "relay": "HEALTHY"}, [Channel.NATS]),
        ({"nats": "DEGRADED", "http": "HEALTHY"}, [Channel.HTTP]),
        ({"nats": "BROKEN", "http": "ABSENT", "relay": "HEALTHY"}, [Channel.RELAY]),
        ({"nats": "UNKNOWN", "http": "UNKNOWN", "relay": "UNKNOWN"}, [Channel.NATS, Channel.HTTP]),
        ({"nats": "BROKEN", "http": "UNKNOWN", "relay": "QUARANTINED"}, [Channel.HTTP, Channel.NATS]),
        ({"nats": "BROKEN", "http": "ABSENT", "relay": "ABSENT"}, [Channel.NATS]),
        ({"nats": "ABSENT", "http": "ABSENT", "relay": "QUARANTINED"}, []),
    ],
)
def test_it_goes_over_the_best_channel(states: dict[str, str], taken: list[Channel]) -> None:
    """HEALTHY first, by number; over two while none is, because who misses it calls where nobody is; what may be broken
    only when nothing else is left; never what is absent."""
    node = alive(with_channels(fleet(2), B, **{key: ChannelState(value) for key, value in states.items()}), B)
    assert [effect.channel for effect in rang(node)[1] if isinstance(effect, Deliver)] == taken


def test_a_held_channel_is_never_taken() -> None:
    """What a person took out of the cascade carries no heartbeat either."""
    held = {(B, channel): ChannelHealth(ChannelState.HEALTHY, held=True) for channel in Channel}
    assert not beats(rang(alive(replace(fleet(2), channels=Map(held)), B))[1])


@pytest.mark.parametrize(("state", "told"), [("HEALTHY", True), ("UNKNOWN", False), ("BROKEN", False)])
def test_a_peer_that_is_away_gets_no_hopeless_heartbeat(state: str, told: bool) -> None:
    """Only over a channel that has worked: gossip and health look for the others."""
    node = with_channels(fleet(2), B, **dict.fromkeys(("nats", "http", "relay"), ChannelState(state)))
    node = replace(node, peers=Map({B: replace(node.peers[B], standing=Standing.OFFLINE)}))
    assert bool(beats(rang(node)[1])) is told


def test_who_left_gets_none() -> None:
    """Nothing is said to a member that was revoked or is gone."""
    node = fleet(2)
    node = replace(node, peers=Map({B: replace(node.peers[B], standing=Standing.LEFT)}))
    assert not beats(rang(node)[1])


def test_a_large_fleet_is_told_in_slices() -> None:
    """At most sixteen at a time; everybody once a round; and the machine is looked at once a round."""
    node, looks, told = fleet(41), 0, []
    for turn in range(6):
        node, effects = rang(node, turn * 4.0)
        looks += sum(isinstance(effect, Look) for effect in effects)
        told.append(set(beats(effects)))
    assert [len(slice_) for slice_ in told] == [SLICE, SLICE, 8] * 2
    assert set.union(*told[:3]) == set(node.peers)
    assert looks == 2


def test_a_round_takes_ten_seconds_give_or_take_a_twentieth() -> None:
    """The next slice is set for its share of the round, never in step with other nodes, never within a second."""
    for size, share_s in ((3, 10.0), (41, 10.0 / 3), (1_000, 1.0)):
        _, effects = rang(fleet(size), 100.0)
        (again,) = (effect for effect in effects if isinstance(effect, Arm))
        assert again.key == beat.TIMER
        assert 0.95 * share_s <= again.at - 100.0 <= 1.05 * share_s


def test_what_matters_is_told_at_once() -> None:
    """New addresses, a new key or a new member bring the next slice forward, a second after the last."""
    node, _ = rang(fleet(), 100.0)
    for signal in (Listening(()), Refreshed(1, b"k"), RosterMade(node.roster, "")):
        assert beat.step(node, signal, at(100.2))[1] == [Arm(beat.TIMER, 101.0)]
        assert beat.step(node, signal, at(107.0))[1] == [Arm(beat.TIMER, 107.0)]


def test_another_head_is_told_at_once_and_more_load_is_not() -> None:
    """A look is worth a heartbeat of its own only when branch or head moved."""

    def looked(branch: str, load: float) -> list[Effect]:
        node = fleet()
        node = replace(node, me=replace(node.me, look=Heartbeat(1, "1", branch="main", head="abc")))
        node, _ = rang(node, 100.0)
        node = replace(node, me=replace(node.me, look=Heartbeat(1, "1", load, branch=branch, head="abc")))
        return beat.step(node, LOOK, at(105.0))[1]

    assert looked("main", 9.0) == []
    assert looked("topic", 0.0) == [Arm(beat.TIMER, 105.0)]


def test_what_is_known_of_peers_is_kept_once_a_minute() -> None:
    """One lazy write every six rounds, of those that were heard."""
    node, kept = fleet(), []
    node = replace(node, peers=node.peers.set(B, replace(node.peers[B], heard_mono=1.0)))
    for turn in range(12):
        node, effects = rang(node, turn * 10.0)
        kept += [effect for effect in effects if isinstance(effect, Save)]
    assert len(kept) == 2
    assert all(save.lazy and [record.peer.id for record in save.records] == [B] for save in kept)


# --------------------------------------------------------------------------------------------------------- hearing


def test_a_heartbeat_is_kept_and_new_addresses_are_saved() -> None:
    """The peer is as it says; where it listens now goes to the store, the rest does not."""
    said = Heartbeat(T0_MS + 1_500, "1", addresses=(Address("10.1.1.1", udp=5),), incarnation=9, roster_version=1)
    node, effects = heard(fleet(), came(B, said))
    assert (node.peers[B].beat, node.peers[B].beat_no, node.peers[B].incarnation) == (said, (1, 1), 9)
    assert node.peers[B].offset_ms == 500.0
    assert Save in [type(effect) for effect in effects]
    assert heard(node, came(B, replace(said, load=9.0), (1, 2)))[1] == []


@pytest.mark.parametrize(("uptime_s", "kept"), [(1, True), (SETTLED_S, False)])
def test_what_a_start_has_not_found_out_yet_is_as_it_was(uptime_s: int, kept: bool) -> None:
    """Its sshd and cards are told a moment after its first heartbeat, and do not fail to be known meanwhile; who has
    had the time to look and names none has none."""
    ways = Ways(ssh=SshWay("u", 22, ()), nics=(Nic("02:00:00:00:00:01"),), git=("hub",))
    node, _ = heard(fleet(), came(B, Heartbeat(T0_MS, "1", uptime_s=900, ways=ways)))
    node, _ = heard(node, came(B, Heartbeat(T0_MS, "1", uptime_s=uptime_s, ways=Ways()), (2, 1)))
    assert node.ways_of(B) == (replace(ways, git=()) if kept else Ways())
    other = SshWay("u", 2222, ())
    node, _ = heard(node, came(B, Heartbeat(T0_MS, "1", uptime_s=uptime_s, ways=Ways(ssh=other)), (2, 2)))
    assert node.ways_of(B).ssh == other


def test_who_moves_all_the_time_is_followed_a_few_times_a_minute() -> None:
    """Each time costs a write and a look at brokers and channels: beyond the limit only what is known of it changes,
    until there is room; then the last word is followed, and once."""
    node, followed = fleet(), 0

    def said(turn: int, number: int, second: float) -> bool:
        nonlocal node
        told = Heartbeat(T0_MS, "1", addresses=(Address(f"10.1.1.{turn}", udp=5),), roster_version=1)
        node, effects = heard(node, came(B, told, (1, number)), second)
        assert node.addresses_of(B) == told.addresses
        kinds = {type(effect) for effect in effects} & {Save, ApplyRoster, AskReady}
        assert kinds in (set(), {Save, ApplyRoster, AskReady})
        return bool(kinds)

    for turn in range(1, 200):
        followed += said(turn, turn, 1.0 + turn / 1000)
    assert followed == beat.MOVES_A_MINUTE
    assert not said(199, 200, 50.0)
    assert said(199, 201, 62.0)
    assert not said(199, 202, 72.0)


@pytest.mark.parametrize(("number", "taken"), [((1, 5), False), ((1, 4), False), ((2, 1), True), ((1, 6), True)])
def test_an_older_heartbeat_is_ignored(number: tuple[int, int], taken: bool) -> None:
    """By its number, so that a clock that is set back does not silence a peer."""
    node, _ = heard(fleet(), came(B, Heartbeat(T0_MS, "1", roster_version=1), (1, 5)))
    node, _ = heard(node, came(B, Heartbeat(T0_MS - 9_000_000, "2", roster_version=1), number))
    beat_now = node.peers[B].beat
    assert beat_now is not None
    assert (beat_now.version == "2") is taken


TOO_MUCH = [
    Heartbeat(1, "1" * 65),
    Heartbeat(1, "1", addresses=(Address("10.0.0.1", 1),) * 33),
    Heartbeat(1, "1", reaches=("a",) * 129),
    Heartbeat(1, "1", cwd="/" * 4_097),
    Heartbeat(1, "1", addresses=(Address("-R1:a:2", 1),)),
    Heartbeat(1, "1", addresses=(Address("10.0.0.1\n", 1),)),
    *(Heartbeat(1, "1", ways=Ways(git=(one,))) for one in ("--upload-pack=x", "a\n", "a\x9bb", "a\u202eb")),
    *(Heartbeat(1, "1", ways=Ways(ssh=SshWay("u", 22, (), start=(one,)))) for one in ("a\n", "\x1b[2J")),
]


@pytest.mark.parametrize("body", [b"", b"\xc1", pack(Heartbeat(1, "1"))[:-3], *map(pack, TOO_MUCH)])
def test_a_heartbeat_that_cannot_be_read_changes_nothing(body: bytes) -> None:
    """It was authenticated, and says nothing."""
    node = fleet()
    envelope = Envelope(B, 1, 1, ME, "m", Kind.HEARTBEAT, body=body)
    assert heard(node, Arrived((Parcel(envelope),), Channel.NATS)) == (node, [])


def test_a_stranger_is_not_heard() -> None:
    """A heartbeat of one who is not in the roster makes no peer."""
    assert heard(fleet(), came("stranger", Heartbeat(1, "1")))[0].peers.get("stranger") is None


@pytest.mark.parametrize(
    ("known", "seen", "then"),
    [
        (None, -700.0, -700.0),
        (-700.0, -300.0, -300.0),
        (-300.0, -1_100.0, -400.0),
        (-300.0, -600_000.0, -600_000.0),
        (0.0, 600_000.0, 600_000.0),
    ],
    ids=["first", "a faster delivery", "a slower one", "set back", "set forward"],
)
def test_the_offset_of_a_clock(known: float | None, seen: float, then: float) -> None:
    """It rises at once, sinks by an eighth, and jumps when the clock was set."""
    assert clock_offset_ms(Peer(B, offset_ms=known), T0_MS + int(seen), Moment(T0_MS, 1.0)) == then


def test_half_the_round_trip_is_taken_for_the_way() -> None:
    """Where gossip has measured the way, the estimate is corrected by half of it."""
    assert clock_offset_ms(Peer(B, rtt_ms=80.0), T0_MS, Moment(T0_MS + 40, 1.0)) == 0.0


def test_a_relayed_heartbeat_says_nothing_of_the_clock() -> None:
    """It may have waited on its way."""
    node, _ = heard(fleet(), came(B, Heartbeat(T0_MS - 60_000, "1", roster_version=1), relay=C))
    assert node.peers[B].offset_ms is None
    assert node.peers[B].beat is not None


def test_clocks_that_are_off_are_measured_and_nothing_else() -> None:
    """Ten minutes apart, two nodes know it to within the way of a message, and are ALIVE to each other."""
    net = Net(2, 1)
    net.nodes[B].wall_ms += 600_000
    net.run(60.0)
    offsets = net.nodes[ME].fleet.peers[B].offset_ms, net.nodes[B].fleet.peers[ME].offset_ms
    assert offsets == (pytest.approx(600_000, abs=10), pytest.approx(-600_000, abs=10))
    assert net.everybody_sees(Standing.ALIVE)


def test_the_heartbeat_obeys_its_configuration() -> None:
    """`heartbeat_s` is the length of a round."""
    config = Config()
    node = fleet()
    node = replace(node, config=replace(config, membership=replace(config.membership, heartbeat_s=40.0)))
    (again,) = (effect for effect in rang(node, 0.0)[1] if isinstance(effect, Arm))
    assert 38.0 <= again.at <= 42.0
