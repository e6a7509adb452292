"""Records for tests, and hypothesis strategies that make them meet: few ids, few peers, every order."""

from hypothesis import strategies as st

from engine.model.channel import Channel
from engine.model.envelope import Envelope, Kind, Rung, Urgency
from engine.model.hop import Addressee, HopState
from engine.model.packets import Heartbeat
from engine.model.peer import Peer, Standing
from engine.model.records import (
    AddEntry,
    AddHop,
    AddInbox,
    AddOutbox,
    AddTry,
    ClimbRung,
    DropStreams,
    MoveHop,
    MoveRung,
    OpenNumber,
    PutMeta,
    PutPeer,
    PutRoster,
    SetCursor,
    SetStream,
    Widen,
)
from engine.model.roster import Roster

ME = "ME"
EPOCH = 1_000


def letter(number: int, *, dst: str = "B", seq: int | None = None, body: bytes = b"hello", **more: object) -> Envelope:
    """A message of ours; its number is `number` unless told."""
    given = number if seq is None else seq
    facts = {"kind": Kind.TASK, "created_ms": 1_700_000_000_000 + number, "ttl_s": 60} | more
    return Envelope(ME, EPOCH, given, dst, f"ID{number:08}", body=body, **facts)  # type: ignore[arg-type]


def arrival(number: int, *, src: str = "B", body: bytes = b"hi", at_ms: int = 5, **more: object) -> AddInbox:
    """A message for us."""
    envelope = Envelope(src, EPOCH, number, ME, f"IN{number:08}", body=body, **({"kind": Kind.TASK} | more))  # type: ignore[arg-type]
    return AddInbox(envelope, at_ms, Channel.NATS, b"tag%d" % number)


ids = st.sampled_from([f"ID{number}" for number in range(5)])
peers = st.sampled_from(["B", "B", "C", "D"])
kinds = st.sampled_from([Kind.TASK, Kind.ALERT, Kind.FORWARD])
channels = st.sampled_from(list(Channel))
texts = st.sampled_from(["", "slow", "an ünïcode reason", "T1"])
moments = st.integers(0, 50)
bodies = st.binary(max_size=12)


@st.composite
def outgoing(draw: st.DrawFn) -> AddOutbox:
    """A message of ours; its number follows from its id, so no number is given to two."""
    msg_id = draw(ids)
    seq = draw(st.sampled_from([0, int(msg_id[2:]) + 1]))
    envelope = Envelope(
        *(ME, EPOCH, seq, draw(peers), msg_id, draw(kinds), draw(st.sampled_from(list(Urgency))), draw(texts)),
        created_ms=draw(moments),
        ttl_s=draw(st.integers(0, 3)),
        hop=draw(st.integers(0, 2)),
        key_epoch=draw(st.integers(0, 2)),
        body=draw(bodies),
    )
    return AddOutbox(envelope, draw(st.none() | channels), draw(st.booleans()))


@st.composite
def widened(draw: st.DrawFn) -> Widen:
    """A message that may go any way."""
    return Widen(draw(ids))


@st.composite
def numbered(draw: st.DrawFn) -> OpenNumber:
    """A number for a message, the same as it would have had at once, in one of two epochs."""
    msg_id = draw(ids)
    return OpenNumber(msg_id, draw(st.sampled_from([EPOCH, EPOCH + 1])), int(msg_id[2:]) + 1)


@st.composite
def incoming(draw: st.DrawFn) -> AddInbox:
    """A message for us, from one of the peers."""
    envelope = Envelope(
        *(draw(peers), EPOCH, draw(st.integers(1, 9)), ME, draw(ids), draw(kinds), Urgency.NORMAL, draw(texts)),
        body=draw(bodies),
    )
    return AddInbox(envelope, draw(moments), draw(channels), draw(st.sampled_from([b"", b"tag"])))


epochs = st.integers(1, 4)
beats = st.none() | st.builds(Heartbeat, sent_ms=moments, version=st.just("0.1"), branch=texts)
known_peers = st.builds(
    Peer,
    id=peers,
    standing=st.sampled_from(Standing),
    heard_ms=moments,
    heard_mono=st.none() | st.just(1.5),
    beat=beats,
)
rosters = st.builds(Roster, st.just("F"), texts, st.integers(1, 9), moments, st.just(()))
facts = st.dictionaries(texts, texts, max_size=2)
streams = st.builds(SetStream, peers, epochs, st.integers(0, 9), st.sampled_from([b"", b"\x05", b"\x00\x01"]))
moves = st.builds(MoveRung, ids, st.sampled_from(Rung), moments, st.none() | channels, texts)
tries = st.builds(AddTry, ids, channels, st.sampled_from(["confirmed", "lost"]), st.floats(0, 9), moments, texts)
climbs = st.builds(
    ClimbRung, ids, peers, st.sampled_from(Rung), moments, texts, st.none() | channels, st.integers(0, 9)
)
hop_states = st.sampled_from(HopState)
addressees = st.builds(Addressee, ids, peers, st.sampled_from(["T1", "work"]), moments)
hops = st.builds(AddHop, addressees, hop_states, moments, texts)
hop_moves = st.builds(MoveHop, ids, peers, hop_states, moments, texts, st.integers(0, 3))
cursors = st.builds(SetCursor, st.sampled_from(["T1", "work"]), st.integers(1, 30))
floors = st.builds(DropStreams, peers, epochs)
rare = (
    numbered(),
    widened(),
    cursors,
    st.builds(PutPeer, known_peers),
    st.builds(PutRoster, rosters),
    st.builds(PutMeta, texts, bodies),
    st.builds(lambda epoch: PutMeta("store.epoch", b"%d" % epoch), st.integers(1, 9_999)),
    st.builds(AddEntry, moments, texts, texts, texts, facts),
)
# What meets comes often, or it would not.
often = (outgoing(), incoming(), moves, tries, climbs, hops, hop_moves, streams, floors)
records = st.one_of(*rare, *often * 3)
submissions = st.lists(st.lists(records, max_size=8), min_size=2, max_size=12)
