"""Consumers are notified of joined messages when the write lock is free: they find the messages and need not wait."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dramatiq
import pytest

from broker import SqliteBroker
from broker.engine.notifications import Listener
from broker.storage.database import BrokerPaths
from tests.broker.conftest import message_to, working


@pytest.fixture
def listener(broker: SqliteBroker, path: Path) -> Iterator[Listener]:
    broker.declare_queue("default")
    listener = Listener(BrokerPaths(path).channels)
    listener.listen("default")
    yield listener
    listener.close()


def test_the_notification_follows_the_release_of_the_lock(broker: SqliteBroker, path: Path, listener: Listener) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with broker.write_lock:
            with broker.write_lock:  # as a store that is called with the lock held
                connection.execute("BEGIN IMMEDIATE")
                with broker.joining(connection):
                    broker.enqueue(message_to("default"))
                    connection.execute("COMMIT")
            assert listener.notified() == set()
        assert listener.notified() == {"default"}
        assert broker.get_queue_message_counts("default") == (1, 0, 0)


def test_it_also_follows_a_transaction_without_the_lock(broker: SqliteBroker, path: Path, listener: Listener) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with broker.joining(connection):
            broker.enqueue(message_to("default"))
            connection.execute("COMMIT")
        assert listener.notified() == {"default"}


def test_a_rolled_back_transaction_notifies_nobody(broker: SqliteBroker, path: Path, listener: Listener) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(KeyError), broker.write_lock:
            connection.execute("BEGIN IMMEDIATE")
            with broker.joining(connection):
                broker.enqueue(message_to("default"))
                raise KeyError
        connection.execute("ROLLBACK")
        with broker.write_lock:
            pass
    assert listener.notified() == set()


@pytest.mark.logs_errors
def test_a_lock_that_an_actor_leaves_behind_notifies_when_it_is_released(broker: SqliteBroker, path: Path) -> None:
    """The broker releases it after the actor. The queue is read every 30 s otherwise."""
    done = threading.Event()

    @dramatiq.actor
    def note() -> None:
        done.set()

    @dramatiq.actor(queue_name="other")
    def keep_the_lock() -> None:
        broker.write_lock.acquire()
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            with broker.joining(connection):
                note.send()
                connection.execute("COMMIT")

    with working(broker):
        keep_the_lock.send()
        assert done.wait(10)
