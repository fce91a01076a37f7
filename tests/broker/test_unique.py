"""Unique messages: a duplicate is not stored, whoever sends it and however; retries are no duplicates."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import dramatiq
import pytest
from periodiq import PeriodiqMiddleware, Scheduler, cron

from broker import SqliteBroker
from broker.storage.schema import MESSAGE_SCHEMA
from broker.storage.unique import Unique, reserve
from tests.broker.conftest import working


def ready(broker: SqliteBroker) -> int:
    return broker.get_queue_message_counts("default")[0]


def test_a_duplicate_is_silently_not_stored(broker: SqliteBroker) -> None:
    @dramatiq.actor(unique_for=60)
    def fetch(address: str) -> None:
        pass

    first, second = fetch.send("a"), fetch.send("a")
    assert first.message_id != second.message_id
    fetch.send("b")
    assert ready(broker) == 2


def test_a_key_of_ones_own_wins_over_the_arguments(broker: SqliteBroker) -> None:
    @dramatiq.actor
    def fetch(address: str) -> None:
        pass

    for address in ("a", "b"):
        fetch.send_with_options(args=(address,), unique_for=60, unique_key="one at a time")
    assert ready(broker) == 1


def test_a_key_belongs_to_its_actor(broker: SqliteBroker) -> None:
    for name in ("fetch", "store"):
        broker.declare_queue("default")
        broker.enqueue(dramatiq.Message("default", name, (1,), {}, {"unique_for": 60}))
    assert ready(broker) == 2


def test_a_key_stays_taken_after_the_work_and_is_free_when_its_time_is_over(broker: SqliteBroker) -> None:
    seen: list[int] = []

    @dramatiq.actor(unique_for=60)
    def note() -> None:
        seen.append(1)

    with working(broker):
        for _ in range(2):
            note.send()
            broker.join("default", timeout=5000)
    assert seen == [1]
    with closing(sqlite3.connect(":memory:")) as connection:
        MESSAGE_SCHEMA.migrate(connection)
        answers = [reserve(connection, Unique("k", moment + 10), str(moment), moment) for moment in (0, 9, 10, 11)]
    assert answers == [True, False, True, False]


@pytest.mark.logs_errors("dramatiq")
def test_retries_of_a_unique_message_are_not_its_duplicates(broker: SqliteBroker) -> None:
    seen: list[int] = []

    @dramatiq.actor(unique_for=60, max_retries=2, min_backoff=1, max_backoff=2)
    def fail() -> None:
        seen.append(1)
        raise ValueError("on purpose")

    with working(broker):
        fail.send()
        broker.join("default", timeout=10_000)
    assert seen == [1, 1, 1]
    broker.admin.retry_dead_letter(broker.admin.dead_letters()[0].id)
    assert ready(broker) == 1


def test_flushing_a_queue_frees_its_keys(broker: SqliteBroker) -> None:
    @dramatiq.actor(unique_for=60)
    def note() -> None:
        pass

    note.send()
    broker.flush("default")
    note.send()
    assert ready(broker) == 1


def test_a_joined_transaction_that_rolls_back_takes_no_key(broker: SqliteBroker, path: Path) -> None:
    @dramatiq.actor(unique_for=60)
    def note() -> None:
        pass

    broker.admin.queue_stats()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for end in ("ROLLBACK", "COMMIT"):
            with broker.write_lock:
                db.execute("BEGIN IMMEDIATE")
                with broker.joining(db):
                    note.send()
                    note.send()
                    db.execute(end)
    assert ready(broker) == 1


def test_a_key_without_a_time_is_refused(broker: SqliteBroker) -> None:
    broker.declare_queue("default")
    with pytest.raises(ValueError, match="unique_for"):
        broker.enqueue(dramatiq.Message("default", "a", (), {}, {"unique_key": "k"}))


def at_once(*calls: Callable[[], object]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_schedulers_send_each_tick_once(broker: SqliteBroker, path: Path) -> None:
    other = SqliteBroker(path)
    schedulers = []
    for one in (broker, other):
        one.add_middleware(PeriodiqMiddleware())

        @dramatiq.actor(broker=one, periodic=cron("* * * * *"))
        def tick() -> None:
            pass

        schedulers.append((Scheduler([tick]), [tick]))
    for moment in ("2026-01-01T00:00:00+00:00", "2026-01-01T00:01:00+00:00"):
        at_once(*(partial(scheduler.send_actors, actors, moment) for scheduler, actors in schedulers))
    assert ready(broker) == 2
    other.close()


def test_keys_that_are_over_are_dropped(broker: SqliteBroker) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        MESSAGE_SCHEMA.migrate(connection)
        for moment in range(0, 1000, 10):
            reserve(connection, Unique(str(moment), moment + 5), "m", moment)
        assert connection.execute("SELECT count(*) FROM broker_unique").fetchone() == (1,)
