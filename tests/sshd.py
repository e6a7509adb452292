"""A real sshd of a test's own: its keys, its configuration, its port; it works as root, and in a network namespace."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from engine.config import SshConfig
from engine.model.ways import SshWay

LOOPBACK = "127.0.0.1"
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
# Where sshd of Debian wants to shut itself in before somebody has signed in.
_PRIVSEP = Path("/run/sshd")
USER = "root" if os.geteuid() == 0 else os.environ.get("USER", "")


class Sshd:
    """One sshd, not started yet. `host`: where it listens. `options`: lines of its configuration, which overrule the
    usual ones; `sftp`: its subsystem of that name. `port`: kept over its restarts. `key`: the private key that it lets
    in, for this user."""

    def __init__(self, host: str = LOOPBACK, options: Iterable[str] = (), port: int = 0, sftp: str = "internal-sftp"):
        self.folder = Path(tempfile.mkdtemp(prefix="fl", dir="/tmp"))
        self.host, self.options, self.sftp = host, tuple(options), sftp
        self.port = port or free_port(host)
        self.key = self.folder / "client"
        self._host_key = self.folder / "host"
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[psutil.Process] = []
        keygen(self.key)
        keygen(self._host_key)
        shutil.copy(self.key.with_suffix(".pub"), self.folder / "authorized")

    @property
    def host_keys(self) -> tuple[Path, ...]:
        """Its public key files, as `ssh.host_keys` names them."""
        return (self._host_key.with_suffix(".pub"),)

    @property
    def announced(self) -> tuple[str, ...]:
        """Its host keys as a node announces them."""
        return tuple(" ".join(path.read_text().split()[:2]) for path in self.host_keys)

    @property
    def config(self) -> SshConfig:
        """The section `ssh` of a node that reaches it, and of the one that lives on its machine."""
        keys = tuple(map(str, self.host_keys))
        return SshConfig(port=self.port, user=USER, host_keys=keys, keys=(str(self.key),), keepalive_s=30.0)

    @property
    def environ(self) -> dict[str, str]:
        """The same as environment of a node's process."""
        return {
            "FLEET_SSH_PORT": str(self.port),
            "FLEET_SSH_USER": USER,
            "FLEET_SSH_HOST_KEYS": ",".join(map(str, self.host_keys)),
            "FLEET_SSH_KEYS": str(self.key),
        }

    def way(self, **more: Any) -> SshWay:
        """What a node on its machine tells of it."""
        return SshWay(**{"user": USER, "port": self.port, "host_keys": self.announced, **more})

    def start(self) -> "Sshd":
        """Listen; returns once it greets."""
        if os.geteuid() == 0:
            _PRIVSEP.mkdir(mode=0o755, exist_ok=True)
        lines = [
            *self.options,
            f"Port {self.port}",
            f"ListenAddress {self.host}",
            f"HostKey {self._host_key}",
            f"AuthorizedKeysFile {self.folder / 'authorized'}",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            f"Subsystem sftp {self.sftp}",
            "MaxStartups 200",
            # A shell reads its user's files, which may take their time; one so deep down does not (bash).
            "SetEnv SHLVL=7",
            "LogLevel VERBOSE",
        ]
        config = self.folder / "sshd_config"
        config.write_text("\n".join(lines) + "\n")
        program = shutil.which("sshd", path=_PATH)
        assert program, "sshd is missing"
        log = self.folder / "log"
        command = [program, "-D", "-e", "-f", str(config)]
        with log.open("ab") as said:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        while not greets(self.host, self.port):
            assert self._process.poll() is None, log.read_text()
        return self

    def stop(self) -> None:
        """End it with every session it has, as a crash would."""
        process, self._process = self._process, None
        if process is None:
            return
        # Stopped first, so that none is born meanwhile.
        self._each(signal.SIGSTOP, process.pid)
        self._each(signal.SIGKILL, process.pid)
        process.wait()
        self._frozen = []

    def restart(self) -> None:
        """Gone, and back at the same port."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """From now on it takes connections and bytes, and says nothing."""
        assert self._process is not None
        self._frozen = self._each(signal.SIGSTOP, self._process.pid)

    def thaw(self) -> None:
        """It goes on."""
        for one in self._frozen:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGCONT)
        self._frozen = []

    def sessions(self) -> int:
        """How many connections it serves."""
        assert self._process is not None
        return len(psutil.Process(self._process.pid).children())

    def rekey(self, kind: str = "ed25519") -> None:
        """Another host key; in force from its next start."""
        for path in (self._host_key, self._host_key.with_suffix(".pub")):
            path.unlink()
        keygen(self._host_key, kind)

    def refuse(self, refuses: bool = True) -> None:
        """Let our key in no more, or again."""
        own = self.key.with_suffix(".pub").read_text()
        (self.folder / "authorized").write_text("" if refuses else own)

    def said(self) -> str:
        """Its log."""
        return (self.folder / "log").read_text(errors="replace")

    def end(self) -> None:
        """Nothing is left of it."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _each(number: int, pid: int) -> list[psutil.Process]:
        found = []
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            found = [root, *root.children(recursive=True)]
        for one in found:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)
        return found


@contextmanager
def sshd(**how: Any) -> Iterator[Sshd]:
    """One that runs inside the `with`."""
    made = Sshd(**how)
    try:
        yield made.start()
    finally:
        made.end()


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    """A fresh key."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)], check=True)


def free_port(host: str = LOOPBACK) -> int:
    """A port that was free a moment ago."""
    with socket.socket() as found:
        found.bind((host, 0))
        return int(found.getsockname()[1])


def greets(host: str, port: int) -> bool:
    """Whether an sshd answers there."""
    with suppress(OSError), socket.create_connection((host, port), timeout=5) as asked:
        return asked.recv(4) == b"SSH-"
    return False
