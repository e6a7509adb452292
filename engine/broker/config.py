"""The broker's configuration as data: who listens, who is called, and which keys are let in.

Decides the shape of the fleet's NATS network from the roster alone, so that every node draws the same picture:

    alone   nobody else: clients on loopback, nothing more
    mesh    up to `mesh_limit` nodes: a route to each of the others
    hub     beyond: `hubs` nodes (voters and the chief first, then by id) are meshed and take leaves in
    leaf    beyond: all the others call the hubs, and nobody calls them

Only this node's own key may log in, on 127.0.0.1. Between brokers the first byte is TLS, both ends show a certificate,
and both ends compare its public key with the pins of the roster: a stranger gets no further than the handshake, in
either direction. `insecure` spares the calling end the chain and the host name, which a self-signed certificate for a
changing address could never pass; the pin, which is checked after the proof of the key, is stricter than both.
`ca_file` holds exactly the pinned certificates, because the accepting end verifies a chain before it looks at pins. A
pin list is never empty: to nats-server that would mean "anyone".

It never reads a file and starts nothing: `engine.broker.supervise` does.
"""

from enum import StrEnum
from ipaddress import ip_address
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from engine.model.envelope import CARRIAGE_LIMIT
from engine.model.roster import Address, Member, Role
from engine.security.identity import tls_pin
from engine.state import Fleet

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"

# A route or leaf whose machine vanished is closed after three unanswered seconds (fault 39).
_PING = {"ping_interval": "1s", "ping_max": 2}
# The handshake of an honest peer takes milliseconds; a silent one must not hold a socket.
_TLS_TIMEOUT_S = 2
# Four full payloads may wait for a reader that is slow; a fifth cuts it off, and the outbox sends again.
_PENDING_LIMIT = 4 * CARRIAGE_LIMIT


class Ports(msgspec.Struct, frozen=True):
    """Where this broker listens: for this node, for routes, for leaves."""

    client: int = 4222
    cluster: int = 6222
    leaf: int = 7422


class Files(msgspec.Struct, frozen=True):
    """Paths the broker reads: its own certificate and key, and the certificates it lets in."""

    cert: str
    key: str
    authorities: str


class Spec(msgspec.Struct, frozen=True):
    """Everything the configuration follows from. `nkey`: this node's public NATS key. `members`: the present members,
    this node among them, each with the addresses in use. `listen`: the interface for other brokers."""

    me: str
    fleet_id: str
    nkey: str
    members: tuple[Member, ...]
    files: Files
    ports: Ports = Ports()
    listen: str = LOOPBACK
    mesh_limit: int = 5
    hubs: int = 3


class Place(StrEnum):
    """What this node is in the fleet's NATS network."""

    ALONE = "alone"
    MESH = "mesh"
    HUB = "hub"
    LEAF = "leaf"


class Change(StrEnum):
    """What a new configuration asks of a running broker."""

    NOTHING = "nothing"
    RELOAD = "reload"
    RESTART = "restart"


def planned(fleet: Fleet, files: Files, now_ms: int) -> Spec:
    """What the value asks of the broker at wall time `now_ms`: expired members are left out, and other interfaces are
    listened on only once somebody else is in the fleet."""
    net, mine = fleet.config.net, fleet.mine
    members = tuple(
        msgspec.structs.replace(one, addresses=fleet.called_at(one.id))
        for one in fleet.roster.members
        if one.present and not 0 < one.expires_ms <= now_ms
    )
    return Spec(
        me=fleet.me.id,
        fleet_id=fleet.roster.fleet_id,
        nkey=mine.bundle.nkey if mine else "",
        members=members,
        files=files,
        ports=Ports(net.nats_port, net.cluster_port, net.leaf_port),
        listen=net.listen or (EVERYWHERE if len(members) > 1 else LOOPBACK),
        mesh_limit=fleet.config.broker.mesh_limit,
        hubs=fleet.config.broker.hubs,
    )


def hubs(spec: Spec) -> tuple[Member, ...]:
    """The nodes every other one can count on: all of a small fleet, the first few of a large one."""
    if len(spec.members) <= spec.mesh_limit:
        return spec.members
    ranked = sorted(spec.members, key=lambda one: (not one.voter, one.role is not Role.CHIEF, one.id))
    return tuple(ranked[: spec.hubs])


def place(spec: Spec) -> Place:
    """What this node is."""
    if len(spec.members) <= 1:
        return Place.ALONE
    if len(spec.members) <= spec.mesh_limit:
        return Place.MESH
    return Place.HUB if any(one.id == spec.me for one in hubs(spec)) else Place.LEAF


def listening(spec: Spec) -> frozenset[int]:
    """The ports this node's part makes the server listen on."""
    tables = document(spec)
    doors = (tables, tables.get("cluster", {}), tables.get("leafnodes", {}))
    return frozenset(table["port"] for table in doors if "port" in table)


def document(spec: Spec) -> dict[str, Any]:
    """The configuration as nested tables, in nats-server's words."""
    return {
        "server_name": spec.me,
        "host": LOOPBACK,
        "port": spec.ports.client,
        "authorization": {"timeout": 1, "users": [{"nkey": spec.nkey}]},
        # One node's client and a few strangers who will not pass; each costs a socket for a second.
        "max_connections": 64,
        "max_payload": CARRIAGE_LIMIT,
        "max_pending": _PENDING_LIMIT,
        "max_control_line": 4096,
        "write_deadline": "2s",
        # A peer behind a thin line must not slow the mail of all the others: drop for it, and resend.
        "no_fast_producer_stall": True,
        # Its statistics travel over every route each ten seconds, and nobody reads them.
        "no_system_account": True,
        "logtime": False,
        **_PING,
        **_LINKS[place(spec)](spec),
    }


def render(spec: Spec) -> str:
    """The configuration file's text: JSON, which is nats-server's own language with every string quoted."""
    return msgspec.json.format(msgspec.json.encode(document(spec)), indent=2).decode() + "\n"


def authorities(spec: Spec) -> str:
    """The certificates that may take part, one PEM after another: what goes into `files.authorities`."""
    certs = (x509.load_der_x509_certificate(one.bundle.tls_cert) for one in _admitted(spec))
    return "".join(cert.public_bytes(Encoding.PEM).decode() for cert in certs)


def change(old: Spec, new: Spec) -> Change:
    """Whether a running broker can take `new` by SIGHUP. nats-server 2.15 reloads routes and their pins, and refuses
    to reload listeners and the pins of leaves."""
    before, after = document(old), document(new)
    if before == after and old.files == new.files and _pins(old) == _pins(new):
        return Change.NOTHING
    return Change.RELOAD if _fixed(before) == _fixed(after) else Change.RESTART


def _fixed(tables: dict[str, Any]) -> dict[str, Any]:
    """The document without what a reload can change."""
    cluster = dict(tables.get("cluster", {}))
    cluster.pop("routes", None)
    tls = {key: value for key, value in cluster.pop("tls", {}).items() if key != "pinned_certs"}
    return {**tables, "cluster": cluster, "tls": tls}


def _mesh(spec: Spec) -> dict[str, Any]:
    others = [one for one in hubs(spec) if one.id != spec.me]
    return {
        "cluster": {
            "name": f"fleet-{spec.fleet_id}",
            "host": spec.listen,
            "port": spec.ports.cluster,
            # Other brokers' client ports are on their loopback: to tell ours of them would send us astray.
            "no_advertise": True,
            # One connection a peer: several would only multiply sockets for the one account there is.
            "pool_size": -1,
            # Sealed bytes do not shrink.
            "compression": "off",
            "tls": {**_tls(spec), **_checks(hubs(spec))},
            "routes": [
                _url("nats-route", at.host, at.nats)
                for one in others
                for at in one.addresses
                if at.nats and _readable(at.host)
            ],
            **_PING,
        }
    }


def _hub(spec: Spec) -> dict[str, Any]:
    doors = {
        "host": spec.listen,
        "port": spec.ports.leaf,
        "no_advertise": True,
        "compression": "off",
        "authorization": {"user": "leaf", "password": spec.fleet_id},
        "tls": {**_tls(spec), **_checks(spec.members), "handshake_first": True},
    }
    return {**_mesh(spec), "leafnodes": doors}


def _leaf(spec: Spec) -> dict[str, Any]:
    urls = [_leaf_url(spec, at) for one in hubs(spec) for at in one.addresses if at.leaf and _readable(at.host)]
    remote = {"urls": urls, "compression": "off", "tls": {**_tls(spec), "handshake_first": True}}
    calls = {"remotes": [remote]} if urls else {}
    # The pins for calls going out are taken from this outer table; without a port nothing listens.
    return {"leafnodes": {"tls": {**_tls(spec), **_checks(hubs(spec))}, "reconnect": 1, **calls}}


def _alone(spec: Spec) -> dict[str, Any]:
    return {}


_LINKS = {Place.ALONE: _alone, Place.MESH: _mesh, Place.HUB: _hub, Place.LEAF: _leaf}


def _admitted(spec: Spec) -> tuple[Member, ...]:
    return hubs(spec) if place(spec) is Place.LEAF else spec.members


def _tls(spec: Spec) -> dict[str, Any]:
    return {
        "cert_file": spec.files.cert,
        "key_file": spec.files.key,
        "ca_file": spec.files.authorities,
        "insecure": True,
        "timeout": _TLS_TIMEOUT_S,
    }


def _checks(members: tuple[Member, ...]) -> dict[str, Any]:
    return {"verify": True, "pinned_certs": [tls_pin(one.bundle.tls_cert).hex() for one in members]}


def _pins(spec: Spec) -> list[bytes]:
    return [one.bundle.tls_cert for one in _admitted(spec)]


def _leaf_url(spec: Spec, at: Address) -> str:
    """The password is no secret and opens nothing, the pinned key does; a broker whose own clients must log in also
    wants a name from its leaves."""
    return _url("nats-leaf", at.host, at.leaf, f"leaf:{spec.fleet_id}@")


def _readable(host: str) -> bool:
    """Whether nats-server can read it in a URL. One that it cannot, told by any member, would keep it from starting."""
    try:
        return bool(ip_address(host)) and "%" not in host
    except ValueError:
        return host.isascii() and host != "" and not set(host) & set(":%")


def _url(scheme: str, host: str, port: int, user: str = "") -> str:
    return f"{scheme}://{user}[{host}]:{port}" if ":" in host else f"{scheme}://{user}{host}:{port}"
