"""Messages sent inside a transaction of the caller's own share its fate."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import dramatiq
import pytest
import sqlalchemy

from broker import NotJoined, SqliteBroker
from broker.debug import is_blocked
from tests.broker.conftest import noting, wait_until_idle, working
from tests.support.waiting import wait_for


class Change(Exception):  # a wish, not an error
    """Somebody changes their mind inside a transaction."""


@contextmanager
def plain(broker: SqliteBroker, path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, broker.write_lock:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def test_a_commit_takes_the_messages_along_and_wakes_the_worker(broker: SqliteBroker, path: Path) -> None:
    seen, note = noting()
    with working(broker):
        wait_until_idle(broker, "default")
        with plain(broker, path) as connection, broker.joining(connection):
            connection.execute("CREATE TABLE mine (id)")
            note.send(1)
            broker.enqueue_many([note.message(2), note.message(3)])
            assert broker.get_queue_message_counts("default") == (0, 0, 0)  # no other connection sees them
            connection.execute("COMMIT")
        broker.join("default", timeout=2000)
    assert sorted(seen) == [1, 2, 3]


def test_a_rollback_takes_the_messages_back(broker: SqliteBroker, path: Path) -> None:
    _, note = noting()
    with plain(broker, path) as connection:
        with pytest.raises(Change), broker.joining(connection):
            note.send(1)
            raise Change
        connection.execute("ROLLBACK")
    assert broker.get_queue_message_counts("default") == (0, 0, 0)
    note.send(2)  # the tables were rolled back, too, and are made again
    assert broker.get_queue_message_counts("default") == (1, 0, 0)


@pytest.mark.parametrize("committing", [True, False])
def test_sqlalchemy_connections_join_as_well(broker: SqliteBroker, path: Path, committing: bool) -> None:
    _, note = noting()
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with broker.write_lock, engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE mine (id)")
        connection.commit()
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.exec_driver_sql("INSERT INTO mine VALUES (1)")
        if committing:
            with broker.joining(connection.connection):
                note.send(1)
                connection.commit()
        else:
            with pytest.raises(Change), broker.joining(connection.connection):
                note.send(1)
                connection.rollback()
                raise Change
        count = connection.exec_driver_sql("SELECT count(*) FROM mine").scalar()
    engine.dispose()
    assert broker.get_queue_message_counts("default") == (int(committing), 0, 0)
    assert count == int(committing)


def test_delays_and_hooks_wait_for_the_commit(broker: SqliteBroker, path: Path) -> None:
    told: list[int | None] = []

    class Watcher(dramatiq.Middleware):
        def after_enqueue(self, broker: dramatiq.Broker, message: object, delay: int | None) -> None:
            told.append(delay)

    broker.add_middleware(Watcher())
    _, note = noting()
    with plain(broker, path) as connection, broker.joining(connection):
        note.send_with_options(args=(1,), delay=60_000)
        assert told == []
        connection.execute("COMMIT")
    assert told == [60_000]
    assert broker.get_queue_message_counts("default") == (0, 1, 0)


def test_other_threads_do_not_join_and_get_their_turn_afterwards(broker: SqliteBroker, path: Path) -> None:
    _, note = noting()
    sender = threading.Thread(target=note.send, args=(1,))
    with plain(broker, path) as connection:
        with pytest.raises(Change), broker.joining(connection):
            note.send(2)
            sender.start()
            wait_for(lambda: is_blocked(sender), "a sender that waits")
            raise Change
        connection.execute("ROLLBACK")
    sender.join()
    assert broker.get_queue_message_counts("default") == (1, 0, 0)


def test_a_connection_without_transaction_is_refused(broker: SqliteBroker, path: Path) -> None:
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as connection,
        pytest.raises(NotJoined),
        broker.joining(connection),
    ):
        pass


def test_sending_with_the_write_lock_held_without_joining_never_waits_for_itself(
    broker: SqliteBroker, path: Path
) -> None:
    _, note = noting()
    with broker.write_lock:
        note.send(1)
    assert broker.get_queue_message_counts("default") == (1, 0, 0)


@pytest.mark.slow
def test_sending_beside_an_own_open_transaction_says_what_to_do(broker: SqliteBroker, path: Path) -> None:
    _, note = noting()
    note.send(0)
    with plain(broker, path) as connection:
        with pytest.raises(NotJoined, match="join"):
            note.send(1)
        connection.execute("ROLLBACK")
