"""The story of a message, as people read it."""

import msgspec
import pytest
from immutables import Map

from engine.effects import Save
from engine.mail.story import summed, tell
from engine.mail.waits import foretold, under_way, waits
from engine.model.channel import Channel, ChannelState
from engine.model.envelope import Envelope, Kind, Rung
from engine.model.mail import Lane, Waiting
from engine.model.peer import Standing
from engine.model.records import AddTry
from engine.model.story import Story, TryLine, as_ended, beside, relayed
from engine.signals import Posted
from tests.engine.script import EPOCH, T0_MS, Script, fleet, letter, moment, receipt, with_health

P1, P2, P3, P8 = Channel.NATS, Channel.HTTP, Channel.RELAY, Channel.TEXT


def story(rung: Rung, *tries: TryLine, channel: Channel | None = None, reason: str = "", session: str = "") -> Story:
    return Story("m1", "berlin", Kind.TASK, rung, channel, tries, reason, session=session)


@pytest.mark.parametrize(
    ("told", "standing", "sentence"),
    [
        (
            story(Rung.QUEUED, reason="its inbox was read", session="work"),
            Standing.ALIVE,
            "It was handed to work on berlin: its inbox was read.",
        ),
        (
            story(Rung.ON_HOST, TryLine(P1, "confirmed", 3.25), channel=P1),
            Standing.ALIVE,
            "P1 nats answered in 3.2 ms. It is on berlin's disk, proved over P1 nats.",
        ),
        (
            story(Rung.ON_HOST, TryLine(P1, "lost", 3_000, "no answer"), TryLine(P2, "confirmed", 120), channel=P2),
            Standing.ALIVE,
            "P1 nats gave no answer in 3.0 s (no answer), then P2 http answered in 0.1 s. "
            "It is on berlin's disk, proved over P2 http.",
        ),
        (
            story(Rung.ACCEPTED),
            Standing.ALIVE,
            "It is accepted here and not proved at berlin yet; it is tried until it is.",
        ),
        (
            story(Rung.ACCEPTED, *[TryLine(P1, "barred", 0, "no address")] * 4),
            Standing.OFFLINE,
            "P1 nats could not be tried (no address), 4 times. It is accepted here and not proved at berlin yet; "
            "berlin is offline: it is kept and tried again when berlin is back.",
        ),
        (
            story(Rung.ACCEPTED, TryLine(P3, "landed", 12, "paris took it")),
            Standing.UNREACHABLE,
            "P3 relay took it in 12.0 ms, the peer's own receipt was still owed (paris took it). "
            "It is accepted here and not proved at berlin yet; "
            "berlin is unreachable: it is kept and tried again when berlin is back.",
        ),
        (
            story(Rung.EXPIRED, TryLine(P2, "refused", 5), reason="its time to live ended"),
            Standing.ALIVE,
            "P2 http was refused after 5.0 ms. It was not proved at berlin: its time to live ended.",
        ),
        (
            story(
                Rung.SEEN,
                *[TryLine(P1, "confirmed", 3.25), TryLine(P8, "posted", 7.0), TryLine(P8, "seen", 2_007.0)],
                channel=P1,
                session="work",
            ),
            Standing.ALIVE,
            "P1 nats answered in 3.2 ms. Typed into work 7.0 ms later, then seen 2.0 s later. "
            "It was seen in work on berlin.",
        ),
        (
            story(Rung.ON_HOST, *[TryLine(P2, "lost", 5_003.0, "no answer in 5 s")] * 2, channel=P1),
            Standing.ALIVE,
            "P2 http gave no answer in 5.0 s, 2 times. It is on berlin's disk, as its receipt over P1 nats says.",
        ),
        (
            story(Rung.HELD, TryLine(P1, "confirmed", 3.25), reason="the session is busy", session="work"),
            Standing.ALIVE,
            "P1 nats answered in 3.2 ms. It is on berlin's disk and held back from work: the session is busy.",
        ),
        (
            story(Rung.REFUSED, reason="no such session"),
            Standing.ALIVE,
            "berlin refused it: no such session.",
        ),
        (story(Rung.DEAD, reason="berlin was revoked"), Standing.LEFT, "It was given up: berlin was revoked."),
        (story(Rung.SEEN, channel=P1), Standing.ALIVE, "It was seen in its session on berlin."),
    ],
)
def test_sentence(told: Story, standing: Standing, sentence: str) -> None:
    """What was tried, what proved it, what it waits for: one or two sentences."""
    assert tell(told, waits(fleet("A", "berlin", standing=standing), "berlin", told)) == sentence


@pytest.mark.parametrize("rung", list(Rung))
@pytest.mark.parametrize("standing", list(Standing))
def test_every_rung_has_a_sentence(rung: Rung, standing: Standing) -> None:
    """Nothing a message can come to is without words, and every story names its recipient or its end."""
    said = tell(story(rung), waits(fleet("A", "berlin", standing=standing), "berlin", story(rung)))
    assert said.endswith(".")
    assert "{" not in said


# ------------------------------------------------------------------------------------------------ what it waits for


def test_other_channels_work_and_it_may_not_use_them() -> None:
    """A message whose kind has no channel left names those that work, and the command that lets it use them."""
    value = fleet("A", "berlin", up=(P1, Channel.SSH, Channel.GIT))
    value = with_health(value, "berlin", P1, state=ChannelState.BROKEN)
    assert waits(value, "berlin", story(Rung.ACCEPTED)) == (
        "no channel that a task may use works now: ssh and git do; `fleet resend m1 --any` would use them"
    )


def test_what_only_keeps_it_does_not_work() -> None:
    """To a peer that is away a relay carries nothing yet: it would keep it meanwhile."""
    value = fleet("A", "berlin", standing=Standing.OFFLINE, up=(P3,))
    alert = msgspec.structs.replace(story(Rung.ACCEPTED), kind=Kind.ALERT)
    assert waits(value, "berlin", alert) == (
        "no channel that an alert may use works now: relay would keep it until berlin is back; "
        "`fleet resend m1 --any` would use it"
    )


def test_what_a_person_holds_back_is_named() -> None:
    """Where channels work and are held, that is why it waits; `--any` is named where it would use something else."""
    value = fleet("A", "berlin", up=(P1, P2, Channel.SSH))
    for channel in (P1, P2):
        value = with_health(value, "berlin", channel, held=True)
    held = "nats and http are held back by you; `fleet hold berlin nats --off` releases nats"
    assert waits(value, "berlin", story(Rung.ACCEPTED)) == f"{held}, and `fleet resend m1 --any` would use ssh"
    value = with_health(value, "berlin", Channel.SSH, state=ChannelState.BROKEN)
    assert waits(value, "berlin", story(Rung.ACCEPTED)) == held
    assert waits(value, "berlin", story(Rung.ACCEPTED, TryLine(P1, "lost", 1.0))) == held
    value = with_health(value, "berlin", P1, state=ChannelState.BROKEN)
    one = "http is held back by you; `fleet hold berlin http --off` releases it"
    assert waits(value, "berlin", story(Rung.ACCEPTED)) == one
    value = with_health(value, "berlin", P2, held=False)
    assert waits(value, "berlin", story(Rung.ACCEPTED)) == "it is tried until it is"


def test_the_one_channel_it_may_use_is_not_set_up() -> None:
    """A message that may go one way only says what stands in that way."""
    value = fleet("A", "berlin")
    value = with_health(value, "berlin", Channel.CLOUD, state=ChannelState.ABSENT, reason="no trigger configured")
    kept = Waiting(Envelope("A", 1, 1, "berlin", "m1", Kind.TASK), via=Channel.CLOUD)
    mail = msgspec.structs.replace(value.mail, lanes=Map({"berlin": Lane(open=Map({(1, 1): kept}))}), waiting=1)
    value = msgspec.structs.replace(value, mail=mail)
    assert waits(value, "berlin", story(Rung.ACCEPTED)) == (
        "only cloud may carry it (no trigger configured), and it is tried until it has"
    )


def test_a_hold_that_was_passed_over_is_told() -> None:
    """Whoever names a channel goes over it though it is held back, and the story says so, delivered or not."""
    value = with_health(fleet("A", "berlin"), "berlin", P1, held=True)
    assert foretold(value, "berlin", story(Rung.ACCEPTED), P1) == (
        "only nats may carry it (held back by you, but named for this message), and it is tried until it has"
    )
    done = TryLine(P1, "confirmed", 3.25, "held back by you, but named for this message")
    assert tell(story(Rung.ON_HOST, done, channel=P1), "") == (
        "P1 nats answered in 3.2 ms (held back by you, but named for this message). "
        "It is on berlin's disk, proved over P1 nats."
    )


def test_what_was_never_tried_is_not_tried_again() -> None:
    """With no channel there was nothing to try: that is said, not that it goes on."""
    kept = story(Rung.ACCEPTED)
    assert waits(fleet("A", "berlin", up=()), "berlin", kept) == (
        "no channel to berlin works now; it goes as soon as one does"
    )
    assert waits(fleet("A", "berlin"), "berlin", kept) == "it is tried until it is"
    away = fleet("A", "berlin", standing=Standing.OFFLINE, up=())
    assert waits(away, "berlin", kept) == "berlin is offline: it is kept and tried when berlin is back"
    once = story(Rung.ACCEPTED, TryLine(P1, "lost", 1.0))
    assert waits(fleet("A", "berlin", up=()), "berlin", once) == "it is tried again until it is"


def test_a_task_is_queued_at_the_chief() -> None:
    """What a relay took is queued there, by its name and office."""
    took = TryLine(P3, "landed", 12, "relay A: has it")
    told = waits(fleet("A", "berlin", standing=Standing.OFFLINE), "berlin", story(Rung.ACCEPTED, took))
    assert told == "it is queued at A (chief), which passes it on when it reaches berlin"


def test_who_took_it_is_read_from_what_was_noted() -> None:
    """As every store holds it; what a relay did not take, and what no relay carried, is kept by none."""
    assert relayed("A", "has it") == "relay A: has it"
    for channel, outcome, keeper in ((P3, "landed", "A"), (P3, "refused", ""), (P1, "landed", "")):
        assert TryLine(channel, outcome, 12, relayed("A", "has: it")).keeper == keeper
    assert TryLine(P3, "landed", 12).keeper == ""


def test_a_group_in_a_sentence() -> None:
    """One message to several says how many have it, who is waited for, and who will never have it."""
    copies = (story(Rung.ON_HOST), story(Rung.SEEN), story(Rung.ACCEPTED), story(Rung.DEAD))
    assert summed(copies) == "2 of 4 on host; waiting for berlin; not delivered to berlin"


def test_a_try_is_told_when_it_was_overtaken_and_once_when_it_ended() -> None:
    """The end replaces what was told before; another try of the same channel is another line."""
    overtaken, ended = TryLine(P1, "overtaken", 2.0), TryLine(P1, "confirmed", 3.0)
    assert as_ended((overtaken,)) == (overtaken,)
    assert as_ended((TryLine(P2, "lost", 1.0), overtaken, ended)) == (TryLine(P2, "lost", 1.0), ended)
    assert as_ended((ended, overtaken)) == (ended, overtaken)


def test_what_an_older_store_has_flying_was_overtaken() -> None:
    """It was written when the receipt came; its end, where one was heard, replaces it as well."""
    flying, ended = TryLine(P1, "flying", 2.0, at=1_000), TryLine(P1, "lost", 3.0, at=1_003)
    assert as_ended((flying,)) == (TryLine(P1, "overtaken", 2.0, at=1_002),)
    assert as_ended((flying, ended)) == (ended,)


def test_a_try_without_an_answer_proved_nothing() -> None:
    """Where a receipt came over the channel of a try that was not answered, the story says so, and no more."""
    took = TryLine(P3, "landed", 12.0, "relay C: has it")
    overtaken = TryLine(P2, "overtaken", 200.0, "its receipt came over http")
    assert tell(story(Rung.ON_HOST, took, overtaken, channel=P2), "") == (
        "P3 relay took it in 12.0 ms, the peer's own receipt was still owed (relay C: has it), then P2 http had not "
        "ended after 0.2 s (its receipt came over http). It is on berlin's disk, as its receipt says."
    )
    assert tell(story(Rung.ON_HOST, took, overtaken, channel=P3), "").endswith("disk, proved over P3 relay.")


def test_what_never_ends_is_closed_by_its_receipt() -> None:
    """A try that is dropped, or broken off by a death, leaves no open end in the store once its message is proved."""
    script = Script(fleet("A", "B"))
    script.hear(Posted(letter("m1"), ticket=1))
    script.hear(receipt((EPOCH, 1), seq=1, via=P2), at=0.2)
    saved = [record for effect in script.effects if isinstance(effect, Save) for record in effect.records]
    assert AddTry("m1", P1, "overtaken", 200.0, T0_MS + 200, "its receipt came over http") in saved


def test_tries_stand_by_their_beginnings() -> None:
    """The hedge that was faster came after what it was started beside; what came after a failure stepped in for it.
    A word on what was seen may come before the one on what was typed, and is by another clock."""
    hedge, slow = TryLine(P2, "confirmed", 12.0, at=1_062), TryLine(P1, "confirmed", 64.0, at=1_064)
    seen = TryLine(P8, "seen", 2_000.0, at=3_050)
    assert as_ended((hedge, slow, seen)) == (slow, hedge, seen)
    assert beside(slow, hedge)
    typed = TryLine(P8, "posted", 7.0, at=900)
    assert as_ended((hedge, slow, seen, typed)) == (slow, hedge, typed, seen)
    lost, then = TryLine(P1, "lost", 0.2, at=1_000), TryLine(P2, "confirmed", 14.3, at=1_014)
    assert as_ended((lost, then)) == (lost, then)
    assert not beside(lost, then)
    set_back = msgspec.structs.replace(slow, at=500)
    assert as_ended((hedge, set_back)) == (hedge, set_back)
    told = story(Rung.ON_HOST, *as_ended((hedge, slow)), channel=P2)
    assert tell(told, "") == (
        "P1 nats answered in 64.0 ms, and beside it P2 http answered in 12.0 ms. "
        "It is on berlin's disk, proved over P2 http."
    )


def test_what_flies_has_its_channel_and_its_age() -> None:
    """A message that waits for its first answer has been tried, and says so."""
    script = Script(fleet("A", "B"))
    script.hear(Posted(letter("m1"), ticket=1))
    assert under_way(script.fleet, "B", "m1", moment(0.25)) == (TryLine(P1, "flying", 250.0, at=T0_MS),)
    assert under_way(script.fleet, "B", "m2", moment(0.25)) == ()
    assert under_way(script.fleet, "", "m1", moment(0.25)) == ()
    said = tell(story(Rung.ACCEPTED, TryLine(P1, "flying", 3_000)), "")
    assert said == "P1 nats had not ended after 3.0 s. It is accepted here and not proved at berlin yet."
