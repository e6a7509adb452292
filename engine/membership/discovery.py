"""Discovery: what others say of machines nearby, made one list. Suggestions only; joining takes an invite and a key.

    mdns       a node that listens beyond loopback says so on its network      discovery_mdns
    ssh        the hosts of ~/.ssh/config                                      discovery_ssh
    tailscale  the machines of the tailnet, where its program is installed     discovery_tailscale

A machine that several name is one line, under the host that is likeliest to work for ssh: the person's own word for it
first. What we are ourselves is left out; what is a member already says which.
"""

from collections.abc import Iterable

from engine.model.suggestion import Suggestion, callable_host, shown
from engine.state import Fleet

SSH, TAILSCALE, MDNS = "ssh", "tailscale", "mdns"
# Whose word for a host is likeliest to be one that ssh can use.
_RANK = {SSH: 0, TAILSCALE: 1, MDNS: 2}
# More than fit on a screen, and more than anybody's network has fleets.
LIMIT = 200


class Sighting(Suggestion, frozen=True):
    """One source's word. `node`: the id it claims (mdns). `hosts`: every address it is said to have."""

    node: str = ""
    hosts: tuple[str, ...] = ()


def merged(sightings: Iterable[Sighting], fleet: Fleet) -> list[Suggestion]:
    """One line a machine, those that are no members first, by name."""
    groups: list[list[Sighting]] = []
    for one in sorted(sightings, key=lambda one: (_RANK.get(one.source, 9), one.name, one.host)):
        if not callable_host(one.host):
            continue
        same = next((group for group in groups if any(_same(one, other) for other in group)), None)
        if same is None:
            groups.append([one])
        else:
            same.append(one)
    lines = [_line(group, fleet) for group in groups[:LIMIT] if not any(_ours(one, fleet) for one in group)]
    return sorted(lines, key=lambda line: (bool(line.known_member), line.name.lower()))


def _same(one: Sighting, other: Sighting) -> bool:
    if one.source == other.source:
        return bool(one.node) and one.node == other.node
    return _label(one.name) == _label(other.name) or not _places(one).isdisjoint(_places(other))


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
