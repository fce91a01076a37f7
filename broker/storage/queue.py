"""The way of a message into the tables and to a process: store, promote, claim. How claims end is in `settling`.

Plain functions over an open transaction; no clock, no thread, no file. Who commits and who is told is decided in
`clerk` and `joining`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import IntEnum

from broker.storage.concurrency import Concurrency, Slots, admits
from broker.storage.schema import Cursorable
from broker.storage.unique import Unique, take

__all__ = ["MOVED_AT_ONCE", "Claim", "Entry", "State", "claim", "promote", "store"]

MOVED_AT_ONCE = 1000  # bounds how long one transaction holds the gate when a flood falls due or is blocked


class State(IntEnum):
    """Where a message stands."""

    READY = 0  # may be claimed
    DELAYED = 1  # waits for its eta
    LEASED = 2  # is held by a process
    BLOCKED = 3  # would be ready, but as many of its key as may be are being worked on or come before it


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
    concurrency: Concurrency | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that a process holds. `(holder, number)` is the fencing token: no other claim ever has it."""

    row_id: int
    holder: int
    number: int
    queue: str
    body: bytes
    attempts: int  # runs so far, this one included
    key: str | None = None  # its concurrency key


def store(connection: Cursorable, entry: Entry, now_ms: int) -> State | None:
    """Insert a message through any DBAPI connection, inside its open transaction. None: a duplicate, not inserted.

    One that has been run before is no duplicate, even if its key ran out meanwhile and is another's now.
    """
    if entry.unique is not None and not take(connection, entry.unique, entry.message_id, now_ms) and not entry.attempts:
        return None
    state = _first_state(connection, entry, now_ms)
    concurrency = entry.concurrency
    cursor = connection.cursor()
    cursor.execute(
        """
        INSERT INTO broker_messages
            (queue, state, broker_priority, actor_priority, message_id, actor, body, sent_ms, eta_ms, attempts,
             concurrency_key, concurrency_limit)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
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
            entry.eta_ms if state is State.DELAYED else now_ms,
            entry.attempts,
            None if concurrency is None else concurrency.key,
            None if concurrency is None else concurrency.limit,
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
             deliveries, concurrency_key, concurrency_limit)
        SELECT queue, 0, broker_priority, actor_priority, message_id, actor, body, sent_ms, eta_ms, attempts,
            deliveries, concurrency_key, concurrency_limit
        FROM broker_messages WHERE id = ?
        """,
        due,
    )
    connection.executemany("DELETE FROM broker_messages WHERE id = ?", due)
    return len(due)


def claim(
    connection: sqlite3.Connection, queue: str, limit: int, *, holder: int, number: int, now_ms: int
) -> tuple[list[Claim], bool]:
    """Lease ready messages of a queue to a process, the most urgent first.

    Messages whose key is at its limit are blocked on the way, up to `MOVED_AT_ONCE`.

    Returns:
        Up to `limit` claims, and whether the queue may hold more that can be claimed.
    """
    claims: list[Claim] = []
    slots = Slots(connection)
    blocked = 0
    while blocked < MOVED_AT_ONCE:
        wanted = limit - len(claims)
        rows = connection.execute(
            """
            SELECT id, body, attempts + deliveries + 1, concurrency_key, concurrency_limit FROM broker_messages
            WHERE state = 0 AND queue = ?
            ORDER BY broker_priority DESC, actor_priority, id LIMIT ?
            """,
            (queue, wanted),
        ).fetchall()
        free = [row for row in rows if row[3] is None or slots.take(row[3], row[4])]
        connection.executemany(
            """
            UPDATE broker_messages SET state = 2, holder = ?, claim = ?, claimed_ms = ?, deliveries = deliveries + 1
            WHERE id = ?
            """,
            [(holder, number, now_ms, row[0]) for row in free],
        )
        claims += [Claim(row_id, holder, number, queue, body, attempts, key) for row_id, body, attempts, key, _ in free]
        if len(free) == len(rows):
            return claims, len(rows) == wanted
        taken = {row[0] for row in free}
        full = [(row[0],) for row in rows if row[0] not in taken]
        connection.executemany("UPDATE broker_messages SET state = 3 WHERE id = ?", full)
        blocked += len(full)
    return claims, True


def _first_state(connection: Cursorable, entry: Entry, now_ms: int) -> State:
    if entry.eta_ms is not None and entry.eta_ms > now_ms:
        return State.DELAYED
    if entry.concurrency is None:
        return State.READY
    place = (entry.queue, entry.broker_priority, entry.actor_priority)
    return State.READY if admits(connection, entry.concurrency, *place) else State.BLOCKED
