"""Which host keys are told: what sshd shows to whoever calls, and not what lies in a file of some sshd."""

from pathlib import Path

import pytest

from engine.transports.ssh import hostkeys
from engine.transports.ssh.hostkeys import filed, shown
from tests.sshd import LOOPBACK, free_port, sshd

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx0"


def test_keys_are_read_as_they_are(home: Path) -> None:
    """Type and key of each file, without its comment; what is no key file is passed over."""
    (home / "a.pub").write_text(f"{KEY} a comment\n")
    (home / "b.pub").write_bytes(b"\xff\xfe")
    (home / "c.pub").write_text("")
    files = tuple(str(home / name) for name in ("a.pub", "b.pub", "c.pub", "missing.pub", "a.pub"))
    assert filed(files) == (KEY,)


@pytest.mark.slow
@pytest.mark.needs("sshd")
async def test_an_sshd_shows_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whatever kind, and the one in force; none where it says nothing in time, where none is, or nobody can ask."""
    with sshd() as made:
        assert await shown(LOOPBACK, made.port) == made.announced
        made.rekey("rsa")
        made.restart()
        assert await shown(LOOPBACK, made.port) == made.announced
        monkeypatch.setattr(hostkeys, "ASK_S", 0.3)
        made.freeze()
        assert await shown(LOOPBACK, made.port) == ()
        made.thaw()
    assert await shown(LOOPBACK, free_port()) == ()
    monkeypatch.setenv("PATH", "")
    assert await shown(LOOPBACK, free_port()) == ()
