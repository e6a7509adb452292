"""Where this node may be reached: what it binds, and what it tells others.

Loopback until there is somebody to talk to: a peer that has joined, or an invite that waits. A `listen` in the
configuration is a person's word and stands. Decisions only; who binds is `engine.doors`.
"""

from collections.abc import Iterable
from ipaddress import ip_address

from engine.config import NetConfig
from engine.model.roster import Address, Roster

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
# More addresses than this help nobody find a node and make every heartbeat longer.
ADVERTISED = 4


def bind_host(config: NetConfig, roster: Roster, me: str, inviting: bool) -> str:
    """The interface to listen on: the configured one, else loopback while this node is alone and invites nobody."""
    if config.listen:
        return config.listen
    company = any(member.present and member.id != me for member in roster.members)
    return EVERYWHERE if company or inviting else LOOPBACK


def advertised(
    config: NetConfig, bind: str, interfaces: Iterable[str], *, http: int, nats: int, leaf: int, udp: int
) -> tuple[Address, ...]:
    """What peers are told, most likely first: the configured addresses, else those of the bound interfaces; loopback
    last, for nodes on the same machine."""
    hosts = config.advertise or _hosts(bind, interfaces)
    return tuple(Address(host, http, nats, leaf, udp) for host in hosts)


def _hosts(bind: str, interfaces: Iterable[str]) -> tuple[str, ...]:
    if bind != EVERYWHERE:
        return (bind,)
    found = [ip for ip in dict.fromkeys(interfaces) if not useless(ip)]
    return (*found[: ADVERTISED - 1], LOOPBACK)


def outward(host: str) -> bool:
    """Whether this is an IPv4 address at which others can reach us; a name is none."""
    try:
        return not useless(host)
    except ValueError:
        return False


def useless(text: str) -> bool:
    """Whether an address of an interface helps nobody elsewhere to find us."""
    # Link-local addresses need a zone that means nothing on another machine; IPv6 is not bound yet.
    ip = ip_address(text.partition("%")[0])
    return ip.is_loopback or ip.is_link_local or ip.version != 4
