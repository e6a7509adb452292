"""A broken channel mends itself, rung by rung: real nodes, a broker that is stopped and cannot answer, a real sshd."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.model.envelope import Envelope, Kind
from engine.model.packets import Mend, pack
from tests.e2e.forge import posted, roster, sealed, stolen_keys
from tests.e2e.node import ROOT, Node, join, start, together
from tests.e2e.until import until
from tests.sshd import Sshd

pytestmark = pytest.mark.slow

# Rungs that come soon, and the rung above much later than the repair below takes.
SOON = {"FLEET_REPAIR_L2_S": "0.5", "FLEET_REPAIR_L3_S": "60", "FLEET_REPAIR_L4_S": "60"}
# Whoever is broken does nothing about it of its own accord.
IDLE = {"FLEET_REPAIR_LEVELS": "1"}

Pair = tuple[Node, Node]


@pytest.fixture
def pair() -> Iterator[Callable[..., Pair]]:
    """`pair(asker settings, target settings)`: two nodes in one fleet."""
    made: list[Node] = []

    def make(asker: dict[str, str], target: dict[str, str]) -> Pair:
        nodes = Node("atlas", SOON | asker), Node("birch", SOON | IDLE | target)
        made.extend(nodes)
        start(nodes)
        join(nodes)
        return nodes

    yield make
    for node in made:
        node.end()


def freeze_broker(node: Node) -> int:
    """Its nats-server neither dies nor answers; the pid it has."""
    pid = until(lambda: node.broker_pid, f"a broker of {node}")
    os.kill(pid, signal.SIGSTOP)
    return pid


def entries(node: Node, verb: str) -> list[Any]:
    return [one["facts"] for one in node.must("ledger") if one["verb"] == verb]


def whats(node: Node) -> list[str]:
    return [one["what"] for one in entries(node, "repair")]


def credited(node: Node, level: int) -> bool:
    """Whether a rung healed something: its word that it is done may come after the round trip that proves it."""
    return bool(re.search(f"healed (by L{level}|while L{level} was at it,) in", " ".join(whats(node))))


def p1(node: Node, peer: Node) -> Any:
    return node.api.get("/channels")[peer.name]["nats"]


def healed(asker: Node, target: Node, level: int, frozen: int) -> None:
    """P1 is healthy again by this rung, on both ledgers; the frozen broker is gone and another one is there."""
    until(lambda: credited(asker, level), f"a repair by L{level}")
    together([asker, target])
    assert p1(asker, target)["state"] == "HEALTHY"
    assert target.broker_pid != frozen
    done = {(one["action"], one["outcome"]) for one in entries(target, "mend")}
    assert ("restart_nats", "done") in done, done
    until(lambda: not asker.api.get("/repairs"), "an end of the ladder")
    assert not [code for code in asker.findings() if code.startswith("repair.")]
    asker.must("ledger", "verify")


def test_the_target_restarts_its_broker_because_it_is_asked(pair: Callable[..., Pair]) -> None:
    """L2, without a human: P1 broken on the target only, a request over P2, a measured round trip."""
    asker, target = pair({}, {})
    frozen = freeze_broker(target)
    healed(asker, target, 2, frozen)
    assert "asked birch to restart its broker" in whats(asker)


def test_without_level_two_the_repair_agent_does_it(pair: Callable[..., Pair], tmp_path: Path) -> None:
    """L3: the target's own command, asked with a prompt, repairs it with `fleet repair --local` and nothing else; it
    sees no setting of Fleet's, and what it said is kept."""
    home, seen = tmp_path / "home", tmp_path / "seen"
    agent = tmp_path / "agent"
    agent.write_text(
        "#!/bin/sh\n"
        f'printf "%s" "$1" > {seen}; env > {seen}.env\n'
        f'cd {ROOT} && exec {sys.executable} -m fleet_tui --home "$(cat {home})" repair --local restart_nats\n'
    )
    agent.chmod(0o700)
    asker, target = pair({"FLEET_REPAIR_LEVELS": "1,3"}, {"FLEET_REPAIR_AGENT": str(agent)})
    home.write_text(str(target.home))
    frozen = freeze_broker(target)
    healed(asker, target, 3, frozen)
    asked = seen.read_text()
    assert "| channel nats: " in asked
    (note,) = (one["note"] for one in entries(target, "mend") if (one["action"], one["outcome"]) == ("agent", "done"))
    assert note.startswith("its broker is up again"), "the outcome is said once"
    assert f"--home {target.home} repair --local ACTION" in asked
    assert "FLEET_" not in (tmp_path / "seen.env").read_text()
    (kept,) = (target.home / "repairs").iterdir()
    assert kept.read_text().startswith("done: its broker is up again")
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.needs("sshd", "ssh")
def test_with_both_off_a_person_approves_the_commands(pair: Callable[..., Pair]) -> None:
    """L4: the exact commands are there, over ssh with the announced host key, and approving them mends it."""
    # A shell that believes it is a child of another leaves out what this user has it do at every start.
    sshd = Sshd(options=("SetEnv SHLVL=5",)).start()
    try:
        asker, target = pair({"FLEET_REPAIR_LEVELS": "1,4", **sshd.environ}, sshd.environ)
        until(lambda: asker.peer("birch")["channels"].get("ssh") == "HEALTHY", "P5 to birch")
        frozen = freeze_broker(target)
        (waiting,) = until(
            lambda: [one for one in asker.api.get("/repairs") if one["plan"] and one["channel"] == "nats"], "a plan"
        )
        assert waiting["level"] == 4
        (over_ssh,) = (one["command"] for one in waiting["plan"])
        assert over_ssh.startswith("ssh ")
        assert f"-p {sshd.port}" in over_ssh
        assert over_ssh.endswith("repair --local restart_nats'")
        assert asker.findings()["repair.nats"]["severity"] == "high"
        done = asker.must("repair", "birch", "--approve")
        assert [one["status"] for one in done] == [0, 0], done
        assert done[-1]["does"] == "a round trip over nats to birch, measured afterwards"
        healed(asker, target, 4, frozen)
        assert [one for one in whats(asker) if one.startswith("approved by ")]
    finally:
        sshd.end()


@pytest.mark.needs("sshd", "ssh")
def test_a_node_that_was_killed_is_started_by_a_peer(pair: Callable[..., Pair]) -> None:
    """Its machine is there and its node is not: whoever can sign in starts it, with the command it announced."""
    sshd = Sshd(options=("SetEnv SHLVL=5",)).start()
    quick = {"FLEET_HEALTH_PROBE_S": "0.5", "FLEET_MEMBERSHIP_UNREACHABLE_S": "2", **sshd.environ}
    try:
        asker, target = pair(quick, quick)
        until(lambda: asker.peer("birch")["channels"].get("ssh") == "HEALTHY", "P5 to birch")
        target.kill()
        until(lambda: target.pid, "another birch")
        together([asker, target])
        until(lambda: credited(asker, 2), "a repair by L2")
        assert "starts the node of birch over ssh" in whats(asker)
    finally:
        sshd.end()


def test_what_is_not_in_the_table_is_refused(pair: Callable[..., Pair]) -> None:
    """A member with all its keys asks for another deed, and a stranger for one of the table: nothing is done, both are
    counted. The limit of an hour holds for what is in the table."""
    asker, target = pair({}, {"FLEET_REPAIR_PER_HOUR": "1"})
    keys, book, before = stolen_keys(asker), roster(target), target.broker_pid
    (me,) = (one.id for one in book.members if one.name == "birch")

    def mend(seq: int, action: str) -> None:
        body = pack(Mend(f"q{seq}", action, "nats", "x"))
        # The asker hears of an epoch it never had and takes a newer one: what comes after it is older than its word.
        epoch = 9_999_999_999_999 + seq * 1_000_000
        frame = sealed(keys, book, Envelope(keys.id, epoch, 1, me, f"F{seq}", Kind.MEND, body=body))
        assert posted(target, frame)[0] == 200

    mend(1, "kill -9 1")
    until(lambda: target.refused("unmendable") == 1, "a refusal")
    mend(2, "free_port")
    until(
        lambda: ("free_port", "done") in {(one["action"], one["outcome"]) for one in entries(target, "mend")}, "an end"
    )
    port = target.port()
    target.must("repair", "--local", "reload_roster")
    mend(3, "reload_roster")
    until(lambda: [one for one in entries(target, "mend") if one["action"] == "reload_roster"][1:], "an answer")
    together([asker, target])
    assert target.broker_pid == before
    assert target.port() == port


@pytest.mark.parametrize("foreground", [False, True])
def test_a_node_restarts_itself(lone: Node, foreground: bool) -> None:
    """`restart_daemon` ends the node in order and begins it anew in the same process, whoever supervises it."""
    daemon = lone.spawn("--daemon") if foreground else None
    try:
        if daemon is None:
            lone.up()
        first = until(lambda: lone.pid and _status(lone), "an answer")
        ran = lone.fleet("repair", "--local", "restart_daemon")
        assert ran.status == 0, ran
        again = until(
            lambda: (
                (now := _status(lone))
                and now["node"]["uptime_s"] < first["node"]["uptime_s"] + 60
                and _epoch(lone) > 1
                and now
            ),
            "another start",
        )
        assert again["node"]["pid"] == first["node"]["pid"]
        assert daemon is None or daemon.poll() is None
        lone.must("ledger", "verify")
    finally:
        lone.end()
        if daemon is not None:
            daemon.kill()
            daemon.communicate()


def _status(node: Node) -> Any:
    from engine.errors import FleetError

    try:
        return node.status()
    except (FleetError, OSError):
        return None


def _epoch(node: Node) -> int:
    """How often it has started."""
    ran = node.fleet("ledger")
    return sum(one["verb"] == "start" for one in ran.value) if ran.status == 0 else 0
