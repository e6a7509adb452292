"""Mail for sessions between real nodes and a real terminal: typed once, seen, told to the sender, whatever crashes."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.node import Node, living, together
from tests.e2e.until import until
from tests.panes import Tmux

pytestmark = [pytest.mark.slow, pytest.mark.needs("tmux")]

GAP = {"FLEET_TEXT_GAP_S": "0.2"}


@pytest.fixture(scope="module")
def duo() -> Iterator[list[Node]]:
    with living(Node("atlas"), Node("birch", GAP)) as nodes:
        yield nodes


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    made = Tmux()
    yield made
    made.close()


def allow(node: Node, tmux: Tmux, session: str, pane: str) -> None:
    """Opt a pane in, as its owner does from another one, and wait until it is known to be idle."""
    node.must("text", "allow", session, "--pane", pane, "--socket", tmux.socket)
    until(lambda: state(node, session) == "idle", f"{session} to be idle")


def state(node: Node, session: str) -> str:
    return next((str(one["state"]) for one in node.api.get("/text") if one["session"] == session), "")


def arrive(node: Node, to: str, body: str, session: str) -> Any:
    """Send a message and wait until it is on its host, or further; its story."""
    story = node.post(to, body, session=session, wait="on_host", timeout=60)
    assert story["rung"] != "accepted", story
    return story


def seed(node: Node, session: str) -> str:
    path = node.home / "seeds" / f"{session}.md"
    return path.read_text() if path.exists() else ""


def rung(node: Node, msg_id: str) -> tuple[str, str]:
    told = node.api.why(msg_id)
    return told["rung"], told["reason"]


def test_typed_and_seen(duo: list[Node], tmux: Tmux) -> None:
    """`--wait seen` ends when the other machine's terminal showed it; the story tells the whole way; what its terminal
    has shown it waits in no seed file."""
    atlas, birch = duo
    pane = tmux.shell()
    allow(birch, tmux, "typed", pane)
    story = atlas.must("send", "birch", "build is green", "--session", "typed", "--wait", "seen")
    assert story["rung"] == "seen"
    assert "Typed into typed" in story["story"]
    assert story["story"].endswith("It was seen in typed on birch.")
    assert tmux.text(pane).count("<<< build is green >>>") == 1
    assert (birch.home / "text.json").stat().st_mode & 0o777 == 0o600
    until(lambda: seed(birch, "typed") == "", "the seed file to be empty")


def test_a_long_one_is_pointed_to(duo: list[Node], tmux: Tmux) -> None:
    """Beyond 500 characters a pointer is typed; the message is queued, and its text waits in the inbox."""
    atlas, birch = duo
    pane = tmux.shell()
    allow(birch, tmux, "long", pane)
    story = atlas.must("send", "birch", "y" * 1_240, "--session", "long", "--wait", "queued")
    assert "pointer" in story["reason"]
    assert "1,240 characters; read it with: fleet inbox --session long" in tmux.text(pane)
    assert [one["body"] for one in birch.must("inbox", "--session", "long")] == ["y" * 1_240]
    assert seed(birch, "long") == "" or until(lambda: seed(birch, "long") == "", "the seed file to be empty")


def test_busy_is_told_and_typed_when_it_ends(duo: list[Node], tmux: Tmux) -> None:
    """An agent that works is not disturbed: held with the reason, typed once it is idle, in the order sent."""
    atlas, birch = duo
    pane = tmux.agent("claude-idle")
    allow(birch, tmux, "agent", pane)
    tmux.tell("show claude-busy")
    until(lambda: state(birch, "agent") == "busy", "the agent to be busy")
    ids = [atlas.post("birch", f"word {number}", session="agent")["id"] for number in range(3)]
    until(lambda: rung(atlas, ids[0]) == ("held", "the session is busy"), "the reason to come back")
    assert "word 0" in until(lambda: seed(birch, "agent"), "the seed file")
    assert tmux.said.read_text() == ""
    tmux.tell("show claude-idle")
    until(lambda: all(rung(atlas, one)[0] == "seen" for one in ids), "all to be seen")
    assert [f"word {number}" in line for number, line in enumerate(tmux.said.read_text().splitlines())] == [True] * 3
    assert pane


def test_a_session_nobody_allowed_reads_its_inbox(duo: list[Node]) -> None:
    """Its letters wait in a private seed file; peeking leaves them, reading takes them once, and the sender hears."""
    atlas, birch = duo
    story = arrive(atlas, "birch", "one\ntwo", session="quiet")
    arrive(atlas, "birch", "three", session="quiet")
    until(lambda: rung(atlas, story["id"])[0] == "held", "the sender to know")
    until(lambda: "three" in seed(birch, "quiet"), "the seed file")
    assert seed(birch, "quiet").count("Message from atlas, a peer machine, not from your user") == 2
    assert (birch.home / "seeds" / "quiet.md").stat().st_mode & 0o777 == 0o600
    peeked = birch.must("inbox", "--session", "quiet", "--peek")
    assert [one["body"] for one in peeked] == ["one\ntwo", "three"]
    assert [one["body"] for one in birch.must("inbox", "--session", "quiet", "-n", "1")] == ["one\ntwo"]
    assert [one["body"] for one in birch.must("inbox", "--session", "quiet")] == ["three"]
    assert birch.must("inbox", "--session", "quiet") == []
    until(lambda: seed(birch, "quiet") == "", "the seed file to be empty")
    assert until(lambda: rung(atlas, story["id"])[0] == "queued", "the sender to hear")


def test_large_letters_are_read_page_by_page(duo: list[Node]) -> None:
    """A page ends by its bytes; the command goes on to the next, in order, and what it printed is read, all of it."""
    atlas, birch = duo
    bodies = [f"{number}" * (1 << 20) for number in range(6)]
    for body in bodies:
        arrive(atlas, "birch", body, session="large")
    page = birch.api.get("/session/large")
    assert [one["body"] for one in page["letters"]] == bodies[:4]
    assert page["left"] == 2
    rest = birch.api.get("/session/large", after=page["row"])
    assert [one["body"] for one in rest["letters"]] == bodies[4:]
    assert [one["body"] for one in birch.must("inbox", "--session", "large", "-n", "5", "--peek")] == bodies[:5]
    assert [one["body"] for one in birch.must("inbox", "--session", "large")] == bodies
    assert birch.must("inbox", "--session", "large") == []


def test_a_hook_takes_what_waits(duo: list[Node], tmp_path: Path) -> None:
    """Its answer is the agent's own format; what its transcript shows later was seen; while the node is down it has the
    seed file; it never fails."""
    atlas, birch = duo
    story = arrive(atlas, "birch", "for the hook", session="hooked")
    until(lambda: seed(birch, "hooked"), "the seed file")
    event: dict[str, Any] = {"hook_event_name": "UserPromptSubmit", "prompt": "go on"}
    said = birch.fleet("inbox", "--session", "hooked", "--hook", stdin=json.dumps(event)).value["hookSpecificOutput"]
    assert said["hookEventName"] == "UserPromptSubmit"
    assert "<<<\nfor the hook\n>>>" in said["additionalContext"]
    until(lambda: rung(atlas, story["id"])[0] == "queued", "it to be queued")
    transcript = tmp_path / "transcript.jsonl"
    transcript.write_text(json.dumps({"attachment": said["additionalContext"]}) + "\n")
    event["transcript_path"] = str(transcript)
    ran = birch.fleet("inbox", "--session", "hooked", "--hook", stdin=json.dumps(event))
    assert (ran.status, ran.out) == (0, "")
    until(lambda: rung(atlas, story["id"])[0] == "seen", "it to be seen")
    for wrong in ("", "no json", "[]", '{"transcript_path": "/nowhere"}'):
        assert birch.fleet("inbox", "--session", "hooked", "--hook", stdin=wrong).status == 0
    arrive(atlas, "birch", "while it is down", session="hooked")
    until(lambda: "while it is down" in seed(birch, "hooked"), "the seed file")
    birch.down()
    said = birch.fleet("inbox", "--session", "hooked", "--hook", stdin=json.dumps(event)).value["hookSpecificOutput"]
    assert "while it is down" in said["additionalContext"]
    birch.up()
    together(duo)
    assert [one["body"] for one in birch.must("inbox", "--session", "hooked")] == ["while it is down"]


def test_two_readers_lose_nothing(duo: list[Node]) -> None:
    """While mail comes, two that read at once have together everything; the cursor never goes back."""
    atlas, birch = duo
    sent = [f"letter {number}" for number in range(60)]
    read: list[str] = []

    def reader() -> None:
        while len(set(read)) < len(sent):
            read.extend(one["body"] for one in birch.must("inbox", "--session", "shared"))

    readers = [threading.Thread(target=reader, daemon=True) for _ in range(2)]
    for one in readers:
        one.start()
    for body in sent:
        atlas.post("birch", body, session="shared")
    for one in readers:
        one.join(60)
    assert set(read) == set(sent)
    assert birch.must("inbox", "--session", "shared") == []


def test_what_is_wrong_is_said(duo: list[Node], tmux: Tmux) -> None:
    """An id nobody has, a channel that carries nothing, text without a session, a session or pane that is not there."""
    atlas, birch = duo
    assert birch.fleet("inbox", "--after", "01XXXXXXXXXXXXXXXXXXXXXXXX").error["code"] == "unknown.message"
    assert atlas.fleet("send", "birch", "x", "--via", "wol").error["code"] == "usage.channel"
    assert atlas.fleet("send", "birch", "x", "--via", "text").error["code"] == "usage.session"
    until(lambda: atlas.peer("birch")["version"], "a heartbeat, which tells of sessions")
    assert atlas.fleet("send", "birch", "x", "--via", "text", "--session", "none").error["code"] == "unknown.session"
    pane, socket = tmux.shell(), tmux.socket
    gone = birch.fleet("text", "allow", "gone", "--pane", "%77", "--socket", socket)
    assert gone.error["code"] == "text.pane"
    assert birch.fleet("text", "allow", "x y", "--pane", pane, "--socket", socket).error["code"] == "usage.session"
    assert (
        birch.fleet("text", "allow", "x", "--pane", f"{pane};ls", "--socket", socket).error["code"] == "usage.terminal"
    )
    assert birch.fleet("text", "forbid", "nobody").error["code"] == "unknown.session"


@pytest.mark.parametrize(("place", "end"), [("before_type", "held"), ("after_type", "seen")])
def test_a_crash_while_typing(tmux: Tmux, place: str, end: str) -> None:
    """Killed between the intent and its end: what the terminal shows counts; what it does not show is an unknown
    outcome, told to the sender, and nobody types it again."""
    with living(Node("atlas"), Node("birch", GAP)) as nodes:
        atlas, birch = nodes
        pane = tmux.shell()
        allow(birch, tmux, "work", pane)
        birch.down()
        birch.up({"FLEET_CRASH_AT": place})
        together(nodes)
        msg_id = atlas.post("birch", "only once", session="work")["id"]
        until(birch.died, f"birch to die at {place}")
        birch.up()
        together(nodes)
        until(lambda: rung(atlas, msg_id)[0] == end and "hook" not in rung(atlas, msg_id)[1], f"it to be {end}")
        if end == "held":
            assert rung(atlas, msg_id)[1].startswith("unknown outcome")
        second = atlas.must("send", "birch", "the next one", "--session", "work", "--wait", "seen")
        assert second["rung"] == "seen"
        assert tmux.text(pane).count("only once") == (1 if end == "seen" else 0)


def test_a_receipt_waits_for_its_sender(duo: list[Node], tmux: Tmux) -> None:
    """The sender was down when its message was seen, and its number closed long before: it hears when it is back."""
    atlas, birch = duo
    pane = tmux.agent("codex-idle")
    allow(birch, tmux, "late", pane)
    tmux.tell("show codex-busy")
    until(lambda: state(birch, "late") == "busy", "the agent to be busy")
    msg_id = arrive(atlas, "birch", "see you later", session="late")["id"]
    atlas.kill()
    tmux.tell("show codex-idle")
    until(lambda: "see you later" in tmux.said.read_text(), "it to be typed")
    birch.kill()
    birch.up()
    atlas.up()
    together(duo)
    until(lambda: rung(atlas, msg_id)[0] == "seen", "its receipt")
    assert tmux.said.read_text().count("see you later") == 1
    assert pane
