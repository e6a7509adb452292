"""The fleets that pictures are taken of: empty, small, broken and large. Every moment in them is counted from `NOW`."""

from collections.abc import Sequence

from immutables import Map

from engine.config import Config
from engine.model.broker import BrokerState
from engine.model.channel import SLOT_S, Change, Channel, ChannelHealth, ChannelState
from engine.model.envelope import Envelope, Kind
from engine.model.finding import Finding, Severity
from engine.model.mail import Lane, Waiting
from engine.model.moment import Moment
from engine.model.packets import Heartbeat
from engine.model.peer import Peer, Standing
from engine.model.roster import Address, Bundle, Member, Role, Roster
from engine.state import Broker, Fleet, Mail, Me

# 22 November 2026, 14:02:11 UTC.
NOW = Moment(1_795_356_131_000, 50_000.0)
KEYS = Bundle(b"", b"", b"", "", b"")

H, D, B = ChannelState.HEALTHY, ChannelState.DEGRADED, ChannelState.BROKEN
HEALING, UNKNOWN, ABSENT = ChannelState.HEALING, ChannelState.UNKNOWN, ChannelState.ABSENT
# What a node says of a channel that neither of the two has set up.
UNSET = {
    Channel.CLOUD: "no trigger configured",
    Channel.RELAY: "no peer reaches both",
    Channel.SEED: "it told of no sshd",
    Channel.SSH: "it told of no sshd",
    Channel.WOL: "no MAC known",
    Channel.GIT: "no hub configured",
    Channel.TEXT: "no session opted in",
}


def ago(seconds: float) -> int:
    """Wall milliseconds of a moment before `NOW`."""
    return NOW.wall_ms - round(seconds * 1_000)


def member(name: str, role: Role = Role.WORKER, host: str = "192.168.1.20") -> Member:
    """A member whose id is readable."""
    where = (Address(host, http=8856, nats=6222, leaf=7422, udp=8857),)
    return Member(f"id-{name}", name, KEYS, where, role, joined_ms=ago(86_400))


def beat(
    branch: str = "main", head: str = "4f2c1e9", dirty: int = 0, load: float = 0.4, cwd: str = "~/code/api"
) -> Heartbeat:
    """A heartbeat four seconds old."""
    return Heartbeat(ago(4), "0.1.0", load, 11_400, cwd, branch, head, dirty)


def peer(name: str, standing: Standing = Standing.ALIVE, since_s: float = 3_600, said: Heartbeat | None = None) -> Peer:
    """A peer that was heard when its standing began to fail, or just now."""
    silent = 4.0 if standing is Standing.ALIVE else since_s
    return Peer(
        f"id-{name}", standing, ago(since_s), NOW.mono - silent, ago(silent), said or beat(), offset_ms=12.0, rtt_ms=1.8
    )


def health(
    state: ChannelState = H, ms: Sequence[float] = (), reason: str = "", since_s: float = 3_600, **more: object
) -> ChannelHealth:
    """One (peer, channel) pair."""
    slot = int(NOW.mono // SLOT_S)
    curve = tuple((slot - 3 * (len(ms) - 1 - at), one) for at, one in enumerate(ms))
    return ChannelHealth(state, ago(since_s), reason, latencies=tuple(ms), curve=curve, **more)  # type: ignore[arg-type]


def ways(**known: ChannelHealth) -> dict[Channel, ChannelHealth]:
    """What a node keeps of one peer: a pair for each channel; where nothing is set up, with what a node says of it."""
    direct = {Channel.NATS: health(UNKNOWN), Channel.HTTP: health(UNKNOWN)}
    unset = {channel: health(ABSENT, (), why) for channel, why in UNSET.items()}
    return {one: known.get(one, state) for one, state in (direct | unset).items()}


def fleet(
    others: Sequence[tuple[Member, Peer, dict[Channel, ChannelHealth]]] = (),
    *,
    findings: Sequence[Finding] = (),
    mail: Mail | None = None,
    broker: Broker | None = None,
) -> Fleet:
    """A fleet seen from mac1, its chief."""
    me = member("mac1", Role.CHIEF, "192.168.1.10")
    pairs = {(one.id, channel): state for one, _, known in others for channel, state in known.items()}
    return Fleet(
        Me(
            "id-mac1",
            "mac1",
            1,
            "0.1.0",
            started_mono=NOW.mono - 11_400,
            addresses=me.addresses,
            look=beat(load=1.2, dirty=2),
        ),
        Config(),
        Roster("f1", "home", 3, ago(86_400), (me, *(one for one, _, _ in others))),
        peers=Map({one.id: known for one, known, _ in others}),
        channels=Map(pairs),
        mail=mail or Mail(revision=1),
        broker=broker or Broker(BrokerState.UP, 4_711, "nats://127.0.0.1:4222"),
        findings=Map({(one.code, one.subject): one for one in findings}),
    )


CALM = (3.1, 2.4, 2.0, 2.2, 1.9, 2.1, 2.0, 2.3, 2.0, 1.8)
WEB = (17.0, 18.2, 19.1, 17.7, 24.0, 18.0, 17.9, 18.1, 18.4, 18.0)
NEAR = (4.1, 4.0, 4.2, 4.4, 4.1, 3.9, 4.0, 4.1, 4.2, 4.0)
SLOW = (22.0, 30.0, 48.0, 61.0, 190.0, 240.0, 212.0, 230.0, 212.0, 198.0)

EMPTY = fleet()

SMALL = fleet(
    (
        (member("studio", Role.CAPTAIN), peer("studio", said=beat("feat/api", "9ab31c0", 5, 2.7)),
         ways(nats=health(H, CALM), http=health(H, WEB), relay=health(H, NEAR))),
        (member("mac2"), peer("mac2", said=beat("main", "4f2c1e9", 0, 0.1)),
         ways(nats=health(H, CALM), http=health(H, WEB), relay=health(H, NEAR))),
        (member("linux1"), peer("linux1", said=beat("perf/cascade", "77d0ab2", 1, 7.9, "/srv/code/api")),
         ways(nats=health(H, CALM), http=health(H, WEB), relay=health(UNKNOWN))),
    ),
)  # fmt: skip

SLOWED = (
    Change(ago(4_200), UNKNOWN, H, "first answer"),
    Change(ago(40), H, D, "slow: p95 4.3 times the baseline"),
)
CUT = (
    Change(ago(3_000), B, HEALING, "answered again"),
    Change(ago(2_991), HEALING, H, "three good probes"),
    Change(ago(91), H, D, "slow: p95 4.3 times the baseline"),
    Change(ago(52), D, B, "connection refused"),
)
GONE = (Change(ago(9_000), UNKNOWN, H, "first answer"), Change(ago(7_205), H, B, "no answer, three times"))

WAITING = Map({(1, seq): Waiting(Envelope("id-mac1", 1, seq, "id-nas", f"m{seq}", Kind.SYNC)) for seq in (7, 8, 9)})

BROKEN = fleet(
    (
        (member("studio", Role.CAPTAIN), peer("studio", said=beat("feat/api", "9ab31c0", 5, 2.7)),
         ways(nats=health(H, CALM), http=health(H, WEB), relay=health(H, NEAR))),
        (member("mac2"), peer("mac2", said=beat("feat/login", "9ab31c0", 2, 0.3)),
         ways(nats=health(D, SLOW, "slow", 40, changes=SLOWED, fails=(NOW.mono - 20, NOW.mono - 31), streak=1),
              http=health(H, WEB, held=True), relay=health(H, NEAR))),
        (member("linux1"), peer("linux1", said=beat("perf/cascade", "77d0ab2", 1, 7.9, "/srv/code/api")),
         ways(nats=health(B, CALM, "connection refused", 52, changes=CUT, retry_at=NOW.mono + 12, streak=3,
                          fails=(NOW.mono - 52, NOW.mono - 53, NOW.mono - 55), ok_at=NOW.mono - 91),
              http=health(H, WEB), relay=health(HEALING, NEAR, "answered again", 8, good=1, retry_at=NOW.mono + 3))),
        (member("nas"), peer("nas", Standing.UNREACHABLE, 7_200, beat("", "", 0, 0.0)),
         ways(nats=health(B, (), "no answer", 7_200, changes=GONE, retry_at=NOW.mono + 41),
              http=health(B, (), "no answer", 7_200, changes=GONE))),
        (member("pi"), Peer("id-pi"), ways(nats=health(UNKNOWN), http=health(UNKNOWN))),
    ),
    findings=(
        Finding("roster.key_changed", "pi shows another key", Severity.CRITICAL, "the key on http is not the roster's",
                "id-pi", "look at pi itself; revoke it if you did not reinstall it", at_ms=ago(300)),
        Finding("store.full", "The disk is nearly full", Severity.HIGH, "31 MB free; new sends are refused", "",
                "free some space in ~/.local/share/fleet", at_ms=ago(120)),
    ),
    mail=Mail(lanes=Map({"id-nas": Lane(WAITING, 10)}), waiting=3, dead=1, revision=1),
    broker=Broker(BrokerState.DOWN, 0, "", "exited with 1"),
)  # fmt: skip


def large(number: int) -> Fleet:
    """A fleet of `number` peers in four kinds; one in eleven has trouble, one in seventeen is away."""
    kinds = (("build", Role.WORKER), ("gpu", Role.WORKER), ("edge", Role.WORKER), ("lab", Role.OBSERVER))
    made = [(member("studio", Role.CAPTAIN), peer("studio"), ways(nats=health(H, CALM), http=health(H, WEB)))]
    for at in range(1, number):
        kind, role = kinds[at % 7 % 4]
        name = f"{kind}-{at:02d}"
        away, ill = at % 17 == 0, at % 11 == 0
        standing = (Standing.OFFLINE if at % 2 else Standing.UNREACHABLE) if away else Standing.ALIVE
        ms = [value + at % 9 for value in CALM]
        nats = health(B, (), "no answer", 600) if away else health(D, SLOW, "slow", 95) if ill else health(H, ms)
        http = health(B, (), "no answer", 600) if away else health(H, WEB)
        made.append((member(name, role), peer(name, standing, 600), ways(nats=nats, http=http, relay=health(UNKNOWN))))
    return fleet(made)


LARGE = large(120)
FLEETS = {"empty": EMPTY, "small": SMALL, "broken": BROKEN, "large": LARGE}


def plan(value: Fleet, node_id: str) -> tuple[Channel, ...]:
    """A cascade good enough to draw: what works, the healthiest first; nobody's real order."""
    tried = (Channel.NATS, Channel.HTTP, Channel.RELAY)
    ranks = {H: 0, UNKNOWN: 1, D: 2}
    usable = [one for one in tried if value.health(node_id, one).state in ranks and not value.health(node_id, one).held]
    return tuple(sorted(usable, key=lambda one: ranks[value.health(node_id, one).state]))
