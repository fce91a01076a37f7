"""Cancelling several messages at once; a cancellation leaves nothing behind."""

from __future__ import annotations

import threading

import dramatiq

from broker import Cancelled, SqliteBroker
from tests.broker.conftest import stay, working

ON_EVERY_ENGINE = True


def test_several_messages_are_cancelled_in_one_call(broker: SqliteBroker) -> None:
    """Those that wait and those that run; messages that have ended or never existed do not count."""
    begun = threading.Event()

    @dramatiq.actor
    def work() -> None:
        begun.set()
        stay()

    with working(broker, threads=1):
        running = work.send()
        assert begun.wait(10)
        waiting, delayed = work.send(), work.send_with_options(delay=60_000)
        names = [message.message_id for message in (running, waiting, delayed)]
        assert broker.admin.cancel(*names) == 2
        assert broker.admin.cancel(*names, "unknown", abort=True) == 1
        broker.join("default", timeout=10_000)
    assert broker.admin.cancel() == 0


def test_messages_of_one_id_are_cancelled_together(broker: SqliteBroker) -> None:
    @dramatiq.actor
    def note() -> None:
        pass

    for _ in range(2):
        broker.enqueue(note.message().copy(message_id="one"))
    assert broker.admin.cancel("one") == 1
    assert broker.get_queue_message_counts("default") == (0, 0, 0)


def test_a_broker_that_was_closed_and_opened_again_skips_no_message(broker: SqliteBroker) -> None:
    """Rows and claims count from 1 again. A cancellation that was noticed twice must not strike the next message."""
    begun, go_on = threading.Semaphore(0), threading.Event()
    cancelled = threading.Semaphore(0)
    seen: list[int] = []

    @dramatiq.actor
    def work() -> None:
        begun.release()
        try:
            stay()
        except Cancelled:
            cancelled.release()
            assert go_on.wait(10)
            raise

    @dramatiq.actor
    def note(number: int) -> None:
        seen.append(number)

    with working(broker, threads=2):
        for message in (work.send(), work.send()):
            assert begun.acquire(timeout=10)
            assert broker.admin.cancel(message.message_id, abort=True)  # the second time, both are found cancelled
            assert cancelled.acquire(timeout=10)
        go_on.set()
        broker.join("default", timeout=10_000)
    broker.close()
    with working(broker, threads=1):
        for number in range(3):
            note.send(number)
        broker.join("default", timeout=10_000)
    assert seen == [0, 1, 2]
