"""How many messages wait in a queue that may hold only so many, and the mark of senders who wait for room."""

from __future__ import annotations

import sqlite3

from broker.storage.schema import Cursorable

__all__ = ["make_room", "wait_for_room", "waiting"]


def waiting(connection: Cursorable, queue: str, limit: int) -> int:
    """Count what is ready or blocked in a queue, up to a limit. By covering indexes: 1 ms for 20,000."""
    cursor = connection.cursor()
    cursor.execute(
        """
        SELECT count(*) FROM (
            SELECT 1 FROM broker_messages WHERE state = 0 AND queue = ?1
            UNION ALL
            SELECT 1 FROM broker_messages WHERE concurrency_key IS NOT NULL AND state = 3 AND queue = ?1
            LIMIT ?2
        )
        """,
        (queue, limit),
    )
    count = int(cursor.fetchone()[0])
    cursor.close()
    return count


def wait_for_room(connection: sqlite3.Connection, queue: str) -> None:
    """Leave a mark, so that whoever takes something away rings."""
    connection.execute("INSERT OR IGNORE INTO broker_full (queue) VALUES (?)", (queue,))


def make_room(connection: sqlite3.Connection, queue: str) -> bool:
    """Take the mark off; True when there was one."""
    return connection.execute("DELETE FROM broker_full WHERE queue = ?", (queue,)).rowcount == 1
