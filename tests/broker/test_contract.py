"""The broker fulfils Dramatiq's contract, with a real Worker."""

from __future__ import annotations

import threading
import time
from collections import Counter

import dramatiq
import dramatiq.worker
import pytest
from dramatiq import Message, Middleware, QueueJoinTimeout, QueueNotFound
from dramatiq.encoder import PickleEncoder
from dramatiq.message import get_encoder, set_encoder
from dramatiq.middleware import CurrentMessage, MiddlewareError
from dramatiq.results import Results
from dramatiq.results.backends import StubBackend

from broker import SqliteBroker
from broker.broker import DatabaseBroker
from tests.broker.conftest import message_to, working

ON_EVERY_ENGINE = True
JOIN_MS = 10_000


@pytest.mark.on_rabbitmq
def test_every_message_is_run_once(broker: SqliteBroker) -> None:
    seen: Counter[int] = Counter()

    @dramatiq.actor
    def count(number: int) -> None:
        seen[number] += 1

    with working(broker):
        for number in range(100):
            count.send(number)
        broker.join("default", timeout=JOIN_MS)
    assert Counter(range(100)) == seen


@pytest.mark.on_rabbitmq
def test_messages_are_run_in_the_order_they_were_sent(broker: SqliteBroker) -> None:
    seen: list[int] = []

    @dramatiq.actor
    def note(number: int) -> None:
        seen.append(number)

    broker.enqueue_many([note.message(number) for number in range(50)])
    with working(broker, threads=1):
        broker.join("default", timeout=JOIN_MS)
    assert list(range(50)) == seen


def test_broker_priority_wins_over_actor_priority_and_that_over_age(broker: SqliteBroker) -> None:
    seen: list[str] = []

    @dramatiq.actor(priority=10)
    def late(name: str) -> None:
        seen.append(name)

    @dramatiq.actor(priority=0)
    def early(name: str) -> None:
        seen.append(name)

    @dramatiq.actor(priority=10, broker_priority=5)
    def urgent(name: str) -> None:
        seen.append(name)

    late.send("last")
    early.send("third")
    late.send_with_options(args=("second",), broker_priority=3)
    urgent.send("first")
    with working(broker, threads=1):
        broker.join("default", timeout=JOIN_MS)
    assert seen == ["first", "second", "third", "last"]


@pytest.mark.on_rabbitmq
@pytest.mark.logs_errors("dramatiq")
def test_a_failing_message_is_retried_and_then_dead_lettered_with_its_story(broker: SqliteBroker) -> None:
    @dramatiq.actor(max_retries=2, min_backoff=1, max_backoff=2)
    def fail(a: int, *, b: str) -> None:
        raise ValueError(f"no {a} {b}")

    fail.send(1, b="x")
    with working(broker):
        broker.join("default", timeout=JOIN_MS)
    [letter] = broker.admin.dead_letters()
    assert (
        letter.actor,
        letter.queue,
        letter.args,
        letter.kwargs,
        letter.attempts,
    ) == ("fail", "default", (1,), {"b": "x"}, 3)
    assert letter.error == "ValueError: no 1 x"
    assert letter.traceback is not None
    assert "raise ValueError" in letter.traceback
    assert letter.enqueued_at <= letter.died_at


def test_a_retry_without_delay_is_not_lost(broker: SqliteBroker) -> None:
    runs: list[int] = []

    @dramatiq.actor
    def again() -> None:
        runs.append(1)
        if len(runs) < 5:
            raise dramatiq.Retry(delay=0)

    again.send()
    with working(broker):
        broker.join("default", timeout=JOIN_MS)
    assert len(runs) == 5


@pytest.mark.logs_errors("dramatiq")
def test_a_message_for_an_unknown_actor_is_dead_lettered(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    with working(broker):
        broker.enqueue(message_to("some"))
        broker.join("some", timeout=JOIN_MS)
    assert [letter.error for letter in broker.admin.dead_letters("some")] == ["ActorNotFound: nobody"]
    assert broker.get_queue_message_counts("some") == (0, 0, 1)


@pytest.mark.logs_errors("broker")
def test_an_undecodable_message_is_dead_lettered_and_the_next_one_runs(broker: SqliteBroker) -> None:
    seen: list[int] = []

    @dramatiq.actor
    def note() -> None:
        seen.append(1)

    encoder = get_encoder()
    set_encoder(PickleEncoder())
    try:
        note.send()
    finally:
        set_encoder(encoder)
    note.send()
    with working(broker):
        broker.join("default", timeout=JOIN_MS)
    [letter] = broker.admin.dead_letters()
    assert (letter.args, letter.kwargs, seen) == ((), {}, [1])
    assert letter.error.startswith("DecodeError")


def test_any_encoder_will_do(broker: SqliteBroker) -> None:
    seen: list[object] = []

    @dramatiq.actor
    def note(thing: object) -> None:
        seen.append(thing)

    encoder = get_encoder()
    set_encoder(PickleEncoder())
    try:
        with working(broker):
            note.send({1, 2, b"\x00"})
            broker.join("default", timeout=JOIN_MS)
    finally:
        set_encoder(encoder)
    assert [{1, 2, b"\x00"}] == seen


def test_undeclared_queues_are_refused(broker: SqliteBroker) -> None:
    with pytest.raises(QueueNotFound):
        broker.enqueue(message_to("nowhere"))
    with pytest.raises(QueueNotFound):
        broker.consume("nowhere")
    with pytest.raises(QueueNotFound):
        broker.join("nowhere")
    with pytest.raises(QueueNotFound):
        broker.flush("nowhere")


def test_joining_a_queue_that_does_not_empty_times_out(broker: SqliteBroker) -> None:
    broker.declare_queue("stuck")
    broker.enqueue(message_to("stuck"), delay=60_000)
    with pytest.raises(QueueJoinTimeout):
        broker.join("stuck", timeout=50)


def test_join_waits_for_what_is_being_worked_on(broker: SqliteBroker) -> None:
    begun, go_on = threading.Event(), threading.Event()
    over: list[int] = []

    @dramatiq.actor
    def slow() -> None:
        begun.set()
        assert go_on.wait(10)
        over.append(1)

    with working(broker):
        slow.send()
        assert begun.wait(10)
        with pytest.raises(QueueJoinTimeout):
            broker.join("default", timeout=50)
        go_on.set()
        broker.join("default", timeout=JOIN_MS)
        assert over == [1]


@pytest.mark.logs_errors("dramatiq")
def test_flush_drops_waiting_delayed_and_dead_messages(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    with working(broker):
        broker.enqueue(message_to("some"))
        broker.join("some", timeout=JOIN_MS)
    broker.enqueue(message_to("some"))
    broker.enqueue(message_to("some"), delay=60_000)
    assert broker.get_queue_message_counts("some") == (1, 1, 1)
    broker.flush_all()
    assert broker.get_queue_message_counts("some") == (0, 0, 0)


def test_the_returned_message_of_a_delayed_send_names_queue_and_eta(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    before_ms = int(time.time() * 1000)
    sent = broker.enqueue(message_to("some"), delay=1000)
    assert sent.queue_name == "some.DQ"
    assert before_ms + 1000 <= sent.options["eta"] <= int(time.time() * 1000) + 1000


@pytest.mark.on_rabbitmq
def test_queues_declared_after_the_worker_started_are_consumed(broker: SqliteBroker) -> None:
    seen: list[int] = []
    with working(broker):

        @dramatiq.actor(queue_name="later")
        def note() -> None:
            seen.append(1)

        note.send()
        broker.join("later", timeout=JOIN_MS)
    assert seen == [1]
    assert broker.get_declared_queues() == {"later"}
    assert broker.get_declared_delay_queues() == {"later.DQ"}


@pytest.mark.on_rabbitmq
def test_a_paused_worker_loses_nothing(broker: SqliteBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dramatiq.worker, "CONSUMER_RESTART_DELAY_SECS", 0.01)
    seen: list[int] = []

    @dramatiq.actor
    def note(number: int) -> None:
        seen.append(number)

    with working(broker, threads=2) as worker:
        worker.pause()
        for number in range(10):
            note.send(number)
        worker.resume()
        broker.join("default", timeout=JOIN_MS)
    assert set(range(10)) == set(seen)


def test_a_middleware_may_veto_and_sees_each_message_once_it_is_stored(broker: SqliteBroker) -> None:
    class Watcher(Middleware):
        def __init__(self) -> None:
            self.after: list[tuple[str, tuple[int, int, int]]] = []

        def before_enqueue(self, broker: dramatiq.Broker, message: Message[None], delay: int | None) -> None:
            if message.options.get("bad"):
                raise MiddlewareError("vetoed")

        def after_enqueue(self, broker: dramatiq.Broker, message: Message[None], delay: int | None) -> None:
            assert isinstance(broker, DatabaseBroker)
            self.after.append((message.message_id, broker.get_queue_message_counts("some")))

    watcher = Watcher()
    broker.add_middleware(watcher)
    broker.declare_queue("some")
    with pytest.raises(MiddlewareError):
        broker.enqueue(message_to("some", bad=True))
    sent = broker.enqueue(message_to("some"))
    assert [(sent.message_id, (1, 0, 0))] == watcher.after


def test_enqueue_many_stores_all_or_nothing(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    with pytest.raises(QueueNotFound):
        broker.enqueue_many([message_to("some"), message_to("nowhere")])
    with pytest.raises(TypeError):
        broker.enqueue_many([message_to("some"), message_to("some", unencodable={1})])
    assert broker.get_queue_message_counts("some") == (0, 0, 0)


@pytest.mark.on_rabbitmq
def test_results_pipelines_and_current_message_work(broker: SqliteBroker) -> None:
    backend = StubBackend()
    broker.add_middleware(Results(backend=backend))  # type: ignore[no-untyped-call]  # dramatiq leaves it bare
    broker.add_middleware(CurrentMessage())

    @dramatiq.actor(store_results=True)
    def add(a: int, b: int) -> int:
        current = CurrentMessage.get_current_message()
        assert current is not None
        assert "eta" not in current.options
        return a + b

    with working(broker):
        later = add.message_with_options(args=(3,), delay=10)
        pipe = add.message(1, 2) | later | add.message(4)  # type: ignore[call-arg]  # the pipeline adds the other
        pipe.run()
        assert pipe.get_result(block=True, timeout=JOIN_MS) == 10


def test_an_eta_that_is_no_number_is_due_now_and_warned_of(
    broker: SqliteBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.declare_queue("default")
    broker.enqueue(message_to("default", eta="tomorrow"))
    assert broker.get_queue_message_counts("default") == (1, 0, 0)
    assert ["Invalid eta value"] == [record.message[:17] for record in caplog.records]
