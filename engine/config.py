"""Configuration: one TOML, every value checked, every value's origin known.

`resolve` lays defaults, a preset, the file and the environment over each other, in this order, and remembers where
each value came from. It reads nothing itself: text and environment are arguments. Every limit says why it has its
value; the measurements are in `docs/speed.md`.
"""

import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any

import msgspec

from engine.errors import Fault, FleetError
from engine.model.hub import flaw
from engine.model.roster import Host, unfit
from engine.model.ways import Word

# What a number may be: said here once, told by msgspec with the key's path.
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Count = Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]
Size = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
# Up to ten years: what is not to happen is said so, and `inf` is no length of time.
Period = Annotated[float, msgspec.Meta(gt=0, le=315_360_000)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Level = Annotated[int, msgspec.Meta(ge=1, le=4)]
# "aa:bb:cc:dd:ee:ff", or as Windows writes it; an empty one comes from an empty variable.
Mac = Annotated[str, msgspec.Meta(pattern=r"^(?:[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5})?$")]
Broadcast = Annotated[str, msgspec.Meta(pattern=r"^(?:\d{1,3}(?:\.\d{1,3}){3})?$")]


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """This node. `name` empty: the host's name. `fleet`: what the fleet is called that it begins with, by itself
    (empty: home). `workdir`: whose git branch the heartbeat shows (empty: where it was started)."""

    name: str = ""
    fleet: str = ""
    workdir: str = ""


class NetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to listen. Port 0 or a taken port: the next free one. `listen` empty: loopback until a peer has joined,
    then every interface. `advertise`: addresses to tell peers instead of those found."""

    listen: str = ""
    advertise: tuple[Host, ...] = ()
    http_port: Port = 8856
    nats_port: Port = 4222
    cluster_port: Port = 6222
    leaf_port: Port = 7422
    udp_port: Port = 8857


class ApiConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The control API on loopback TCP, off by default; the Unix socket is always there."""

    tcp: bool = False
    tcp_port: Port = 8855


class BrokerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`url`: an external nats-server instead of our own. `mesh_limit`: beyond so many nodes, hubs and leaves (a full
    mesh of 15 holds 564 sockets, three hubs 69)."""

    url: str = ""
    enabled: bool = True
    mesh_limit: Count = 5
    hubs: Count = 3


class MailConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Delivery. `cascade_s`: one walk over the channels. `retry_s`, `retry_max_s`: full-jitter back-off between walks.
    `hedge_min_s`, `hedge_max_s`: bounds of the wait before the next channel is started. `trust_s`: a channel is used
    alone only while it has succeeded within this time. `relay_wait_s`: how long a landed relay is given."""

    cascade_s: Period = 30.0
    retry_s: Period = 1.0
    retry_max_s: Period = 30.0
    hedge_min_s: Period = 0.010
    hedge_max_s: Period = 0.250
    trust_s: Period = 6.5
    relay_wait_s: Period = 5.0
    batch: Count = 128


class HealthConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state machine of a (peer, channel). `probe_s`: rest between probes of a working channel."""

    probe_s: Period = 5.0
    window_s: Period = 300.0
    streak: Count = 3
    heal_probes: Count = 3
    backoff_s: Period = 0.25
    # Twice the longest rest and three probes must fit into the thirty seconds in which everything is well again.
    backoff_max_s: Period = 12.0
    quiet_s: Period = 900.0


class MembershipConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SWIM with Lifeguard, and the heartbeat. All in seconds, and counts."""

    period_s: Period = 1.0
    ping_timeout_s: Period = 0.5
    indirect: Size = 3
    suspicion_mult: Period = 4.0
    heartbeat_s: Period = 10.0
    unreachable_s: Period = 10.0
    stale_s: Period = 90.0
    offline_s: Period = 300.0


class SshConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """P5, and P4 over the same connection. `enabled`: tell peers of this machine's sshd, and use theirs. `port`, `user`
    (empty: the one this node runs as), `host_keys` (public key files; empty: what sshd shows): ours, as told.
    `keys`: private keys to sign in with (empty: those in ~/.ssh and the agent's). `keepalive_s`: how soon a connection
    that went silent is noticed."""

    enabled: bool = True
    port: Port = 22
    user: Word = ""
    host_keys: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    keepalive_s: Period = 3.0


class GitConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """P7. `hub`: a repository that this machine and its peers can push to (empty: none). `poll_s`: how often it is
    looked into while another channel works (well within the thirty seconds that a receipt is given); `eager_s`: while
    none does."""

    hub: str = ""
    poll_s: Period = 15.0
    eager_s: Period = 2.0


class WakeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """P6. `macs`: cards that wake this machine (empty: those found). `broadcasts`: where magic packets go besides
    255.255.255.255 and the peer's own network. `a_minute`: bursts to one machine, at most."""

    macs: tuple[Mac, ...] = ()
    broadcasts: tuple[Broadcast, ...] = ()
    port: Port = 9
    a_minute: Count = 3


class TextConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """P8. `gap_s`: never typed into one session more often. `limit`: characters, at most."""

    gap_s: Period = 30.0
    limit: Count = 500


class CloudConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """P0. `url`: the HTTPS trigger (empty: none). `secret_file`: what it is signed with, as Standard Webhooks has it.
    `ca_file`: certificates to trust besides the system's."""

    url: str = ""
    secret_file: str = ""
    ca_file: str = ""


class RepairConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The repair ladder: seconds from a break to asking the peer (L2), from there to its repair agent (L3), from there
    to a person (L4), and since the break at the latest. `levels`: those in use. `per_hour`: escalations a peer,
    and runs of one action for peers. `agent`: the command that L3 starts here, with the question as its last argument
    (empty: none)."""

    levels: tuple[Level, ...] = (1, 2, 3, 4)
    l2_s: Period = 5.0
    l3_s: Period = 120.0
    l4_s: Period = 300.0
    last_s: Period = 900.0
    per_hour: Count = 3
    agent: tuple[str, ...] = ()
    agent_s: Period = 240.0


class DiscoveryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where machines that might join are looked for; they are suggestions, trust is the key."""

    mdns: bool = True
    ssh_config: bool = True
    tailscale: bool = True


class LimitsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages a person or program may send to one peer in a minute, by kind; 0: no limit. `flood`: messages of people
    taken from one member in a minute, that many at once at most; the rest is told to come later."""

    alert: Size = 30
    task: Size = 120
    reply: Size = 0
    context: Size = 0
    broadcast: Size = 60
    sync: Size = 0
    repair: Size = 30
    flood: Size = 60_000


class StoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`ballast_mb`: given back when the disk is full so that draining can go on. `resume_mb`: free space at which
    new sends are accepted again."""

    ballast_mb: Size = 8
    resume_mb: Size = 32
    keep_days: Count = 30


class WatchConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The watchdog. What is wrong is shown once it has lasted, and forgotten once it was well for `well_s`: nothing
    flaps. `channel_s`: no channel that asks and answers to a peer that is alive; `beat_s`: no heartbeat of one
    (four are sent meanwhile); `queue_s`: its oldest message does not move; `lasts_s`: everything else, and these two
    once more. `clock_s`: as far as clocks may differ; `backlog`: signals that may wait; `descriptors`: the share that
    may be open."""

    lasts_s: Period = 20.0
    well_s: Period = 20.0
    channel_s: Period = 30.0
    beat_s: Period = 45.0
    queue_s: Period = 60.0
    clock_s: Period = 60.0
    backlog: Count = 2_000
    descriptors: Share = 0.85


class UiConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The control room."""

    theme: str = "fleet-dark"
    ascii: bool = False


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    node: NodeConfig = NodeConfig()
    net: NetConfig = NetConfig()
    api: ApiConfig = ApiConfig()
    broker: BrokerConfig = BrokerConfig()
    mail: MailConfig = MailConfig()
    health: HealthConfig = HealthConfig()
    membership: MembershipConfig = MembershipConfig()
    store: StoreConfig = StoreConfig()
    ssh: SshConfig = SshConfig()
    git: GitConfig = GitConfig()
    wake: WakeConfig = WakeConfig()
    text: TextConfig = TextConfig()
    cloud: CloudConfig = CloudConfig()
    repair: RepairConfig = RepairConfig()
    discovery: DiscoveryConfig = DiscoveryConfig()
    limits: LimitsConfig = LimitsConfig()
    watch: WatchConfig = WatchConfig()
    ui: UiConfig = UiConfig()


PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "lan": {},
    # Nobody else to hear: nothing is probed, nothing listens beyond loopback.
    "solo": {"net": {"listen": "127.0.0.1"}},
    # Round trips of 50 to 300 ms: suspicion and hedges leave room for them.
    "wan": {
        "membership": {"ping_timeout_s": 1.5, "period_s": 2.0},
        "mail": {"hedge_min_s": 0.05, "hedge_max_s": 0.75},
    },
}


ENVIRONMENT = "environment"


class Resolved(msgspec.Struct, frozen=True):
    """A configuration and, for each `section.key`, where its value came from."""

    config: Config
    origins: dict[str, str]


def resolve(text: str, env: Mapping[str, str], source: str = "config.toml") -> Resolved:
    """The configuration in force. `text` is the TOML file's content, `env` the process environment.

    `FLEET_<SECTION>_<KEY>` sets one value, `FLEET_NODE_NAME` among them; a top-level `preset` picks one of `PRESETS`.
    Raises `FleetError` `usage.config` naming the file or the variable, the key and what is allowed.
    """
    table = _parsed(text, source)
    filed = table.pop("preset", "lan")
    preset = env.get("FLEET_PRESET") or filed
    if str(preset) not in PRESETS:
        told = "FLEET_PRESET" if env.get("FLEET_PRESET") else source
        raise _refused(told, f"preset {preset!r} is none of {', '.join(PRESETS)}")
    values: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    layers = (
        (msgspec.to_builtins(Config()), "default"),
        (PRESETS[preset], f"preset {preset}"),
        (table, source),
        (_from_env(env), ENVIRONMENT),
    )
    for layer, origin in layers:
        _lay(layer, origin, values, origins, source)
    try:
        config = msgspec.convert(values, Config, strict=False)
    except msgspec.ValidationError as error:
        raise _refused(_teller(str(error), origins, source), str(error)) from None
    for key, text, look in (
        ("node.name", config.node.name, unfit),
        ("node.fleet", config.node.fleet, unfit),
        ("net.listen", config.net.listen, _no_address),
        ("git.hub", config.git.hub, _no_hub),
    ):
        if text and (why := look(text)):
            raise _refused(_teller(f"$.{key}", origins, source), f"`{key}` cannot be {why}")
    for key, files in (
        ("cloud.secret_file", (config.cloud.secret_file,)),
        ("cloud.ca_file", (config.cloud.ca_file,)),
        ("ssh.keys", config.ssh.keys),
        ("ssh.host_keys", config.ssh.host_keys),
    ):
        if why := next(filter(None, map(_no_file, files)), ""):
            raise _refused(_teller(f"$.{key}", origins, source), f"`{key}` cannot be {why}")
    return Resolved(config, origins)


def _no_address(text: str) -> str:
    if text == "localhost":
        return ""
    try:
        ip_address(text)
    except ValueError:
        return f"{text!r}: it is an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them"
    return ""


def _no_file(name: str) -> str:
    if "\0" in name:
        return "that: a file's name has no NUL in it"
    if name.startswith("~") and name[1:2] != "/":
        return f"{name!r}: only `~/`, your own home, is written with a tilde"
    return ""


def _no_hub(text: str) -> str:
    """Not with its name: there may be a password in it."""
    why = flaw(text)
    return f"that: {why}" if why else ""


# Where msgspec says that a value does not fit: `… - at `$.repair.levels[0]``.
_KEY = re.compile(r"\$\.(\w+)\.(\w+)")


def _teller(why: str, origins: Mapping[str, str], source: str) -> str:
    """Who said what does not fit: the file, or the variable."""
    key = _KEY.search(why)
    if key and origins.get(f"{key[1]}.{key[2]}") == ENVIRONMENT:
        return f"FLEET_{key[1]}_{key[2]}".upper()
    return source


def _parsed(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refused(source, str(error)) from None
    except RecursionError:
        raise _refused(source, "its lists are nested too deeply to be read") from None


def _lay(layer: Any, origin: str, values: dict[str, dict[str, Any]], origins: dict[str, str], source: str) -> None:
    for section, keys in layer.items():
        if not isinstance(keys, dict):
            raise _refused(source, f"`{section}` is not a section; sections are {', '.join(Config.__struct_fields__)}")
        for key, value in keys.items():
            values.setdefault(section, {})[key] = value
            origins[f"{section}.{key}"] = origin


def _from_env(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for section, keys in msgspec.to_builtins(Config()).items():
        for key, default in keys.items():
            text = env.get(f"FLEET_{section}_{key}".upper())
            if text is not None:
                found.setdefault(section, {})[key] = text.split(",") if isinstance(default, (list, tuple)) else text
    return found


def _refused(source: str, detail: str) -> FleetError:
    if source.startswith("FLEET_"):
        step = "give it another value, or unset it; `fleet config show` prints every key"
        return FleetError("usage.config", "The environment does not fit", f"{source}: {detail}", step, Fault.THEIRS)
    return FleetError(
        "usage.config",
        "The configuration cannot be read",
        f"{source}: {detail}",
        "mend that line, or move the file away to start with the defaults; `fleet config show` prints every key",
        Fault.THEIRS,
    )
