"""Notifications between processes (here: two brokers on one file), and the return of a process that was pruned."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dramatiq
import pytest

from broker import SqliteBroker
from broker.debug import BrokerDebug, each_connection
from broker.engine.batch import WriteBatch
from broker.engine.prefetch import Prefetcher
from tests.broker.conftest import SOONER_THAN_A_POLL_S, wait_until_idle, working
from tests.support.waiting import wait_for


@pytest.fixture
def sender(path: Path) -> Iterator[SqliteBroker]:
    """Another process's broker: it shares nothing with the first but the files."""
    sender = SqliteBroker(path)
    sender.declare_queue("default")
    yield sender
    sender.close()


def message(number: int = 0) -> dramatiq.Message[None]:
    return dramatiq.Message(queue_name="default", actor_name="note", args=(number,), kwargs={}, options={})


def test_a_sleeping_worker_is_woken_at_once(broker: SqliteBroker, sender: SqliteBroker) -> None:
    """Without the notification it would poll after 30 s."""
    ran: list[float] = []

    @dramatiq.actor
    def note(number: int) -> None:
        ran.append(time.monotonic())

    with working(broker):
        wait_until_idle(broker, "default")
        sent = time.monotonic()
        sender.enqueue(message())
        sender.join("default", timeout=5000)
        assert ran[0] - sent < 1  # measured: 2 ms
        sender.enqueue(message(), delay=100)
        sender.join("default", timeout=5000)
        sender.flush("default")


def test_channels_that_were_deleted_are_created_again(broker: SqliteBroker, sender: SqliteBroker, path: Path) -> None:
    broker.declare_queue("default")
    consumer = broker.consume("default", timeout=5000)
    wait_until_idle(broker)
    channels = list((path.with_name(path.name + "-broker") / "bells").iterdir())
    for channel in channels:
        channel.unlink()
    wait_for(channels[0].parent.joinpath("default").exists, "the channel, made again")
    sender.enqueue(message())
    assert next(consumer) is not None


def test_without_inotify_the_tables_are_looked_at(
    broker: SqliteBroker, sender: SqliteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(channels: Path) -> None:
        raise OSError("no inotify here")

    monkeypatch.setattr("broker.engine.notifications.Listener", none)
    broker.declare_queue("default")
    consumer = broker.consume("default", timeout=5000)
    wait_until_idle(broker)
    sender.enqueue(message())
    assert next(consumer) is not None


def test_a_process_taken_for_lost_comes_back_under_another_name(broker: SqliteBroker, sender: SqliteBroker) -> None:
    broker.declare_queue("default")
    consumer = broker.consume("default", prefetch=2, timeout=5000)
    sender.enqueue(message(1))
    stale = next(consumer)
    assert stale is not None
    holder = stale.held.holder

    def declare_lost(batch: WriteBatch) -> None:
        batch.reclaim(holder, 10)
        batch.connection.execute("DELETE FROM broker_workers WHERE id = ?", (holder,))
        batch.readied.add("default")

    BrokerDebug(sender).write(declare_lost)
    again = next(consumer)
    assert again is not None
    assert again.held.holder != holder
    consumer.ack(stale)
    [stats] = sender.admin.queue_stats()
    assert stats.leased == 1
    consumer.ack(again)
    sender.join("default", timeout=1000)
    assert [process.id for process in sender.admin.consumers()] == [again.held.holder]


def test_a_message_sent_during_a_claim_is_not_missed(broker: SqliteBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender commits on its own thread; then the writer records that it had found nothing before."""
    seen = threading.Event()
    book = Prefetcher.book

    @dramatiq.actor
    def note() -> None:
        seen.set()

    def taken_in(prefetcher: Prefetcher, batch: WriteBatch) -> None:
        book(prefetcher, batch)
        if threading.current_thread() is threading.main_thread():
            prefetcher.buffers["default"].mark_empty()

    with working(broker):
        wait_until_idle(broker, "default")
        monkeypatch.setattr(Prefetcher, "book", taken_in)
        note.send()
        assert seen.wait(SOONER_THAN_A_POLL_S)


def test_a_slow_look_at_the_tables_keeps_no_message_waiting(broker: SqliteBroker, sender: SqliteBroker) -> None:
    """Counting a million messages, say, for an operator or a scrape."""
    seen = threading.Semaphore(0)
    counting, ended = threading.Event(), threading.Event()
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE NOT ended()) SELECT count(*) FROM n"

    def is_ended() -> bool:
        counting.set()
        return ended.is_set()

    @dramatiq.actor(broker=broker)
    def note() -> None:
        seen.release()

    with each_connection(lambda connection: connection.create_function("ended", 0, is_ended)), working(broker):
        operator = threading.Thread(target=BrokerDebug(broker).database.read, args=(query,))
        operator.start()
        assert counting.wait(10)
        try:
            wait_until_idle(broker, "default")
            for _ in range(3):
                sender.enqueue(note.message())
                assert seen.acquire(timeout=10)
                wait_until_idle(broker)  # the writer has read what is left
            assert operator.is_alive()
        finally:
            ended.set()
            operator.join()
