"""Two real nodes and a real sshd: mail over P5 and P4, and a node that is started from afar, unless it was stopped."""

import asyncio
from collections.abc import Iterator

import pytest

from engine.daemon import stopped
from engine.home import PROOFS
from engine.model.channel import Outcome, Verdict
from engine.model.roster import Address
from engine.model.ways import Ways
from engine.transports.ssh import slot, voucher
from engine.transports.ssh.lines import SshLines
from engine.transports.ssh.proofs import Proofs
from engine.transports.ssh.start import start_node
from fleet_tui.place import start_command
from tests.e2e.node import Node, living
from tests.e2e.until import until
from tests.nodes import Target
from tests.sshd import Sshd, sshd

pytestmark = [pytest.mark.slow, pytest.mark.needs("sshd")]

BUDGET_S = 60.0


@pytest.fixture(scope="module")
def door() -> Iterator[Sshd]:
    """The sshd of the machine on which both live."""
    with sshd() as made:
        yield made


@pytest.fixture(scope="module")
def pair(door: Sshd) -> Iterator[tuple[Node, Node]]:
    """Two members that have told each other of it, with the host key that it shows and no file names."""
    settings = {key: value for key, value in door.environ.items() if key != "FLEET_SSH_HOST_KEYS"}
    with living(*(Node(name, settings) for name in ("atlas", "birch"))) as (atlas, birch):
        until(lambda: atlas.sees(birch, channels=("seed", "ssh")), "P4 and P5 to be well")
        until(lambda: birch.sees(atlas, channels=("seed", "ssh")), "P4 and P5 to be well")
        yield atlas, birch


def test_a_message_over_ssh(pair: tuple[Node, Node]) -> None:
    """The peer's own receipt comes back the same way, and the story says so."""
    atlas, birch = pair
    story = atlas.send("birch", "over ssh", via="ssh")
    assert story["channel"] == "ssh"
    told = atlas.ended(story["id"])
    assert [(one["channel"], one["outcome"]) for one in told["tries"]] == [("ssh", "confirmed")]
    assert "proved over P5 ssh" in told["story"]
    assert birch.bodies()["over ssh"] == 1


def test_a_message_as_a_seed(pair: tuple[Node, Node]) -> None:
    """It lands as a file; the receipt that comes another way names P4 as what brought it."""
    atlas, birch = pair
    story = atlas.send("birch", "as a seed", via="seed")
    assert story["channel"] == "seed"
    told = atlas.ended(story["id"])
    assert [(one["channel"], one["outcome"]) for one in told["tries"]] == [("seed", "landed")]
    assert "P4 seed took it" in told["story"]
    assert "proved over P4 seed" in told["story"]
    assert birch.bodies()["as a seed"] == 1
    assert [one.name for one in (birch.home / "seed-in").iterdir() if one.is_file()] == [voucher.NAME]


def test_with_the_hot_channels_out_mail_goes_on(pair: tuple[Node, Node]) -> None:
    """P1 to P3 are held back at the sender: what was sent goes over what is left, once, with its receipt."""
    atlas, birch = pair
    for channel in ("nats", "http", "relay"):
        atlas.must("hold", "birch", channel)
    try:
        stories = [atlas.send("birch", f"cold {number}", type="context") for number in range(5)]
        assert {story["channel"] for story in stories} == {"seed"}
        widened = atlas.must("send", "birch", "wide", "--any", "--wait", "on_host")
        assert widened["channel"] in ("seed", "ssh")
    finally:
        for channel in ("nats", "http", "relay"):
            atlas.must("hold", "birch", channel, "--off")
    assert all(birch.bodies()[body] == 1 for body in ("wide", *(f"cold {number}" for number in range(5))))


def test_an_sshd_that_comes_back_is_well_again(pair: tuple[Node, Node], door: Sshd) -> None:
    """Both channels break with it, say why, and heal by themselves."""
    atlas, birch = pair
    door.stop()
    until(lambda: atlas.fleet("check", "birch") and not atlas.sees(birch, channels=("ssh",)), "P5 to break")
    door.start()
    until(lambda: atlas.sees(birch, channels=("seed", "ssh")), "P4 and P5 to heal", 80)


def test_what_is_foreign_is_counted(pair: tuple[Node, Node]) -> None:
    """A link in the seed folder is a refusal that a person can see."""
    _, birch = pair
    (birch.home / "seed-in" / "01ARZ3NDEKTSV4RRFFQ69G5FAV.seed").symlink_to("/etc/hostname")
    until(lambda: birch.refused("foreign") == 1, "the refusal")
    assert birch.refusals()["foreign", "seed"] == 1


def test_a_crashed_node_is_started_and_a_stopped_one_is_not(pair: tuple[Node, Node], door: Sshd) -> None:
    """Its own start command brings back what died; `fleet down` is a person's word, and `fleet up` takes it back."""
    atlas, birch = pair
    named = birch.status()["node"]["id"]
    (birch.home / "config.toml").write_text('[net]\nlisten = "127.0.0.1"\n')

    async def begin() -> Outcome:
        lines = SshLines(door.config, Proofs(atlas.home / PROOFS))
        there = {"socket": str(birch.home / "run" / slot.NAME), "seeds": str(birch.home / "seed-in")}
        way = door.way(**there, start=start_command(birch.home, "--unless-stopped"))
        target = Target(named, (Address(door.host),), b"", Ways(ssh=way))
        try:
            return await start_node(lines, target, BUDGET_S)
        finally:
            await lines.close()

    assert asyncio.run(begin()) == Outcome(Verdict.CONFIRMED, "it runs already")
    birch.kill()
    assert asyncio.run(begin()) == Outcome(Verdict.CONFIRMED, "it was started")
    assert birch.pid
    birch.down()
    assert stopped.is_marked(birch.home)
    assert asyncio.run(begin()) == Outcome(Verdict.REFUSED, "it was stopped on purpose", hard=True)
    assert birch.pid is None
    assert birch.fleet("up", "--unless-stopped").error["code"] == "refused.stopped"
    birch.up()
    assert not stopped.is_marked(birch.home)
