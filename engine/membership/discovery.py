"""Discovery: what others say of machines nearby, made one list. Suggestions only; joining takes an invite and a key.

    mdns       a node that listens beyond loopback says so on its network      discovery_mdns
    ssh        the hosts of ~/.ssh/config                                      discovery_ssh
    tailscale  the machines of the tailnet, where its program is installed     discovery_tailscale

A machine that several name is one line, under the host that is likeliest to work for ssh: the person's own word for it
first. What we are ourselves is left out; what is a member already says which.
"""

from collections.abc import Callable, Iterable
from itertools import combinations

from engine.model.suggestion import Suggestion, callable_host, shown
from engine.state import Fleet

SSH, TAILSCALE, MDNS = "ssh", "tailscale", "mdns"
# Whose word for a host is likeliest to be one that ssh can use.
_RANK = {SSH: 0, TAILSCALE: 1, MDNS: 2}
# More than fit on a screen, and more than anybody's network has fleets.
LIMIT = 200


class Sighting(Suggestion, frozen=True):
    """One source's word. `node`: the id it claims, `port`: its peer port (mdns). `hosts`: every address it is said to
    have."""

    node: str = ""
    hosts: tuple[str, ...] = ()
    port: int = 0


Group = list[Sighting]


def merged(sightings: Iterable[Sighting], fleet: Fleet) -> list[Suggestion]:
    """One line a machine, those that are no members first, by name."""
    heard = sorted(sightings, key=_rank)
    groups = _by_name(_by_place(one for one in heard if callable_host(one.host)))
    lines = [
        _line(sorted(group, key=_rank), fleet)
        for group in groups[:LIMIT]
        if not any(_ours(one, fleet) for one in group)
    ]
    return sorted(lines, key=lambda line: (bool(line.known_member), line.name.lower()))


def _rank(one: Sighting) -> tuple[int, str, str]:
    return _RANK.get(one.source, 9), one.name, one.host


def _by_place(sightings: Iterable[Sighting]) -> list[Group]:
    """Those at one address, or of one id, are one machine."""
    return _joined(([one] for one in sightings), lambda one: {*_places(one), one.node} - {""})


def _by_name(groups: list[Group]) -> list[Group]:
    """Those of one name too, unless two machines have it: then it tells neither from the other."""
    named: dict[str, list[Group]] = {}
    for group in groups:
        for label in {_label(one.name) for one in group}:
            named.setdefault(label, []).append(group)
    telling = {name for name, has in named.items() if not any(_apart(*two) for two in combinations(has, 2))}
    return _joined(groups, lambda one: {_label(one.name)} & telling)


def _joined(groups: Iterable[Group], signs: Callable[[Sighting], set[str]]) -> list[Group]:
    """Those that share a sign, made one."""
    found: list[Group] = []
    having: dict[str, Group] = {}
    for group in groups:
        marks = {sign for one in group for sign in signs(one)}
        same = (having[sign] for sign in sorted(marks) if sign in having)
        into = next((other for other in same if not _apart(group, other)), None)
        if into is None:
            found.append(into := [])
        into += group
        for sign in marks:
            having.setdefault(sign, into)
    return found


def _apart(one: Group, other: Group) -> bool:
    """Two machines for certain: a source names each once, but a node may speak on several networks."""
    return any(
        mine.source == theirs.source and not (mine.node and mine.node == theirs.node)
        for mine in one
        for theirs in other
    )


def _label(name: str) -> str:
    """`Mac2.tail1234.ts.net` and `mac2` are one machine's names; an address is none."""
    return name if name[:1].isdigit() else name.partition(".")[0].lower()


def _places(one: Sighting) -> set[str]:
    return {place.lower() for place in (one.host, *one.hosts)}


def _ours(one: Sighting, fleet: Fleet) -> bool:
    if one.node:
        return one.node == fleet.me.id
    ours = {at.host for at in fleet.me.addresses}
    return not _places(one).isdisjoint(ours)


def _line(group: list[Sighting], fleet: Fleet) -> Suggestion:
    first = group[0]
    sources = ", ".join(dict.fromkeys(one.source for one in group))
    notes = ", ".join(dict.fromkeys(note for one in group if (note := shown(one.note))))
    member = next((known for one in group if (known := _member(one, fleet))), "")
    return Suggestion(shown(first.name) or first.host, first.host, sources, notes, member)


def _member(one: Sighting, fleet: Fleet) -> str:
    """The member that this is: by the id it claims, else by an address that only it has, else by its name."""
    if one.node:
        return member.name if (member := fleet.member(one.node)) and member.present else ""
    others = fleet.others()
    for member in others:
        theirs = {at.host for at in fleet.addresses_of(member.id) if not at.host.startswith("127.")}
        if not _places(one).isdisjoint(theirs):
            return member.name
    return next((member.name for member in others if _label(member.name) == _label(one.name)), "")
