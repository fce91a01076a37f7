"""The ways in which a claim ends: acknowledged, given back, abandoned, buried; and a lost process's, reclaimed.

Plain functions over an open transaction, each of them fenced: a claim that had been lost changes nothing. `Batch` lets
in what waited for the end of such a claim.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from broker.storage.queue import Claim
from broker.storage.unique import free

__all__ = [
    "Obituary",
    "abandon",
    "acknowledge",
    "bury",
    "claims_of",
    "give_back",
    "is_cancelled",
    "move_to_dead",
]

_OURS = "id = ? AND holder = ? AND claim = ?"


@dataclass(frozen=True, slots=True)
class Obituary:
    """Why a message goes to the dead letters, and what it looked like at the end."""

    error: str
    traceback: str | None
    body: bytes | None = None  # None: as it was stored


def acknowledge(connection: sqlite3.Connection, held: Claim) -> bool:
    """Delete a message that has been worked off. False: the claim had been lost, and nothing was changed."""
    return connection.execute(f"DELETE FROM broker_messages WHERE {_OURS}", _token(held)).rowcount == 1  # noqa: S608


def give_back(connection: sqlite3.Connection, held: Claim) -> bool:
    """Return an unworked message to its old place; does not count as a delivery. False: the claim had been lost.

    One that was cancelled meanwhile is dropped.
    """
    cursor = connection.execute(
        f"""
        UPDATE broker_messages SET state = 0, holder = NULL, claim = NULL, deliveries = deliveries - 1
        WHERE {_OURS} AND cancelled IS NULL
        """,  # noqa: S608  # a constant of ours
        _token(held),
    )
    return cursor.rowcount == 1 or _drop_cancelled(connection, held)


def abandon(connection: sqlite3.Connection, held: Claim, *, max_deliveries: int, now_ms: int) -> bool:
    """Return a message whose work was cut off to its old place. False: the claim had been lost.

    One that was cancelled is dropped. One that was cut off `max_deliveries` times is suspected of killing its workers
    and goes to the dead letters.
    """
    row = connection.execute(
        f"""
        UPDATE broker_messages SET state = 0, holder = NULL, claim = NULL
        WHERE {_OURS} AND cancelled IS NULL RETURNING deliveries
        """,  # noqa: S608  # a constant of ours
        _token(held),
    ).fetchall()
    if not row:
        return _drop_cancelled(connection, held)
    [(deliveries,)] = row
    if deliveries >= max_deliveries:
        error = (
            f"DeliveryLimit: handed out {deliveries} times and cut off each time, by the end of its process or thread"
        )
        move_to_dead(connection, held.row_id, Obituary(error, None), now_ms)
    return True


def bury(connection: sqlite3.Connection, held: Claim, obituary: Obituary, now_ms: int) -> bool:
    """Move a held message to the dead letters. False: the claim had been lost, and nothing was changed."""
    mine = connection.execute(f"SELECT 1 FROM broker_messages WHERE {_OURS}", _token(held)).fetchone()  # noqa: S608
    if mine is None:
        return False
    move_to_dead(connection, held.row_id, obituary, now_ms)
    return True


def claims_of(connection: sqlite3.Connection, holder: int) -> list[Claim]:
    """Return all that a process holds, without the bodies."""
    rows = connection.execute(
        "SELECT id, claim, queue, concurrency_key FROM broker_messages WHERE state = 2 AND holder = ? ORDER BY id",
        (holder,),
    )
    return [Claim(row_id, holder, number, queue, b"", 0, key) for row_id, number, queue, key in rows.fetchall()]


def is_cancelled(connection: sqlite3.Connection, held: Claim) -> bool:
    """Tell whether somebody has cancelled a message since it was claimed."""
    row = connection.execute(
        f"SELECT 1 FROM broker_messages WHERE {_OURS} AND cancelled = 1",  # noqa: S608  # a constant of ours
        _token(held),
    ).fetchone()
    return row is not None


def move_to_dead(connection: sqlite3.Connection, row_id: int, obituary: Obituary, now_ms: int) -> None:
    """Move a message to the dead letters, whoever holds it."""
    connection.execute(
        """
        INSERT INTO broker_dead
            (queue, broker_priority, actor_priority, message_id, actor, body, sent_ms, died_ms, attempts, error,
             traceback, concurrency_key, concurrency_limit)
        SELECT queue, broker_priority, actor_priority, message_id, actor, coalesce(?, body), sent_ms, ?,
            attempts + deliveries, ?, ?, concurrency_key, concurrency_limit
        FROM broker_messages WHERE id = ?
        """,
        (obituary.body, now_ms, obituary.error, obituary.traceback, row_id),
    )
    connection.execute("DELETE FROM broker_messages WHERE id = ?", (row_id,))


def _drop_cancelled(connection: sqlite3.Connection, held: Claim) -> bool:
    rows = connection.execute(
        f"DELETE FROM broker_messages WHERE {_OURS} AND cancelled = 1 RETURNING message_id",  # noqa: S608
        _token(held),
    ).fetchall()
    for (message_id,) in rows:
        free(connection, message_id)
    return bool(rows)


def _token(held: Claim) -> tuple[int, int, int]:
    return held.row_id, held.holder, held.number
