"""A queue with a limit takes no more than it may hold, and whoever waits for room is woken when there is some."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dramatiq
import pytest
from dramatiq import Actor

from broker import QueueFull, SqliteBroker
from tests.broker.conftest import working

LIMIT = 3


@pytest.fixture
def patient(path: Path) -> Iterator[SqliteBroker]:
    """A broker that waits for room."""
    broker = SqliteBroker(path, queue_limits={"default": LIMIT}, full_wait_s=20.0)
    yield broker
    broker.close()


@pytest.fixture
def strict(path: Path) -> Iterator[SqliteBroker]:
    """A broker that does not wait."""
    broker = SqliteBroker(path, queue_limits={"default": LIMIT})
    yield broker
    broker.close()


def noting(broker: SqliteBroker) -> tuple[Actor[[int], None], list[int]]:
    seen: list[int] = []

    @dramatiq.actor(broker=broker)
    def note(number: int) -> None:
        seen.append(number)

    return note, seen


def test_a_full_queue_refuses_what_would_be_too_much(strict: SqliteBroker) -> None:
    note, _ = noting(strict)
    for number in range(LIMIT):
        note.send(number)
    with pytest.raises(QueueFull, match="'default' may hold 3 messages"):
        note.send(LIMIT)
    assert strict.get_queue_message_counts("default") == (LIMIT, 0, 0)


def test_many_are_taken_together_or_not_at_all(strict: SqliteBroker) -> None:
    note, _ = noting(strict)
    note.send(0)
    with pytest.raises(QueueFull):
        strict.enqueue_many([note.message(number) for number in range(LIMIT)])
    assert strict.get_queue_message_counts("default") == (1, 0, 0)


def test_delayed_messages_and_retries_are_let_in(strict: SqliteBroker) -> None:
    """Refused, a retry would be lost."""
    seen: list[int] = []

    @dramatiq.actor(broker=strict, max_retries=1, min_backoff=1, max_backoff=1)
    def fail_once(number: int) -> None:
        seen.append(number)
        if seen.count(number) == 1:
            for more in range(LIMIT):
                fail_once.send_with_options(args=(10 * number + more,), delay=60_000)
            raise ValueError("on purpose")

    for number in range(1, LIMIT + 1):
        fail_once.send(number)
    with working(strict):
        deadline_s = time.monotonic() + 10
        while len(seen) < 2 * LIMIT and time.monotonic() < deadline_s:
            time.sleep(0.01)
    assert sorted(seen) == [1, 1, 2, 2, 3, 3]
    assert strict.get_queue_message_counts("default") == (0, LIMIT * LIMIT, 0)


@pytest.mark.parametrize("way", ["work", "flush", "cancel", "move"])
def test_a_sender_waits_until_there_is_room(broker: SqliteBroker, patient: SqliteBroker, way: str) -> None:
    """The broker that makes room stands for another process, which knows no limit."""
    note, _ = noting(broker)
    there, _ = noting(patient)
    sent = [there.send(number) for number in range(LIMIT)]
    done = threading.Event()

    def send() -> None:
        there.send(LIMIT)
        done.set()

    waiting = threading.Thread(target=send)
    began = time.monotonic()
    waiting.start()
    assert not done.wait(0.2)
    assert note.queue_name == "default"
    if way == "work":
        with working(broker):
            assert done.wait(10)
    elif way == "flush":
        broker.flush("default")
    elif way == "cancel":
        broker.cancel(sent[1].message_id)
    else:
        broker.move("default", "elsewhere")
    assert done.wait(10)
    assert time.monotonic() - began < 10  # measured: 0.2 s; without the bell it would be 20 s and an error
    waiting.join()


def test_many_senders_never_fill_a_queue_beyond_its_limit(broker: SqliteBroker, patient: SqliteBroker) -> None:
    _, seen = noting(broker)
    there, _ = noting(patient)
    depths: list[int] = []

    def send(first: int) -> None:
        for number in range(20):
            there.send(first + number)
            depths.append(patient.get_queue_message_counts("default")[0])

    senders = [threading.Thread(target=send, args=(100 * index,)) for index in range(4)]
    for sender in senders:
        sender.start()
    with working(broker, threads=2):
        for sender in senders:
            sender.join(30)
        broker.join("default", timeout=10_000)
    assert sorted(seen) == sorted(100 * index + number for index in range(4) for number in range(20))
    assert max(depths) <= LIMIT


def test_what_can_never_fit_is_refused_without_waiting(path: Path) -> None:
    broker = SqliteBroker(path, queue_limits={"default": LIMIT}, full_wait_s=60)
    note, _ = noting(broker)
    began = time.monotonic()
    with pytest.raises(QueueFull):
        broker.enqueue_many([note.message(number) for number in range(LIMIT + 1)])
    assert time.monotonic() - began < 30
    broker.close()


def test_waiting_for_room_ends_after_its_time(path: Path) -> None:
    broker = SqliteBroker(path, queue_limits={"default": LIMIT}, full_wait_s=0.2)
    note, _ = noting(broker)
    for number in range(LIMIT):
        note.send(number)
    began = time.monotonic()
    with pytest.raises(QueueFull):
        note.send(LIMIT)
    assert time.monotonic() - began >= 0.2
    broker.close()


def test_inside_a_transaction_nobody_waits(patient: SqliteBroker, path: Path) -> None:
    """It would keep the gate shut for those who could make room."""
    note, _ = noting(patient)
    for number in range(LIMIT):
        note.send(number)
    with closing(sqlite3.connect(path, isolation_level=None)) as db, patient.gate:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(QueueFull), patient.joining(db):
            note.send(LIMIT)
        db.execute("ROLLBACK")
    assert patient.get_queue_message_counts("default") == (LIMIT, 0, 0)
