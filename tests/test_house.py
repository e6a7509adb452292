"""The house stands as its plan says, its pages name what is there, and the inspector that says so can see."""

import re
from pathlib import Path

import pytest

from tests.house import (
    ARROWS,
    LONGEST,
    LONGEST_TEST,
    MAY_IMPORT,
    PACKAGES,
    ROOMS,
    ROOT,
    WORDS,
    complaints,
    crossings,
    init_complaints,
    module_name,
    room_of,
    within,
)

MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def by_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=by_name)
def test_module_keeps_the_rules(path: Path) -> None:
    """A module imports only what its floor allows, is pure unless it says (edge), and tells its story."""
    assert complaints(module_name(path), path.read_text()) == []


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=by_name)
def test_init_only_hands_names_on(path: Path) -> None:
    """A package's `__init__` does nothing; Fleet's own, which makes the others importable, is the one exception."""
    if path.parent.name != "fleet_tui":
        assert init_complaints(module_name(path), path.read_text()) == []


def test_every_folder_of_modules_is_a_package() -> None:
    """Path = import name, so a folder with modules has an `__init__`, and the tests have none at all."""
    folders = {path.parent for path in MODULES}
    assert [by_name(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []
    assert [by_name(path) for path in TESTS if path.name == "__init__.py"] == []


def test_no_test_file_is_too_long() -> None:
    """A test file can be read in one sitting."""
    assert [by_name(path) for path in TESTS if path.read_text().count("\n") > LONGEST_TEST] == []


# What code spans and links of a page may name: a path, a bare file, a dotted module, a file beside the page.
A_PATH, A_FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?"), re.compile(r"\w+\.py")
A_SPAN, A_LINK = re.compile(r"`([^`\n]+)`"), re.compile(r"\]\(([^)#:]+)\)")
FOLDERS = {path.name for root in (ROOT, ROOT / "tests") for path in root.iterdir() if path.is_dir()}
# Not the decisions: they tell what was so when it was decided.
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "adding").glob("*.md"))]


def lost(page: Path, text: str) -> list[str]:
    """What a page names and the tree has not. A bare file belongs to a folder that the page names too."""
    spans = [span for span in A_SPAN.findall(text) if A_PATH.fullmatch(span)]
    paths = [span for span in spans if "/" in span and (span.split("/")[0] in FOLDERS or span.endswith(".py"))]
    there = {span: [root / span for root in (ROOT, ROOT / "tests") if (root / span).exists()] for span in paths}
    named = {path if path.is_dir() else path.parent for found in there.values() for path in found} | {page.parent}
    files = [span for span in spans if A_FILE.fullmatch(span)]
    dotted = [span for span in spans if "/" not in span and span not in files and span.split(".")[0] in PACKAGES]
    gone = [span for span in paths if not there[span]]
    gone += [span for span in files if not any((folder / span).exists() for folder in (ROOT, *named))]
    gone += [span for span in dotted if not is_module(ROOT.joinpath(*span.split(".")))]
    return gone + [link for link in A_LINK.findall(text) if not (page.parent / link).exists()]


def is_module(path: Path) -> bool:
    """Whether a dotted name, as a path, is a module, a package, or a name in a module."""
    within = path.parent.with_suffix(".py")
    return path.is_dir() or path.with_suffix(".py").exists() or (within.exists() and path.name in within.read_text())


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_a_page_names_only_what_is_there(page: Path) -> None:
    """Whoever follows a page finds the file, folder, module or page that it speaks of."""
    assert lost(page, page.read_text()) == []


def test_the_plan_names_every_part() -> None:
    """Whoever looks for a module of the engine's own floor, or a package, finds it in the architecture's table."""
    parts = [path for path in (ROOT / "engine").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    tree = (ROOT / "docs" / "architecture.md").read_text().partition("## The tree")[2].partition("\n## ")[0]
    named = {word for span in A_SPAN.findall(tree) for word in re.findall(r"\w+", span)}
    assert sorted({path.stem for path in parts} - {"__init__"} - named) == []


def test_a_lost_path_is_seen() -> None:
    """A file that moved, a bare one of no folder that the page names, a module and a page of yesterday."""
    page, gone = ROOT / "docs" / "why.md", ["engine/mail/gone.py", "e2e/gone.py", "table.py", "engine.gone", "gone.md"]
    assert lost(page, "`engine/mail/gone.py` `e2e/gone.py` `table.py` `engine.gone` [gone](gone.md)") == gone
    assert lost(page, "`engine/health/` has `table.py`, `engine.wire.REFUSALS` `e2e/test_git.py` [why](why.md)") == []


def test_every_rule_is_about_something() -> None:
    """Each room and each of its permissions is a module that exists."""
    modules = [module_name(path) for path in MODULES]
    named = set(MAY_IMPORT).union(*MAY_IMPORT.values(), *ARROWS)
    gone = {room for room in named if not any(within(module, room) for module in modules)}
    assert gone == set()


@pytest.mark.slow
def test_every_exception_is_needed() -> None:
    """What only one floor may import, beyond words and rooms, somebody on it imports; and by each arrow somebody goes
    whom the table alone would refuse."""
    imports = [(module, target) for path in MODULES for module, target in crossings(path)]
    known = {(room_of(module), room_of(target)) for module, target in imports}
    for allowed in {frozenset(one) for one in MAY_IMPORT.values()}:
        floor = [room for room, one in MAY_IMPORT.items() if one == allowed]
        used = {target for room, target in known if room in floor}
        assert allowed - WORDS - ROOMS - used == set(), floor
    refused = [
        (module, target) for module, target in imports if room_of(target) not in MAY_IMPORT[room_of(module) or ""]
    ]
    for source, goal in ARROWS:
        assert any(within(module, source) and within(target, goal) for module, target in refused), (source, goal)


PURE = '"""A story."""\n'
EDGE = '"""A story (edge)."""\n'

BREACHES = {
    "a room looks up": ("engine.mail.outbox", PURE + "from engine.engine import Engine"),
    "siblings meet": ("engine.mail.inbox", PURE + "from engine.store import write"),
    "a sibling as a name": ("engine.mail.inbox", PURE + "from engine import store"),
    "a word knows a room": ("engine.state", PURE + "import engine.mail.outbox"),
    "the model knows the state": ("engine.model.peer", PURE + "from engine.state import Fleet"),
    "a screen knows the engine": ("screens.peers", PURE + "from engine.engine import Engine"),
    "a screen knows a room": ("screens.peers", PURE + "from engine.health.table import step"),
    "a screen knows the app": ("screens.peers", PURE + "import fleet_tui.app"),
    "the program knows a room": ("fleet_tui.cli", PURE + "from engine.mail import compose"),
    "a style knows a screen": ("styles", PURE + "import screens"),
    "one arrow is not two": ("engine.mail.outbox", PURE + "from engine.health.table import step"),
    "the arrow has one direction": ("engine.health.cascade", PURE + "from engine.mail.outbox import step"),
    "hidden in a function": ("engine.mail.outbox", PURE + "def f():\n    import engine.store"),
    "hidden for types": ("engine.health.table", PURE + "if TYPE_CHECKING:\n    from engine.loop import Loop"),
    "relative": ("engine.mail.outbox", PURE + "from . import inbox"),
    "a room nobody planned": ("engine.attic", PURE),
    "async def": ("engine.mail.outbox", PURE + "async def step(): ..."),
    "await": ("engine.mail.outbox", PURE + "async def f():\n    await g()"),
    "async with": ("engine.mail.outbox", PURE + "async def f():\n    async with g: ..."),
    "asyncio": ("engine.mail.outbox", PURE + "import asyncio"),
    "asyncio from": ("engine.mail.outbox", PURE + "from asyncio import Queue"),
    "the clock": ("engine.health.table", PURE + "from time import monotonic"),
    "the disk": ("engine.config", PURE + "text = open('fleet.toml').read()"),
    "the disk by path": ("engine.config", PURE + "def f(path): return path.read_text()"),
    "the system": ("engine.config", PURE + "import os.path"),
    "a socket": ("engine.membership.gossip", PURE + "import socket"),
    "a print": ("engine.mail.outbox", PURE + "print('sent')"),
    "time in a screen": ("screens.peers", PURE + "import time\nnow = time.time()"),
    "time renamed": ("screens.peers", PURE + "from time import time as now\nx = now()"),
    "time as a factory": ("screens.peers", PURE + "import time\nfield(default_factory=time.time)"),
    "a date": ("screens.format", PURE + "from datetime import datetime\nx = datetime.now(tz)"),
    "a date by its module": ("screens.format", PURE + "import datetime as d\nx = d.datetime.now(d.UTC)"),
    "an id": ("fleet_tui.actions", PURE + "from uuid import uuid4\nx = uuid4()"),
    "a ULID": ("engine.mail.compose", PURE + "from ulid import ULID\nx = ULID()"),
    "chance": ("screens.map", PURE + "import random\nx = random.choice([1])"),
    "chance renamed": ("screens.map", PURE + "from random import choice as pick\nx = pick([1])"),
    "a task": ("screens.peers", PURE + "import asyncio\nt = asyncio.create_task(f())"),
    "a dropped task, even at the edge": ("engine.hands", EDGE + "import asyncio\nasyncio.create_task(f())"),
    "no story": ("engine.mail.outbox", "x = 1"),
    "(edge) too late": ("engine.mail.outbox", '"""A story.\n\nAnd (edge).\n"""\nimport os'),
    "no noun": ("engine.mail.utils", PURE),
    "no noun in screens": ("screens.helpers", PURE),
    "too long": ("engine.mail.outbox", PURE + "x = 1\n" * LONGEST),
}


@pytest.mark.parametrize(("module", "text"), BREACHES.values(), ids=BREACHES.keys())
def test_a_breach_is_seen(module: str, text: str) -> None:
    """The inspector bites: each of these is refused, and the complaint names the module and a line."""
    found = complaints(module, text)
    assert found
    assert all(complaint.startswith(f"{module}:") for complaint in found)


FINE = {
    "words in a room": ("engine.mail.outbox", PURE + "from engine.state import Fleet\nimport engine.model.peer"),
    "the one allowed arrow": ("engine.mail.outbox", PURE + "from engine.health.cascade import choose"),
    "own room": ("engine.mail.outbox", PURE + "from engine.mail.compose import compose"),
    "the hands know rooms": ("engine.hands", EDGE + "import asyncio\nfrom engine.store import write"),
    "the program asks the node": ("fleet_tui.cli", PURE + "from engine.api.client import ask"),
    "the process is put together": ("fleet_tui.parts", EDGE + "from engine.api.server import serve"),
    "the edge may wait": ("engine.loop", EDGE + "import asyncio, time\nasync def run():\n    await asyncio.sleep(0)"),
    "a task that is kept": ("engine.loop", EDGE + "import asyncio\ntask = asyncio.create_task(f())"),
    "a screen may wait": ("screens.peers", PURE + "async def on_mount(self):\n    await self.recompose()"),
    "a method that is called open": ("engine.mail.inbox", PURE + "x = seal.open(frame)"),
    "a time that is given": ("screens.format", PURE + "from datetime import datetime\nx = datetime.fromtimestamp(1)"),
    "(edge) before the full stop": ("engine.clock", '"""Time (edge).\n\nMore.\n"""\nimport time\ntime.time()'),
}


@pytest.mark.parametrize(("module", "text"), FINE.values(), ids=FINE.keys())
def test_what_is_right_passes(module: str, text: str) -> None:
    """The inspector does not bite what the plan allows."""
    assert complaints(module, text) == []


def test_an_init_that_works_is_seen() -> None:
    """A function, a loop or a call in an `__init__` is refused."""
    assert init_complaints("engine.mail", PURE + "from engine.mail.outbox import step\n__all__ = ['step']") == []
    for text in ("def f(): ...", "for x in y: ...", "register()", "class C: ..."):
        assert init_complaints("engine.mail", PURE + text)
