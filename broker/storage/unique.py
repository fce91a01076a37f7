"""Unique messages: while a key is taken, another message with it is not stored.

A key outlives its message (the same tick may come late, when the first has long been worked off) and is dropped when
its time is over. A message's own retries carry its id and are never its duplicates.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.storage.schema import Cursorable

__all__ = ["Unique", "free", "free_all", "take"]

DROPPED_AT_ONCE = 100  # more than are ever taken at once, so that the table does not grow


@dataclass(frozen=True, slots=True)
class Unique:
    """A key and how long it is taken."""

    key: str
    until_ms: int  # Unix milliseconds


def take(connection: Cursorable, unique: Unique, message_id: str, now_ms: int) -> bool:
    """Take a key for a message, inside the caller's open transaction. False: another message has it."""
    cursor = connection.cursor()
    try:
        cursor.execute(
            """
            DELETE FROM broker_unique WHERE key IN (SELECT key FROM broker_unique WHERE until_ms <= ? LIMIT ?)
            """,
            (now_ms, DROPPED_AT_ONCE),
        )
        cursor.execute(
            """
            INSERT INTO broker_unique (key, message_id, until_ms) VALUES (?, ?, ?)
            ON CONFLICT (key) DO UPDATE SET message_id = excluded.message_id, until_ms = excluded.until_ms
            WHERE until_ms <= ?
            """,
            (unique.key, message_id, unique.until_ms, now_ms),
        )
        if cursor.rowcount == 1:
            return True
        cursor.execute("SELECT message_id FROM broker_unique WHERE key = ?", (unique.key,))
        return bool(cursor.fetchone()[0] == message_id)
    finally:
        cursor.close()


def free(connection: Cursorable, message_id: str) -> None:
    """Drop the key of a message that will not be worked off."""
    cursor = connection.cursor()
    cursor.execute("DELETE FROM broker_unique WHERE message_id = ?", (message_id,))
    cursor.close()


def free_all(connection: Cursorable, queue: str) -> None:
    """Drop the keys of all waiting and delayed messages of a queue."""
    cursor = connection.cursor()
    for state in (0, 1, 3):  # one each: an index for either
        cursor.execute(
            """
            DELETE FROM broker_unique
            WHERE message_id IN (SELECT message_id FROM broker_messages WHERE queue = ? AND state = ?)
            """,
            (queue, state),
        )
    cursor.close()
