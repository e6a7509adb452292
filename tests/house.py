"""The rules of the house, as functions over a module's name and text. `tests/test_house.py` holds the tree to them.

Three kinds: who may import whom (one table), what a pure module may not touch, and what no module outside the edge
may ask for (the time, a fresh id, a dice roll). A module is at the edge when the first line of its docstring says
`(edge)`. Everything is read from the syntax tree: nothing is imported, and an import inside a function or under
`TYPE_CHECKING` counts like any other, because knowing is knowing.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("engine", "fleet_tui", "screens", "styles")
LONGEST = 400
# A script of a conversation is long and reads from top to bottom; it holds nothing together that should be apart.
LONGEST_TEST = 600
NO_NOUN = {"utils", "util", "helpers", "helper", "common", "misc"}

# --- who may import whom: a room's own modules are always allowed -----------------------------------------------------

BASE = {"engine.model", "engine.errors", "engine.clock"}
WORDS = BASE | {
    f"engine.{word}" for word in "config configured home descriptors signals effects state wire security".split()
}
ROOMS = {
    f"engine.{room}"
    for room in (
        *("store", "mail", "transports", "broker", "health", "membership", "bus", "me"),
        *("sessions", "evidence", "doctor"),
    )
}
FACES = ("engine.api", "engine.daemon")

# What a person can ask of a node, and what it listens on: beside each other under the engine that offers them.
VERBS = ("engine.verbs", "engine.doors")

MAY_IMPORT: dict[str, set[str]] = {
    "styles": set(),
    "engine.errors": set(),
    "engine.model": {"engine.errors"},
    "engine.clock": {"engine.model"},
    "engine.config": BASE,
    "engine.signals": BASE,
    "engine.effects": BASE | {"engine.signals"},
    "engine.wire": BASE,
    "engine.home": set(),
    "engine.descriptors": set(),
    "engine.configured": BASE | {"engine.config", "engine.home"},
    "engine.security": BASE | {"engine.wire", "engine.home"},
    "engine.state": BASE | {"engine.config"},
    **dict.fromkeys(ROOMS, WORDS),
    "screens": WORDS - {"engine.home", "engine.descriptors", "engine.configured"},
    "engine.rooms": WORDS | ROOMS,
    **dict.fromkeys(
        tuple(f"engine.{one}" for one in "carrier door exposure first ports target tickets".split()),
        WORDS | ROOMS,
    ),
    "engine.hands": WORDS
    | ROOMS
    | {"engine.rooms", "engine.carrier", "engine.door", "engine.target", "engine.tickets"},
    "engine.loop": WORDS | ROOMS | {"engine.rooms"},
    "engine.core": WORDS | ROOMS | {"engine.hands", "engine.loop", "engine.door"},
    **dict.fromkeys(
        VERBS,
        WORDS
        | ROOMS
        | {"engine.core", "engine.hands", "engine.loop", "engine.exposure", "engine.ports", "engine.target"},
    ),
    "engine.deeds": WORDS | ROOMS | {"engine.doors", "engine.hands", "engine.loop", "engine.exposure", "engine.target"},
    "engine.engine": WORDS
    | ROOMS
    | set(VERBS)
    | {"engine.deeds", "engine.core", "engine.door", "engine.first", "engine.ports"},
    **{face: WORDS | {"engine.engine"} for face in FACES},
    "fleet_tui": BASE
    | {
        "engine.state",
        "engine.config",
        "engine.configured",
        "engine.home",
        "engine.descriptors",
        "engine.engine",
        "engine.daemon",
        "screens",
        "styles",
    },
}
# Arrows between two modules that the table would refuse, each with its reason.
ARROWS = {
    ("engine.mail", "engine.health.cascade"): "which channel next is health's formula, and mail's question",
    ("engine.doors", "engine.daemon.rundir"): "the letter slot lies where the node's other sockets do",
    ("screens.doctor_lines", "engine.doctor.report"): "what the checks and the node found is one report",
    ("screens.repair_lines", "engine.health.remedies"): "a key is offered where the ladder would go, by its own rule",
    ("engine.doctor.checks.reach", "engine.health.cascade"): "what a hold leaves to go by is the cascade's formula",
    ("engine.doctor.checks.hub", "engine.transports.git"): "the hub is asked as the channel asks it, or they disagree",
    ("fleet_tui.commands.doctor", "engine.verbs.clinic"): "where no node runs, the command itself looks at the machine",
    ("fleet_tui.commands.doctor", "engine.doctor"): "and reports in the same order",
    ("fleet_tui.journal", "engine.security.redact"): "the last line of defence stands where the log is written",
    (
        "fleet_tui.commands.home",
        "engine.security.keyfile",
    ): "no node is stopped whose key its next start could not read",
    ("fleet_tui.commands.repair", "engine.security.peercred"): "who says it is the same user, here and in the node",
    ("fleet_tui.commands.members", "engine.membership.invite"): "a code is read before a node is started for it",
    ("fleet_tui", "engine.api.client"): "a command asks the running node over its socket",
    ("fleet_tui.parts", "engine.api.server"): "the process is put together in one place: engine, API, terminal",
}

# --- what purity forbids ----------------------------------------------------------------------------------------------

OUTSIDE = set(
    "aiosqlite asyncio asyncssh concurrent fcntl glob http httpx logging multiprocessing nats os platformdirs psutil "
    "pty random secrets select selectors shutil signal socket sqlite3 ssl starlette subprocess sys tempfile termios "
    "textual threading time urllib.request uuid uvicorn watchfiles zeroconf engine.home "
    "engine.descriptors resource".split()
)
OUTSIDE_CALLS = {"open", "print", "input", "exec", "eval", "breakpoint", "__import__"}
FILE_METHODS = set(
    "read_text write_text read_bytes write_bytes iterdir mkdir unlink touch rmdir is_file is_dir expanduser".split()
)
# Banned outside the edge in every package: the moment and ids are arguments, and a task nobody holds may vanish.
FROM_THE_EDGE = {
    **dict.fromkeys(("time.time", "time.time_ns", "datetime.datetime.now", "datetime.datetime.utcnow"), "the time"),
    **dict.fromkeys(("datetime.datetime.today", "datetime.date.today", "pathlib.Path.home", "pathlib.Path.cwd"), "it"),
    **dict.fromkeys(("uuid.uuid1", "uuid.uuid4", "ulid.ULID", "os.urandom"), "an id"),
    **dict.fromkeys(("random", "secrets"), "chance"),
    **dict.fromkeys(("asyncio.create_task", "asyncio.ensure_future"), "a task"),
}
SPAWNERS = ("asyncio.create_task", "asyncio.ensure_future")

RELATIVE = "."
Complaint = tuple[int, str]


def complaints(module: str, text: str) -> list[str]:
    """Every rule that `module` with this text breaks, as `engine.mail.outbox:12 imports engine.store: …`."""
    tree = ast.parse(text)
    story = ast.get_docstring(tree) or ""
    edge = "(edge)" in story.partition("\n")[0]
    found = [*_story(story), *_name(module), *_length(text), *_arrows(module, tree)]
    if module.startswith("engine.") and not edge:
        found += _purity(tree)
    found += _dropped_tasks(tree) if edge else _asked_for(tree)
    return [f"{module}:{line} {what}" for line, what in sorted(set(found))]


def init_complaints(module: str, text: str) -> list[str]:
    """What a package's `__init__` does besides handing names on."""
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    body = ast.parse(text).body
    extra = [node for node in body if not isinstance(node, allowed) and not _is_text(node)]
    return [f"{module}:{node.lineno} an __init__ hands names on and does nothing else" for node in extra]


def module_name(path: Path) -> str:
    """`engine/health/table.py` is `engine.health.table`, a package's `__init__` the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def crossings(path: Path) -> Iterator[tuple[str, str]]:
    """What a module imports of other rooms: (it, the other)."""
    module = module_name(path)
    for _, target in _imports(ast.parse(path.read_text())):
        if target.split(".")[0] in PACKAGES and room_of(module) and room_of(target) not in (None, room_of(module)):
            yield module, target


def room_of(module: str) -> str | None:
    """The entry of the table that `module` belongs to: the longest that holds it."""
    inside = [room for room in MAY_IMPORT if within(module, room)]
    return max(inside, key=len, default=None)


def within(module: str, room: str) -> bool:
    """Whether a module is this room or in it."""
    return module == room or module.startswith(room + ".")


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _story(story: str) -> Iterator[Complaint]:
    if not story:
        yield 1, "has no docstring: a module opens with its story"


def _name(module: str) -> Iterator[Complaint]:
    for word in NO_NOUN.intersection(module.split(".")):
        yield 1, f"is named {word}: it has no noun yet; find it"


def _length(text: str) -> Iterator[Complaint]:
    lines = text.count("\n")
    if lines > LONGEST:
        yield lines, f"has {lines} lines, more than {LONGEST}: split what is decided from what is done"


def _arrows(module: str, tree: ast.Module) -> Iterator[Complaint]:
    room = room_of(module)
    if room is None:
        if module != "engine":
            yield 1, "is in no room of the table in tests/house.py"
        return
    for line, target in _imports(tree):
        if target == RELATIVE:
            yield line, "imports by a relative name: path = import name"
        elif target.split(".")[0] in PACKAGES and not _may(module, room, target):
            yield line, f"imports {target}: {room} may not know it"


def _may(module: str, room: str, target: str) -> bool:
    there = room_of(target)
    if target in PACKAGES and there is None:
        return True
    if there == room or there in MAY_IMPORT[room]:
        return True
    return any(within(module, source) and within(target, goal) for source, goal in ARROWS)


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported; `from a import b` is `a.b` only where that may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, RELATIVE
            elif node.module:
                yield from ((node.lineno, _module_meant(node.module, alias.name)) for alias in node.names)


def _module_meant(package: str, name: str) -> str:
    folder = ROOT.joinpath(*package.split("."))
    is_module = (folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists()
    is_room = f"{package}.{name}" in MAY_IMPORT
    return f"{package}.{name}" if is_module or is_room else package


def _purity(tree: ast.Module) -> Iterator[Complaint]:
    for line, target in _imports(tree):
        if any(within(target, outside) for outside in OUTSIDE):
            yield line, f"imports {target}: a pure module knows no machine; say (edge) or ask for an effect"
    for node in ast.walk(tree):
        for kind, said in IMPURE.items():
            if isinstance(node, kind) and (what := said(node)):
                yield getattr(node, "lineno", 1), what


def _impure_call(node: ast.AST) -> str:
    called = node.func if isinstance(node, ast.Call) else node
    if isinstance(called, ast.Name) and called.id in OUTSIDE_CALLS:
        return f"calls {called.id}(): a pure module reaches nothing"
    if isinstance(called, ast.Attribute) and called.attr in FILE_METHODS:
        return f"calls .{called.attr}(): a pure module reads and writes no file"
    return ""


IMPURE: dict[type[ast.AST], Callable[[ast.AST], str]] = {
    ast.AsyncFunctionDef: lambda node: "defines async def: a step decides and never waits",
    ast.AsyncFor: lambda node: "waits: a step decides and never waits",
    ast.AsyncWith: lambda node: "waits: a step decides and never waits",
    ast.Await: lambda node: "awaits: split at the question, the answer comes back as a signal",
    ast.Call: _impure_call,
}


def _asked_for(tree: ast.Module) -> Iterator[Complaint]:
    for line, name in _uses(tree):
        for banned, what in FROM_THE_EDGE.items():
            if within(name, banned):
                yield line, f"uses {name}: {what} comes from the edge, as an argument"


def _dropped_tasks(tree: ast.Module) -> Iterator[Complaint]:
    spawned = {(line, name) for line, name in _uses(tree) if name in SPAWNERS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            for line, name in spawned:
                if line == node.lineno and node.value.func.end_lineno == line:
                    yield line, f"drops what {name} returns: a task nobody holds may vanish; keep it"


def _uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and true dotted name of every use of an imported name, whatever it was imported as."""
    true_names = dict(_aliases(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and (dotted := _dotted(node)):
            first, dot, rest = dotted.partition(".")
            if first in true_names:
                yield node.lineno, true_names[first] + dot + rest


def _aliases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""
