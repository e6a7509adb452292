"""The commands a person may approve: exact, and trusting nobody the peer did not name."""

import shlex

import msgspec
import pytest
from immutables import Map

from engine.health import bulletin
from engine.health.plan import FACTS_LIMIT, UNPROVED, commands, instead, prompt
from engine.health.rungs import person
from engine.model.channel import Cause, Channel, ChannelHealth, ChannelState
from engine.model.packets import Heartbeat, Mend
from engine.model.peer import Peer, Standing
from engine.model.repair import Action, Level, Repair
from engine.model.roster import Address
from engine.model.ways import SshWay, Ways, door
from engine.state import Fleet
from tests.engine.script import fleet, moment

OWN = ("py", "-m", "fleet_tui", "--home", "/a b")
KEY = "ssh-ed25519 AAAAC3Nza"


def value(*hosts: str, way: SshWay | None = None) -> Fleet:
    """A fleet of A and B, which told where it is and how its sshd is reached."""
    found = fleet("A", "B")
    beat = Heartbeat(0, "1", addresses=tuple(Address(host, 1, 2, 0, 3) for host in hosts), ways=Ways(ssh=way))
    found = msgspec.structs.replace(found, peers=found.peers.set("B", Peer("B", Standing.ALIVE, beat=beat)))
    return msgspec.structs.replace(found, me=msgspec.structs.replace(found.me, program=OWN))


def repair(action: Action | None = Action.RESTART_NATS, **more: bool) -> Repair:
    return Repair("A" if more.get("ours") else "B", Channel.NATS, Level.PERSON, 0, 0.0, 0.0, action=action, **more)


WAY = SshWay("fay", 2222, (KEY,), start=("/venv/bin/python", "-m", "fleet_tui", "--home", "/home/fay/.fleet x", "up"))


def test_over_ssh_to_the_announced_user_host_and_port() -> None:
    """It asks for nothing, accepts the announced key and no other, and runs the peer's own `fleet repair --local`."""
    (first,) = commands(value("127.0.0.1", "10.0.0.7", way=WAY), repair())
    argv = list(first.argv)
    assert argv[0] == "ssh"
    assert argv[argv.index("-p") + 1] == "2222"
    assert argv[-2] == "fay@10.0.0.7"
    assert shlex.split(argv[-1]) == [*WAY.start[:-1], "repair", "--local", "restart_nats"]
    options = {argv[at + 1] for at, word in enumerate(argv) if word == "-o"}
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "UserKnownHostsFile=none"} <= options
    assert f"KnownHostsCommand=/usr/bin/printf '[10.0.0.7]:2222 {KEY}'" in options


def ended() -> Repair:
    """A node that ended, on a machine that is there."""
    return msgspec.structs.replace(repair(None), channel=Channel.SSH, cause=Cause.NOBODY_IN)


@pytest.mark.parametrize("why", [repair(), ended()])
def test_an_sshd_that_was_never_proved_is_named(why: Repair) -> None:
    """A member could announce another's machine: where its node has answered nothing is said, elsewhere it is plain."""
    found = value("10.0.0.7", way=WAY)
    if why.channel is Channel.SSH:
        away = msgspec.structs.replace(found.peers["B"], standing=Standing.UNREACHABLE)
        found = msgspec.structs.replace(found, peers=found.peers.set("B", away))
        assert "starts the node of B" in commands(found, why)[0].does
    proved = msgspec.structs.replace(found, proved=Map({"B": door(WAY)}))
    elsewhere = msgspec.structs.replace(found, proved=Map({"B": door(msgspec.structs.replace(WAY, user="root"))}))
    assert UNPROVED in commands(found, why)[0].does
    assert UNPROVED in commands(elsewhere, why)[0].does
    assert UNPROVED not in commands(proved, why)[0].does


def test_the_usual_port_has_no_brackets() -> None:
    """As known_hosts(5) has it."""
    (first,) = commands(value("10.0.0.7", way=msgspec.structs.replace(WAY, port=22)), repair())
    assert f"KnownHostsCommand=/usr/bin/printf '10.0.0.7 {KEY}'" in first.argv


@pytest.mark.parametrize("way", [None, msgspec.structs.replace(WAY, start=())])
def test_without_a_way_in_it_is_asked_once_more(way: SshWay | None) -> None:
    """On a person's word, over whatever works."""
    (first,) = commands(value("10.0.0.7", way=way), repair())
    assert first.argv == (*OWN, "repair", "B", "--channel", "nats", "--level", "2")


def test_our_own_fault_is_mended_here() -> None:
    """No other machine is in the plan."""
    assert [one.argv for one in commands(value(), repair(ours=True))] == [(*OWN, "repair", "--local", "restart_nats")]


def test_where_nothing_fits_the_node_is_restarted() -> None:
    """The one action that sets up every channel anew."""
    (first,) = commands(value("10.0.0.7", way=WAY), repair(None))
    assert first.argv[-1].endswith("repair --local restart_daemon")


def test_where_there_is_no_command_the_next_step_is_said() -> None:
    """Nobody can be asked for it, and there is no way in: the rung is skipped."""
    git = msgspec.structs.replace(repair(None), channel=Channel.GIT, by="anna")
    ill = ChannelHealth(ChannelState.BROKEN, reason="no answer")
    told, _ = person(msgspec.structs.replace(value(), channels=Map({("B", Channel.GIT): ill})), git, moment(1))
    last = told.repairs["B", Channel.GIT]
    assert (last.plan, last.steps[-1].outcome) == ((), "skipped")
    assert "`fleet doctor`" in last.steps[-1].what
    said = bulletin.finding(told, last)
    assert said.title == "Fleet cannot repair a channel by itself"
    assert "`fleet doctor`" in said.next_step


def test_what_no_machine_can_be_asked_for_is_not_asked() -> None:
    """A relay is nobody's to restart: without a way in there is no command, and the doctor is the next step."""
    relayed = msgspec.structs.replace(repair(None), channel=Channel.RELAY)
    assert commands(value("10.0.0.7"), relayed) == ()
    assert "`fleet doctor`" in instead(value("10.0.0.7"), "B", Channel.RELAY)


def test_a_prompt_is_one_argument_however_much_is_broken() -> None:
    """What has no room is counted."""
    ill = ChannelHealth(ChannelState.BROKEN, tried_at=1.0, reason="no answer " * 20)
    many = msgspec.structs.replace(value(), channels=Map({(f"p{at}", Channel.NATS): ill for at in range(2_000)}))
    told = prompt(many, "B", Mend("q", "agent", "nats", "x"))
    assert FACTS_LIMIT < len(told.encode()) < 2 * FACTS_LIMIT
    shown = sum(line.startswith("| nats to p") for line in told.splitlines())
    assert f"| and {2_000 - shown} more, left out here; the commands below show them" in told
