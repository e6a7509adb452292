"""The relay as a conversation: sealed frames of others, kept, passed on, or refused. The frames are real."""

from itertools import count

import msgspec
import pytest

from engine.config import Config, LimitsConfig
from engine.effects import Answer, Deliver, Save
from engine.health.cascade import HOP_LIMIT
from engine.mail import flood, freight
from engine.mail.relay import candidates
from engine.model.channel import Channel, ChannelState
from engine.model.envelope import ID_LIMIT, KINDS, Envelope, Kind
from engine.model.mail import Parcel
from engine.model.packets import Forward, Heartbeat, pack, unpack
from engine.model.peer import Peer, Standing
from engine.model.records import AddOutbox
from engine.rooms import sorted_out
from engine.security.identity import Identity
from engine.security.seal import Sealer
from engine.signals import Arrived, ForwardCame, Transited
from engine.state import Fleet
from tests.engine.script import EPOCH, T0_MS, Script, fleet, letter, parcel, receipt, roster, with_health

KEYS = {name: Identity(name.encode() * 32) for name in "ABCD"}
A, B, C, D = (KEYS[name].id for name in "ABCD")


def network() -> Script:
    """B, which reaches A, C and D over P1 and P2; ids are those of real keys."""
    return Script(fleet(A, B, C, D, me=B))


def frame(
    kind: Kind = Kind.CONTEXT, dst: str = C, msg_id: str = "m1", hop: int = 0, ttl_s: int = 60, body: bytes = b"x"
) -> bytes:
    """A frame sealed from A."""
    return sealer().seal(Envelope(A, EPOCH, 1, dst, msg_id, kind, created_ms=T0_MS, ttl_s=ttl_s, hop=hop, body=body))


def sealer() -> Sealer:
    """A's."""
    numbers = count(1)
    sealer = Sealer(KEYS["A"], "f", lambda size: next(numbers).to_bytes(size))
    members = tuple(
        msgspec.structs.replace(member, bundle=KEYS[name].bundle)
        for name, member in zip("ABCD", roster(A, B, C, D).members, strict=True)
    )
    sealer.trust(msgspec.structs.replace(roster(A, B, C, D), members=members))
    return sealer


def came(data: bytes, dst: str = C, hop: int = 1) -> ForwardCame:
    return ForwardCame(A, Forward(dst, hop, data))


def carried(script: Script) -> list[Envelope]:
    """What the last signal made us send."""
    return [effect.envelope for effect in script.effects if isinstance(effect, Deliver)]


def test_mail_becomes_mail_of_our_own() -> None:
    """Taken into our own outbox, durably and before anything is answered, and sent on as it is."""
    script = network()
    data = frame()
    said = script.hear(came(data))
    assert said[0].startswith("save fwd-")
    (ours,) = carried(script)
    assert (ours.kind, ours.dst, ours.thread, ours.ttl_s, ours.hop) == (Kind.FORWARD, C, f"m1 {A}", 60, 1)
    assert unpack(Kind.FORWARD, ours.body) == Forward(C, 1, data)
    assert script.fleet.mail.waiting == 0, "people count their own messages"


def test_the_relays_answer_waits_for_its_row() -> None:
    """What A hears as "landed" is behind the commit: in one turn the row is saved before the answer."""
    script = network()
    wrapped = Envelope(A, EPOCH, 1, B, "p", Kind.PASS, body=pack(Forward(C, 1, frame())))
    script.hear(Arrived((Parcel(wrapped),), Channel.NATS, token=4))
    strict, _, _, rest = sorted_out(script.effects)
    assert [record.envelope.thread for record in strict if isinstance(record, AddOutbox)] == [f"m1 {A}"]
    assert any(isinstance(effect, Answer) for effect in rest)


def test_what_we_carry_already_is_taken_once() -> None:
    """A asks again, sealed anew: we have it. After its receiver has it, it may be given to us again."""
    script = network()
    script.hear(came(frame()))
    assert script.hear(came(frame())) == []
    script.hear(acknowledged_by(C))
    assert script.fleet.mail.forwards.get((C, "m1")) is None
    assert script.asked(Save, came(frame())) != []


def acknowledged_by(src: str, number: int = 1) -> Arrived:
    """That peer holds the first messages we sent it."""
    (one,) = receipt((EPOCH, number), seq=1, src=src).parcels
    return Arrived((Parcel(msgspec.structs.replace(one.envelope, dst=B)),), Channel.NATS)


@pytest.mark.parametrize("kind", [kind for kind, spec in KINDS.items() if not spec.durable])
def test_a_pulse_is_passed_on_at_once_or_forgotten(kind: Kind) -> None:
    """No row, no retry: over the best direct channel now, or not at all."""
    script = network()
    data = frame(kind)
    assert script.hear(came(data)) == [f"deliver pass to {C} over nats"]
    assert unpack(Kind.PASS, carried(script)[0].body) == Forward(C, 1, data)
    alone = Script(fleet(A, B, C, me=B, up=()))
    assert alone.hear(came(data)) == []


def test_a_ping_is_not_stored_for_a_machine_that_is_away() -> None:
    """A receipt may lie in a folder until its node is back; a ping a second would fill it."""
    script = Script(fleet(A, B, C, me=B, up=(Channel.SEED,), standing=Standing.UNREACHABLE))
    assert script.hear(came(frame(Kind.RECEIPT))) == [f"deliver pass to {C} over seed"]
    assert script.hear(came(frame(Kind.PING))) == []


def test_a_receipt_on_its_way_back() -> None:
    """C's receipt for A came in C's answer to us: it goes on to A."""
    script = network()
    data = frame(Kind.RECEIPT, dst=A)
    assert script.hear(Transited(C, A, data)) == [f"deliver pass to {A} over nats"]


@pytest.mark.parametrize("hop", [-1, 0, HOP_LIMIT + 1, 99])
def test_hops_are_limited(hop: int) -> None:
    """A frame passes two relays; a count that cannot be is refused."""
    assert any("rejected misaddressed" in line for line in network().hear(came(frame(), hop=hop)))


def test_the_second_relay_goes_straight() -> None:
    """After two relays only direct channels are used."""
    value = fleet(A, B, C, D, me=B, up=(Channel.RELAY,))
    script = Script(value)
    assert script.asked(Deliver, came(frame(), hop=1)) != []
    script = Script(value)
    assert script.asked(Deliver, came(frame(), hop=2)) == []


def test_refused_frames() -> None:
    """For nobody we know, unreadable, or of a kind nobody knows: refused, counted, kept nowhere."""
    for signal, why in (
        (came(frame(), dst="Z"), "misaddressed"),
        (came(b"FLT?"), "garbage"),
        (came(b""), "garbage"),
        (came(frame()[:-32] + bytes(32)), "unsigned"),
    ):
        script = network()
        assert any(f"rejected {why}" in line for line in script.hear(signal))
        assert script.fleet.mail.lanes.get(C) is None


def test_an_id_of_any_length_passes_both_relays() -> None:
    """The id of our wrapper does not grow with that of the frame in it, so what one relay made passes the next one."""
    script = network()
    script.hear(came(frame(msg_id="m" * ID_LIMIT)))
    (ours,) = carried(script)
    assert len(ours.msg_id) < ID_LIMIT
    far = Script(fleet(A, B, C, D, me=D))
    wrapped = msgspec.structs.replace(ours, src=A, seq=1, src_epoch=EPOCH)
    far.hear(ForwardCame(B, Forward(C, 2, sealer().seal(wrapped))))
    assert [one.kind for one in carried(far)] == [Kind.FORWARD]


def passed(first: int, last: int, size: int = 1, src: str = A, dst: str = C) -> Arrived:
    """Frames for somebody else, handed to us by `src` in one delivery."""
    numbers = range(first, last + 1)
    frames = [frame(msg_id=f"{src}-{number}", dst=dst, body=bytes(size)) for number in numbers]
    wrapped = [
        Envelope(src, EPOCH, number, B, f"p{number}", Kind.PASS, body=pack(Forward(dst, 1, one)))
        for number, one in zip(numbers, frames, strict=True)
    ]
    return Arrived(tuple(map(Parcel, wrapped)), Channel.NATS, token=4)


def test_one_member_fills_half_of_the_room_and_another_has_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes and in frames, also of one delivery: a share is as large as what is left. What is not carried is
    answered with nothing; what its receiver has makes room, and a start counts the same."""
    monkeypatch.setattr(freight, "FRAMES", 8)
    script = network()
    said = script.hear(passed(1, 6))
    assert script.fleet.mail.burdens[A].frames == 4
    assert [line for line in said if line.startswith("answer")] == ["answer 4: "]
    assert any(line.startswith("answer 4: to ") for line in script.hear(passed(1, 2, src=D)))
    assert {by: one.frames for by, one in script.fleet.mail.burdens.items()} == {A: 4, D: 2}
    assert freight.borne(script.fleet.mail.forwards) == script.fleet.mail.burdens
    script.hear(acknowledged_by(C, 6))
    assert not script.fleet.mail.burdens
    monkeypatch.setattr(freight, "BYTES", 10_000)
    script.hear(passed(7, 13, size=1_000))
    script.hear(passed(3, 4, size=1_000, src=D))
    assert 4_000 < script.fleet.mail.burdens[A].size < 6_500
    assert script.fleet.mail.burdens[D].size > 1_000


def test_frames_to_carry_are_in_their_bearers_bucket() -> None:
    """Beyond the bound nothing more is taken of that member, whatever for whom; a frame it gave us before is not
    counted, and a finding names it."""
    script = Script(fleet(A, B, C, D, me=B, config=Config(limits=LimitsConfig(flood=3))))
    script.hear(passed(1, 2))
    script.hear(passed(1, 2))
    script.hear(passed(3, 5))
    assert len(script.fleet.mail.forwards) == 3
    assert (flood.FLOODS, A) in script.fleet.findings
    script.hear(passed(1, 1, src=D))
    assert len(script.fleet.mail.forwards) == 4


def knowing(**reaches: str) -> Fleet:
    """A, which reaches everybody, and who of them says to reach whom."""
    value = fleet(*"ABCDEZ")
    for name, others in reaches.items():
        beat = Heartbeat(T0_MS, "1", reaches=tuple(others))
        value = msgspec.structs.replace(value, peers=value.peers.set(name, Peer(name, Standing.ALIVE, beat=beat)))
    return value


@pytest.mark.parametrize(
    ("reaches", "order"),
    [
        pytest.param({}, "BCDE", id="nothing is known"),
        pytest.param({"D": "Z"}, "DBCE", id="who reaches it comes first"),
        pytest.param({"E": "BCD"}, "BCDE", id="reaching others is no help"),
    ],
)
def test_the_likeliest_relay_is_asked_first(reaches: dict[str, str], order: str) -> None:
    """By what peers say of themselves; a dead end would keep what it took."""
    assert list(candidates(knowing(**reaches), "Z")) == list(order)


def test_where_nobody_reaches_it_who_reaches_somebody_that_does() -> None:
    """D reaches it and is out of our sight; C reaches D."""
    value = knowing(C="D", D="Z")
    value = msgspec.structs.replace(
        value, peers=value.peers.set("D", msgspec.structs.replace(value.peers["D"], standing=Standing.STALE))
    )
    assert list(candidates(value, "Z")) == ["C", "B", "E"]


def test_no_relay_where_nobody_is() -> None:
    """Neither the peer itself, nor who is not ALIVE, nor whom we do not reach directly."""
    value = knowing(B="Z", C="Z")
    value = msgspec.structs.replace(value, peers=value.peers.set("B", Peer("B", Standing.SUSPECT)))
    for channel in (Channel.NATS, Channel.HTTP):
        value = with_health(value, "C", channel, state=ChannelState.BROKEN)
    assert list(candidates(value, "Z")) == ["D", "E"]


def test_a_member_that_left_is_nobody() -> None:
    """Nothing is carried to whom the roster names no longer."""
    script = network()
    members = tuple(
        msgspec.structs.replace(member, left_ms=5) if member.id == C else member
        for member in script.fleet.roster.members
    )
    script.fleet = msgspec.structs.replace(
        script.fleet, roster=msgspec.structs.replace(script.fleet.roster, members=members)
    )
    assert any("rejected misaddressed" in line for line in script.hear(came(frame())))


def test_a_wrapper_is_a_number_and_nothing_else() -> None:
    """A FORWARD that came to its receiver: its number is held; the frame in it was a parcel of its own."""
    script = Script(fleet("A", "B"))
    wrapper = parcel("w", 1, kind=Kind.FORWARD, body=pack(Forward("A", 1, b"")))
    inner = Parcel(letter("m", "A", "C", seq=4), relay="B")
    assert (
        script.hear(Arrived((wrapper, inner), Channel.NATS, 3))[0]
        == "save inbox m, stream B 5000:1, stream C 5000:0+08"
    )


def test_what_is_not_carried_on_gets_no_receipt() -> None:
    """A relay that throws a frame away must not let its giver think that it landed, nor wait for a receipt."""
    script = Script(fleet("C", "A", "B"))
    handed = parcel("p1", 1, src="A", kind=Kind.PASS, body=pack(Forward("nobody", 1, b"frame")))
    effects = script.hear(Arrived((handed,), Channel.NATS, token=5))
    assert [effect for effect in effects if effect.startswith("answer")] == ["answer 5: "]
    assert script.fleet.refusals.counts.get("misaddressed") == 1
