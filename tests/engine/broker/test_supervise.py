"""The supervised nats-server: alive while the node is, private, and never a storm."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator

import psutil
import pytest

from engine.broker import supervise
from engine.broker.patience import AT_ONCE
from engine.model.channel import Verdict
from tests.nodes import Inbox, Node, cluster

pytestmark = pytest.mark.slow


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    made = Node(1)
    yield made
    await made.close()


@pytest.fixture
async def other() -> AsyncIterator[Node]:
    made = Node(2)
    yield made
    await made.close()


def listens(pid: int) -> list[str]:
    """The addresses a process listens on."""
    return [one.laddr.ip for one in psutil.Process(pid).net_connections() if one.status == psutil.CONN_LISTEN]


async def test_alone_it_listens_on_loopback_only(node: Node) -> None:
    """A fleet of one has one listener, for itself."""
    await node.broker.start()
    assert node.broker.state == "up"
    assert node.broker.url == f"nats://127.0.0.1:{node.broker.ports.client}"
    assert listens(node.broker.pid) == ["127.0.0.1"]


async def test_its_files_are_private(node: Node) -> None:
    """Folder 0700, files 0600."""
    await node.broker.start()
    folder = node.home / "broker"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


async def test_it_inherits_nothing_of_the_nodes_environment(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment is not handed to a child."""
    monkeypatch.setenv("FLEET_KEY_FILE", "/secret")
    await node.broker.start()
    assert set(psutil.Process(node.broker.pid).environ()) == {"GOMAXPROCS", "GOGC", "GOMEMLIMIT"}


async def test_killed_it_is_back_where_it_was(node: Node) -> None:
    """kill -9: told at once, up again on the same port under another pid."""
    await node.broker.start()
    pid, url = node.broker.pid, node.broker.url
    os.kill(pid, signal.SIGKILL)
    assert (await node.reached("down")).note == "exit -9"
    back = await node.reached("up")
    assert back.url == url
    assert back.pid not in (0, pid)


async def test_one_that_keeps_dying_is_held_back_and_says_so(node: Node) -> None:
    """Ten kills in a row make ten deaths and no storm: one server at a time, growing pauses, and the reason told."""
    await node.broker.start()
    notes = []
    for _ in range(AT_ONCE + 2):
        os.kill(node.broker.pid, signal.SIGKILL)
        down = await node.reached("down")
        notes.append(down.note)
        assert down.dying is (len(notes) > AT_ONCE)
        await node.reached("up")
        children = [one for one in psutil.Process().children() if one.name() == "nats-server"]
        assert len([one for one in children if str(node.home) in " ".join(one.cmdline())]) == 1
    assert f"died {AT_ONCE + 1} times in 60 s, next start in 0.25 s" in notes[-2]
    assert f"died {AT_ONCE + 2} times in 60 s, next start in 0.5 s" in notes[-1]


async def test_a_new_roster_ends_a_pause(node: Node, other: Node) -> None:
    """While it is held back, a roster that asks for a restart starts it now."""
    await node.broker.start()
    node.broker._deaths = tuple([asyncio.get_running_loop().time()] * 50)
    os.kill(node.broker.pid, signal.SIGKILL)
    await node.reached("down")
    await node.broker.apply(node.spec([node.member(), other.member()]))
    assert node.broker.state == "up"


async def test_a_taken_port_is_left_to_its_owner(node: Node, other: Node) -> None:
    """A foreign server on the usual port: ours takes another."""
    await other.broker.start()
    port = other.broker.ports.client
    wanted = supervise.Ports(port, 0, 0)
    node.broker._spec = supervise.msgspec.structs.replace(node.broker._spec, ports=wanted)
    await node.broker.start()
    assert node.broker.state == "up"
    assert node.broker.ports.client > port


async def test_what_a_reload_can_change_keeps_the_server(node: Node, other: Node) -> None:
    """A member's new address is taken by the running server, and the client stays connected."""
    await cluster(node, other)
    pid = node.broker.pid
    await node.nats.listen(Inbox())
    client = node.nats._client
    third = Node(3)
    await node.broker.apply(node.spec([node.member(), other.member(), third.member()]))
    await third.close()
    assert node.broker.pid == pid
    assert any("Reloaded server configuration" in line for line in node.broker.log())
    assert client is not None
    assert client.is_connected
    assert client.stats["reconnects"] == 0


async def test_a_stopped_server_is_replaced_when_it_must_hear(node: Node, other: Node) -> None:
    """A server that does not answer SIGHUP is ended and started with the new roster."""
    await cluster(node, other)
    pid = node.broker.pid
    os.kill(pid, signal.SIGSTOP)
    await node.broker.apply(node.spec([node.member()]))
    assert node.broker.state == "up"
    assert node.broker.pid != pid


async def test_the_cluster_port_told_before_is_the_one_opened(node: Node, other: Node) -> None:
    """Ports are settled at start, so an address given to peers stays true when the first peer joins."""
    await node.broker.start()
    told = node.broker.ports
    await other.broker.start()
    assert not set(other.broker.ports.__struct_fields__) - {"client", "cluster", "leaf"}
    assert other.broker.ports.cluster != told.cluster
    await node.broker.apply(node.spec([node.member(), other.member()]))
    assert node.broker.ports == told
    assert len(listens(node.broker.pid)) == 2


async def test_stop_leaves_no_process_and_is_idempotent(node: Node) -> None:
    """Ended in order, once."""
    await node.broker.start()
    process = psutil.Process(node.broker.pid)
    await node.broker.stop()
    await node.broker.stop()
    assert not process.is_running()
    assert not (node.home / "broker" / "pid").exists()
    assert node.broker.state == "absent"
    assert node.broker.url == ""


async def test_an_orphan_of_a_killed_node_is_ended_at_start(node: Node) -> None:
    """A server that a crashed node left with our configuration does not live beside the new one."""
    await node.broker.start()
    await node.broker.stop()
    config = node.home / "broker" / "server.json"
    program = supervise.machine.program()
    with subprocess.Popen([program, "--config", config], stderr=subprocess.PIPE) as left:
        assert left.stderr is not None
        assert any(b"Server is ready" in line for line in left.stderr)
        (node.home / "broker" / "pid").write_text(str(left.pid))
        await node.broker.start()
        assert not psutil.pid_exists(left.pid)
    assert node.broker.state == "up"


SCRIPT = """
import asyncio, threading
from tests.nodes import Node
async def main():
    node = Node(9)
    await node.broker.start()
    print(node.broker.pid, node.home, flush=True)
    await asyncio.Event().wait()
thread = threading.Thread(target=lambda: asyncio.run(main()))
thread.start()
thread.join()
"""


def test_it_dies_with_the_node() -> None:
    """kill -9 of the node, whose engine runs on a thread of its own: the kernel ends the server too."""
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, home = parent.stdout.readline().split()
        server = psutil.Process(int(pid))
        parent.kill()
    server.wait(10)
    assert not server.is_running()
    subprocess.run(["rm", "-r", home], check=True)


async def test_leaves_reach_each_other_through_a_hub(node: Node, other: Node) -> None:
    """Beyond the mesh limit one node is the hub and the others call it; mail passes between leaves."""
    third = Node(3)
    nodes = [node, other, third]
    try:
        await cluster(*nodes, mesh_limit=2, hubs=1)
        leaves = [one for one in nodes if len(listens(one.broker.pid)) == 1]
        assert len(leaves) == 2
        for leaf in leaves:
            await leaf.nats.listen(Inbox())
        await passes(*leaves)
    finally:
        await third.close()


async def test_the_loss_of_a_hub_is_healed_by_another(node: Node, other: Node) -> None:
    """Two leaves, two hubs, one of which ends: mail between the leaves passes again by itself."""
    nodes = [node, other, Node(3), Node(4)]
    try:
        await cluster(*nodes, mesh_limit=2, hubs=2)
        hubs = [one for one in nodes if len(listens(one.broker.pid)) == 3]
        one, two = (node for node in nodes if node not in hubs)
        for leaf in (one, two):
            await leaf.nats.listen(Inbox())
        await passes(one, two)
        for hub in hubs:
            await hub.broker.stop()
            await passes(one, two)
            await passes(two, one)
            await hub.broker.start()
    finally:
        for extra in nodes[2:]:
            await extra.close()


async def test_five_nodes_reach_each_other(node: Node, other: Node) -> None:
    """A full mesh: everybody has a way to everybody."""
    nodes = [node, other, *(Node(number) for number in (3, 4, 5))]
    try:
        await cluster(*nodes)
        for one in nodes:
            await one.nats.listen(Inbox())
        for one in nodes:
            for two in nodes:
                await passes(one, two)
    finally:
        for extra in nodes[2:]:
            await extra.close()


async def passes(one: Node, two: Node) -> None:
    """Wait until mail from one node to another is confirmed."""
    while (await one.nats.deliver(b"x", two.target(), 0.5)).verdict is not Verdict.CONFIRMED:
        pass


async def test_a_revoked_member_is_out(node: Node, other: Node) -> None:
    """When the roster no longer holds a member its route is closed, and it cannot come back."""
    await cluster(node, other)
    await node.nats.listen(Inbox())
    await other.nats.listen(Inbox())
    await passes(other, node)
    third = Node(3)
    await node.broker.apply(node.spec([node.member(), third.member()]))
    while (outcome := await other.nats.deliver(b"x", node.target(), 2.0)).verdict is Verdict.CONFIRMED:
        pass
    assert outcome.verdict is Verdict.LOST
    await third.close()
