"""Processes that die or stand still: mail goes on, nothing is lost, nothing comes twice, nothing is left behind."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from engine.errors import FleetError
from tests.e2e.conftest import FleetOf
from tests.e2e.node import Node, together
from tests.e2e.until import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def duo(fleet_of: FleetOf) -> list[Node]:
    return fleet_of(2)


@pytest.fixture(autouse=True)
def well(duo: list[Node]) -> None:
    """Each test begins with both nodes well, which is also what the one before it has to come to."""
    together(duo)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that stands still inside the `with`."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("whose", ["the peer's", "its own"])
def test_a_killed_broker_delays_nothing(duo: list[Node], whose: str) -> None:
    """kill -9 of a nats-server, at either end: the next message goes over HTTP at once, because P1 fails with a reason
    and not with a timeout; the broker comes back and P1 is healthy again, by itself."""
    atlas, birch = duo
    victim = birch if whose == "the peer's" else atlas
    used: list[str] = []
    # A busy machine may look away until the broker is back; so once more, and never so often that it has to pause.
    while "http" not in used:
        assert len(used) < 2, used
        old = victim.kill_broker()
        story = atlas.send("birch", f"{whose} broker {len(used)}")
        used.append(story["channel"])
        assert not any("no answer in" in one["note"] for one in story["tries"])
        until(lambda old=old: victim.broker_pid not in (0, old), "a new broker")
        together(duo)
    assert victim.brokers() == [victim.broker_pid]
    until(lambda: atlas.send("birch", "P1 again")["channel"] == "nats", "P1 to be taken again")
    assert all(birch.bodies()[f"{whose} broker {number}"] == 1 for number in range(len(used)))


def test_a_broker_killed_ten_times(duo: list[Node]) -> None:
    """Ten deaths in a row: each message still arrives, there is never more than one server, and the pauses between
    starts grow instead of a storm of processes; in the end it is back."""
    atlas, birch = duo
    for number in range(10):
        birch.kill_broker()
        assert atlas.send("birch", f"ten {number}")["rung"] == "on_host"
        assert len(birch.brokers()) <= 1
    note = until(lambda: birch.status()["broker"]["note"], "the broker to say why it waits")
    assert "times in 60 s, next start in" in note
    together(duo)
    assert {body: count for body, count in birch.bodies().items() if body.startswith("ten")} == {
        f"ten {number}": 1 for number in range(10)
    }


def test_a_stopped_broker_is_overtaken(duo: list[Node]) -> None:
    """SIGSTOP of a nats-server: P1 gives no answer at all, so each message is hedged over HTTP and arrives; P1 is found
    broken, and healthy again once the server goes on."""
    atlas, birch = duo
    with stopped(birch.broker_pid):
        first = atlas.send("birch", "hedged")
        assert first["channel"] == "http"

        def broken() -> bool:
            assert atlas.send("birch", "meanwhile")["rung"] == "on_host"
            return bool(atlas.api.get("/channels")["birch"]["nats"]["state"] in ("BROKEN", "HEALING"))

        until(broken, "P1 found broken")
        assert atlas.peer("birch")["standing"] == "ALIVE"
    together(duo)
    assert birch.bodies()["hedged"] == 1


def test_a_peer_that_stands_still(duo: list[Node]) -> None:
    """SIGSTOP of a node: it is suspected, what is sent to it stays accepted; after SIGCONT all of it arrives once, and
    nobody was declared gone."""
    atlas, birch = duo
    pid = birch.pid
    assert pid
    with stopped(pid):
        sent = [atlas.post("birch", f"frozen {number}")["id"] for number in range(20)]
        until(lambda: atlas.peer("birch")["standing"] == "SUSPECT", "birch to be suspected")
        assert {atlas.rung(one) for one in sent} == {"accepted"}
    until(lambda: all(atlas.rung(one) == "on_host" for one in sent), "the frozen messages on their host")
    until(lambda: atlas.peer("birch")["standing"] == "ALIVE", "birch to be believed again")
    came = {body: count for body, count in birch.bodies().items() if body.startswith("frozen")}
    assert came == {f"frozen {number}": 1 for number in range(20)}
    assert not atlas.findings()


def test_a_receiver_killed_in_the_middle_of_five_hundred(duo: list[Node]) -> None:
    """kill -9 of the receiver while 500 messages come in, then a restart: all 500, each once."""
    atlas, birch = duo
    sending = atlas.spawn("send", "birch", "--stdin", "--wait", "on_host", "--timeout", "90", "--json")
    assert sending.stdin
    sending.stdin.write("".join(f"five {number}\n" for number in range(500)))
    sending.stdin.flush()
    came = 0
    for name, _ in birch.events():
        came += name == "MessageCame"
        if came > 100:
            break
    birch.kill()
    birch.up()
    out, _ = sending.communicate(timeout=100)
    assert sending.returncode == 0
    assert out.count('"rung": "on_host"') == 500
    came_once = {body: count for body, count in birch.bodies().items() if body.startswith("five")}
    assert came_once == {f"five {number}": 1 for number in range(500)}
    assert atlas.status()["outbox"]["waiting"] == 0


def test_a_sender_killed_in_the_middle_of_five_hundred(duo: list[Node]) -> None:
    """kill -9 of the sender: whatever it answered for arrives after its restart, once; the rest was never promised."""
    atlas, birch = duo
    promised: list[str] = []
    bodies = (f"mine {number}" for number in range(500))
    with suppress(FleetError):
        asks = ({"to": "birch", "payload": {"body": body}} for body in bodies)
        for number, story in enumerate(atlas.api.stream(asks)):
            promised.append(story["id"])
            if number == 150:
                atlas.kill()
    assert 150 < len(promised) < 500
    atlas.up()
    until(lambda: atlas.status()["outbox"]["waiting"] == 0, "the outbox to empty")
    came = [letter for letter in birch.letters() if letter["body"].startswith("mine")]
    assert {letter["id"] for letter in came} >= set(promised)
    assert len({letter["body"] for letter in came}) == len(came)


def test_a_storm_of_kills(duo: list[Node]) -> None:
    """Nodes and brokers of both sides killed in turn under load in both directions: every accepted message, once."""
    atlas, birch = duo
    promised: set[str] = set()
    for turn in range(6):
        for here, there in ((atlas, birch), (birch, atlas)):
            promised |= {story["id"] for story in here.bulk(there.name, (f"storm {turn} {one}" for one in range(100)))}
        victim = duo[turn % 2]
        if turn % 3 == 2:
            victim.kill_broker()
        else:
            victim.kill()
            victim.up()
    for node in duo:
        until(lambda node=node: node.status()["outbox"]["waiting"] == 0, f"{node.name}'s outbox to empty")
    came = [letter for node in duo for letter in node.letters() if letter["body"].startswith("storm")]
    assert {letter["id"] for letter in came} == promised
    assert len(came) == len(promised) == 1_200
    assert not any(node.api.get("/refusals")["counts"].get("replayed") for node in duo)


def test_no_broker_outlives_its_node(duo: list[Node]) -> None:
    """kill -9 of a node takes its nats-server along; the next start finds nothing in its way."""
    _, birch = duo
    broker = birch.broker_pid
    birch.kill()
    until(lambda: not psutil.pid_exists(broker), "the broker to end with its node")
    assert birch.brokers() == []
    assert birch.up()["broker"]["state"] == "up"
    assert len(birch.brokers()) == 1


def test_down_leaves_nothing(duo: list[Node]) -> None:
    """After `fleet down` neither node nor broker runs, and no socket answers."""
    _, birch = duo
    broker = birch.broker_pid
    birch.down()
    assert birch.pid is None
    assert not psutil.pid_exists(broker)
    assert birch.fleet("status").error["code"] == "node.absent"
    birch.up()
