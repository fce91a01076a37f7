"""The messages that gave up: list, send again, purge."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from dramatiq import Message
from dramatiq.errors import DecodeError

from broker.database import Database
from broker.messages import Entry, store

__all__ = ["DeadLetter", "dead_letters", "purge", "purge_some", "retry"]

_SPENT_OPTIONS = frozenset({"retries", "traceback", "requeue_timestamp"})  # what dramatiq's Retries has left on it


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that gave up, and why."""

    id: int
    message_id: str
    queue: str
    actor: str
    args: tuple[Any, ...]  # Any: whatever the actor was sent; empty when the body cannot be decoded
    kwargs: dict[str, Any]
    error: str
    traceback: str | None
    attempts: int
    enqueued_at: datetime  # when it was first sent, UTC
    died_at: datetime  # UTC


def dead_letters(database: Database, queue: str | None, limit: int, before_id: int | None) -> list[DeadLetter]:
    """Return the newest dead letters first.

    Args:
        before_id: only those with a smaller id, for the next page.
    """
    rows = database.read(
        """
        SELECT id, message_id, queue, actor, body, error, traceback, attempts, sent_ms, died_ms FROM broker_dead
        WHERE (?1 IS NULL OR queue = ?1) AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3
        """,
        (queue, before_id, limit),
    )
    return [_letter(row) for row in rows]


def retry(connection: sqlite3.Connection, letter_id: int, now_ms: int) -> str | None:
    """Put a dead letter back into its queue as if it were sent now; returns the queue, None if there is no such."""
    row = connection.execute(
        "SELECT queue, message_id, actor, body, broker_priority, actor_priority FROM broker_dead WHERE id = ?",
        (letter_id,),
    ).fetchone()
    if row is None:
        return None
    queue, message_id, actor, body, broker_priority, actor_priority = row
    entry = Entry(queue, message_id, actor, _fresh(body, now_ms), broker_priority, actor_priority, now_ms, None)
    store(connection, entry, now_ms)
    connection.execute("DELETE FROM broker_dead WHERE id = ?", (letter_id,))
    return str(queue)


def purge(connection: sqlite3.Connection, died_before_ms: int) -> int:
    """Delete dead letters by age; returns how many."""
    return connection.execute("DELETE FROM broker_dead WHERE died_ms < ?", (died_before_ms,)).rowcount


def purge_some(connection: sqlite3.Connection, died_before_ms: int, limit: int) -> None:
    """Delete up to `limit` dead letters by age."""
    connection.execute(
        "DELETE FROM broker_dead WHERE id IN (SELECT id FROM broker_dead WHERE died_ms < ? LIMIT ?)",
        (died_before_ms, limit),
    )


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    id_, message_id, queue, actor, body, error, traceback, attempts, sent_ms, died_ms = row
    try:
        message = Message.decode(body)
        args, kwargs = message.args, message.kwargs
    except DecodeError:
        args, kwargs = (), {}
    return DeadLetter(
        id=id_,
        message_id=message_id,
        queue=queue,
        actor=actor,
        args=args,
        kwargs=kwargs,
        error=error,
        traceback=traceback,
        attempts=attempts,
        enqueued_at=_utc(sent_ms),
        died_at=_utc(died_ms),
    )


def _fresh(body: bytes, now_ms: int) -> bytes:
    """Return the body with a new allowance of retries and a new age; as it is when it cannot be decoded."""
    try:
        message = Message.decode(body)
    except DecodeError:
        return body
    options = {name: value for name, value in message.options.items() if name not in _SPENT_OPTIONS}
    return replace(message, options=options, message_timestamp=now_ms).encode()


def _utc(moment_ms: int) -> datetime:
    return datetime.fromtimestamp(moment_ms / 1000, tz=UTC)
