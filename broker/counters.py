"""What can be done to a counter or an event in the tables: add, change, sum, undo, note, purge.

Plain functions over an open transaction; no clock, no thread, no file. A counter that is missing or expired counts 0.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

__all__ = ["add", "change", "note_event", "purge", "total", "undo"]


def add(connection: sqlite3.Connection, key: str, value: int, *, ttl_ms: int, now_ms: int) -> bool:
    """Set a counter that is not there. False: it is there, and nothing was changed."""
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
    connection: sqlite3.Connection,
    key: str,
    amount: int,
    *,
    ttl_ms: int,
    now_ms: int,
    minimum: int | None = None,
    maximum: int | None = None,
) -> bool:
    """Add to a counter, perhaps a negative amount, and let it live anew. False: a bound forbids it."""
    value = total(connection, [key], now_ms=now_ms) + amount
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        return False
    connection.execute(
        """
        INSERT INTO broker_counters (key, value, expires_ms) VALUES (?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_ms = excluded.expires_ms
        """,
        (key, value, now_ms + ttl_ms),
    )
    return True


def total(connection: sqlite3.Connection, keys: Iterable[str], *, now_ms: int) -> int:
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


def undo(connection: sqlite3.Connection, key: str, amount: int) -> None:
    """Take back what `add` or `change` has added; a counter that falls to nothing goes."""
    connection.execute("UPDATE broker_counters SET value = value - ? WHERE key = ?", (amount, key))
    connection.execute("DELETE FROM broker_counters WHERE key = ? AND value <= 0", (key,))


def note_event(connection: sqlite3.Connection, key: str, *, ttl_ms: int, now_ms: int) -> None:
    """Note that an event has happened, for `ttl_ms` from now."""
    connection.execute(
        """
        INSERT INTO broker_events (key, expires_ms) VALUES (?, ?)
        ON CONFLICT (key) DO UPDATE SET expires_ms = excluded.expires_ms
        """,
        (key, now_ms + ttl_ms),
    )


def purge(connection: sqlite3.Connection, *, limit: int, now_ms: int) -> int:
    """Delete up to `limit` expired counters and as many expired events, the oldest first; returns how many went."""
    gone = 0
    for table in ("broker_counters", "broker_events"):
        gone += connection.execute(
            f"DELETE FROM {table} WHERE key IN"  # noqa: S608  # the two names above
            f" (SELECT key FROM {table} WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?)",
            (now_ms, limit),
        ).rowcount
    return gone
