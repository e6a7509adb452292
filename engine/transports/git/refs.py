"""How mail lies in a git hub, and what git says about it: names, limits, and the reading of its output.

    refs/fleet/inbox/<to>/<from>  ->  one commit without parents  ->  one tree  ->  00000001, 00000002, ... frames

One ref for each (receiver, sender), so two senders can never conflict. A ref is the queue itself: the sender replaces
its commit by one that holds the old frames and the new, the receiver takes them all and deletes it, and each does so
only if the ref is still as it last saw it. Whatever is found there may have been put there by anybody who can push, so
nothing is read before its name, kind, number and size are within bounds. Pure: what git printed is an argument.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence

import msgspec

from engine.config import GitConfig
from engine.model.envelope import CARRIAGE_LIMIT

INBOX = "refs/fleet/inbox"
# What one ref may hold for a receiver that is away: two of the largest deliveries, or what a busy minute brings. What
# is beyond goes, the oldest first: their messages are in the outbox still.
FILES, BYTES = 256, 2 * CARRIAGE_LIMIT
# So many eager looks before they become rarer.
PATIENT_LOOKS = 60

_NODE = "[a-z2-7]{16}"
_REF = re.compile(rf"([0-9a-f]{{40,64}})\t{INBOX}/({_NODE})/({_NODE})")
_FILE = re.compile(r"100644 blob ([0-9a-f]{40,64}) +(\d{1,12})\t(\d{8})")

Refs = dict[tuple[str, str], str]


class Poison(Exception):
    """What lies in a ref is no mail. `code` is one of `wire.REFUSALS`."""

    def __init__(self, code: str):
        super().__init__(code)
        self.code = code


class Blob(msgspec.Struct, frozen=True):
    """One delivery at the hub: its object's name, its size, and its place in the order."""

    sha: str
    size: int
    number: int


def ref(to: str, frm: str) -> str:
    """Where mail from one node to another lies."""
    return f"{INBOX}/{to}/{frm}"


def rest_s(config: GitConfig, eager: bool, quiet: int) -> float:
    """Seconds to the next look, after so many that found nothing. Where something came, more may follow. A machine that
    is away for days makes us eager for as long: after two minutes of nothing looks become rarer."""
    if not eager:
        return config.poll_s if quiet else min(config.eager_s, config.poll_s)
    return min(config.eager_s * 2.0 ** min(max(0, quiet - PATIENT_LOOKS), 20), max(config.poll_s, config.eager_s))


# ------------------------------------------------------------------------------------------------------ what git said


def listed(text: str) -> Refs:
    """{(to, from): commit} of what `ls-remote` printed; whatever is not named as ours is passed over."""
    found = (_REF.fullmatch(line) for line in text.splitlines())
    return {(one[2], one[3]): one[1] for one in found if one}


def contents(text: str) -> list[Blob]:
    """The deliveries in a commit, oldest first, of what `ls-tree -l` printed. Raises `Poison`."""
    lines = text.splitlines()
    if len(lines) > FILES:
        raise Poison("oversized")
    found = [_FILE.fullmatch(line) for line in lines]
    blobs = [Blob(one[1], int(one[2]), int(one[3])) for one in found if one]
    if len(blobs) < len(lines):
        raise Poison("garbage")
    if any(one.size > CARRIAGE_LIMIT for one in blobs) or sum(one.size for one in blobs) > BYTES:
        raise Poison("oversized")
    return sorted(blobs, key=lambda one: one.number)


def bodies(data: bytes, blobs: Iterable[Blob]) -> list[bytes]:
    """The bytes of these, of what `cat-file --batch` printed for them in this order. Raises `Poison`."""
    found, at = [], 0
    for blob in blobs:
        head = f"{blob.sha} blob {blob.size}\n".encode()
        if not data.startswith(head, at):
            raise Poison("garbage")
        at += len(head)
        found.append(data[at : at + blob.size])
        at += blob.size + 1
    return found


def pushed(text: str) -> dict[str, str]:
    """{ref: why it was not taken, or nothing} of what `push --porcelain` printed."""
    ended = {}
    for line in text.splitlines():
        flag, tab, rest = line.partition("\t")
        if tab and len(flag) == 1:
            names, _, said = rest.partition("\t")
            ended[names.partition(":")[2]] = said if flag == "!" else ""
    return ended


def stale(said: str) -> bool:
    """Whether a push was turned down because the ref was not as we had last seen it."""
    return any(word in said for word in _STALE)


# The first is git's own look before it sends anything; the others are the hub's, when it changed in that very moment.
_STALE = (
    *("stale info", "fetch first", "remote ref updated", "incorrect old value", "already exists"),
    *("failed to update ref", "failed to lock", "cannot lock ref"),
)


# ------------------------------------------------------------------------------------------------------- what we write


def kept(old: Sequence[Blob], new: Iterable[bytes]) -> list[Blob]:
    """What of the old deliveries is carried along: the newest, as far as there is room beside the new ones."""
    sizes = [len(data) for data in new]
    files, size = FILES - len(sizes), BYTES - sum(sizes)
    found: list[Blob] = []
    for blob in reversed(old):
        size -= blob.size
        if len(found) >= files or size < 0:
            break
        found.append(blob)
    return found[::-1]


def numbered(old: Sequence[Blob], new: Iterable[bytes]) -> list[Blob]:
    """The new deliveries behind the old ones."""
    first = old[-1].number + 1 if old else 1
    return [Blob(whole("blob", data)[0], len(data), number) for number, data in enumerate(new, first)]


def whole(kind: str, data: bytes) -> tuple[str, bytes]:
    """An object's name and its bytes as git hashes and keeps them (gitformat-loose)."""
    found = b"%s %d\0%s" % (kind.encode(), len(data), data)
    return hashlib.sha1(found, usedforsecurity=False).hexdigest(), found


def tree(blobs: Iterable[Blob]) -> bytes:
    """A tree of these, which are in their order."""
    return b"".join(b"100644 %08d\0%s" % (one.number, bytes.fromhex(one.sha)) for one in blobs)


def commit(tree_name: str) -> bytes:
    """A commit without parents. Always the same hand and hour: it tells nobody who works here, and when."""
    hand = "Fleet <fleet@localhost> 0 +0000"
    return f"tree {tree_name}\nauthor {hand}\ncommitter {hand}\n\n".encode()


# ---------------------------------------------------------------------------------------------------------- what failed


def plain(said: str) -> str:
    """What git's complaint comes to, for a person; never an address, which may hold what is nobody's business."""
    return next((words for sign, words in _COMPLAINTS if sign in said), UNKNOWN)


UNKNOWN, DAMAGED = "git could not do it", "our copy is damaged"

_COMPLAINTS = (
    ("Could not resolve host", "the hub's host has no address"),
    ("Name or service not known", "the hub's host has no address"),
    ("Connection refused", "the hub's host refuses connections"),
    ("No route to host", "no route to the hub's host"),
    ("Host key verification failed", "the hub's host shows an unknown key"),
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "the hub's host shows another key"),
    ("Permission denied (", "the hub's host does not let us in"),
    ("terminal prompts disabled", "the hub asks for a password"),
    ("could not read Username", "the hub asks for a password"),
    ("Authentication failed", "the hub does not let us in"),
    ("dubious ownership", "the hub belongs to another user: git needs safe.directory"),
    ("No space left on device", "the hub's disk is full"),
    ("Disk quota exceeded", "the hub's disk is full"),
    ("object file", DAMAGED),
    ("loose object", DAMAGED),
    ("bad object", DAMAGED),
    ("pack-objects died", DAMAGED),
    ("does not appear to be a git repository", "there is no repository at the hub"),
    ("not found", "there is no repository at the hub"),
    ("Permission denied", "the hub does not let us write"),
    ("Read-only file system", "the hub does not let us write"),
    ("insufficient permission", "the hub does not let us write"),
    ("hash algorithm", "the hub uses another kind of names than SHA-1"),
    ("pre-receive hook declined", "the hub's own rules turn it down"),
    ("hook declined", "the hub's own rules turn it down"),
    (".lock", "the hub's ref is locked: an old .lock file?"),
    ("timed out", "the hub's host does not answer"),
    ("Connection reset", "the hub's host hung up"),
    ("Connection closed", "the hub's host hung up"),
    ("hung up unexpectedly", "the hub hung up"),
)
