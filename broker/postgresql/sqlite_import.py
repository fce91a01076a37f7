"""Copies the messages of a SQLite file to PostgreSQL, inside the transactions of the caller.

The file must have no consumer any more. Its leased and blocked messages become ready: they had been handed out to
processes that have ended, and the next claim blocks what a concurrency key excludes. Results, counters and events are
not copied; they are short-lived.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from broker.storage.boot_clock import boot_id, boot_ms

__all__ = ["QueueNotEmpty", "import_queue"]

ROWS_PER_BATCH = 500

_MESSAGE = (
    "queue, broker_priority, actor_priority, message_id, actor, body, sent_ms, eta_ms, attempts, deliveries, "
    "concurrency_key, concurrency_limit"
)
_LETTER = (
    "queue, broker_priority, actor_priority, message_id, actor, body, sent_ms, died_ms, attempts, error, traceback, "
    "concurrency_key, concurrency_limit"
)

# Delayed messages stay delayed (1), all others become ready (0). One that was cancelled while it was processed must not
# run again.
_MESSAGES = f"""
    SELECT CASE state WHEN 1 THEN 1 ELSE 0 END, {_MESSAGE} FROM broker_messages WHERE cancelled IS NULL ORDER BY id
"""  # noqa: S608  # constants, here and below
_LETTERS = f"SELECT {_LETTER} FROM broker_dead ORDER BY id"  # noqa: S608
# Milliseconds that are left, by the clock of the boot, or by the wall clock after another boot.
_RESERVED = """
    SELECT key, message_id, CASE boot WHEN :boot THEN boot_until_ms - :boot_ms ELSE until_ms - :now_ms END AS left_ms
    FROM broker_unique WHERE left_ms > 0
"""
_RESERVE = """
    INSERT INTO broker_unique (key, message_id, until_time)
    VALUES (%s, %s, clock_timestamp() + %s * interval '1 millisecond')
"""

_COPIES: dict[str, tuple[str, str]] = {
    "broker_messages": (_MESSAGES, f"INSERT INTO broker_messages (state, {_MESSAGE}) VALUES (%s{', %s' * 12})"),  # noqa: S608
    "broker_dead": (_LETTERS, f"INSERT INTO broker_dead ({_LETTER}) VALUES (%s{', %s' * 12})"),  # noqa: S608
    "broker_unique": (_RESERVED, _RESERVE),
    "broker_paused": (
        "SELECT queue, since_ms FROM broker_paused",
        "INSERT INTO broker_paused (queue, since_ms) VALUES (%s, %s)",
    ),
}
"""For each table, the query of the file's rows, and the statement that inserts one."""


class QueueNotEmpty(Exception):
    """The database has messages of its own; the message names the table. Use an empty database."""


def import_queue(source: sqlite3.Connection, target: psycopg.Connection[Any], now_ms: int) -> dict[str, int]:
    """Copy all messages, dead letters, reserved keys and paused queues; return the numbers of rows by table.

    Both databases have their tables, of this version. The messages keep the order in which they became ready.

    Args:
        source: with an open snapshot.
        target: with an open transaction; the caller commits it.
        now_ms: the time, Unix milliseconds.

    Raises:
        QueueNotEmpty: the target has rows already.
    """
    known = {"boot": boot_id(), "boot_ms": boot_ms(), "now_ms": now_ms}
    copied = {}
    with target.cursor(row_factory=tuple_row) as cursor:
        for table, (query, statement) in _COPIES.items():
            cursor.execute(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608  # a constant
            if cursor.fetchone() is not None:
                raise QueueNotEmpty(f"the table {table} has rows already")
            copied[table] = 0
            for rows in _batches(source.execute(query, known if ":boot" in query else {})):
                cursor.executemany(statement, rows)
                copied[table] += len(rows)
    return copied


def _batches(rows: sqlite3.Cursor) -> Iterator[list[Sequence[Any]]]:
    while batch := rows.fetchmany(ROWS_PER_BATCH):
        yield batch
