"""What can be done to a message in the tables: store, promote, expire, claim, settle, give back, bury, reclaim.

Plain functions over an open transaction; no clock, no thread, no file. Who commits and who is told is decided in
`clerk` and `joining`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import IntEnum

from broker.schema import Cursorable
from broker.unique import Unique, free, free_all, take

__all__ = [
    "Claim",
    "Entry",
    "Obituary",
    "State",
    "abandon",
    "acknowledge",
    "bury",
    "cancel",
    "claim",
    "expire",
    "flush",
    "give_back",
    "move",
    "promote",
    "reclaim",
    "store",
]

MOVED_AT_ONCE = 1000  # bounds how long one transaction holds the gate when a flood falls due or expires


class State(IntEnum):
    """Where a message stands."""

    READY = 0  # may be claimed
    DELAYED = 1  # waits for its eta
    LEASED = 2  # is held by a process


@dataclass(frozen=True, slots=True)
class Entry:
    """A message on its way into the tables."""

    queue: str
    message_id: str
    actor: str
    body: bytes
    broker_priority: int
    actor_priority: int
    sent_ms: int
    eta_ms: int | None  # None: ready at once
    attempts: int = 0
    unique: Unique | None = None
    expires_ms: int | None = None  # not begun by then, it goes to the dead letters


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that a process holds. `(holder, number)` is the fencing token: no other claim ever has it."""

    row_id: int
    holder: int
    number: int
    queue: str
    body: bytes
    attempts: int  # runs so far, this one included


@dataclass(frozen=True, slots=True)
class Obituary:
    """Why a message goes to the dead letters, and what it looked like at the end."""

    error: str
    traceback: str | None
    body: bytes | None = None  # None: as it was stored


def store(connection: Cursorable, entry: Entry, now_ms: int) -> State | None:
    """Insert a message through any DBAPI connection, inside its open transaction. None: a duplicate, not inserted."""
    if entry.unique is not None and not take(connection, entry.unique, entry.message_id, now_ms):
        return None
    delayed = entry.eta_ms is not None and entry.eta_ms > now_ms
    state = State.DELAYED if delayed else State.READY
    cursor = connection.cursor()
    cursor.execute(
        """
        INSERT INTO broker_messages
            (queue, state, broker_priority, actor_priority, message_id, actor, body, sent_ms, eta_ms, attempts,
             expires_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            entry.queue,
            int(state),
            entry.broker_priority,
            entry.actor_priority,
            entry.message_id,
            entry.actor,
            entry.body,
            entry.sent_ms,
            entry.eta_ms if delayed else now_ms,
            entry.attempts,
            entry.expires_ms,
        ),
    )
    cursor.close()
    return state


def promote(connection: sqlite3.Connection, queue: str, now_ms: int) -> int:
    """Make due messages ready, at the tail of the queue and in the order of their eta. Returns how many.

    They are inserted anew, so that ids keep rising in the order of becoming ready: a delay is not a way to the front.
    """
    due = connection.execute(
        """
        SELECT id FROM broker_messages WHERE state = 1 AND queue = ? AND eta_ms <= ? ORDER BY eta_ms, id LIMIT ?
        """,
        (queue, now_ms, MOVED_AT_ONCE),
    ).fetchall()
    connection.executemany(
        """
        INSERT INTO broker_messages
            (queue, state, broker_priority, actor_priority, message_id, actor, body, sent_ms, eta_ms, attempts,
             deliveries, expires_ms)
        SELECT queue, 0, broker_priority, actor_priority, message_id, actor, body, sent_ms, eta_ms, attempts,
            deliveries, expires_ms
        FROM broker_messages WHERE id = ?
        """,
        due,
    )
    connection.executemany("DELETE FROM broker_messages WHERE id = ?", due)
    return len(due)


def expire(connection: sqlite3.Connection, queue: str, now_ms: int) -> int:
    """Move ready messages whose time is over to the dead letters; returns how many. Looked up by an index."""
    over = connection.execute(
        """
        SELECT id FROM broker_messages
        WHERE state = 0 AND queue = ? AND expires_ms IS NOT NULL AND expires_ms <= ? LIMIT ?
        """,
        (queue, now_ms, MOVED_AT_ONCE),
    ).fetchall()
    for (row_id,) in over:
        _move_to_dead(connection, row_id, Obituary("Expired: nobody began it within its expires_in", None), now_ms)
    return len(over)


def claim(
    connection: sqlite3.Connection, queue: str, limit: int, *, holder: int, number: int, now_ms: int
) -> list[Claim]:
    """Lease up to `limit` ready messages of a queue to a process, the most urgent first, none that has expired."""
    rows = connection.execute(
        """
        SELECT id, body, attempts + deliveries + 1 FROM broker_messages
        WHERE state = 0 AND queue = ? AND (expires_ms IS NULL OR expires_ms > ?)
        ORDER BY broker_priority DESC, actor_priority, id LIMIT ?
        """,
        (queue, now_ms, limit),
    ).fetchall()
    connection.executemany(
        """
        UPDATE broker_messages SET state = 2, holder = ?, claim = ?, claimed_ms = ?, deliveries = deliveries + 1
        WHERE id = ?
        """,
        [(holder, number, now_ms, row[0]) for row in rows],
    )
    return [Claim(row_id, holder, number, queue, body, attempts) for row_id, body, attempts in rows]


def acknowledge(connection: sqlite3.Connection, held: Claim) -> bool:
    """Delete a message that has been worked off. False: the claim had been lost, and nothing was changed."""
    cursor = connection.execute(
        "DELETE FROM broker_messages WHERE id = ? AND holder = ? AND claim = ?",
        (held.row_id, held.holder, held.number),
    )
    return cursor.rowcount == 1


def give_back(connection: sqlite3.Connection, held: Claim) -> bool:
    """Return an unworked message to its old place; does not count as a delivery. False: the claim had been lost."""
    cursor = connection.execute(
        """
        UPDATE broker_messages SET state = 0, holder = NULL, claim = NULL, deliveries = deliveries - 1
        WHERE id = ? AND holder = ? AND claim = ?
        """,
        (held.row_id, held.holder, held.number),
    )
    return cursor.rowcount == 1


def bury(connection: sqlite3.Connection, held: Claim, obituary: Obituary, now_ms: int) -> bool:
    """Move a held message to the dead letters. False: the claim had been lost, and nothing was changed."""
    mine = connection.execute(
        "SELECT 1 FROM broker_messages WHERE id = ? AND holder = ? AND claim = ?",
        (held.row_id, held.holder, held.number),
    ).fetchone()
    if mine is None:
        return False
    _move_to_dead(connection, held.row_id, obituary, now_ms)
    return True


def reclaim(connection: sqlite3.Connection, holder: int, *, max_deliveries: int, now_ms: int) -> set[str]:
    """Take back everything a lost process held; returns the queues concerned. Limit as in `abandon`."""
    rows = connection.execute(
        "SELECT id, claim, queue FROM broker_messages WHERE state = 2 AND holder = ?", (holder,)
    ).fetchall()
    for row_id, number, queue in rows:
        held = Claim(row_id, holder, number, queue, b"", 0)
        abandon(connection, held, max_deliveries=max_deliveries, now_ms=now_ms)
    return {queue for _, _, queue in rows}


def abandon(connection: sqlite3.Connection, held: Claim, *, max_deliveries: int, now_ms: int) -> bool:
    """Return a message whose work was cut off to its old place. False: the claim had been lost.

    One that was cut off `max_deliveries` times is suspected of killing its workers and goes to the dead letters.
    """
    cursor = connection.execute(
        """
        UPDATE broker_messages SET state = 0, holder = NULL, claim = NULL
        WHERE id = ? AND holder = ? AND claim = ? RETURNING deliveries
        """,
        (held.row_id, held.holder, held.number),
    )
    rows = cursor.fetchall()
    if rows and rows[0][0] >= max_deliveries:
        error = (
            f"DeliveryLimit: handed out {rows[0][0]} times and cut off each time, by the end of its process or thread"
        )
        _move_to_dead(connection, held.row_id, Obituary(error, None), now_ms)
    return bool(rows)


def cancel(connection: sqlite3.Connection, row_id: int, message_id: str) -> bool:
    """Drop a message that nobody has begun, and free its unique key. False: it is being worked on, or gone."""
    cursor = connection.execute(
        "DELETE FROM broker_messages WHERE id = ? AND message_id = ? AND state IN (0, 1)", (row_id, message_id)
    )
    if cursor.rowcount == 1:
        free(connection, message_id)
    return cursor.rowcount == 1


def move(connection: sqlite3.Connection, queue: str, target: str) -> int:
    """Move waiting and delayed messages to another queue, where they keep their age and order.

    Returns:
        How many; at most `MOVED_AT_ONCE` of each kind, so ask again until there are none.
    """
    moved = 0
    for state in (State.READY, State.DELAYED):
        moved += connection.execute(
            """
            UPDATE broker_messages SET queue = ? WHERE id IN (
                SELECT id FROM broker_messages WHERE state = ? AND queue = ? ORDER BY id LIMIT ?
            )
            """,
            (target, int(state), queue, MOVED_AT_ONCE),
        ).rowcount
    return moved


def flush(connection: sqlite3.Connection, queue: str) -> None:
    """Drop ready, delayed and dead messages of a queue; what is being worked on stays."""
    free_all(connection, queue)
    connection.execute("DELETE FROM broker_messages WHERE queue = ? AND state = 0", (queue,))
    connection.execute("DELETE FROM broker_messages WHERE queue = ? AND state = 1", (queue,))
    connection.execute("DELETE FROM broker_dead WHERE queue = ?", (queue,))


def _move_to_dead(connection: sqlite3.Connection, row_id: int, obituary: Obituary, now_ms: int) -> None:
    connection.execute(
        """
        INSERT INTO broker_dead
            (queue, broker_priority, actor_priority, message_id, actor, body, sent_ms, died_ms, attempts, error,
             traceback)
        SELECT queue, broker_priority, actor_priority, message_id, actor, coalesce(?, body), sent_ms, ?,
            attempts + deliveries, ?, ?
        FROM broker_messages WHERE id = ?
        """,
        (obituary.body, now_ms, obituary.error, obituary.traceback, row_id),
    )
    connection.execute("DELETE FROM broker_messages WHERE id = ?", (row_id,))
