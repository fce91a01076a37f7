"""Foreign locks, failing disks and wrong files cause clear errors; no message is lost, no restart is needed."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import dramatiq
import pytest
from dramatiq.errors import BrokerConnectionError

from broker import DatabaseUnavailable, SchemaTooNew, SqliteBroker
from broker.debug import each_connection, is_blocked
from broker.storage import queue
from broker.storage.schema import MESSAGE_SCHEMA
from tests.broker.conftest import working
from tests.support.waiting import wait_for


def test_sending_outlasts_a_writer_that_ignores_the_lock(
    broker: SqliteBroker, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.storage.database.BUSY_TIMEOUT_S", 0.05)
    broker.declare_queue("default")
    broker.admin.queue_stats()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        threading.Timer(0.4, foreign.execute, ("ROLLBACK",)).start()
        started = time.monotonic()
        broker.enqueue(message())
        waited = time.monotonic() - started
    assert waited >= 0.35
    assert broker.get_queue_message_counts("default") == (1, 0, 0)


def test_a_full_disk_is_reported_and_recovers(broker: SqliteBroker) -> None:
    """A limit on pages stands for the disk: SQLite answers SQLITE_FULL to both."""
    broker.declare_queue("default")
    broker.enqueue(message())
    broker.close()

    def limit(connection: sqlite3.Connection) -> None:
        [(pages,)] = connection.execute("PRAGMA page_count").fetchall()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    with each_connection(limit):
        with pytest.raises(DatabaseUnavailable, match="FULL"):
            broker.enqueue_many([message("x" * 5000) for _ in range(20)])
        assert broker.get_queue_message_counts("default") == (1, 0, 0)
    broker.enqueue_many([message("x" * 5000) for _ in range(20)])
    assert broker.get_queue_message_counts("default") == (21, 0, 0)


def test_one_bad_order_does_not_spoil_the_others_of_its_batch(broker: SqliteBroker, path: Path) -> None:
    broker.declare_queue("default")
    broker.admin.queue_stats()
    errors: list[BaseException] = []

    def send(argument: object) -> None:
        try:
            broker.enqueue(dramatiq.Message("default", "a", (), {}, {"broker_priority": argument}))
        except OverflowError as error:
            errors.append(error)

    threads = [threading.Thread(target=send, args=(priority,)) for priority in (1, 2**80, 2, 3)]
    with broker.write_lock:  # so that they end up in one batch
        for thread in threads:
            thread.start()
        wait_for(lambda: all(is_blocked(thread) for thread in threads), "four write requests")
    for thread in threads:
        thread.join()
    assert len(errors) == 1
    assert broker.get_queue_message_counts("default") == (3, 0, 0)


def test_a_file_that_is_no_database_is_refused_by_name(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be one" * 100)
    broker = SqliteBroker(path)
    broker.declare_queue("default")
    with pytest.raises(BrokerConnectionError, match="NOTADB"):
        broker.enqueue(message())
    path.unlink()
    broker.enqueue(message())
    assert broker.get_queue_message_counts("default") == (1, 0, 0)
    broker.close()


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broker = SqliteBroker(tmp_path / "file" / "queue.sqlite3")
    broker.declare_queue("default")
    with pytest.raises(DatabaseUnavailable):
        broker.enqueue(message())
    broker.close()


def test_tables_of_a_newer_version_are_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        MESSAGE_SCHEMA.migrate(connection)
        connection.execute("UPDATE broker_schema SET version = 99")
    broker = SqliteBroker(path)
    with pytest.raises(SchemaTooNew, match="99"):
        broker.admin.queue_stats()
    broker.close()


def test_making_the_tables_again_changes_nothing(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        MESSAGE_SCHEMA.migrate(connection)
        before = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
        MESSAGE_SCHEMA.migrate(connection)
        assert connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall() == before
        assert MESSAGE_SCHEMA.version(connection) == MESSAGE_SCHEMA.latest


@pytest.mark.logs_errors("dramatiq")
def test_claiming_recovers_from_a_broken_moment(broker: SqliteBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed claim is told to the consumer, which dramatiq starts anew; the message is still there."""
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.05)
    monkeypatch.setattr("broker.engine.prefetch.PAUSE_AFTER_FAILURE_S", 0.05)
    failures = iter([sqlite3.OperationalError("disk I/O error")])

    def flaky(*arguments: object, **options: object) -> object:
        for error in failures:
            raise error
        return queue.claim(*arguments, **options)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr("broker.engine.prefetch.claim", flaky)
    seen: list[int] = []

    @dramatiq.actor
    def note() -> None:
        seen.append(1)

    with working(broker):
        note.send()
        broker.join("default", timeout=10_000)
    assert seen == [1]


@pytest.mark.slow
def test_a_poison_message_ends_in_the_dead_letters(path: Path) -> None:
    """Each process that takes it dies; after the third it is suspected and dead-lettered, and the queue goes on."""
    broker = SqliteBroker(path, max_deliveries=3)
    broker.declare_queue("default")
    broker.enqueue(message("poison"))
    for _ in range(3):
        child = os.fork()
        if child == 0:
            next(broker.consume("default", timeout=10_000))
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
    assert next(broker.consume("default", timeout=500)) is None
    [letter] = broker.admin.dead_letters()
    assert letter.error.startswith("DeliveryLimit")
    assert letter.attempts == 3
    broker.close()


def message(text: str = "") -> dramatiq.Message[None]:
    return dramatiq.Message(queue_name="default", actor_name="nobody", args=(text,), kwargs={}, options={})


def test_a_broker_whose_directory_could_not_be_made_stands_in_no_fork_s_way(path: Path) -> None:
    path.parent.joinpath("file").touch()
    broker = SqliteBroker(path.parent / "file" / "queue.sqlite3")
    with pytest.raises(DatabaseUnavailable):
        broker.admin.queue_stats()
    child = os.fork()  # an exception in its preparation would be a warning, and so an error here
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    broker.close()
