"""Dramatiq's rate limiters and barriers in a database: counters that expire, and events that can be waited for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable

from dramatiq.rate_limits import RateLimiterBackend

from broker.backend import BackendStore, FileBackendStore
from broker.engine.batch import WriteBatch
from broker.engine.notifications import channel_of
from broker.storage.connection import DatabaseConnection, dialect_of
from broker.storage.database import MAX_INTEGER, Synchronous, now_ms

__all__ = [
    "DatabaseRateLimiterBackend",
    "SqliteRateLimiterBackend",
    "add",
    "change",
    "note_event",
    "purge",
    "total",
    "undo",
]

PURGED_PER_WRITE = 32  # each change deletes so many expired rows, so that they do not pile up
ALL = MAX_INTEGER  # as a limit
EVENT_TTL_MS = 1000  # at least, so that threads that wait already cannot miss it


class DatabaseRateLimiterBackend(RateLimiterBackend):
    """Counters in a database; a subclass for each kind of database says how it is opened.

    A time limit or shutdown that dramatiq raises into a thread while it takes a slot does not leave the slot taken,
    and one that comes while it gives the slot back does not keep it.
    """

    def __init__(self, storage: BackendStore) -> None:
        self._storage = storage

    def add(self, key: str, value: int, ttl: int) -> bool:
        """Set a counter for `ttl` milliseconds unless it exists; False if it does."""
        return self._change(
            lambda batch: add(batch.connection, key, value, ttl_ms=ttl, now_ms=batch.now_ms),
            undo=lambda batch: undo(batch.connection, key, value),
        )

    def incr(self, key: str, amount: int, maximum: int, ttl: int) -> bool:
        """Raise a counter and renew its time to live; False, and no change, if it would pass the maximum."""
        return self._change(
            lambda batch: change(batch.connection, key, amount, maximum=maximum, ttl_ms=ttl, now_ms=batch.now_ms),
            undo=lambda batch: undo(batch.connection, key, amount),
        )

    def decr(self, key: str, amount: int, minimum: int, ttl: int) -> bool:
        """Lower a counter and renew its time to live; False, and no change, if it would pass the minimum.

        If interrupted, a slot is given back all the same. A party at a barrier (whose minimum is above 0) has not
        arrived: its message will run again.
        """
        return self._change(
            lambda batch: change(batch.connection, key, -amount, minimum=minimum, ttl_ms=ttl, now_ms=batch.now_ms),
            undo=(lambda batch: undo(batch.connection, key, -amount)) if minimum > 0 else None,
        )

    def incr_and_sum(self, key: str, keys: Callable[[], Iterable[str]], amount: int, maximum: int, ttl: int) -> bool:
        """Raise a counter unless it or the sum of all `keys` would pass the maximum; False if so.

        Args:
            keys: called inside the transaction, on another thread, because they may depend on the time.
        """

        def work(batch: WriteBatch) -> bool:
            if (dialect := dialect_of(batch.connection)) is not None:
                dialect.take_sums()
            if total(batch.connection, keys(), now_ms=batch.now_ms) + amount > maximum:
                return False
            return change(batch.connection, key, amount, maximum=maximum, ttl_ms=ttl, now_ms=batch.now_ms)

        return self._change(work, undo=lambda batch: undo(batch.connection, key, amount))

    def wait(self, key: str, timeout: int | None) -> bool:
        """Wait for an event, or return at once if there is one that has not expired.

        Args:
            key: of the event.
            timeout: milliseconds; None waits for ever.

        Returns:
            False when the time has passed first.
        """
        return self._storage.wait(lambda: self._has_event(key), channel_of("events", key), timeout) is not None

    def wait_notify(self, key: str, ttl: int) -> None:
        """Store an event for `ttl` milliseconds (at least a second) and wake the waiting threads of all processes."""

        def work(batch: WriteBatch) -> None:
            note_event(batch.connection, key, ttl_ms=max(ttl, EVENT_TTL_MS), now_ms=batch.now_ms)
            batch.notify(channel_of("events", key))

        self._storage.write(work)

    def purge(self) -> int:
        """Delete all expired counters and events; returns how many. Every change deletes some."""
        return self._storage.write(lambda batch: purge(batch.connection, limit=ALL, now_ms=batch.now_ms))

    def close(self) -> None:
        """Close the database and end the threads. May be repeated; the next use opens it again."""
        self._storage.close()

    def _change(self, work: Callable[[WriteBatch], bool], undo: Callable[[WriteBatch], object] | None = None) -> bool:
        def work_and_purge(batch: WriteBatch) -> bool:
            done = work(batch)
            purge(batch.connection, limit=PURGED_PER_WRITE, now_ms=batch.now_ms)  # last: it waits for no locks
            return done

        return self._storage.write(work_and_purge, undo=undo)

    def _has_event(self, key: str) -> bool | None:
        rows = self._storage.read("SELECT 1 FROM broker_events WHERE key = ? AND expires_ms > ?", (key, now_ms()))
        return True if rows else None


class SqliteRateLimiterBackend(DatabaseRateLimiterBackend):
    """Counters in a SQLite file, which may be that of the messages.

    Args:
        path: the database file; its directory is made if it is missing. Not on a network file system.
        synchronous: SQLite's; with "NORMAL" a power cut (not a crash) may undo the last commits. It takes the holders
            of the slots along, and an acknowledgement of the broker in the same file makes all before it durable.
    """

    def __init__(self, path: str | os.PathLike[str], *, synchronous: Synchronous = "NORMAL") -> None:
        super().__init__(FileBackendStore(path, synchronous))


# The statements, over an open transaction. A counter that is missing or expired counts 0.

_ADD = """
    UPDATE broker_counters SET value = value + ?2, expires_ms = ?3
    WHERE key = ?1 AND expires_ms > ?4 AND value + ?2 BETWEEN ?5 AND ?6
"""
_ADD_OR_INSERT = """
    INSERT INTO broker_counters AS counter (key, value, expires_ms) VALUES (?1, ?2, ?3)
    ON CONFLICT (key) DO UPDATE SET
        value = excluded.value + CASE WHEN counter.expires_ms > ?4 THEN counter.value ELSE 0 END,
        expires_ms = excluded.expires_ms
    WHERE excluded.value + CASE WHEN counter.expires_ms > ?4 THEN counter.value ELSE 0 END BETWEEN ?5 AND ?6
"""


def add(connection: DatabaseConnection, key: str, value: int, *, ttl_ms: int, now_ms: int) -> bool:
    """Set a counter that does not exist. False: it exists, and nothing was changed."""
    cursor = connection.execute(
        """
        INSERT INTO broker_counters (key, value, expires_ms) VALUES (?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_ms = excluded.expires_ms
            WHERE broker_counters.expires_ms <= ?
        """,
        (key, value, now_ms + ttl_ms, now_ms),
    )
    return cursor.rowcount == 1


def change(
    connection: DatabaseConnection,
    key: str,
    amount: int,
    *,
    ttl_ms: int,
    now_ms: int,
    minimum: int | None = None,
    maximum: int | None = None,
) -> bool:
    """Add to a counter, perhaps a negative amount, and renew its time to live. False: a bound forbids it.

    One statement decides and writes, so that the row's lock is enough where several processes write at once.
    """
    least = -MAX_INTEGER if minimum is None else minimum
    most = MAX_INTEGER if maximum is None else maximum
    bounds = (now_ms + ttl_ms, now_ms, least, most)
    if least <= amount <= most:  # a counter that is missing or expired may be written, too
        changed = connection.execute(_ADD_OR_INSERT, (key, amount, *bounds))
    else:
        changed = connection.execute(_ADD, (key, amount, *bounds))
    return changed.rowcount == 1


def total(connection: DatabaseConnection, keys: Iterable[str], *, now_ms: int) -> int:
    """Return the sum of counters. One JSON list, because a window of a day has more keys than SQL parameters."""
    row = connection.execute(
        """
        SELECT coalesce(sum(counter.value), 0)
        FROM json_each(?) AS wanted CROSS JOIN broker_counters AS counter ON counter.key = wanted.value
        WHERE counter.expires_ms > ?
        """,
        (json.dumps(list(keys)), now_ms),
    ).fetchone()
    return int(row[0])


def undo(connection: DatabaseConnection, key: str, amount: int) -> None:
    """Subtract what `add` or `change` has added; a counter that falls to 0 is deleted."""
    connection.execute("UPDATE broker_counters SET value = value - ? WHERE key = ?", (amount, key))
    connection.execute("DELETE FROM broker_counters WHERE key = ? AND value <= 0", (key,))


def note_event(connection: DatabaseConnection, key: str, *, ttl_ms: int, now_ms: int) -> None:
    """Store an event for `ttl_ms` from now."""
    connection.execute(
        """
        INSERT INTO broker_events (key, expires_ms) VALUES (?, ?)
        ON CONFLICT (key) DO UPDATE SET expires_ms = excluded.expires_ms
        """,
        (key, now_ms + ttl_ms),
    )


def purge(connection: DatabaseConnection, *, limit: int, now_ms: int) -> int:
    """Delete up to `limit` expired counters and as many expired events, the oldest first; returns how many."""
    gone = 0
    for table in ("broker_counters", "broker_events"):
        gone += connection.execute(
            f"DELETE FROM {table} WHERE key IN"  # noqa: S608  # the two names above
            f" (SELECT key FROM {table} WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?"
            " /*postgresql FOR UPDATE SKIP LOCKED*/)",
            (now_ms, limit),
        ).rowcount
    return gone
