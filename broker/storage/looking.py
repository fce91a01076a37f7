"""Looking at single messages: what waits, and who holds what since when. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dramatiq.errors import DecodeError

from broker.storage.database import Database, clamped
from broker.storage.encoding import decoded
from broker.storage.queue import State

__all__ = ["HeldMessage", "WaitingMessage", "held_messages", "waiting_messages"]


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message that nobody works on at the moment."""

    message_id: str
    queue: str
    actor: str
    args: tuple[Any, ...]  # Any: whatever the actor was sent; empty when the body cannot be decoded
    kwargs: dict[str, Any]
    attempts: int  # runs so far
    delayed: bool
    blocked: bool  # waits for others of its concurrency key
    enqueued_at: datetime  # when it was first sent, UTC
    due_at: datetime  # since when it is ready, or when it will be, UTC


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A message that a process holds."""

    message_id: str
    queue: str
    actor: str
    pid: int
    host: str
    attempts: int  # runs so far, this one included
    since: datetime | None  # UTC; None: claimed by an older version of this package


def waiting_messages(database: Database, queue: str, limit: int) -> list[WaitingMessage]:
    """Return what waits in a queue, in the order in which it will be worked on; blocked and delayed ones come last."""
    limit = clamped(limit)
    columns = "message_id, queue, actor, body, attempts + deliveries, state, sent_ms, eta_ms"
    rows = database.read(
        f"""
        SELECT {columns} FROM broker_messages WHERE state = 0 AND queue = ?
        ORDER BY broker_priority DESC, actor_priority, id LIMIT ?
        """,  # noqa: S608  # the columns are ours
        (queue, limit),
    )
    rows += database.read(
        f"""
        SELECT {columns} FROM broker_messages WHERE concurrency_key IS NOT NULL AND state = 3 AND queue = ?
        ORDER BY broker_priority DESC, actor_priority, id LIMIT ?
        """,  # noqa: S608  # the columns are ours
        (queue, limit - len(rows)),
    )
    rows += database.read(
        f"SELECT {columns} FROM broker_messages WHERE state = 1 AND queue = ? ORDER BY eta_ms, id LIMIT ?",  # noqa: S608
        (queue, limit - len(rows)),
    )
    return [_waiting(row) for row in rows]


def held_messages(database: Database) -> list[HeldMessage]:
    """Return what is being worked on, the longest held first."""
    rows = database.read(
        """
        SELECT message_id, queue, actor, pid, host, attempts + deliveries, claimed_ms
        FROM broker_messages INDEXED BY broker_leased
        JOIN broker_workers ON broker_workers.id = broker_messages.holder
        WHERE state = 2 ORDER BY claimed_ms, broker_messages.id
        """
    )
    return [
        HeldMessage(id_, queue, actor, pid, host, attempts, None if since_ms is None else _utc(since_ms))
        for id_, queue, actor, pid, host, attempts, since_ms in rows
    ]


def _waiting(row: tuple[Any, ...]) -> WaitingMessage:
    message_id, queue, actor, body, attempts, state, sent_ms, eta_ms = row
    try:
        message = decoded(body)
        args, kwargs = message.args, message.kwargs
    except DecodeError:
        args, kwargs = (), {}
    return WaitingMessage(
        message_id=message_id,
        queue=queue,
        actor=actor,
        args=tuple(args),
        kwargs=kwargs,
        attempts=attempts,
        delayed=state == State.DELAYED,
        blocked=state == State.BLOCKED,
        enqueued_at=_utc(sent_ms),
        due_at=_utc(eta_ms),
    )


def _utc(moment_ms: int) -> datetime:
    return datetime.fromtimestamp(moment_ms / 1000, tz=UTC)
