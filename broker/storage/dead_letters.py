"""Dead letters: list, send again, delete, purge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dramatiq.errors import DecodeError

from broker.storage.concurrency import Concurrency
from broker.storage.connection import DatabaseConnection, Readable
from broker.storage.database import clamp_integer, utc
from broker.storage.encoding import decode_arguments, decode_message
from broker.storage.queue import Entry, store

__all__ = ["DeadLetter", "dead_letters", "delete", "newest", "purge", "purge_some", "retry", "retry_some"]

RETRIED_PER_TRANSACTION = 500

_SPENT_OPTIONS = frozenset({"retries", "traceback", "requeue_timestamp"})  # set by dramatiq's Retries
_STORED = "id, queue, message_id, actor, body, broker_priority, actor_priority, concurrency_key, concurrency_limit"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that has failed for good, with its error."""

    id: int
    message_id: str
    queue: str
    actor: str
    args: tuple[Any, ...]  # Any: what the actor was sent; empty when the body cannot be decoded
    kwargs: dict[str, Any]
    error: str
    traceback: str | None
    attempts: int
    enqueued_at: datetime  # when it was first sent, UTC
    died_at: datetime  # UTC


def dead_letters(database: Readable, queue: str | None, limit: int, before_id: int | None) -> list[DeadLetter]:
    """Return dead letters, the newest first.

    Args:
        before_id: only those with a smaller id, for the next page.
    """
    rows = database.read(
        """
        SELECT id, message_id, queue, actor, body, error, traceback, attempts, sent_ms, died_ms FROM broker_dead
        WHERE (CAST(?1 AS TEXT) IS NULL OR queue = ?1) AND (CAST(?2 AS BIGINT) IS NULL OR id < ?2)
        ORDER BY id DESC LIMIT ?3
        """,
        (queue, None if before_id is None else clamp_integer(before_id), clamp_integer(limit)),
    )
    return [_letter(row) for row in rows]


def retry(connection: DatabaseConnection, letter_id: int, now_ms: int) -> str | None:
    """Put a dead letter back into its queue as if it were sent now; returns the queue, None if it does not exist."""
    if clamp_integer(letter_id) != letter_id:
        return None
    rows = connection.execute(f"SELECT {_STORED} FROM broker_dead WHERE id = ?", (letter_id,)).fetchall()  # noqa: S608
    return _restore(connection, rows[0], now_ms) if rows else None


def delete(connection: DatabaseConnection, letter_id: int) -> bool:
    """Delete a dead letter; False if it does not exist."""
    return connection.execute("DELETE FROM broker_dead WHERE id = ?", (letter_id,)).rowcount == 1


def retry_some(
    connection: DatabaseConnection, up_to_id: int, queue: str | None, actor: str | None, error: str | None, now_ms: int
) -> list[str]:
    """Put up to `RETRIED_PER_TRANSACTION` matching dead letters back, the oldest first; returns their queues."""
    rows = connection.execute(
        f"""
        SELECT {_STORED} FROM broker_dead
        WHERE id <= ?1 AND (CAST(?2 AS TEXT) IS NULL OR queue = ?2)
            AND (CAST(?3 AS TEXT) IS NULL OR actor = ?3) AND (CAST(?4 AS TEXT) IS NULL OR instr(error, ?4) > 0)
        ORDER BY id LIMIT ?5
        """,  # noqa: S608  # a constant
        (up_to_id, queue, actor, error, RETRIED_PER_TRANSACTION),
    ).fetchall()
    return [_restore(connection, row, now_ms) for row in rows]


def newest(database: Readable) -> int:
    """Return the highest id of a dead letter; 0 when there are none."""
    [(highest,)] = database.read("SELECT coalesce(max(id), 0) FROM broker_dead")
    return int(highest)


def purge(connection: DatabaseConnection, died_before_ms: int) -> int:
    """Delete dead letters by age; returns how many."""
    return connection.execute("DELETE FROM broker_dead WHERE died_ms < ?", (clamp_integer(died_before_ms),)).rowcount


def purge_some(connection: DatabaseConnection, died_before_ms: int, limit: int) -> None:
    """Delete up to `limit` dead letters by age."""
    connection.execute(
        "DELETE FROM broker_dead WHERE id IN (SELECT id FROM broker_dead WHERE died_ms < ? LIMIT ?)",
        (died_before_ms, limit),
    )


def _restore(connection: DatabaseConnection, row: tuple[Any, ...], now_ms: int) -> str:
    letter_id, queue, message_id, actor, body, broker_priority, actor_priority, key, limit = row
    entry = Entry(
        queue=queue,
        message_id=message_id,
        actor=actor,
        body=_without_retries(body, now_ms),
        broker_priority=broker_priority,
        actor_priority=actor_priority,
        sent_ms=now_ms,
        eta_ms=None,
        concurrency=None if key is None else Concurrency(key, limit),
    )
    store(connection, entry, now_ms)
    connection.execute("DELETE FROM broker_dead WHERE id = ?", (letter_id,))
    return str(queue)


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    id_, message_id, queue, actor, body, error, traceback, attempts, sent_ms, died_ms = row
    args, kwargs = decode_arguments(body)
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
        enqueued_at=utc(sent_ms),
        died_at=utc(died_ms),
    )


def _without_retries(body: bytes, now_ms: int) -> bytes:
    """Return the body with all retries left and a new age; unchanged if it cannot be decoded."""
    try:
        message = decode_message(body)
    except DecodeError:
        return body
    options = {name: value for name, value in message.options.items() if name not in _SPENT_OPTIONS}
    return replace(message, options=options, message_timestamp=now_ms).encode()
