"""The order of channels and the wait between them, as tables."""

import pytest

from engine.config import MailConfig
from engine.health.cascade import choose, hedge_s, percentile, trusted
from engine.model.channel import CHANNELS, Channel, ChannelHealth, ChannelState
from engine.model.envelope import KINDS, Kind
from engine.model.peer import Standing
from engine.state import Fleet
from tests.engine.script import T0_MONO, fleet, with_health

NATS, HTTP, RELAY, SEED, SSH = Channel.NATS, Channel.HTTP, Channel.RELAY, Channel.SEED, Channel.SSH
S = ChannelState


def given(standing: Standing = Standing.ALIVE, **pairs: tuple[ChannelState, float] | ChannelState) -> Fleet:
    """A fleet of A and B; channels by name with their state and median milliseconds."""
    value = fleet("A", "B", up=(), standing=standing)
    for name, what in pairs.items():
        state, ms = what if isinstance(what, tuple) else (what, 1.0)
        value = with_health(value, "B", Channel(name), state=state, latencies=(ms, ms, ms))
    return value


@pytest.mark.parametrize(
    ("pairs", "order"),
    [
        pytest.param({"http": S.HEALTHY, "nats": S.HEALTHY}, "nats http", id="equal: the lower number first"),
        pytest.param({"nats": S.DEGRADED, "http": S.HEALTHY}, "http nats", id="state before number"),
        pytest.param({"nats": S.UNKNOWN, "http": S.HEALTHY}, "http nats", id="known good before never tried"),
        pytest.param({"nats": S.DEGRADED, "http": S.UNKNOWN}, "http nats", id="never tried before failing"),
        pytest.param({"nats": (S.HEALTHY, 3.9), "http": (S.HEALTHY, 0.1)}, "nats http", id="below 4 ms all are equal"),
        pytest.param({"nats": (S.HEALTHY, 4.1), "http": (S.HEALTHY, 3.9)}, "http nats", id="one bucket wins"),
        pytest.param({"nats": (S.HEALTHY, 15.0), "http": (S.HEALTHY, 5.0)}, "nats http", id="within a factor of four"),
        pytest.param({"nats": (S.HEALTHY, 17.0), "http": (S.HEALTHY, 5.0)}, "http nats", id="beyond a factor of four"),
        pytest.param({"nats": (S.HEALTHY, 900.0), "seed": (S.HEALTHY, 1.0)}, "nats seed", id="class before latency"),
        pytest.param({"nats": (S.DEGRADED, 1.0), "seed": (S.HEALTHY, 20.0)}, "seed nats", id="state before class"),
        pytest.param({"nats": S.BROKEN, "http": S.HEALTHY}, "http", id="BROKEN is skipped"),
        pytest.param({"nats": S.HEALING, "http": S.HEALTHY}, "http", id="HEALING is skipped"),
        pytest.param({"nats": S.QUARANTINED, "http": S.ABSENT}, "", id="QUARANTINED and ABSENT are skipped"),
        pytest.param({"relay": S.HEALTHY, "nats": S.HEALTHY}, "nats relay", id="a relay is P3"),
        pytest.param({"http": (S.HEALTHY, 60.0), "relay": (S.HEALTHY, 3.0)}, "http relay", id="a detour needs much"),
        pytest.param({"http": (S.HEALTHY, 90.0), "relay": (S.HEALTHY, 3.0)}, "relay http", id="and wins by a wide one"),
        pytest.param({"http": S.DEGRADED, "relay": S.HEALTHY}, "relay http", id="a sound detour before a failing way"),
        pytest.param({}, "", id="nothing known: nothing to try"),
    ],
)
def test_order(pairs: dict[str, ChannelState], order: str) -> None:
    """Channels are ordered by state, class, median in buckets of four, and P-number."""
    assert " ".join(choose(given(**pairs), "B", Kind.CONTEXT)) == order


@pytest.mark.parametrize("kind", list(Kind))
def test_a_kind_keeps_to_its_channels(kind: Kind) -> None:
    """Whatever is healthy, a kind is offered its own channels, in the order of their numbers."""
    everything = given(**{channel.value: S.HEALTHY for channel in Channel})
    by_class = sorted(KINDS[kind].channels, key=lambda one: (CHANNELS[one].speed, CHANNELS[one].number))
    assert choose(everything, "B", kind) == tuple(by_class)


def test_held_by_a_person() -> None:
    """What a person took out of the cascade is not tried, however well it is."""
    value = with_health(given(nats=S.HEALTHY, http=S.HEALTHY), "B", NATS, held=True)
    assert choose(value, "B", Kind.CONTEXT) == (HTTP,)


def test_the_sender_may_name_the_only_channel() -> None:
    """`via` is tried even while it is BROKEN or held, and nothing else is; a pin mismatch is never overridden."""
    value = given(nats=S.HEALTHY, http=S.BROKEN)
    assert choose(value, "B", Kind.CONTEXT, via=HTTP) == (HTTP,)
    assert choose(with_health(value, "B", HTTP, held=True), "B", Kind.CONTEXT, via=HTTP) == (HTTP,)
    for state in (S.QUARANTINED, S.ABSENT):
        assert choose(with_health(value, "B", HTTP, state=state), "B", Kind.CONTEXT, via=HTTP) == ()


def test_widened_is_everything_that_may_be_hedged() -> None:
    """`--any` reaches every channel but those that cost money, wake a machine or type into a terminal."""
    everything = given(**{channel.value: S.HEALTHY for channel in Channel})
    widened = choose(everything, "B", Kind.ALERT, widened=True)
    assert set(widened) == {NATS, HTTP, RELAY, SEED, SSH, Channel.GIT}
    assert choose(everything, "B", Kind.ALERT) == (NATS,)


@pytest.mark.parametrize(
    ("standing", "stored"), [(one, one not in (Standing.ALIVE, Standing.SUSPECT)) for one in Standing]
)
def test_a_relay_stores_for_a_peer_that_is_away(standing: Standing, stored: bool) -> None:
    """While a peer is away even a relay that broke is asked, because it keeps what it takes; direct ways are not."""
    value = given(standing, nats=S.BROKEN, relay=S.BROKEN)
    assert choose(value, "B", Kind.CONTEXT) == ((RELAY,) if stored else ())
    assert choose(with_health(value, "B", RELAY, held=True), "B", Kind.CONTEXT) == ()
    assert choose(with_health(value, "B", RELAY, state=S.ABSENT), "B", Kind.CONTEXT) == ()


def test_a_frame_passes_two_relays_at_most() -> None:
    """After two relays only direct channels are left."""
    value = given(nats=S.HEALTHY, relay=S.HEALTHY)
    assert [choose(value, "B", Kind.CONTEXT, hop=hop) for hop in range(4)] == [
        (NATS, RELAY), (NATS, RELAY), (NATS,), (NATS,),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("latencies", "wait_s"),
    [
        ((), 0.250),
        ((0.5,), 0.010),
        ((4.9,), 0.010),
        ((6.0,), 0.012),
        ((20.0,), 0.040),
        ((124.0,), 0.248),
        ((126.0,), 0.250),
        ((9_000.0,), 0.250),
        ((1.0,) * 59 + (50.0,), 0.010),
        ((1.0,) * 56 + (50.0,) * 4, 0.100),
    ],
)
def test_the_wait_before_the_next_channel(latencies: tuple[float, ...], wait_s: float) -> None:
    """Twice the 95th percentile, at least 10 ms and at most 250 ms; unknown is the longest."""
    assert hedge_s(ChannelHealth(latencies=latencies), MailConfig()) == pytest.approx(wait_s)


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [
        ((), 0.5, None),
        ((3.0,), 0.99, 3.0),
        ((3.0, 1.0, 2.0), 0.5, 2.0),
        ((4.0, 3.0, 2.0, 1.0), 0.5, 2.0),
        (tuple(map(float, range(1, 101))), 0.99, 99.0),
        ((1.0, 2.0), 0.0, 1.0),
    ],
)
def test_nearest_rank(values: tuple[float, ...], share: float, found: float | None) -> None:
    """The percentile is a value that was measured, by nearest rank."""
    assert percentile(values, share) == found


@pytest.mark.parametrize(("ago_s", "alone"), [(None, False), (0.0, True), (6.5, True), (6.6, False)])
def test_used_alone_only_while_it_has_just_succeeded(ago_s: float | None, alone: bool) -> None:
    """A channel is used without a second one for 6.5 seconds after a success."""
    ok_at = None if ago_s is None else T0_MONO - ago_s
    assert trusted(ChannelHealth(ok_at=ok_at), T0_MONO, MailConfig()) is alone
