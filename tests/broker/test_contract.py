"""What dramatiq expects of a broker, over a real Worker."""

from __future__ import annotations

import threading
import time
from collections import Counter

import dramatiq
import dramatiq.worker
import pytest
from dramatiq import Message, Middleware, QueueJoinTimeout, QueueNotFound, Worker
from dramatiq.broker import MessageProxy
from dramatiq.encoder import PickleEncoder
from dramatiq.message import get_encoder, set_encoder
from dramatiq.middleware import CurrentMessage, MiddlewareError
from dramatiq.results import Results
from dramatiq.results.backends import StubBackend

from broker import SqliteBroker
from tests.broker.conftest import working

JOIN_MS = 10_000


def message_to(queue: str, actor: str = "nobody", **options: object) -> Message[None]:
    return Message(queue_name=queue, actor_name=actor, args=(), kwargs={}, options=dict(options))


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


def test_a_failing_message_is_retried_and_then_buried_with_its_story(broker: SqliteBroker) -> None:
    @dramatiq.actor(max_retries=2, min_backoff=1, max_backoff=2)
    def fail(a: int, *, b: str) -> None:
        raise ValueError(f"no {a} {b}")

    fail.send(1, b="x")
    with working(broker):
        broker.join("default", timeout=JOIN_MS)
    [letter] = broker.dead_letters()
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


def test_a_message_for_an_unknown_actor_is_buried(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    with working(broker):
        broker.enqueue(message_to("some"))
        broker.join("some", timeout=JOIN_MS)
    assert [letter.error for letter in broker.dead_letters("some")] == ["ActorNotFound: nobody"]
    assert broker.get_queue_message_counts("some") == (0, 0, 1)


def test_an_undecodable_message_is_buried_and_the_next_one_runs(broker: SqliteBroker) -> None:
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
    [letter] = broker.dead_letters()
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
    over: list[float] = []

    @dramatiq.actor
    def slow() -> None:
        time.sleep(0.2)
        over.append(1)

    with working(broker):
        slow.send()
        broker.join("default", timeout=JOIN_MS)
        assert over == [1]


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


def test_acknowledging_what_is_not_ours_or_twice_does_no_harm(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    consumer = broker.consume("some", timeout=2000)
    consumer.ack(MessageProxy(message_to("some")))
    consumer.nack(MessageProxy(message_to("some")))
    broker.enqueue(message_to("some"))
    message = next(consumer)
    assert message is not None
    consumer.ack(message)
    consumer.ack(message)
    consumer.nack(message)
    assert broker.get_queue_message_counts("some") == (0, 0, 0)


def test_a_message_may_be_acknowledged_through_another_consumer(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    first = broker.consume("some", timeout=2000)
    broker.enqueue(message_to("some"))
    message = next(first)
    assert message is not None
    first.close()
    broker.consume("some").ack(message)
    broker.join("some", timeout=100)


def test_messages_given_back_keep_their_places(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    consumer = broker.consume("some", prefetch=3, timeout=2000)
    sent = broker.enqueue_many([message_to("some", "nobody", n=n) for n in range(3)])
    taken = [next(consumer) for _ in range(3)]
    consumer.requeue([message for message in (taken[2], taken[0]) if message is not None])
    assert broker.get_queue_message_counts("some")[0] + len(broker._clerk()._floor.held) == 3
    consumer.close()
    again = broker.consume("some", prefetch=3, timeout=2000)
    assert [sent[0].message_id, sent[2].message_id] == [
        message.message_id for message in (next(again), next(again)) if message
    ]


def test_closing_a_consumer_gives_back_what_nobody_picked_up(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    broker.enqueue_many([message_to("some") for _ in range(3)])
    consumer = broker.consume("some", prefetch=3, timeout=2000)
    taken = next(consumer)
    consumer.close()
    assert taken is not None
    [stats] = broker.queue_stats()
    assert (stats.ready, stats.leased) == (2, 1)


def test_only_idle_threads_get_messages(broker: SqliteBroker) -> None:
    """An hour-long job must not wait behind a busy thread while another process is idle."""
    go = threading.Event()

    @dramatiq.actor
    def block() -> None:
        go.wait(10)

    with working(broker, threads=2):
        for _ in range(5):
            block.send()
        time.sleep(0.2)
        [stats] = broker.queue_stats()
        go.set()
        broker.join("default", timeout=JOIN_MS)
    assert (stats.ready, stats.leased) == (3, 2)


def test_a_worker_that_stops_leaves_nothing_held(broker: SqliteBroker) -> None:
    go = threading.Event()

    @dramatiq.actor
    def block() -> None:
        go.wait(10)

    for _ in range(5):
        block.send()
    with working(broker, threads=2):
        time.sleep(0.2)
        threading.Timer(0.1, go.set).start()
    [stats] = broker.queue_stats()
    assert (stats.ready, stats.leased) == (3, 0)


def test_a_stopping_worker_gives_back_at_once_what_it_has_not_begun(
    broker: SqliteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when its last thread has ended its hour-long job."""
    monkeypatch.setattr(dramatiq.worker, "QUEUE_PREFETCH", 5)
    go = threading.Event()

    @dramatiq.actor
    def block() -> None:
        go.wait(10)

    for _ in range(5):
        block.send()
    worker = Worker(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    time.sleep(0.3)
    assert counted(broker) == (0, 5)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    time.sleep(0.3)
    assert counted(broker) == (4, 1)
    go.set()
    stopping.join()
    assert counted(broker) == (4, 0)


def counted(broker: SqliteBroker) -> tuple[int, int]:
    [stats] = broker.queue_stats()
    return stats.ready, stats.leased


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
            assert isinstance(broker, SqliteBroker)
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


def test_a_closed_broker_opens_again_when_used(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    broker.enqueue(message_to("some"))
    closer = threading.Thread(target=broker.close)
    closer.start()
    closer.join()
    broker.close()
    assert broker.get_queue_message_counts("some") == (1, 0, 0)


def test_what_is_held_when_the_broker_closes_goes_back(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    broker.enqueue(message_to("some"))
    message = next(broker.consume("some", timeout=2000))
    broker.close()
    assert message is not None
    assert broker.get_queue_message_counts("some") == (1, 0, 0)
    assert broker.consumers() == []


def test_settling_what_a_closed_broker_held_changes_nothing(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    broker.enqueue_many([message_to("some") for _ in range(3)])
    consumer = broker.consume("some", prefetch=3, timeout=2000)
    first, second, third = (next(consumer) for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    broker.close()
    consumer.ack(first)
    consumer.nack(second)
    consumer.requeue([third])
    assert broker.get_queue_message_counts("some") == (3, 0, 0)


def test_living_consumers_are_listed_with_their_queues(broker: SqliteBroker) -> None:
    broker.declare_queue("b")
    broker.declare_queue("a")
    assert broker.consumers() == []
    with working(broker):
        time.sleep(0.1)
        [process] = broker.consumers()
    assert process.queues == ("a", "b")


def test_a_message_dropped_by_a_dying_thread_comes_back(broker: SqliteBroker) -> None:
    """Dramatiq's worker threads can be ended by an exception raised into them; their messages must not be stuck."""
    broker.declare_queue("some")
    broker.enqueue(message_to("some"))
    consumer = broker.consume("some", timeout=2000)
    message = next(consumer)
    assert message is not None
    del message
    again = next(consumer)
    assert again is not None
    assert again.held.attempts == 2


def test_a_worker_that_stops_after_its_broker_was_closed_does_not_open_it_again(broker: SqliteBroker) -> None:
    running, over = threading.Event(), threading.Event()
    of_others = set(threading.enumerate())

    @dramatiq.actor
    def wait() -> None:
        running.set()
        over.wait(JOIN_MS / 1000)

    for _ in range(3):
        wait.send()
    worker = Worker(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    assert running.wait(JOIN_MS / 1000)
    broker.close()
    over.set()
    worker.stop()
    assert broker._clerk_now is None
    assert set() == set(threading.enumerate()) - of_others
    assert sum(broker.get_queue_message_counts("default")) == 3


def test_an_eta_that_is_no_number_is_due_now_and_warned_of(
    broker: SqliteBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.declare_queue("default")
    broker.enqueue(message_to("default", eta="tomorrow"))
    assert broker.get_queue_message_counts("default") == (1, 0, 0)
    assert ["Invalid eta value"] == [record.message[:17] for record in caplog.records]
