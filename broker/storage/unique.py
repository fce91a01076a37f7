"""Unique messages: while a key is reserved, no other message with this key is stored.

A key outlives its message (the same tick may arrive late, when the first message has long been processed) and is
deleted when it has expired. A message's own retries carry its id and are never its duplicates.

The time of a reservation is measured since the machine booted, because the wall clock may be set. Only a reservation
of an earlier boot expires by the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.storage.connection import Cursorable, dialect_of

__all__ = ["Unique", "free", "free_queue", "reserve"]

EXPIRED_PER_RESERVATION = 100  # deletes more than one reservation adds, so that the table does not grow


@dataclass(frozen=True, slots=True)
class Unique:
    """A key, how long it is reserved, and when its message was sent by the clock of `boot_clock`."""

    key: str
    for_ms: int
    boot: str  # identity of the boot
    boot_ms: int
    survives_boot: bool = True  # False: after a restart of the machine the key is free


def reserve(connection: Cursorable, unique: Unique, message_id: str, now_ms: int) -> bool:
    """Reserve a key for a message, inside the caller's open transaction. False: another message has it."""
    dialect = dialect_of(connection)
    if dialect is not None:
        return dialect.reserve(unique, message_id)
    boot, boot_ms = unique.boot, unique.boot_ms
    until_ms = now_ms + unique.for_ms if unique.survives_boot else 0
    cursor = connection.cursor()
    try:
        # Two ranges of one index for the other boots, because "<>" reads the whole index.
        cursor.execute(
            """
            DELETE FROM broker_unique WHERE key IN (
                SELECT key FROM broker_unique WHERE boot = ? AND boot_until_ms <= ?
                UNION ALL SELECT key FROM broker_unique WHERE boot < ? AND until_ms <= ?
                UNION ALL SELECT key FROM broker_unique WHERE boot > ? AND until_ms <= ?
                LIMIT ?)
            """,
            (boot, boot_ms, boot, now_ms, boot, now_ms, EXPIRED_PER_RESERVATION),
        )
        cursor.execute(
            """
            INSERT INTO broker_unique (key, message_id, until_ms, boot, boot_until_ms) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (key) DO UPDATE SET message_id = excluded.message_id, until_ms = excluded.until_ms,
                boot = excluded.boot, boot_until_ms = excluded.boot_until_ms
            WHERE CASE WHEN boot = ? THEN boot_until_ms <= ? ELSE until_ms <= ? END
            """,
            (unique.key, message_id, until_ms, boot, boot_ms + unique.for_ms, boot, boot_ms, now_ms),
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
