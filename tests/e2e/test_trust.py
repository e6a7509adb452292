"""Forged, replayed, tampered and unsigned frames at the real doors: refused, counted, and nothing has changed."""

import http.client
from collections import Counter
from contextlib import suppress

import nats
import pytest

from engine.security.identity import Identity
from engine.wire import TAG_SIZE
from tests.e2e.conftest import FleetOf
from tests.e2e.forge import letter, masked, posted, posts, roster, sealed, stolen_keys, tapped
from tests.e2e.node import Node, together
from tests.e2e.until import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trio(fleet_of: FleetOf) -> list[Node]:
    return fleet_of(3)


@pytest.fixture(scope="module")
def frames(trio: list[Node]) -> dict[str, bytes]:
    """What an attacker may send to birch, by the reason for which it must be refused."""
    atlas, birch, cedar = trio
    book, ids = roster(birch), {node.name: node.status()["node"]["id"] for node in trio}
    mine = letter(ids["atlas"], ids["birch"])
    genuine = sealed(stolen_keys(atlas), book, mine)
    stranger = Identity(b"s" * 32)
    return {
        "tampered": sealed(
            masked(stolen_keys(cedar), ids["atlas"]), book, mine
        ),  # cedar, a member, writes in atlas's name
        "unsigned": genuine[:-TAG_SIZE] + bytes(TAG_SIZE),
        "unknown": sealed(stranger, book, letter(stranger.id, ids["birch"])),
        "misaddressed": sealed(stolen_keys(atlas), book, letter(ids["atlas"], ids["cedar"])),
        "version": genuine[:4] + b"\2" + genuine[5:],
        "garbage": b"\0" * 100,
        "oversized": genuine[:8] + b"\x7f\xff\xff\xff" + genuine[12:],
    }


@pytest.fixture
def untouched(trio: list[Node]) -> Counter[str]:
    """What birch's inbox held before."""
    return trio[1].bodies()


def total(node: Node) -> int:
    """Refused frames of every kind."""
    return sum(node.api.get("/refusals")["counts"].values())


async def test_a_recorded_frame_is_refused_on_both_channels(trio: list[Node]) -> None:
    """A frame that was taken once, recorded at the broker and sent again, bit for bit: refused as a replay on HTTP and
    on NATS, at another node as misaddressed, and after a restart too. The message is there once."""
    atlas, birch, cedar = trio
    async with tapped(birch) as tap:
        atlas.send("birch", "recorded", via="nats")
        frame = await tap.letter()
        status, answer = posted(birch, frame)
        assert (status, answer) == (403, b"")
        until(lambda: birch.refusals()["replayed", "http"] == 1, "the replay over HTTP to be counted")
        await tap.say(frame)
        until(lambda: birch.refusals()["replayed", "nats"] == 1, "the replay over NATS to be counted")
    posted(cedar, frame)
    until(lambda: cedar.refusals()["misaddressed", "http"] >= 1, "cedar to refuse what is birch's")
    birch.kill()
    birch.up()
    posted(birch, frame)
    until(lambda: birch.refused("replayed") == 1, "the replay after a restart to be counted")
    assert birch.bodies()["recorded"] == 1
    assert birch.metric('fleet_refusals_total{reason="replayed"}') == birch.status()["refused"] == 1
    together(trio)


@pytest.mark.parametrize(
    "reason", ["tampered", "unsigned", "unknown", "misaddressed", "version", "garbage", "oversized"]
)
async def test_a_forged_frame_is_refused_on_both_channels(
    trio: list[Node], frames: dict[str, bytes], untouched: Counter[str], reason: str
) -> None:
    """Each kind of forgery is refused with its reason over HTTP and over NATS, and told nothing."""
    birch = trio[1]
    before = birch.refusals()
    status, answer = posted(birch, frames[reason])
    assert (status, answer) == (403, b"")
    async with tapped(birch) as tap:
        await tap.say(frames[reason])
    for channel in ("http", "nats"):
        until(
            lambda channel=channel: birch.refusals()[reason, channel] > before[reason, channel],
            f"{reason} over {channel} to be counted",
        )
    assert birch.bodies() == untouched


async def test_no_byte_can_be_changed(trio: list[Node], untouched: Counter[str]) -> None:
    """Every byte of a genuine frame that was never delivered, changed one at a time: each is refused on both channels,
    and the frame itself is still good afterwards, once."""
    atlas, birch, _ = trio
    book = roster(birch)
    mine = letter(atlas.status()["node"]["id"], birch.status()["node"]["id"], "never delivered before")
    genuine = sealed(stolen_keys(atlas), book, mine)
    changed = [genuine[:at] + bytes([genuine[at] ^ 1]) + genuine[at + 1 :] for at in range(len(genuine))]
    before = total(birch)
    assert {answer for _, answer in posts(birch, changed)} == {b""}
    until(lambda: total(birch) >= before + len(changed), "all of them to be refused over HTTP")
    before = total(birch)
    async with tapped(birch) as tap:
        await tap.say(*changed)
    until(lambda: total(birch) >= before + len(changed), "all of them to be refused over NATS")
    assert birch.bodies() == untouched
    posted(birch, genuine)
    until(lambda: birch.bodies()["never delivered before"] == 1, "the genuine one")
    assert atlas.send("birch", "and mail goes on")["rung"] == "on_host"


def test_plain_json_is_refused_as_unsigned(trio: list[Node], untouched: Counter[str]) -> None:
    """What an older or foreign tool would post: nobody vouches for it."""
    birch = trio[1]
    before = birch.refused("unsigned")
    posted(birch, b'{"type":"task","to":"birch","payload":{"body":"rm -rf"}}')
    until(lambda: birch.refused("unsigned") == before + 1, "it to be counted")
    assert birch.bodies() == untouched


def test_the_peer_port_says_no_more_than_it_must(trio: list[Node]) -> None:
    """No other path, method, type or size gets further than a status line, and mail is taken afterwards as before."""
    birch = trio[1]
    assert posted(birch, b"x" * 64, "application/json")[0] == 415
    assert posted(birch, b"")[0] == 400
    with suppress(http.client.HTTPException, OSError):  # it may hang up before all of it was sent
        assert posted(birch, bytes((8 << 20) + 1))[0] == 413
    assert trio[0].send("birch", "after the knocking", via="http")["channel"] == "http"


async def test_a_broker_lets_only_its_own_node_in(trio: list[Node]) -> None:
    """Without a key, and with the key of another member, a client is turned away by a node's nats-server."""
    atlas, birch, _ = trio
    url = birch.status()["broker"]["url"]
    for seed in (None, stolen_keys(atlas).nkey_seed.decode()):
        with pytest.raises(nats.errors.Error):
            await nats.connect(url, nkeys_seed_str=seed, allow_reconnect=False, connect_timeout=5)
