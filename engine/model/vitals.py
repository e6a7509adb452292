"""How this machine and its node are, in numbers, and which numbers are a fault.

One rule for everybody: the watchdog judges what was measured last by these formulas, the doctor what it measures when
it is asked. Each takes numbers and limits and gives a finding or nothing; nobody here looks at a clock or a disk.
"""

from collections.abc import Iterable, Mapping
from math import ceil

import msgspec

from engine.model.finding import Finding, Severity

# Below this many free inodes a store, its log and a broker's files may no longer be made.
INODES_LEAST = 1_000
# From so many times the room that is kept back on, a disk is worth a look though nothing is refused yet.
ROOMY = 4
# Of a small disk no more than this share is kept back: beyond it the reserve itself would be what fills the disk.
SHARE = 1 / 3
# A stall longer than half a minute is a machine that slept, not a loop that was busy.
SLEPT_S = 30.0


class Vitals(msgspec.Struct, frozen=True):
    """What was measured. `free_mb`, `free_inodes`: on the home's disk, for this user (-1: not known, or not counted
    there). `disk_mb`: its whole size (0: not known). `descriptors` of `descriptor_limit` are open. `backlog`: signals
    that wait for the loop. `memory_mb`: in use. `home`, `platform`: where, for the next step.
    `none_left`: a descriptor was needed within the last minute, for a connection or a file, and there was none."""

    free_mb: int = -1
    free_inodes: int = -1
    descriptors: int = 0
    descriptor_limit: int = 0
    backlog: int = 0
    memory_mb: int = 0
    home: str = ""
    platform: str = "linux"
    disk_mb: int = 0
    none_left: bool = False


def fitting_mb(disk_mb: float, wanted_mb: float) -> float:
    """The megabytes wanted, or the share of them that a disk of this size can spare."""
    return min(wanted_mb, disk_mb * SHARE)


def resumes_mb(ballast_mb: float, resume_mb: float) -> int:
    """Once a disk was full, new mail is taken again from so much free room on: the ballast is made anew of it."""
    return ceil(max(resume_mb, 2 * ballast_mb))


def disk(vitals: Vitals, ballast_mb: float, resume_mb: float) -> list[Finding]:
    """Too little room on the home's disk, for what is configured to be kept back of it."""
    found = []
    if vitals.disk_mb:
        ballast_mb, resume_mb = (fitting_mb(vitals.disk_mb, one) for one in (ballast_mb, resume_mb))
    needed_mb = resumes_mb(ballast_mb, resume_mb)
    if 0 <= vitals.free_mb < needed_mb * ROOMY:
        severe = Severity.HIGH if vitals.free_mb < needed_mb else Severity.MEDIUM
        what = f"{vitals.free_mb} MB free for {vitals.home}; once it is full, "
        what += f"new messages are refused until {needed_mb} MB are free"
        step = f"free some space: `du -xh {vitals.home} | sort -h | tail` shows what Fleet itself holds"
        found.append(Finding("disk.low", "The disk is nearly full", severe, what, next_step=step, fixable=True))
    if 0 <= vitals.free_inodes < INODES_LEAST:
        what = f"{vitals.free_inodes} files can still be made on the disk of {vitals.home}"
        step = f"`df -i {vitals.home}` shows the disk; remove directories full of small files"
        found.append(Finding("disk.inodes", "The disk takes no more files", Severity.HIGH, what, next_step=step))
    return found


def clock(offsets_ms: Mapping[str, float], limit_s: float, platform: str) -> list[Finding]:
    """Clocks that disagree. `offsets_ms`: each peer's clock minus ours, by name. What most of them agree on is held for
    right; between two machines nobody can tell, so the finding says only that they differ."""
    if not offsets_ms:
        return []
    limit_ms = limit_s * 1_000
    central = middle(offsets_ms.values())
    ahead = sum(ms > limit_ms for ms in offsets_ms.values())
    behind = sum(ms < -limit_ms for ms in offsets_ms.values())
    if len(offsets_ms) > 1 and 2 * max(ahead, behind) > len(offsets_ms):
        way = "behind" if central > 0 else "ahead"
        what = f"{span(abs(central))} {way} of the middle of {len(offsets_ms)} peers (±{spread(offsets_ms)})"
        step = SET_CLOCK.get(platform, "set it right")
        return [Finding("clock.off", "This machine's clock is off", Severity.MEDIUM, what, next_step=step)]
    odd = {name: ms for name, ms in offsets_ms.items() if abs(ms) > limit_ms}
    return [_differs(name, ms, len(offsets_ms)) for name, ms in sorted(odd.items())]


def _differs(name: str, ms: float, peers: int) -> Finding:
    way = "ahead of" if ms > 0 else "behind"
    what = f"{name} is {span(abs(ms))} {way} this machine"
    if peers == 1:
        what += "; between two nobody can tell whose is right"
    step = f"compare both with a clock you trust, and on the wrong one: {SET_CLOCK['linux']}"
    return Finding("clock.differs", "A peer's clock is off", Severity.LOW, what, name, step)


def middle(numbers: Iterable[float]) -> float:
    """The median of one number or more. That of `statistics` is the same, and brings 0.3 MB into every node."""
    ordered = sorted(numbers)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def spread(offsets_ms: Mapping[str, float]) -> str:
    """How far the peers' clocks are from their own middle, at most."""
    central = middle(offsets_ms.values())
    return span(max(abs(ms - central) for ms in offsets_ms.values()))


SET_CLOCK = {
    "linux": "`sudo timedatectl set-ntp true`",
    "darwin": "`sudo sntp -sS time.apple.com`",
}


def span(ms: float) -> str:
    """So long, in the unit that says it best."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if ms >= 2 * size:
            return f"{ms / size:.0f} {unit}"
    return f"{ms / 1_000:.1f} s" if ms < 10_000 else f"{ms / 1_000:.0f} s"


def lag(stalls: int, longest_s: float, window_s: float) -> list[Finding]:
    """The engine's loop was away again and again. `stalls`: so often within `window_s`."""
    if stalls < 3:
        return []
    what = f"it stood still {stalls} times in {window_s:.0f} s, up to {longest_s:.1f} s: peers may doubt this node"
    step = "see what takes the processor with `top`; the node's own log: `fleet log`"
    return [Finding("loop.lag", "The engine's loop stalls", Severity.MEDIUM, what, next_step=step)]


def backlog(waiting: int, limit: int) -> list[Finding]:
    """More happens than the loop can hear."""
    if waiting <= limit:
        return []
    what = f"{waiting} signals wait for their turn, more than {limit}"
    step = "see what takes the processor with `top`; `fleet log` says who sends so much"
    return [Finding("loop.backlog", "The engine cannot keep up", Severity.MEDIUM, what, "", step, ("loop.lag",))]


def descriptors(vitals: Vitals, share: float) -> list[Finding]:
    """Nearly all file descriptors are open; the next connection may be refused, or was a moment ago."""
    few = vitals.descriptor_limit and vitals.descriptors >= vitals.descriptor_limit * share
    if not few and not vitals.none_left:
        return []
    what = f"{vitals.descriptors} of {vitals.descriptor_limit} are open"
    if vitals.none_left:
        what += "; within the last minute one was needed and none was left"
    step = f"`ulimit -n {max(4_096, 2 * vitals.descriptor_limit)}` in the shell that starts it, then `fleet restart`"
    return [Finding("fds.few", "File descriptors run out", Severity.HIGH, what, next_step=step)]
