"""Deliveries: signed, retried by their own schedule, given up in the end, against a real receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from itertools import pairwise
from threading import Event

import pytest
from standardwebhooks import Webhook

from actors import wiring
from actors.dispatch_webhook import dispatch_webhook
from actors.flow import endpoint_commands, webhook_queue
from actors.flow.webhook_delivery import JITTER, RETRY_DELAYS_S
from actors.recovery import stuck_work
from platforms import webhook
from store import Store
from store.states import DeliveryStatus, EndpointState
from tests.actors.queues import change_machine, waiting
from tests.actors.webhook_run import WebhookRun
from tests.support.clock import Clock
from tests.support.receiver import Receiver, receiving

DELIVERED, FAILED, WAITING, MISSED = (
    DeliveryStatus.DELIVERED, DeliveryStatus.FAILED, DeliveryStatus.WAITING, DeliveryStatus.MISSED,
)  # fmt: skip
DAY = timedelta(days=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def run(store: Store, monkeypatch: pytest.MonkeyPatch) -> WebhookRun:
    clock = Clock(wiring.machine.now())  # receivers compare the timestamp with their own clock
    change_machine(monkeypatch, now=clock)
    return WebhookRun(store, clock)


def test_an_event_arrives_with_a_signature_that_others_accept(run: WebhookRun, receiver: Receiver) -> None:
    endpoint = run.add(receiver.url)
    run.emit()
    secret = endpoint_commands.signing_secret(wiring.machine, run.endpoint(endpoint))
    run.attempt(endpoint)

    headers, body = receiver.got[0]
    event = Webhook(secret).verify(body, {name.lower(): text for name, text in headers.items()})
    assert event == json.loads(body)
    assert (event["type"], event["data"]["job_id"], event["data"]["sequence"]) == ("job.created", "job", 1)
    assert run.statuses(endpoint) == [DELIVERED]


def test_a_message_that_comes_twice_sends_nothing_twice(run: WebhookRun, receiver: Receiver) -> None:
    endpoint = run.add(receiver.url)
    run.emit()
    token = webhook_queue.token(run.endpoint(endpoint).wake_at)
    dispatch_webhook.fn(endpoint, token)
    dispatch_webhook.fn(endpoint, token)
    assert len(receiver.got) == 1


def test_events_arrive_in_their_order_with_one_message_at_a_time(run: WebhookRun, receiver: Receiver) -> None:
    """However many events wait, the broker has one message for the endpoint."""
    endpoint = run.add(receiver.url)
    run.emit(count=20)
    assert [name for name, _ in waiting()] == ["dispatch_webhook"]
    run.run(endpoint)
    assert [json.loads(body)["data"]["sequence"] for _, body in receiver.got] == list(range(1, 21))


def test_an_unwell_receiver_is_tried_for_two_days(run: WebhookRun, receiver: Receiver) -> None:
    receiver.status = 503
    start = run.clock.moment
    endpoint = run.add(receiver.url)
    run.emit()
    run.run(endpoint)
    assert len(receiver.got) == len(RETRY_DELAYS_S) + 1
    assert len(set(receiver.ids)) == 1
    assert run.statuses(endpoint) == [FAILED]
    assert run.clock.moment - start > 2 * DAY * (1 - JITTER)


@pytest.mark.parametrize("status", [301, 308, 400, 401, 403, 404, 405, 408, 413, 422, 425, 429, 500, 503])
def test_whatever_a_receiver_answers_for_two_minutes_its_event_arrives(
    run: WebhookRun, receiver: Receiver, status: int
) -> None:
    """A deploy, an edited workflow or a new proxy password answers 404, 403 or 401 for some minutes."""
    receiver.status = status
    endpoint = run.add(receiver.url)
    run.emit()
    run.run(endpoint, until=timedelta(minutes=2))
    assert run.statuses(endpoint) == [WAITING]
    receiver.status = 204
    run.run(endpoint)
    assert run.statuses(endpoint) == [DELIVERED]


def test_a_receiver_that_is_gone_is_told_nothing_more(run: WebhookRun, receiver: Receiver) -> None:
    receiver.status = 410
    endpoint = run.add(receiver.url)
    run.emit(count=2)
    run.run(endpoint)
    assert len(receiver.got) == 1
    assert run.statuses(endpoint) == [FAILED, MISSED]
    found = run.endpoint(endpoint)
    assert (found.state, found.disabled_code) == (EndpointState.DISABLED, "gone")


def test_a_receiver_that_asks_for_time_gets_it(run: WebhookRun, receiver: Receiver) -> None:
    """Retry-After raises the delay of the event, and nothing else is sent meanwhile."""
    receiver.status, receiver.headers = 429, {"Retry-After": "1800"}
    endpoint = run.add(receiver.url)
    run.emit(count=3)
    start = run.clock.moment
    run.run(endpoint, until=timedelta(minutes=25))
    assert run.tried_at(endpoint, start) == [timedelta(0)]
    receiver.status = 204
    run.run(endpoint, until=timedelta(minutes=6))
    assert run.statuses(endpoint) == [DELIVERED] * 3


def test_an_endpoint_named_by_one_job_hears_nothing_of_others(run: WebhookRun, receiver: Receiver) -> None:
    endpoint = run.add(receiver.url, scope="named")
    run.emit()
    assert run.deliveries(endpoint) == []


def test_an_endpoint_that_keeps_failing_is_probed_every_five_minutes(run: WebhookRun, receiver: Receiver) -> None:
    receiver.status = 500
    endpoint = run.add(receiver.url)
    run.emit(count=100)
    start = run.clock.moment
    run.run(endpoint, until=timedelta(hours=1))
    tried = run.tried_at(endpoint, start)
    assert [at for at in tried if at < timedelta(minutes=1)] == tried[:5]
    gaps = [later - before for before, later in pairwise(tried[4:])]
    assert min(gaps) >= timedelta(minutes=5)
    assert 14 <= len(tried) <= 17


def test_once_it_answers_again_all_that_waits_arrives_at_once_in_order(run: WebhookRun, receiver: Receiver) -> None:
    receiver.status = 500
    endpoint = run.add(receiver.url)
    run.emit(count=10)
    run.run(endpoint, until=timedelta(hours=7))
    receiver.status = 204
    receiver.got.clear()
    run.emit()
    run.run(endpoint, until=timedelta(minutes=6))
    assert run.statuses(endpoint) == [DELIVERED] * 11
    sequences = [json.loads(body)["data"]["sequence"] for _, body in receiver.got]
    assert sequences[1:] == sorted(sequences[1:])


def test_one_event_that_a_receiver_cannot_take_does_not_hold_the_others(run: WebhookRun, receiver: Receiver) -> None:
    endpoint = run.add(receiver.url)
    run.emit()

    def refuse_the_first() -> None:
        receiver.status = 500 if receiver.ids[-1] == receiver.ids[0] else 204

    receiver.before_answer = refuse_the_first
    run.attempt(endpoint)
    run.emit(count=30)
    run.run(endpoint, until=timedelta(seconds=30))
    assert run.statuses(endpoint) == [WAITING] + [DELIVERED] * 30


def test_two_failures_a_week_apart_disable_nothing(run: WebhookRun, receiver: Receiver) -> None:
    """A creator who films weekly, and a receiver that fails twice: nothing is known of the time between."""
    receiver.status = 404
    endpoint = run.add(receiver.url)
    run.emit()
    run.run(endpoint)
    assert run.statuses(endpoint) == [FAILED]
    run.clock.move(days=7)
    run.emit(count=5)
    run.attempt(endpoint)
    assert run.endpoint(endpoint).state is EndpointState.ENABLED
    receiver.status = 204
    run.run(endpoint)
    assert run.statuses(endpoint) == [FAILED] + [DELIVERED] * 5


def test_after_five_days_of_failed_attempts_an_endpoint_is_disabled_and_others_hear_it(
    run: WebhookRun, receiver: Receiver
) -> None:
    receiver.status = 503
    with receiving() as other:
        endpoint, hears = run.add(receiver.url), run.add(other.url, events=("endpoint.disabled",))
        start = run.clock.moment
        while run.endpoint(endpoint).state is EndpointState.ENABLED:
            run.emit()
            run.run(endpoint, until=timedelta(hours=6))
            assert run.clock.moment - start < 6 * DAY
        assert run.clock.moment - start >= 5 * DAY
        run.run(hears)

        [(_, body)] = other.got
    event = json.loads(body)
    assert event["type"] == "endpoint.disabled"
    assert event["data"] | {"failing_since": None, "missed": None} == {
        "endpoint_id": endpoint, "url": receiver.url, "code": "failing", "reason": "HTTP 503", "sequence": 1,
        "failing_since": None, "missed": None,
    }  # fmt: skip
    missed = run.statuses(endpoint).count(MISSED)
    assert event["data"]["missed"] == missed > 0
    assert WAITING not in run.statuses(endpoint)


def test_without_a_delivery_that_ran_to_its_end_nothing_is_disabled(run: WebhookRun, receiver: Receiver) -> None:
    """Each failing event is followed by one that arrives: the receiver is well."""
    endpoint = run.add(receiver.url)
    for _ in range(12):
        receiver.status = 503
        run.emit()
        run.run(endpoint, until=timedelta(hours=12))
        receiver.status = 204
        run.emit()
        run.run(endpoint, until=timedelta(minutes=10))
    assert run.endpoint(endpoint).state is EndpointState.ENABLED


def test_events_of_the_time_in_which_it_was_disabled_can_be_replayed(run: WebhookRun, receiver: Receiver) -> None:
    endpoint = run.add(receiver.url)
    with run.store.writing(scope="everything") as connection:
        endpoint_commands.set_state(wiring.machine, connection, endpoint, EndpointState.DISABLED)
    run.emit(count=3)
    assert (run.statuses(endpoint), waiting()) == ([MISSED] * 3, [])
    with pytest.raises(endpoint_commands.EndpointDisabled):
        endpoint_commands.replay(wiring.machine, endpoint, since=None, failed=True)

    with run.store.writing(scope="everything") as connection:
        endpoint_commands.set_state(wiring.machine, connection, endpoint, EndpointState.ENABLED)
    assert endpoint_commands.replay(wiring.machine, endpoint, since=None, failed=True) == 3
    run.run(endpoint)
    assert [json.loads(body)["data"]["sequence"] for _, body in receiver.got] == [1, 2, 3]
    assert receiver.ids == [event.id for _, event, _ in run.deliveries(endpoint)]


def test_a_replay_since_a_time_sends_all_that_concern_the_endpoint(run: WebhookRun, receiver: Receiver) -> None:
    """Also what was delivered, and what happened before the endpoint was added. Ids stay."""
    run.emit()
    endpoint = run.add(receiver.url)
    run.emit(count=2)
    run.run(endpoint)
    run.clock.move(minutes=1)
    middle = run.clock.moment
    run.emit()
    run.run(endpoint)
    before = list(receiver.ids)
    receiver.got.clear()

    assert endpoint_commands.replay(wiring.machine, endpoint, since=middle, failed=False) == 1
    run.run(endpoint)
    assert receiver.ids == before[-1:]
    receiver.got.clear()
    assert endpoint_commands.replay(wiring.machine, endpoint, since=middle - DAY, failed=False) == 4
    run.run(endpoint)
    assert receiver.ids[1:] == before
    assert endpoint_commands.replay(wiring.machine, endpoint, since=None, failed=True) == 0


def test_a_replay_as_new_has_new_ids_and_is_not_repeated(run: WebhookRun, receiver: Receiver) -> None:
    receiver.status = 503
    endpoint = run.add(receiver.url)
    run.emit(count=2)
    run.run(endpoint)
    assert run.statuses(endpoint) == [FAILED, FAILED]
    receiver.status = 204
    old = set(receiver.ids)
    receiver.got.clear()

    assert endpoint_commands.replay(wiring.machine, endpoint, since=None, failed=True, as_new=True) == 2
    run.run(endpoint)
    assert len(set(receiver.ids)) == 2
    assert old.isdisjoint(receiver.ids)
    assert endpoint_commands.replay(wiring.machine, endpoint, since=None, failed=True, as_new=True) == 0


def test_a_ping_is_sent_once_at_once_and_says_nothing_of_the_events(run: WebhookRun, receiver: Receiver) -> None:
    """Also to an endpoint that is paused or disabled."""
    receiver.status = 500
    endpoint = run.add(receiver.url)
    run.emit(count=10)
    run.run(endpoint, until=timedelta(minutes=1))
    before = run.endpoint(endpoint)
    receiver.got.clear()
    ping = endpoint_commands.ping(wiring.machine, endpoint)
    run.attempt(endpoint)

    assert [json.loads(body)["type"] for _, body in receiver.got] == ["ping"]
    assert [one.status for one, _, _ in run.deliveries(endpoint) if one.id == ping] == [FAILED]
    assert run.endpoint(endpoint).failures == before.failures

    with run.store.writing(scope="everything") as connection:
        endpoint_commands.set_state(wiring.machine, connection, endpoint, EndpointState.DISABLED)
    receiver.status = 204
    ping = endpoint_commands.ping(wiring.machine, endpoint)
    run.run(endpoint)
    assert [one.status for one, _, _ in run.deliveries(endpoint) if one.id == ping] == [DELIVERED]
    assert len(receiver.got) == 2


def test_while_a_secret_is_replaced_both_verify(run: WebhookRun, receiver: Receiver) -> None:
    endpoint = run.add(receiver.url)
    old = endpoint_commands.signing_secret(wiring.machine, run.endpoint(endpoint))
    new = endpoint_commands.rotate_secret(wiring.machine, endpoint, timedelta(hours=24))
    assert new is not None
    with pytest.raises(endpoint_commands.RotationInProgress):
        endpoint_commands.rotate_secret(wiring.machine, endpoint, timedelta(hours=24))
    run.emit()
    run.run(endpoint)
    headers, body = receiver.got[-1]
    for secret in (old, new):
        assert Webhook(secret).verify(body, {name.lower(): text for name, text in headers.items()})

    run.clock.move(hours=24)
    run.emit()
    run.run(endpoint)
    assert " " not in receiver.got[-1][0]["webhook-signature"]


def test_of_too_many_or_too_old_deliveries_the_oldest_are_given_up(
    run: WebhookRun, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_queue, "MAX_WAITING", 5)
    receiver.status = 503
    endpoint = run.add(receiver.url)
    run.emit(count=8)
    webhook_queue.recover(wiring.machine)
    assert run.statuses(endpoint) == [FAILED] * 3 + [WAITING] * 5
    run.clock.move(days=8)
    run.emit()
    webhook_queue.recover(wiring.machine)
    assert run.statuses(endpoint) == [FAILED] * 8 + [WAITING]
    assert {one.reason for one, _, _ in run.deliveries(endpoint)} == {"backlog", None}
    assert run.endpoint(endpoint).dropped == 8


@pytest.mark.sqlite_only("a server plans by its statistics")
def test_a_large_backlog_costs_nothing_to_wake(run: WebhookRun, receiver: Receiver) -> None:
    """The first delivery is found by an index, without the others and without sorting."""
    endpoint = run.add(receiver.url)
    statement = (
        "EXPLAIN QUERY PLAN SELECT * FROM deliveries WHERE endpoint_id = ? AND status = 'waiting' "
        "ORDER BY next_at LIMIT 1"
    )
    with run.store.reading() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(statement, (endpoint,))]
    assert plan == ["SEARCH deliveries USING INDEX deliveries_by_endpoint (endpoint_id=? AND status=?)"]


def test_an_attempt_whose_record_is_lost_is_made_again_with_the_same_id(
    run: WebhookRun, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process was killed after the answer: the receiver recognises the event."""
    endpoint = run.add(receiver.url)
    run.emit()
    with monkeypatch.context() as patch:
        patch.setattr(webhook_queue, "wake_again", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run.attempt(endpoint)
    assert run.statuses(endpoint) == [WAITING]
    run.attempt(endpoint)
    assert receiver.ids == receiver.ids[:1] * 2
    assert run.statuses(endpoint) == [DELIVERED]


def test_a_replayed_event_is_not_too_old(run: WebhookRun, receiver: Receiver) -> None:
    endpoint = run.add(receiver.url)
    run.emit()
    run.run(endpoint)
    run.clock.move(days=20)
    endpoint_commands.replay(wiring.machine, endpoint, since=run.clock.moment - 30 * DAY, failed=False)
    webhook_queue.recover(wiring.machine)
    assert run.statuses(endpoint) == [WAITING]


@pytest.mark.parametrize("ahead", [timedelta(minutes=-30), 300 * DAY], ids=["lost", "clock set back"])
def test_a_delivery_whose_message_is_lost_is_sent_again(run: WebhookRun, receiver: Receiver, ahead: timedelta) -> None:
    run.clock.moment += ahead
    endpoint = run.add(receiver.url)
    run.emit()
    wiring.machine.broker.flush_all()
    run.clock.moment -= ahead
    stuck_work.recover(wiring.machine)
    assert [name for name, _ in waiting()] == ["dispatch_webhook"]
    run.attempt(endpoint)
    assert run.statuses(endpoint) == [DELIVERED]


def test_a_clock_that_was_hours_ahead_holds_no_delivery_up(run: WebhookRun, receiver: Receiver) -> None:
    """Neither the delay of the next attempt nor the pause of the endpoint lasts until then."""
    run.clock.correct(hours=6)
    receiver.status = 503
    endpoint = run.add(receiver.url)
    run.emit()
    run.attempt(endpoint)
    stuck_work.recover(wiring.machine)
    run.clock.correct(hours=-6)
    receiver.status = 200
    stuck_work.recover(wiring.machine)
    run.attempt(endpoint)
    assert run.statuses(endpoint) == [DELIVERED]


def test_the_duration_of_a_failed_attempt_is_recorded(run: WebhookRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if no answer came."""
    monkeypatch.setattr(webhook, "deliver", partial(webhook.deliver, deadline_s=0.2))
    with receiving() as silent:
        silent.before_answer = Event().wait
        endpoint = run.add(silent.url)
        run.emit()
        run.attempt(endpoint)
    [(_, _, [attempt])] = run.deliveries(endpoint)
    assert attempt.duration_ms >= 200
