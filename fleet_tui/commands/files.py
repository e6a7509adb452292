"""What lies in the home, from the command line (edge): configuration, token, log, ledger; and this program's tables."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from engine.configured import configured, in_force, strangers, variables
from engine.errors import Fault, FleetError
from engine.home import CONFIG, LOG, TOKEN
from fleet_tui import plain
from fleet_tui.call import Call

SHOWN = 50
# A log is looked at by a person; five times a second reads as at once.
LOOK_S = 0.2


def config(call: Call) -> int:
    """Show what is configured, check the file, or say where it is."""
    return {"show": _show, "check": _check, "path": _path}[call.args.what](call)


def token(call: Call) -> int:
    """The bearer token, and where it may be used."""
    try:
        found = (call.home / TOKEN).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        step = "`fleet up` starts it"
        raise FleetError("node.absent", "No token yet", "the node makes it at its first start", step) from None
    port = _port(call.home)
    call.show({"token": found, "port": port}, [found])
    if port is None:
        call.tell("The API is on its Unix socket only; `[api] tcp = true` in the configuration opens loopback TCP.")
    return 0


def ledger(call: Call) -> int:
    """The evidence: its newest entries, or whether the chain holds."""
    if call.args.what == "verify":
        found = call.node.get("/ledger/verify")
        broken = found["broken"]
        said = f"broken at entry {broken['index']}: {broken['why']}" if broken else "every entry is what it was"
        call.show(found, [f"{found['entries']} entries: {said}", *found["unproven"]])
        return 1 if broken else 0
    limit = SHOWN if call.args.limit is None else call.args.limit
    entries = call.node.get("/ledger", limit=limit)
    head = ("no", "when", "who", "did", "to", "")
    call.show(entries, plain.table(map(plain.entry, entries), head, call.width))
    return 0


def log(call: Call) -> int:
    """The end of the node's log; with `--follow`, on and on, across its rotations."""
    path = call.home / LOG / "node.log"
    limit = SHOWN if call.args.limit is None else call.args.limit
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        step = "`fleet up` starts the node"
        raise FleetError("node.absent", "No log yet", f"{path} does not exist", step, Fault.WORLD) from None
    for line in lines[max(0, len(lines) - limit) :]:
        call.row({"line": line}, line)
    if call.args.follow:
        for line in _appended(path):
            call.row({"line": line}, line)
    return 0


def keys(call: Call) -> int:
    """The key table of the control room."""
    from screens import keymap

    groups = {"everywhere": (*keymap.EVERYWHERE, *keymap.ALWAYS), **keymap.ROOMS, "moving": keymap.MOVES}
    value = {name: [_key(key) for key in group] for name, group in groups.items()}
    lines: list[str] = []
    for name, group in groups.items():
        lines += ["", name, *plain.table((key.shown, key.label, key.tooltip) for key in group)]
    call.show(value, lines[1:])
    return 0


def completion(call: Call) -> int:
    """The completion script of a shell."""
    from fleet_tui import completion as scripts

    script = scripts.SHELLS[call.args.shell]()
    call.show({"shell": call.args.shell, "script": script}, [script])
    return 0


def _show(call: Call) -> int:
    """What the running node has in force; without one, what it would start with."""
    found = _in_force(call) or _on_disk(call)
    values, origins = found["values"], found["origins"]
    if not call.args.origin:
        call.show(values, plain.table(((key, _shown(value)) for key, value in values.items()), width=call.width))
        return 0
    both = {key: {"value": value, "origin": origins.get(key, "")} for key, value in values.items()}
    rows = ((key, _shown(one["value"]), one["origin"]) for key, one in both.items())
    call.show(both, plain.table(rows, width=call.width))
    return 0


def _in_force(call: Call) -> Any:
    try:
        return call.node.get("/config")
    except FleetError as error:
        if error.code != "node.absent":
            raise
        return None


def _on_disk(call: Call) -> Any:
    found = configured(call.home)
    sections = msgspec.to_builtins(found.config)
    values = {f"{name}.{key}": value for name, keys in sections.items() for key, value in keys.items()}
    return {"values": values, "origins": found.origins}


def _check(call: Call) -> int:
    found, path = configured(call.home), call.home / CONFIG
    strange, exists = strangers(found, os.environ), path.exists()
    facts = {"path": str(path), "exists": exists, "ok": True, "environment": variables(found, os.environ)}
    meant = (f"{name} names no key{f'; {other} does' if other else ''}" for name, other in strange.items())
    call.show({**facts, "unknown": list(strange)}, [f"{path}: {in_force(found, exists, os.environ)}", *meant])
    return 0


def _path(call: Call) -> int:
    path = call.home / CONFIG
    call.show({"path": str(path), "exists": path.exists()}, [str(path)])
    return 0


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return str(value).lower() if isinstance(value, bool) else str(value) or "–"


def _key(key: Any) -> dict[str, str]:
    return {"key": key.shown, "verb": key.verb, "label": key.label, "help": key.tooltip}


def _port(folder: Path) -> int | None:
    try:
        return int((folder / "api.port").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _appended(path: Path) -> Iterator[str]:
    """Whole lines as they are written from now on; a log that was rotated is read from its beginning."""
    file = path.open(encoding="utf-8", errors="replace")
    file.seek(0, os.SEEK_END)
    rest = ""
    while True:
        *lines, rest = (rest + file.read()).split("\n")
        yield from lines
        if not lines:
            time.sleep(LOOK_S)
            if path.exists() and not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                file.close()
                file = path.open(encoding="utf-8", errors="replace")
