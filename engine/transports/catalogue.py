"""Every channel that exists, in one literal table: to add one is a file and a line (edge).

`Parts` is what the engine lays out for them; each takes what it needs and no more.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from engine.config import Config
from engine.home import GIT
from engine.model.channel import Channel
from engine.signals import Signal
from engine.state import Fleet
from engine.transports.base import Transport
from engine.transports.cloud import Cloud
from engine.transports.git.channel import Git
from engine.transports.http.channel import Http
from engine.transports.http.peerport import PeerPort
from engine.transports.nats import Nats
from engine.transports.relay import Candidates, Carry, Relay
from engine.transports.seed.bed import NAME as SEEDS
from engine.transports.seed.channel import Seed
from engine.transports.ssh.channel import Ssh
from engine.transports.ssh.lines import SshLines
from engine.transports.text.channel import Text
from engine.transports.wol.channel import Wake


class Parts(msgspec.Struct, frozen=True):
    """`home`, `config`: this node's. `me`, `fleet_id`, `nkey_seed`: who we are. `port`: our door. `candidates`,
    `carry`: what `Relay` asks of the engine. `on_link`: hears whether our broker is reached. `fellow`: whether a
    certificate is a present member's. `eager`: whether some peer can be reached by no hot channel now. `neighbours`:
    asks those on a machine's network to wake it; their names. `lines`: the ssh connections that P4 and P5 share;
    `slot`: where the socket for P5 lies. `fleet`: the newest value; `post`: the node hears it."""

    me: str
    fleet_id: str
    nkey_seed: str
    port: PeerPort
    candidates: Candidates
    carry: Carry
    on_link: Callable[[bool], None]
    fellow: Callable[[bytes], bool]
    home: Path
    config: Config
    eager: Callable[[], bool]
    neighbours: Callable[[str], Sequence[str]]
    lines: SshLines
    slot: Path
    fleet: Callable[[], Fleet]
    post: Callable[[Signal], None]


CATALOGUE: dict[Channel, Callable[[Parts], Transport]] = {
    Channel.NATS: lambda parts: Nats(parts.me, parts.fleet_id, parts.nkey_seed, parts.on_link),
    Channel.HTTP: lambda parts: Http(parts.port, parts.fellow),
    Channel.RELAY: lambda parts: Relay(parts.candidates, parts.carry),
    Channel.SEED: lambda parts: Seed(parts.lines, parts.home / SEEDS, parts.post),
    Channel.SSH: lambda parts: Ssh(parts.lines, parts.slot),
    Channel.WOL: lambda parts: Wake(parts.config.wake, parts.neighbours),
    Channel.GIT: lambda parts: Git(parts.me, parts.home / GIT, parts.config.git, parts.eager, parts.fleet, parts.post),
    Channel.TEXT: lambda parts: Text(),
    Channel.CLOUD: lambda parts: Cloud(parts.me, parts.config.cloud),
}
