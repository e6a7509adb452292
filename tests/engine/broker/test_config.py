"""The broker's configuration: one picture of the network, drawn alike by every node."""

import json

import pytest
from immutables import Map

from engine.broker import config
from engine.broker.config import Change, Files, Place, Ports, Spec
from engine.config import BrokerConfig, Config, NetConfig
from engine.model.envelope import CARRIAGE_LIMIT
from engine.model.roster import Address, Member, Role, Roster
from engine.security.identity import Identity, tls_pin
from engine.state import Fleet, Me

IDENTITIES = [Identity(bytes([number]) * 32) for number in range(1, 9)]
FILES = Files("/h/cert.pem", "/h/key.pem", "/h/authorities.pem")


def members(count: int, **first: object) -> tuple[Member, ...]:
    """The first `count` identities as members; `first` says more of the last of them."""
    found = [
        Member(one.id, f"n{number}", one.bundle, (Address(f"10.0.0.{number}", nats=6222, leaf=7422),))
        for number, one in enumerate(IDENTITIES[:count], 1)
    ]
    last = found[-1]
    found[-1] = Member(last.id, last.name, last.bundle, last.addresses, **first)  # type: ignore[arg-type]
    return tuple(found)


def spec(among: tuple[Member, ...], me: int = 0, **more: object) -> Spec:
    """The spec of one of the identities."""
    mine = IDENTITIES[me]
    return Spec(mine.id, "f1", mine.bundle.nkey, among, FILES, **more)  # type: ignore[arg-type]


def pins(*identities: Identity) -> list[str]:
    return [tls_pin(one.bundle.tls_cert).hex() for one in identities]


def test_alone_listens_for_itself_only() -> None:
    """A fleet of one opens the client port on loopback and nothing else."""
    tables = config.document(spec(members(1)))
    assert (tables["host"], tables["port"]) == ("127.0.0.1", 4222)
    assert not {"cluster", "leafnodes", "jetstream", "gateway", "http"} & set(tables)
    assert config.listening(spec(members(1))) == {4222}


def test_only_our_own_key_logs_in() -> None:
    """Clients are known by nkey, and there is one of them."""
    assert config.document(spec(members(3)))["authorization"]["users"] == [{"nkey": IDENTITIES[0].bundle.nkey}]


def test_payload_holds_the_largest_delivery() -> None:
    """What a transport may carry, the broker lets through."""
    assert config.document(spec(members(1)))["max_payload"] == CARRIAGE_LIMIT


@pytest.mark.parametrize("size", [2, 5])
def test_mesh_calls_everyone_else(size: int) -> None:
    """Up to five nodes each has a route to all others, and pins all."""
    cluster = config.document(spec(members(size)))["cluster"]
    assert cluster["routes"] == [f"nats-route://10.0.0.{number}:6222" for number in range(2, size + 1)]
    assert cluster["tls"]["pinned_certs"] == pins(*IDENTITIES[:size])
    assert cluster["tls"]["verify"] is True
    assert cluster["no_advertise"] is True


def test_members_without_a_listening_broker_are_not_called() -> None:
    """A port of 0 is no route, and neither is a member without addresses."""
    silent = Member(IDENTITIES[1].id, "n2", IDENTITIES[1].bundle, (Address("10.0.0.2", http=8856),))
    nowhere = Member(IDENTITIES[2].id, "n3", IDENTITIES[2].bundle)
    assert config.document(spec((*members(1), silent, nowhere)))["cluster"]["routes"] == []


def test_addresses_of_six_have_brackets() -> None:
    """An IPv6 address is written as a URL wants it."""
    six = Member(IDENTITIES[1].id, "n2", IDENTITIES[1].bundle, (Address("fd00::2", nats=6222),))
    assert config.document(spec((*members(1), six)))["cluster"]["routes"] == ["nats-route://[fd00::2]:6222"]


def test_beyond_the_limit_there_are_hubs_and_leaves() -> None:
    """Every node of a large fleet draws the same hubs: voters, then the chief, then by id."""
    large = members(8, voter=True)
    chosen = config.hubs(spec(large))
    assert chosen[0] == large[-1]
    assert [one.id for one in chosen[1:]] == sorted(one.id for one in large[:-1])[:2]
    places = [config.place(spec(large, me)) for me in range(8)]
    assert sorted(places) == [Place.HUB] * 3 + [Place.LEAF] * 5
    assert all(config.hubs(spec(large, me)) == chosen for me in range(8))


def test_the_chief_is_a_hub() -> None:
    """A chief comes before those who are only early in the alphabet."""
    assert config.hubs(spec(members(6, role=Role.CHIEF)))[0].role is Role.CHIEF


def test_a_leaf_calls_hubs_and_lets_nobody_in() -> None:
    """A leaf listens for itself, calls every hub, and pins those alone."""
    large = members(8)
    me = next(number for number in range(8) if config.place(spec(large, number)) is Place.LEAF)
    mine = spec(large, me)
    tables = config.document(mine)
    hubs = [next(one for one in IDENTITIES if one.id == hub.id) for hub in config.hubs(mine)]
    assert config.listening(mine) == {4222}
    assert "cluster" not in tables
    assert tables["leafnodes"]["tls"]["pinned_certs"] == pins(*hubs)
    assert len(tables["leafnodes"]["remotes"][0]["urls"]) == len(hubs)
    assert config.authorities(mine).count("BEGIN CERTIFICATE") == len(hubs)


def test_a_hub_pins_leaves_at_its_leaf_door_and_hubs_at_its_cluster_door() -> None:
    """A leaf's key does not open the mesh."""
    large = members(8)
    me = next(number for number in range(8) if config.place(spec(large, number)) is Place.HUB)
    tables = config.document(spec(large, me))
    assert len(tables["cluster"]["tls"]["pinned_certs"]) == 3
    assert tables["leafnodes"]["tls"]["pinned_certs"] == pins(*IDENTITIES)
    assert tables["leafnodes"]["tls"]["handshake_first"] is True


@pytest.mark.parametrize("size", range(2, 9))
def test_a_pin_list_is_never_empty(size: int) -> None:
    """nats-server reads an empty list as "anyone"."""
    for me in range(size):
        tables = config.document(spec(members(size), me))
        for block in (tables.get("cluster"), tables.get("leafnodes")):
            assert block is None or block["tls"]["pinned_certs"]


def test_rendered_text_is_json_without_secrets() -> None:
    """The file says what the document says; keys appear as paths and public halves only."""
    text = config.render(spec(members(3)))
    assert json.loads(text) == json.loads(json.dumps(config.document(spec(members(3)))))
    assert IDENTITIES[0].nkey_seed.decode() not in text
    assert "PRIVATE" not in text


MOVED = Member(IDENTITIES[1].id, "n2", IDENTITIES[1].bundle, (Address("10.9.9.9", nats=6222),))


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (spec(members(3)), spec(members(3)), Change.NOTHING),
        (spec(members(2)), spec(members(3)), Change.RELOAD),
        (spec(members(3)), spec(members(2)), Change.RELOAD),
        (spec(members(2)), spec((members(1)[0], MOVED)), Change.RELOAD),
        (spec(members(1)), spec(members(2)), Change.RESTART),
        (spec(members(2)), spec(members(1)), Change.RESTART),
        (spec(members(5)), spec(members(6)), Change.RESTART),
        (spec(members(7)), spec(members(8)), Change.RESTART),
        (spec(members(2)), spec(members(2), listen="0.0.0.0"), Change.RESTART),
        (spec(members(2)), spec(members(2), ports=Ports(4222, 7000, 7422)), Change.RESTART),
    ],
)
def test_change(old: Spec, new: Spec, change: Change) -> None:
    """Routes and their pins are reloaded; listeners and the pins of leaves take a restart."""
    assert config.change(old, new) is change


def test_a_leaf_does_not_mind_other_leaves() -> None:
    """A node joining a large fleet changes nothing for those who only call the hubs."""
    before, after = members(7), members(8)
    me = next(
        number
        for number in range(7)
        if config.place(spec(before, number)) is config.place(spec(after, number)) is Place.LEAF
    )
    if config.hubs(spec(before, me)) == config.hubs(spec(after, me)):
        assert config.change(spec(before, me), spec(after, me)) is Change.NOTHING


def fleet(count: int, **net: object) -> Fleet:
    mine = IDENTITIES[0]
    roster = Roster("f1", "fleet", 1, 0, members(count))
    return Fleet(
        Me(mine.id, "n1", 1, "0.1"), Config(net=NetConfig(**net), broker=BrokerConfig(mesh_limit=4)), roster, Map()
    )


def test_planned_follows_the_value() -> None:
    """The spec is read off the fleet: its ports, its limits, its present members; alone it stays on loopback."""
    alone, together = config.planned(fleet(1), FILES, 0), config.planned(fleet(2, nats_port=5000), FILES, 0)
    assert (alone.listen, together.listen) == ("127.0.0.1", "0.0.0.0")
    assert together.ports == Ports(5000, 6222, 7422)
    assert together.mesh_limit == 4
    assert together.nkey == IDENTITIES[0].bundle.nkey
    assert config.planned(fleet(2, listen="10.0.0.1"), FILES, 0).listen == "10.0.0.1"


@pytest.mark.parametrize("gone", [{"revoked_ms": 5}, {"left_ms": 5}, {"expires_ms": 5}])
def test_planned_leaves_out_who_is_gone(gone: dict[str, int]) -> None:
    """Revoked, left or expired members are neither called nor pinned."""
    value = fleet(1)
    roster = Roster("f1", "fleet", 1, 0, members(2, **gone))
    changed = Fleet(value.me, value.config, roster)
    assert config.place(config.planned(changed, FILES, 10)) is Place.ALONE


@pytest.mark.parametrize("host", ["", "x:y", "fe80::1%eth0", "a%zz", "ü"])
def test_an_address_that_cannot_be_read_is_left_out(host: str) -> None:
    """One member's odd address must not keep the broker of every other from starting."""
    odd = members(3)[2]
    among = (*members(2), Member(odd.id, "n3", odd.bundle, (Address(host, nats=6222), Address("::1", nats=6222))))
    routes = config.document(spec(among))["cluster"]["routes"]
    assert routes == ["nats-route://10.0.0.2:6222", "nats-route://[::1]:6222"]
