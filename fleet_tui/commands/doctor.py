"""`fleet doctor` (edge): what is wrong here, why, and the command that mends it.

A running node is asked; where none runs the command looks itself at what lies on the disk and listens on the ports, and
says so. The caller's own terminal and program version are looked at here in both cases: a node cannot see them.
"""

import os
import sys
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from engine.config import Config, Resolved
from engine.configured import configured
from engine.daemon.lock import holder
from engine.doctor import report
from engine.doctor.catalogue import OF_THE_CALLER
from engine.doctor.scene import Scene
from engine.errors import FleetError
from engine.model.finding import Finding
from engine.verbs import clinic
from fleet_tui import __version__, doctor_text
from fleet_tui.call import Call

# A node that looks at itself reads its whole store, and asks the hub and peers: that is no node that hangs.
EXAMINE_S = 120.0
FIX_S = 60.0

Entry = dict[str, Any]


def doctor(call: Call) -> int:
    """Look, mend if asked to, and tell: 0 when nothing is wrong, 1 otherwise."""
    found = _examined(call)
    done: list[Entry] = []
    if call.args.fix:
        done = _mended(call, [one for one in found if one["fixable"]])
        found = _examined(call) if done else found
        done = _proved(done, found)
        value: Any = {"done": done, "left": [one for one in found if not one["ok"]]}
    else:
        value = found
    call.show(value, doctor_text.report(found, done, running=bool(holder(call.home)), width=call.width))
    return 0 if all(one["ok"] for one in found) else 1


def _examined(call: Call) -> list[Entry]:
    """The node's report with the caller's own checks in it; the caller's alone where no node runs."""
    pid = holder(call.home) or 0
    if not pid:
        exams = clinic.without_node(_scene(call, 0, ""))
        return _plain(report.entries(exams, (), _now_ms()))
    try:
        told = call.node.get("/doctor", patience_s=EXAMINE_S)
        version = call.node.get("/health")["version"]
    except FleetError as error:
        if not error.code.startswith(("node.", "timeout.")):
            raise
        told, version = [], ""
    scene = _scene(call, pid, version)
    exams = clinic.of_the_caller(scene, OF_THE_CALLER) if told else clinic.without_node(scene)
    own = _plain(report.entries(exams, (), _now_ms()))
    theirs = [one for one in told if one["check"] not in OF_THE_CALLER]
    return sorted([*own, *theirs], key=lambda one: one["ok"] and one["severity"] == "info")


def _scene(call: Call, pid: int, version: str) -> Scene:
    resolved = _resolved(call)
    program, lacks = clinic.found_broker()
    size = os.get_terminal_size(1) if sys.stdout.isatty() else (0, 0)
    return Scene(
        home=call.home,
        config=resolved.config,
        version=__version__,
        now_ms=_now_ms(),
        platform=sys.platform,
        pid=pid,
        origins=resolved.origins,
        broker=program,
        broker_lacks=lacks,
        environ=dict(os.environ),
        size=(size[0], size[1]),
        running=version,
    )


def _resolved(call: Call) -> Resolved:
    """What a start would read; the defaults where it would end there, which is a finding of its own."""
    try:
        return configured(call.home)
    except FleetError:
        return Resolved(Config(), {})


def _mended(call: Call, able: Iterable[Entry]) -> list[Entry]:
    """What was tried, or why it was not, of each finding that Fleet can mend itself."""
    done = []
    for one in able:
        try:
            did, well = _mend(call, one), True
        except FleetError as error:
            did, well = f"{error.title}: {error.detail}", False
        done.append({"code": one["code"], "subject": one["subject"], "did": did, "tried": well})
    return done


def _proved(done: Iterable[Entry], found: Iterable[Entry]) -> list[Entry]:
    """`ok`: it was tried, and is not found any more."""
    left = {(one["code"], one["subject"]) for one in found}
    return [{**one, "ok": one["tried"] and (one["code"], one["subject"]) not in left} for one in done]


def _mend(call: Call, one: Entry) -> str:
    if holder(call.home) and one["check"] not in OF_THE_CALLER:
        told = call.node.post("/doctor/fix", {"code": one["code"], "subject": one["subject"]}, FIX_S)
        return str(told["did"])
    known = {key: one[key] for key in Finding.__struct_fields__ if key in one}
    return clinic.mend_without_node(_scene(call, 0, ""), msgspec.convert(known, Finding))


def _plain(entries: list[report.Entry]) -> list[Entry]:
    plain: list[Entry] = msgspec.to_builtins(entries)
    return plain


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
