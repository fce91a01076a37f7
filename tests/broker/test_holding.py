"""Claimed messages are settled once and released in order; a stopped worker or closed broker keeps none."""

from __future__ import annotations

import threading
from queue import SimpleQueue

import dramatiq
import dramatiq.worker
import pytest
from dramatiq import Middleware, Worker
from dramatiq.broker import MessageProxy

from broker import SqliteBroker
from broker.debug import BrokerDebug
from tests.broker.conftest import message_to, wait_until_idle, workers_of, working
from tests.support.waiting import wait_for

ON_EVERY_ENGINE = True
JOIN_MS = 10_000


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
    assert broker.get_queue_message_counts("some")[0] + len(BrokerDebug(broker).claims) == 3
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
    [stats] = broker.admin.queue_stats()
    assert (stats.ready, stats.leased) == (2, 1)


def blocking() -> tuple[dramatiq.Actor[[], None], threading.Event, threading.Semaphore]:
    """Return an actor that works until its event is set, and counts how often it has begun."""
    go, begun = threading.Event(), threading.Semaphore(0)

    @dramatiq.actor
    def block() -> None:
        begun.release()
        go.wait(60)

    return block, go, begun


def test_only_idle_threads_get_messages(broker: SqliteBroker) -> None:
    """An hour-long job must not wait behind a busy thread while another process is idle."""
    block, go, _ = blocking()
    with working(broker, threads=2):
        for _ in range(5):
            block.send()
        wait_for(lambda: counted(broker) == (3, 2), "two claims")
        wait_until_idle(broker)  # it claims no more
        assert counted(broker) == (3, 2)
        go.set()
        broker.join("default", timeout=JOIN_MS)


def test_workers_of_one_process_do_not_take_each_others_threads(broker: SqliteBroker) -> None:
    """A busy worker claims nothing more than it has threads, and another queue's worker is not kept waiting for it."""
    begun: SimpleQueue[str] = SimpleQueue()
    go_on = threading.Event()

    @dramatiq.actor(queue_name="slow")
    def slow() -> None:
        begun.put("slow")
        go_on.wait(60)

    @dramatiq.actor(queue_name="quick")
    def quick() -> None:
        begun.put("quick")

    workers = [Worker(broker, queues={queue}, worker_threads=1, worker_timeout=50) for queue in ("slow", "quick")]
    for worker in workers:
        worker.start()
    try:
        broker.enqueue_many([slow.message() for _ in range(8)])
        assert begun.get(timeout=60) == "slow"
        quick.send()
        assert begun.get(timeout=60) == "quick"
        leased = {stats.queue: stats.leased for stats in broker.admin.queue_stats()}
        assert leased["slow"] == 1
    finally:
        go_on.set()
        for worker in workers:
            worker.stop()


def test_a_worker_that_stops_leaves_nothing_held(broker: SqliteBroker) -> None:
    block, go, begun = blocking()

    class Stopping(Middleware):
        def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Worker) -> None:
            go.set()

    broker.add_middleware(Stopping())
    for _ in range(5):
        block.send()
    with working(broker, threads=2):
        wait_for(lambda: counted(broker) == (3, 2), "two claims")
        assert all(begun.acquire(timeout=60) for _ in range(2))  # a claim that has not begun is given back, too
    assert counted(broker) == (3, 0)


def test_a_stopping_worker_gives_back_at_once_what_it_has_not_begun(
    broker: SqliteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when its last thread has ended its hour-long job."""
    monkeypatch.setattr(dramatiq.worker, "QUEUE_PREFETCH", 5)
    block, go, begun = blocking()
    for _ in range(5):
        block.send()
    worker = Worker(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    wait_for(lambda: counted(broker) == (0, 5), "five claims")
    assert begun.acquire(timeout=60)  # else all five are given back
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    wait_for(lambda: counted(broker) == (4, 1), "four claims given back")
    go.set()
    stopping.join()
    assert counted(broker) == (4, 0)


def counted(broker: SqliteBroker) -> tuple[int, int]:
    [stats] = broker.admin.queue_stats()
    return stats.ready, stats.leased


def test_what_is_held_when_the_broker_closes_goes_back(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    broker.enqueue(message_to("some"))
    message = next(broker.consume("some", timeout=2000))
    broker.close()
    assert message is not None
    assert broker.get_queue_message_counts("some") == (1, 0, 0)
    assert workers_of(broker) == []


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


def test_a_closed_broker_opens_again_when_used(broker: SqliteBroker) -> None:
    broker.declare_queue("some")
    broker.enqueue(message_to("some"))
    closer = threading.Thread(target=broker.close)
    closer.start()
    closer.join()
    broker.close()
    assert broker.get_queue_message_counts("some") == (1, 0, 0)


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
    assert set() == set(threading.enumerate()) - of_others
    assert sum(broker.get_queue_message_counts("default")) == 3


def test_living_consumers_are_listed_with_their_queues(broker: SqliteBroker) -> None:
    broker.declare_queue("b")
    broker.declare_queue("a")
    assert workers_of(broker) == []
    with working(broker):
        wait_for(lambda: [process.queues for process in workers_of(broker)] == [("a", "b")])
