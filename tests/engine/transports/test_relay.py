"""P3 claims what the relay proved, and no more."""

import pytest

from engine.model.channel import Outcome, Verdict
from engine.transports.relay import Relay
from tests.nodes import Target

PEER = Target("peer", (), b"")


class Carrier:
    """An engine's `carry` that answers as told and keeps what it was asked. `others`: how it ends for these relays."""

    def __init__(self, outcome: Outcome, **others: Outcome):
        self.outcome, self.others = outcome, others
        self.asked: list[tuple[str, str, bytes, float]] = []

    async def __call__(self, over: str, to: str, data: bytes, budget_s: float) -> Outcome:
        self.asked.append((over, to, data, budget_s))
        return self.others.get(over, self.outcome)


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        (Outcome(Verdict.BARRED, "not connected to the broker", hard=True), ["chief", "other"]),
        (Outcome(Verdict.LOST, "refused", hard=True), ["chief", "other"]),
        (Outcome(Verdict.LOST, "no answer in 5 s"), ["chief"]),
        (Outcome(Verdict.REFUSED, "busy", hard=True), ["chief"]),
    ],
)
async def test_the_next_relay_is_asked_where_the_first_got_nothing(first: Outcome, asked: list[str]) -> None:
    """What plainly went nowhere goes to the next at once; what may have arrived, or was refused, does not."""
    carrier = Carrier(Outcome(Verdict.CONFIRMED), chief=first)
    outcome = await Relay(lambda target: ["chief", "other"], carrier).deliver(b"frames", PEER, 5.0)
    assert [over for over, *_ in carrier.asked] == asked
    assert outcome.verdict is (Verdict.LANDED if len(asked) > 1 else first.verdict)


async def test_the_first_candidate_carries() -> None:
    """The chief is named first and asked first; frames, destination and budget are passed on as they are."""
    carrier = Carrier(Outcome(Verdict.CONFIRMED, reply=b"receipt"))
    relay = Relay(lambda target: ["chief", "other"], carrier)
    outcome = await relay.deliver(b"frames", PEER, 5.0)
    assert carrier.asked == [("chief", "peer", b"frames", 5.0)]
    assert (outcome.verdict, outcome.reply) == (Verdict.LANDED, b"receipt")


async def test_without_anybody_between_it_is_barred() -> None:
    """Nobody reaches both: the reason is told before and after trying."""
    relay = Relay(lambda target: [], Carrier(Outcome(Verdict.CONFIRMED)))
    assert relay.ready(PEER) == "no peer reaches both"
    outcome = await relay.deliver(b"frames", PEER, 5.0)
    assert (outcome.verdict, outcome.hard) == (Verdict.BARRED, True)


@pytest.mark.parametrize("verdict", [Verdict.LOST, Verdict.REFUSED, Verdict.BARRED])
def test_ready_with_a_candidate(verdict: Verdict) -> None:
    """One candidate is enough to try."""
    assert Relay(lambda target: ["chief"], Carrier(Outcome(verdict))).ready(PEER) is None


@pytest.mark.parametrize("verdict", [Verdict.LOST, Verdict.REFUSED, Verdict.BARRED, Verdict.LANDED])
async def test_a_failure_is_the_relays(verdict: Verdict) -> None:
    """What went wrong went wrong on the way to the relay; its certificate is not the peer's, so it is no pin alarm."""
    relay = Relay(lambda target: ["chief"], Carrier(Outcome(verdict, "why", hard=True, pin=True)))
    outcome = await relay.deliver(b"frames", PEER, 5.0)
    assert outcome.verdict is verdict
    assert outcome.note == "why"
    assert not outcome.pin
