"""An exception raised into a thread can strike before a joined transaction is left."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager, closing
from pathlib import Path

import dramatiq
import pytest

from broker import SqliteBroker
from tests.broker.conftest import working


@pytest.mark.logs_errors("dramatiq")  # the write lock was held, too
def test_the_next_message_of_the_thread_joins_nothing(broker: SqliteBroker, path: Path) -> None:
    """Its sends must not run on a connection whose transaction is over."""
    seen: list[str] = []
    left: list[AbstractContextManager[None]] = []

    @dramatiq.actor
    def note(name: str) -> None:
        seen.append(name)

    @dramatiq.actor
    def stop_in_the_middle() -> None:
        broker.write_lock.acquire()
        connection.execute("BEGIN IMMEDIATE")
        left.append(broker.joining(connection))  # kept: its deletion would leave the block
        left[0].__enter__()  # without its end
        note.send("rolled back")
        connection.execute("ROLLBACK")

    @dramatiq.actor
    def send() -> None:
        note.send("sent")

    with (
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection,
        working(broker, threads=1),
    ):
        stop_in_the_middle.send()
        broker.join("default", timeout=5000)
        connection.execute("PRAGMA query_only = ON")  # sends on it fail from now on
        send.send()
        broker.join("default", timeout=5000)
    assert seen == ["sent"]
