"""Programs and libraries: their versions, and those that are missing though something here needs them (edge)."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata

import msgspec

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.model.exam import judged
from engine.model.finding import Finding, Severity

ASK_S = 5.0
DISTRIBUTION = "fleet-control"
# Each with the argument that prints its version, and where it comes from.
PROGRAMS = {"git": ("--version", "git"), "ssh": ("-V", "openssh-client"), "tmux": ("-V", "tmux")}
INSTALL = {"linux": "sudo apt install {}", "darwin": "brew install {}"}
NAME = re.compile(r"[\w.-]+")
NUMBER = re.compile(r"\d+(?:\.\d+)+\w*")


class Need(msgspec.Struct, frozen=True):
    """A program, the version found (empty: none there), and what here cannot work without it (empty: nothing)."""

    program: str
    version: str
    for_what: str


def look(scene: Scene) -> Saw:
    """Python, the libraries of this installation, and the programs that are configured to be used."""
    needs = [Need(name, _version(name, how), _wanted(scene, name)) for name, (how, _) in PROGRAMS.items()]
    python = ".".join(map(str, sys.version_info[:3]))
    there = [f"{one.program} {one.version}" for one in needs if one.version]
    libraries = lacking(_required(), _installed)
    found = [*judge(needs, scene.platform), *(_library(name, why) for name, why in libraries)]
    return judged(", ".join([f"Python {python}", *there]), found)


def judge(needs: list[Need], platform: str) -> list[Finding]:
    """Programs that are missing where they are needed."""
    return [
        Finding(
            "tools.missing",
            "A program is missing",
            Severity.MEDIUM,
            f"{one.program} is needed for {one.for_what}",
            one.program,
            INSTALL.get(platform, "install {}").format(PROGRAMS[one.program][1]),
        )
        for one in needs
        if one.for_what and not one.version
    ]


def lacking(required: list[str], installed: Callable[[str], str]) -> list[tuple[str, str]]:
    """The requirements that do not hold, as (name, why). `installed`: the version of a name, empty for none."""
    found = []
    for line in required:
        name = NAME.match(line)
        spec = line[name.end() :].strip() if name else ""
        version = installed(name[0]) if name else ""
        if name and not version:
            found.append((name[0], "it is not installed"))
        elif name and not fits(version, spec):
            found.append((name[0], f"{version} is installed, {spec} is needed"))
    return found


def fits(version: str, spec: str) -> bool:
    """Whether a version is within `>=1.2,<3`; of a clause of another kind nothing is said."""
    for clause in filter(None, (one.strip() for one in spec.split(","))):
        for sign, holds in HOLDS.items():
            if clause.startswith(sign):
                if not holds(_parts(version), _parts(clause.removeprefix(sign))):
                    return False
                break
    return True


HOLDS: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": lambda one, limit: one >= limit,
    "<=": lambda one, limit: one <= limit,
    "==": lambda one, limit: one == limit,
    "<": lambda one, limit: one < limit,
    ">": lambda one, limit: one > limit,
}


def _parts(version: str) -> tuple[int, ...]:
    numbers = [int(one) for one in re.findall(r"\d+", version)[:4]]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _library(name: str, why: str) -> Finding:
    step = f"{sys.executable} -m pip install --upgrade {DISTRIBUTION}"
    return Finding("tools.library", "A library does not fit", Severity.HIGH, f"{name}: {why}", name, step)


def _required() -> list[str]:
    """What this installation declares; nothing in a checkout that was never installed."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    return [line.partition(";")[0].strip() for line in lines if "extra ==" not in line]


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _wanted(scene: Scene, program: str) -> str:
    """What on this node needs a program: only what was configured counts."""
    hub = scene.config.git.hub
    seats = bool(scene.fleet and scene.fleet.me.ways.seats)
    wanted = {
        "git": "git.hub (P7)" if hub else "",
        "ssh": "a git.hub that is reached by ssh" if "@" in hub or hub.startswith("ssh:") else "",
        "tmux": "the sessions that may be typed into (P8)" if seats else "",
    }
    return wanted[program]


def _version(program: str, how: str) -> str:
    if not shutil.which(program):
        return ""
    try:
        ran = subprocess.run(
            [program, how], stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_S, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return "of an unknown version"
    number = NUMBER.search(ran.stdout + ran.stderr)
    return number[0] if number else "of an unknown version"


CHECK = Check("tools", "programs and libraries", look)
