"""The sshd of this machine: P4 and P5 of our peers end there (edge).

A machine without one is well: peers reach it otherwise. Where it was announced to peers, or configured, it must answer,
its host keys must be readable (peers accept no others), and its own rules must let somebody in.
"""

import os
import socket
import stat
from pathlib import Path

import msgspec

from engine.doctor.check import Check, Saw, cannot
from engine.doctor.scene import Scene
from engine.errors import FleetError
from engine.model.channel import Channel
from engine.model.exam import judged, unused
from engine.model.finding import Finding, Severity
from engine.model.ways import SshWay

CONNECT_S = 3.0
START = {"linux": "sudo systemctl start ssh   (sshd on some systems)", "darwin": "sudo systemsetup -setremotelogin on"}
LOG = {"linux": "sudo journalctl -u ssh -n 20", "darwin": "log show --last 10m --predicate 'process == \"sshd\"'"}


class Seen(msgspec.Struct, frozen=True):
    """`answer`: its banner, or empty. `error`: why there is none ("closed": it hung up without a word). `host_keys`:
    how many are announced, or can be read. `loose`: what sshd's strict modes would refuse us for. `keys`: whether
    anybody may sign in, as far as the usual file or a peer that came this way tells."""

    port: int
    wanted: bool
    answer: str = ""
    error: str = ""
    host_keys: int = 0
    loose: tuple[str, ...] = ()
    keys: bool = True


def look(scene: Scene) -> Saw:
    """Knock at it, as a peer would."""
    if not scene.config.ssh.enabled:
        return unused("ssh.enabled is false")
    announced = scene.fleet.me.ways.ssh if scene.fleet else None
    port = announced.port if announced else scene.config.ssh.port
    wanted = announced is not None or scene.chosen("ssh")
    answer, error = knock(port)
    if not wanted and not answer:
        return unused(f"nothing answers on port {port}; peers reach this machine without ssh")
    home = Path(scene.environ.get("HOME") or Path.home())
    keys = _authorized(home) or came(scene)
    seen = Seen(port, wanted, answer, error, _host_keys(scene, announced), _loose(home), keys)
    return judged(_said(seen, announced is not None), judge(seen, scene.platform) if wanted else [])


def judge(seen: Seen, platform: str) -> list[Finding]:
    """What would keep a peer out."""
    if not seen.answer:
        closed = seen.error == "closed"
        what = f"port {seen.port}: " + ("it hangs up without a word" if closed else seen.error)
        step = (LOG if closed else START).get(platform, "start sshd")
        step += "; MaxStartups and /etc/hosts.deny do this too" if closed else ""
        return [Finding("sshd.refusing", "sshd refuses connections", Severity.MEDIUM, what, next_step=step)]
    found = []
    if not seen.host_keys:
        what = "no public host key can be read, so peers have none to accept"
        step = "sudo chmod 644 /etc/ssh/ssh_host_*_key.pub; or name the files in ssh.host_keys"
        found.append(Finding("sshd.hostkeys", "sshd's host keys cannot be read", Severity.MEDIUM, what, next_step=step))
    for path in seen.loose:
        what = "others may write it, and sshd then accepts none of the keys in it"
        step = f"chmod go-w {path}"
        found.append(Finding("sshd.modes", "sshd will refuse us", Severity.MEDIUM, what, path, step, fixable=True))
    if not seen.keys:
        what = "unless this sshd reads keys elsewhere, which cannot be told from here, no peer can sign in (P4, P5)"
        step = "append each peer's public key to ~/.ssh/authorized_keys, or set ssh.enabled to false"
        found.append(Finding("sshd.nobody", "No key in ~/.ssh/authorized_keys", Severity.INFO, what, next_step=step))
    return found


def _said(seen: Seen, announced: bool) -> str:
    told = "announced to peers" if announced else "not announced to peers"
    return f"{seen.answer or seen.error} on port {seen.port}, {told}"


def knock(port: int, host: str = "127.0.0.1") -> tuple[str, str]:
    """Its banner, or why there was none."""
    try:
        with socket.create_connection((host, port), CONNECT_S) as door:
            said = door.recv(256).split(b"\r")[0].decode("ascii", "replace").strip()
    except TimeoutError:
        return "", f"no answer within {CONNECT_S:.0f} s"
    except ConnectionResetError:
        return "", "closed"
    except OSError as error:
        return "", (error.strerror or str(error)).lower()
    if not said:
        return "", "closed"
    return (said, "") if said.startswith("SSH-") else ("", "something else than sshd answers")


def _host_keys(scene: Scene, announced: SshWay | None) -> int:
    if announced:
        return len(announced.host_keys)
    named = [Path(one) for one in scene.config.ssh.host_keys] or list(Path("/etc/ssh").glob("ssh_host_*_key.pub"))
    return sum(os.access(one, os.R_OK) for one in named)


def _loose(home: Path) -> tuple[str, ...]:
    """What sshd's StrictModes minds (sshd_config(5))."""
    found = []
    for path in (home, home / ".ssh", home / ".ssh/authorized_keys"):
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o022:
                found.append(str(path))
        except OSError:
            continue
    return tuple(found)


def came(scene: Scene) -> bool:
    """Whether a peer has lately put something here through it."""
    if scene.fleet is None:
        return False
    return any(one.channel == Channel.SEED for echoes in scene.fleet.mail.echoes.values() for one in echoes)


def _authorized(home: Path) -> bool:
    try:
        lines = (home / ".ssh/authorized_keys").read_text(errors="replace").splitlines()
    except OSError:
        return False
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def fix(scene: Scene, finding: Finding) -> str:
    """Take the right to write from others; the files are this user's own."""
    path = Path(finding.subject)
    if finding.code != "sshd.modes" or path.is_symlink():
        raise FleetError("refused.unsafe", "Fleet does not mend that itself", finding.detail, finding.next_step)
    try:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o022)
    except OSError as error:
        raise cannot(error, finding.next_step) from None
    return f"chmod go-w {path}"


CHECK = Check("sshd", "sshd of this machine (P4, P5)", look, fix)
