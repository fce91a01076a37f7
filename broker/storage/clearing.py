"""What is done to messages that nobody works on, but by working on them: cancel, flush.

Plain functions over an open transaction. Where a ready message goes that had a concurrency key, the next of its key is
let in; the queues that gain ready messages so are returned.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from broker.storage.concurrency import admit
from broker.storage.queue import State
from broker.storage.unique import free, free_all

__all__ = ["Cancelling", "cancel", "flush"]

# Literal conditions, so that the partial indexes serve. Blocked ones first: left without a ready one before them, they
# would be found by nobody.
_WAITING = {
    State.BLOCKED: "concurrency_key IS NOT NULL AND state = 3 AND queue = ?",
    State.READY: "state = 0 AND queue = ?",
    State.DELAYED: "state = 1 AND queue = ?",
}


@dataclass(frozen=True, slots=True)
class Cancelling:
    """What cancelling has come to."""

    queue: str | None = None  # where it waited; it is gone
    told: bool = False  # it is leased, and will not run again
    readied: frozenset[str] = frozenset()


def cancel(connection: sqlite3.Connection, row_id: int, message_id: str, *, abort: bool) -> Cancelling:
    """Drop a message that nobody has begun, and free its unique key.

    Args:
        abort: mark it, too, if it is leased: whoever holds it interrupts it, and it does not run again.
    """
    rows = connection.execute(
        """
        DELETE FROM broker_messages WHERE id = ? AND message_id = ? AND state IN (0, 1, 3)
        RETURNING queue, concurrency_key
        """,
        (row_id, message_id),
    ).fetchall()
    if rows:
        free(connection, message_id)
        [(queue, key)] = rows
        return Cancelling(queue=queue, readied=frozenset(_admitted(connection, [key])))
    if not abort:
        return Cancelling()
    marked = connection.execute(
        "UPDATE broker_messages SET cancelled = 1 WHERE id = ? AND message_id = ? AND state = 2", (row_id, message_id)
    )
    return Cancelling(told=marked.rowcount == 1)


def flush(connection: sqlite3.Connection, queue: str) -> None:
    """Drop all waiting and dead messages of a queue; what is being worked on stays."""
    free_all(connection, queue)
    for condition in _WAITING.values():
        connection.execute(f"DELETE FROM broker_messages WHERE {condition}", (queue,))  # noqa: S608  # as above
    connection.execute("DELETE FROM broker_dead WHERE queue = ?", (queue,))


def _admitted(connection: sqlite3.Connection, keys: Iterable[str | None]) -> set[str]:
    readied: set[str] = set()
    for key in {key for key in keys if key is not None}:
        readied |= admit(connection, key)
    return readied
