"""Which sshd is whose: only what a node itself answered from is its own."""

from pathlib import Path

import msgspec
import pytest

from engine.home import PROOFS
from engine.model.envelope import Envelope, Kind
from engine.model.ways import SshWay, Ways, door
from engine.transports.ssh.proofs import LIMIT, Proof, Proofs
from engine.wire import TAG_SIZE, head
from tests.nodes import Target

WAY = SshWay("fay", 22, ("ssh-ed25519 AAAA", "ssh-rsa BBBB"), "/home/fay/.fleet/run/in.sock", start=("fleet", "up"))


def answer(frm: str) -> bytes:
    """A frame as this node sends it."""
    return head(Envelope(frm, 1, 1, "me", "id", Kind.RECEIPT), 0, TAG_SIZE + 1) + b"\x01" * (TAG_SIZE + 1)


def peer(way: SshWay | None = WAY, name: str = "peer") -> Target:
    """A peer that tells of this sshd."""
    return Target(name, (), b"", Ways(ssh=way))


def heard(proofs: Proofs, reply: bytes = answer("peer")) -> None:
    """Its voucher was found, and something answered."""
    proofs.vouch(peer(), WAY)
    proofs.heard(peer(), WAY, reply)


@pytest.mark.parametrize("reply", [b"", b"hello", answer("other"), answer("peer")[:-1]])
def test_another_answer_is_no_proof(reply: bytes) -> None:
    """Nobody, a stranger, and another node at its own socket say nothing about the peer."""
    proofs = Proofs()
    heard(proofs, reply)
    assert proofs.vouched(peer())
    assert not proofs.answered(peer())
    assert proofs.doors() == {}


@pytest.mark.parametrize(
    "told",
    [
        {"user": "root"},
        {"port": 2222},
        {"host_keys": ("ssh-ed25519 CCCC",)},
        {"socket": "/tmp/x"},
        {"seeds": "/tmp/seed-in"},
    ],
)
def test_another_announcement_has_to_be_proved_anew(told: dict[str, object]) -> None:
    """A proof holds for the keys, the user, the port, the socket and the folder behind which the node answered."""
    said: list[dict[str, str]] = []
    proofs = Proofs(told=said.append)
    heard(proofs, answer("other") + answer("peer"))
    assert said == [{"peer": door(WAY)}]
    same = msgspec.structs.replace(WAY, host_keys=WAY.host_keys[::-1], start=("other",))
    for proved in (proofs.answered, proofs.vouched):
        assert proved(peer())
        assert proved(peer(same))
        assert not proved(peer(msgspec.structs.replace(WAY, **told)))
        assert not proved(peer(name="other"))
        assert not proved(peer(None))
    proofs.vouch(peer(same), same)
    assert proofs.answered(peer())


def test_a_proof_outlives_a_start(home: Path) -> None:
    """They are kept in the home, for its owner alone, the newest of many; a file that cannot be read proves nothing."""
    path = home / PROOFS
    for number in range(2):
        proofs = Proofs(path)
        heard(proofs)
        assert Proofs(path).answered(peer()), number
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(msgspec.json.encode({str(number): Proof("") for number in range(LIMIT)}))
    heard(Proofs(path))
    assert len(msgspec.json.decode(path.read_bytes())) == LIMIT
    path.write_bytes(b'{"peer": 1')
    assert not Proofs(path).vouched(peer())
