"""The peers as a table: who needs me first, then the worst, then by name. Pure."""

from collections.abc import Callable

from engine.model.moment import Moment
from engine.model.packets import Heartbeat
from engine.model.roster import Member
from engine.state import Fleet
from screens import format as say
from screens.fuzzy import matching
from screens.needs import needy
from screens.peer_lines import heard
from screens.roll import RANKS, WORST, Plan, best, condition, members, natural, no_plan, peer_of
from screens.spans import Spans
from screens.widgets.line_grid import Rows, columned

SORTS = ("needs you", "name", "role", "load", "last heard")
# Name, width, and the width of the table from which the column is shown.
COLUMNS = (
    ("peer", 16, 0), ("role", 8, 69), ("state", 16, 0), ("goes by", 14, 50), ("load", 5, 59), ("branch", 18, 89),
    ("changed", 7, 110), ("heard", 10, 101), ("fleet", 8, 120),
)  # fmt: skip


class PeerRows(Rows):
    """The rows of one fleet at one moment, sorted and filtered."""

    def __init__(self, fleet: Fleet, now: Moment, query: str, sort: str, plan: Plan = no_plan) -> None:
        self.fleet, self.now, self.plan, self.sort = fleet, now, plan, sort
        found = matching(query, members(fleet), lambda one: words(fleet, one))
        self.keys = [one.id for one in sorted(found, key=_order(fleet, now, sort))]

    def heading(self, size: int) -> Spans:
        mark = {"needs you": "state", "name": "peer", "role": "role", "load": "load", "last heard": "heard"}[self.sort]
        return columned([((((name + ("↓" if name == mark else "")), "dim"),), wide) for name, wide in _columns(size)])

    def row(self, index: int, size: int, column: int) -> Spans:
        node_id = self.keys[index]
        cells = {name: self._cell(name, node_id) for name, _ in _columns(size)}
        return columned([(cells[name], wide) for name, wide in _columns(size)])

    def _cell(self, name: str, node_id: str) -> Spans:
        return CELLS[name](self, node_id)

    def _peer(self, node_id: str) -> Spans:
        how = condition(self.fleet, node_id)
        return ((f"{how.look.glyph} ", how.look.ink), (self.fleet.name_of(node_id), "strong"))

    def _role(self, node_id: str) -> Spans:
        member = self.fleet.member(node_id)
        return ((str(member.role) if member else "–", "dim"),)

    def _state(self, node_id: str) -> Spans:
        how = condition(self.fleet, node_id)
        quiet = how.look.glyph == "●"
        since = f" {say.age((self.now.wall_ms - how.since_ms) / 1_000)}" if how.since_ms and not quiet else ""
        return ((how.look.word + since, "dim" if quiet else how.look.ink),)

    def _by(self, node_id: str) -> Spans:
        link = best(self.fleet, node_id, self.plan)
        if link is None:
            return (("–", "faint"),)
        return ((f"{link.channel} ", ""), (say.latency(link.ms) if link.ms is not None else "", "dim"))

    def _load(self, node_id: str) -> Spans:
        beat = _beat(self.fleet, node_id)
        return ((f"{beat.load:5.1f}", ""),) if beat else (("    –", "faint"),)

    def _branch(self, node_id: str) -> Spans:
        beat = _beat(self.fleet, node_id)
        if not beat or not beat.branch:
            return (("–", "faint"),)
        return ((beat.branch, ""), (f" {beat.head[:7]}", "dim"))

    def _changed(self, node_id: str) -> Spans:
        beat = _beat(self.fleet, node_id)
        return ((f"{beat.dirty:7d}", "warn"),) if beat and beat.dirty else (("      –", "faint"),)

    def _heard(self, node_id: str) -> Spans:
        return (("now" if node_id == self.fleet.me.id else heard(peer_of(self.fleet, node_id), self.now), "dim"),)

    def _version(self, node_id: str) -> Spans:
        beat = _beat(self.fleet, node_id)
        return ((beat.version if beat else "–", "dim"),)


CELLS: dict[str, Callable[[PeerRows, str], Spans]] = {
    "peer": PeerRows._peer,
    "role": PeerRows._role,
    "state": PeerRows._state,
    "goes by": PeerRows._by,
    "load": PeerRows._load,
    "branch": PeerRows._branch,
    "changed": PeerRows._changed,
    "heard": PeerRows._heard,
    "fleet": PeerRows._version,
}


def words(fleet: Fleet, one: Member) -> str:
    """What the filter looks in: name, role, state, branch."""
    beat = _beat(fleet, one.id)
    how = condition(fleet, one.id)
    return f"{one.name} {one.role} {how.look.word} {how.why} {beat.branch if beat else ''}"


def _beat(fleet: Fleet, node_id: str) -> Heartbeat | None:
    return fleet.me.look if node_id == fleet.me.id else peer_of(fleet, node_id).beat


def _columns(size: int) -> list[tuple[str, int]]:
    shown = {name: wide for name, wide, least in COLUMNS if size >= least}
    spare = size - sum(wide + 2 for wide in shown.values()) + 2
    # What is left over goes to the columns whose words vary most.
    for name, most in (("state", 6), ("peer", 10), ("branch", 14)):
        if name in shown and spare > 0:
            shown[name] += min(spare, most)
            spare -= min(spare, most)
    return list(shown.items())


def _order(fleet: Fleet, now: Moment, sort: str) -> Callable[[Member], tuple[object, ...]]:
    loud = needy(fleet)

    def need(one: Member) -> tuple[object, ...]:
        return (one.id not in loud, WORST.get(condition(fleet, one.id).look.glyph, 9), natural(one.name))

    def load(one: Member) -> tuple[object, ...]:
        beat = _beat(fleet, one.id)
        return (-(beat.load if beat else -1.0), natural(one.name))

    def silence(one: Member) -> tuple[object, ...]:
        last = peer_of(fleet, one.id).heard_mono if one.id != fleet.me.id else now.mono
        return (last if last is not None else float("-inf"), natural(one.name))

    return {
        "needs you": need,
        "name": lambda one: (natural(one.name),),
        "role": lambda one: (RANKS.get(one.role, 9), natural(one.name)),
        "load": load,
        "last heard": silence,
    }[sort]
