"""Unique messages: while a key is reserved, no other message with this key is stored.

A key outlives its message (the same tick may arrive late, when the first message has long been processed) and is
deleted when it has expired. A message's own retries carry its id and are never its duplicates.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.storage.schema import Cursorable

__all__ = ["Unique", "free", "free_queue", "reserve"]

EXPIRED_PER_RESERVATION = 100  # deletes more than one reservation adds, so that the table does not grow


@dataclass(frozen=True, slots=True)
class Unique:
    """A key and how long it is reserved."""

    key: str
    until_ms: int  # Unix milliseconds


def reserve(connection: Cursorable, unique: Unique, message_id: str, now_ms: int) -> bool:
    """Reserve a key for a message, inside the caller's open transaction. False: another message has it."""
    cursor = connection.cursor()
    try:
        cursor.execute(
            """
            DELETE FROM broker_unique WHERE key IN (SELECT key FROM broker_unique WHERE until_ms <= ? LIMIT ?)
            """,
            (now_ms, EXPIRED_PER_RESERVATION),
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
    """Delete the key of a message that will not be processed."""
    cursor = connection.cursor()
    cursor.execute("DELETE FROM broker_unique WHERE message_id = ?", (message_id,))
    cursor.close()


def free_queue(connection: Cursorable, queue: str) -> None:
    """Delete the keys of all waiting messages of a queue: ready, delayed and blocked."""
    cursor = connection.cursor()
    for state in (0, 1, 3):  # one statement each, so that each uses its index
        cursor.execute(
            """
            DELETE FROM broker_unique
            WHERE message_id IN (SELECT message_id FROM broker_messages WHERE queue = ? AND state = ?)
            """,
            (queue, state),
        )
    cursor.close()
