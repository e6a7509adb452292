"""The agent CLIs of this machine: there, of which version, signed in as far as a file's existence tells (edge).

None of them is started, because some call home when they are, and no credential is read: a file that is there or a
variable that is set is all that counts, and where neither is, the answer is unknown. None of them is needed.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.model.exam import unused, well


class Agent(msgspec.Struct, frozen=True):
    """One CLI. `files`: below the user's home, there once somebody signed in. `variables`: that sign it in."""

    program: str
    files: tuple[str, ...]
    variables: tuple[str, ...]


AGENTS = (
    Agent("claude", (".claude/.credentials.json",), ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN")),
    Agent("codex", (".codex/auth.json",), ("OPENAI_API_KEY", "CODEX_API_KEY")),
    Agent("gemini", (".gemini/oauth_creds.json",), ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    Agent("opencode", (".local/share/opencode/auth.json",), ()),
    Agent("cursor-agent", (), ("CURSOR_API_KEY",)),
)
VERSION = re.compile(r"\d+\.\d+\.\d+\S*")
# An npm package's description lies at most so many folders above its program.
ABOVE = 4


def look(scene: Scene) -> Saw:
    """Those that are on the PATH."""
    there = [(one, found) for one in AGENTS if (found := shutil.which(one.program))]
    if not there:
        return unused(f"none of {', '.join(one.program for one in AGENTS)} is on the PATH")
    home = Path(os.path.expanduser("~"))
    return well("; ".join(said(one, version_at(Path(path)), signed_in(one, home, os.environ)) for one, path in there))


def said(agent: Agent, version: str, signed: bool) -> str:
    """One agent in words."""
    return f"{agent.program} {version or 'of unknown version'}, {'signed in' if signed else 'signed in: unknown'}"


def signed_in(agent: Agent, home: Path, environ: Mapping[str, str]) -> bool:
    """Whether something here says so; False is not a no."""
    moved = {"claude": ("CLAUDE_CONFIG_DIR", ".claude/"), "codex": ("CODEX_HOME", ".codex/")}
    variable, usual = moved.get(agent.program, ("", ""))
    folder = environ.get(variable) if variable else None
    files = [Path(folder, one.removeprefix(usual)) if folder else home / one for one in agent.files]
    return any(environ.get(one) for one in agent.variables) or any(one.exists() for one in files)


def version_at(program: Path) -> str:
    """The version of a program by where it lies: its npm package says it, or its folder is named by it."""
    real = program.resolve()
    for part in (real.name, real.parent.name):
        if VERSION.fullmatch(part):
            return part
    for folder in list(real.parents)[:ABOVE]:
        try:
            told = json.loads((folder / "package.json").read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(told, dict) and isinstance(told.get("version"), str):
            return str(told["version"])
    return ""


CHECK = Check("agents", "agent CLIs", look)
