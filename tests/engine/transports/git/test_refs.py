"""How mail lies in a hub, and how git's words are read: tables, without git."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import GitConfig
from engine.model.envelope import CARRIAGE_LIMIT
from engine.transports.git.refs import (
    BYTES,
    FILES,
    UNKNOWN,
    Blob,
    Poison,
    bodies,
    contents,
    kept,
    listed,
    numbered,
    plain,
    pushed,
    ref,
    rest_s,
    stale,
    tree,
    whole,
)

A, B, SHA = "a" * 16, "b" * 16, "0" * 40


def test_only_our_own_refs_are_listed() -> None:
    """Branches, tags, refs with more or fewer parts, and ids that no node has are passed over."""
    strange = ["refs/heads/main", "refs/fleet/inbox/x/y", f"refs/fleet/inbox/{A}/{B}/c", f"refs/fleet/inbox/../{A}/{B}"]
    lines = [f"{SHA}\t{one}" for one in (ref(A, B), *strange)]
    assert listed("\n".join(["warning: something", *lines])) == {(A, B): SHA}


def entry(number: int, size: int = 5, mode: str = "100644 blob") -> str:
    return f"{mode} {SHA} {size:>7}\t{number:08d}"


def test_deliveries_are_read_in_their_order() -> None:
    """The number is the order, whatever order git prints."""
    assert [one.number for one in contents(f"{entry(3)}\n{entry(1)}\n{entry(2)}")] == [1, 2, 3]
    assert contents("") == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (entry(1, mode="100755 blob"), "garbage"),
        (entry(1, mode="120000 blob"), "garbage"),
        (entry(1, mode="040000 tree"), "garbage"),
        (f"160000 commit {SHA}       -\t00000001", "garbage"),
        (f"100644 blob {SHA}       5\t../00000001", "garbage"),
        (f"100644 blob {SHA}       5\tREADME", "garbage"),
        ("\n".join(map(entry, range(FILES + 1))), "oversized"),
        (entry(1, CARRIAGE_LIMIT + 1), "oversized"),
        ("\n".join(entry(number, CARRIAGE_LIMIT) for number in range(3)), "oversized"),
        (entry(1, 10**12), "garbage"),
    ],
)
def test_what_is_no_mail_is_poison(text: str, why: str) -> None:
    """Links, folders, other names, too many and too much are refused before anything of it is read."""
    with pytest.raises(Poison) as poison:
        contents(text)
    assert poison.value.code == why


def test_bodies_are_what_was_asked_for() -> None:
    """Frames may hold anything, line ends too; what git did not find is no frame."""
    blobs = [Blob("1" * 40, 3, 1), Blob("2" * 40, 2, 2)]
    said = b"%s blob 3\n\n\n\n\n%s blob 2\nxy\n" % (b"1" * 40, b"2" * 40)
    assert bodies(said, blobs) == [b"\n\n\n", b"xy"]
    with pytest.raises(Poison):
        bodies(b"%s missing\n" % (b"1" * 40), blobs)


@given(st.lists(st.integers(1, CARRIAGE_LIMIT), max_size=300), st.lists(st.integers(1, 1_000), min_size=1, max_size=20))
def test_what_is_carried_along_fits(old: list[int], new: list[int]) -> None:
    """The newest of the old stay, without a gap, and with the new ones they are no more than a receiver takes."""
    blobs = [Blob(SHA, size, number) for number, size in enumerate(old, 1)]
    found = kept(blobs, [bytes(size) for size in new])
    assert found == blobs[len(blobs) - len(found) :]
    assert len(found) + len(new) <= FILES
    assert sum(one.size for one in found) + sum(new) <= BYTES
    if len(found) < len(blobs):
        dropped = blobs[len(blobs) - len(found) - 1]
        full = len(found) + len(new) == FILES
        assert full or sum(one.size for one in found) + dropped.size + sum(new) > BYTES


def test_new_numbers_follow_the_old() -> None:
    """Deliveries are numbered on behind what is carried along, from one where nothing is."""
    assert [(one.number, one.size) for one in numbered([Blob(SHA, 1, 7)], [b"x", b"yz"])] == [(8, 1), (9, 2)]
    assert [one.number for one in numbered([], [b"x"])] == [1]


def test_objects_have_the_names_that_git_gives_them() -> None:
    """The empty blob, the empty tree, and a blob from git's own documentation."""
    assert whole("blob", b"")[0] == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert whole("tree", tree([]))[0] == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    assert whole("blob", b"what is up, doc?")[0] == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"


@pytest.mark.parametrize(
    ("eager", "quiet", "seconds"),
    [
        (False, 0, 2),
        (False, 1, 30),
        (True, 0, 2),
        (True, 60, 2),
        (True, 61, 4),
        (True, 63, 16),
        (True, 64, 30),
        (True, 10**6, 30),
    ],
)
def test_how_often_it_looks(eager: bool, quiet: int, seconds: float) -> None:
    """Often while no other way works, less and less where that lasts, and once more soon after something came."""
    assert rest_s(GitConfig(poll_s=30.0, eager_s=2.0), eager, quiet) == seconds


def test_each_ref_of_a_push_has_its_own_ending() -> None:
    """One that was turned down says nothing of the others."""
    said = f"To hub\n*\t{SHA}:{ref(A, B)}\t[new reference]\n!\t{SHA}:{ref(B, A)}\t[rejected] (stale info)\nDone\n"
    assert pushed(said) == {ref(A, B): "", ref(B, A): "[rejected] (stale info)"}
    assert stale(pushed(said)[ref(B, A)])
    assert not stale("[remote rejected] (pre-receive hook declined)")


def test_a_complaint_names_no_address() -> None:
    """What a person reads holds words of ours; what git said may hold what is nobody's business."""
    said = "fatal: unable to access 'https://token@host/fleet.git/': Could not resolve host: host"
    assert plain(said) == "the hub's host has no address"
    assert plain("fatal: something https://token@host new") == UNKNOWN
