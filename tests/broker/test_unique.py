"""Unique messages: a duplicate is not stored, by any way of sending; retries are no duplicates."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path

import dramatiq
import pytest
from periodiq import PeriodiqMiddleware, Scheduler, cron

from broker import SqliteBroker
from broker.storage import boot_clock, encoding
from broker.storage.schema import MESSAGE_SCHEMA
from broker.storage.unique import Unique, reserve
from tests.broker.conftest import MakeBroker, working

ON_EVERY_ENGINE = True


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


def test_a_key_may_be_longer_than_an_index_takes(broker: SqliteBroker) -> None:
    """PostgreSQL refuses entries of 2.7 kB that it cannot compress; SQLite has no limit."""
    key = "".join(sha256(bytes([number])).hexdigest() for number in range(250))

    @dramatiq.actor(unique_for=60)
    def fetch() -> None:
        pass

    for last in ("a", "b", "a"):
        fetch.send_with_options(unique_key=key + last, concurrency_key=key + last)
    assert ready(broker) == 2


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
        answers = [reserve(connection, Unique("k", 10, "b", moment), str(moment), 5) for moment in (0, 9, 10, 11)]
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


def test_two_schedulers_send_each_tick_once(broker: SqliteBroker, make_broker: MakeBroker) -> None:
    other = make_broker()
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


def test_schedulers_whose_clocks_differ_by_seconds_send_each_tick_once(broker: SqliteBroker) -> None:
    broker.add_middleware(PeriodiqMiddleware())

    @dramatiq.actor(periodic=cron("* * * * *"))
    def tick() -> None:
        pass

    for moment in ("00:00:00", "00:00:03", "00:01:02", "00:01:00"):
        tick.send_with_options(scheduled_at=f"2026-01-01 {moment}+00:00")
    assert ready(broker) == 2


@pytest.mark.sqlite_only("PostgreSQL's goes by the clock of the server")
def test_no_tick_is_dropped_when_the_clock_is_set_back(broker: SqliteBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock runs through the same half hour twice; the machine runs for an hour."""
    broker.add_middleware(PeriodiqMiddleware())

    @dramatiq.actor(periodic=cron("* * * * *"))
    def tick() -> None:
        pass

    began_ms = boot_clock.boot_ms()
    for minute in range(60):
        monkeypatch.setattr(encoding, "boot_ms", lambda minute=minute: began_ms + 60_000 * minute)
        for _ in range(2):  # schedulers
            tick.send_with_options(scheduled_at=f"2026-01-01T00:{minute % 30:02}:00+00:00")
    assert ready(broker) == 60


def test_a_key_of_another_boot_ends_by_the_wall_clock_and_a_ticks_key_with_its_boot() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        MESSAGE_SCHEMA.migrate(connection)
        reserve(connection, Unique("k", 1000, "first boot", 500_000), "a", 10_000)
        reserve(connection, Unique("tick", 1000, "first boot", 500_000, survives_boot=False), "a", 10_000)
        assert not reserve(connection, Unique("k", 1000, "a second boot", 0), "b", 10_999)
        assert reserve(connection, Unique("tick", 1000, "a second boot", 0, survives_boot=False), "b", 10_001)
        assert reserve(connection, Unique("k", 1000, "a second boot", 1), "c", 11_000)


def test_keys_of_other_boots_that_are_over_are_dropped() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        MESSAGE_SCHEMA.migrate(connection)
        for boot in ("1", "3"):
            reserve(connection, Unique(boot, 5, boot, 1_000_000), "m", 0)
        reserve(connection, Unique("now", 5, "2", 0), "m", 5)
        assert connection.execute("SELECT key FROM broker_unique").fetchall() == [("now",)]


def test_keys_that_are_over_are_dropped(broker: SqliteBroker) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        MESSAGE_SCHEMA.migrate(connection)
        for moment in range(0, 1000, 10):
            reserve(connection, Unique(str(moment), 5, "b", moment), "m", moment)
        assert connection.execute("SELECT count(*) FROM broker_unique").fetchone() == (1,)
