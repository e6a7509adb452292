"""The hosts of ~/.ssh/config (edge): every name a person gave there, with what it includes.

A small reader of its own, because what libraries have answers "what holds for this host", never "which hosts are
there". It knows `Host`, `HostName`, `User`, `Port` and `Include`; patterns are no machines. What cannot be read says
nothing. ssh_config(5) has the grammar.
"""

import os
import re
import shlex
from collections.abc import Iterator
from glob import glob
from pathlib import Path

from engine.membership.discovery import SSH, Sighting
from engine.security.plainfile import opened

# As ssh itself has it (readconf.c): deeper is a circle.
DEPTH = 16
# Nobody writes more by hand; what is larger is no configuration.
FILE_LIMIT = 1 << 20
_PATTERN = re.compile(r"[*?!]")
_FACTS = ("hostname", "user", "port")

Line = tuple[str, list[str]]


def sightings(config: Path) -> list[Sighting]:
    """Every host that is named in this file or in one that it includes; blocking."""
    hosts: dict[str, dict[str, str]] = {}
    current: list[str] = []
    for keyword, words in _lines(config, config.parent, 0, set()):
        if keyword == "host":
            current = [word for word in words if not _PATTERN.search(word)]
            for name in current:
                hosts.setdefault(name, {})
        elif keyword == "match":
            current = []
        elif keyword in _FACTS and words:
            for name in current:
                hosts[name].setdefault(keyword, words[0])
    return [_sighting(name, facts) for name, facts in hosts.items()]


def _sighting(name: str, facts: dict[str, str]) -> Sighting:
    there = facts.get("hostname", "").replace("%h", name)
    user, port = facts.get("user", ""), facts.get("port", "")
    where = f"{user}@{there or name}" if user else there
    note = f"{where} port {port}" if port not in ("", "22") else where
    return Sighting(name, name, SSH, note.strip(), hosts=(there,) if there else ())


def _lines(path: Path, base: Path, depth: int, known: set[str]) -> Iterator[Line]:
    """Keyword and words of each line, included files where they are included, each once. Relative ones are in
    `base`."""
    real = os.path.realpath(path)
    if real in known:
        return
    known.add(real)
    for keyword, words in map(_read, _text(path).splitlines()):
        if keyword == "include" and depth < DEPTH:
            for pattern in words:
                for one in sorted(glob(str(base / os.path.expanduser(pattern)))):
                    yield from _lines(Path(one), base, depth + 1, known)
        elif keyword:
            yield keyword, words


def _read(line: str) -> Line:
    keyword, _, rest = line.strip().replace("=", " ", 1).replace("\t", " ").partition(" ")
    if not keyword or keyword.startswith("#"):
        return "", []
    try:
        return keyword.lower(), shlex.split(rest, comments=True)
    except ValueError:
        return "", []  # a quote that is not closed


def _text(path: Path) -> str:
    try:
        with opened(path) as file:
            return file.read(FILE_LIMIT).decode(errors="replace")
    except OSError:
        return ""
