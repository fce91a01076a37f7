"""Reads of the tables from outside: depths of queues, consuming processes, single messages, counters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from broker.storage.connection import Readable
from broker.storage.database import clamp_integer, utc
from broker.storage.encoding import decode_arguments
from broker.storage.queue import State

__all__ = [
    "Counts",
    "HeldMessage",
    "QueueStats",
    "TaskCounters",
    "WaitingMessage",
    "WorkerProcess",
    "consumers",
    "held_messages",
    "is_empty",
    "message_counts",
    "queue_stats",
    "rows_of",
    "waiting_messages",
]


@dataclass(frozen=True, slots=True)
class Counts:
    """The messages that a process has finished for a queue since it began to consume."""

    done: int  # processed, including those whose retries follow
    died: int  # dead-lettered after processing


class TaskCounters:
    """The counts of this process, in memory. Other processes read them from its lease file.

    Counting in the tables would make every commit larger. The price: the counts are lost when the process exits.
    """

    def __init__(self) -> None:
        self._done: Counter[str] = Counter()
        self._died: Counter[str] = Counter()
        self.fresh = False  # whether the counts have changed since they were last published

    def count(self, done: Sequence[str], died: Sequence[str]) -> None:
        """Count one message for each queue named."""
        if done or died:
            for queue in done:
                self._done[queue] += 1
            for queue in died:
                self._died[queue] += 1
            self.fresh = True

    def text(self) -> str:
        """Return the counts as one line."""
        queues = sorted(self._done | self._died)
        return json.dumps({queue: [self._done[queue], self._died[queue]] for queue in queues})

    @staticmethod
    def parse(line: str) -> dict[str, Counts]:
        """Return the counts of a line by queue; none if it is empty or half-written."""
        try:
            return {queue: Counts(*counts) for queue, counts in json.loads(line).items()}
        except ValueError:
            return {}


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The figures of one queue at one moment."""

    queue: str
    ready: int  # including those whose delay is over
    delayed: int
    leased: int  # being processed, or on the way to a thread
    dead: int
    oldest_ready_age_s: float | None  # since it became ready; None without a ready message
    blocked: int = 0  # by other messages of their concurrency key
    paused: bool = False  # nothing is claimed until the queue is resumed


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A living process that consumes queues."""

    id: int
    pid: int
    host: str
    queues: tuple[str, ...]
    leased: int  # messages it holds
    started_at: datetime  # UTC
    counts: Mapping[str, Counts] = field(default_factory=dict)  # by queue, since it began to consume

    @classmethod
    def of(  # the columns of a row
        cls, id_: int, pid: int, host: str, queues: str, started_ms: int, leased: int, line: str
    ) -> WorkerProcess:
        """Build a process from the columns of its row and the line of counts that it has published."""
        return cls(
            id=id_,
            pid=pid,
            host=host,
            queues=tuple(json.loads(queues)),
            leased=leased,
            counts=TaskCounters.parse(line),
            started_at=utc(started_ms),
        )


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message that waits: ready, delayed or blocked."""

    message_id: str
    queue: str
    actor: str
    args: tuple[Any, ...]  # Any: what the actor was sent; empty when the body cannot be decoded
    kwargs: dict[str, Any]
    attempts: int  # runs so far
    delayed: bool
    blocked: bool  # by other messages of its concurrency key
    enqueued_at: datetime  # when it was first sent, UTC
    due_at: datetime  # since when it is ready, or when it will be, UTC


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A message that a process has claimed."""

    message_id: str
    queue: str
    actor: str
    pid: int
    host: str
    attempts: int  # runs so far, this one included
    since: datetime | None  # UTC; None: claimed by an older version of this package


def queue_stats(database: Readable, declared: Iterable[str], now_ms: int) -> list[QueueStats]:
    """Return the figures of all queues that are declared or hold messages, by name.

    A message whose delay is over counts as ready: only a consuming process promotes it, and there may be none.
    """
    ready = _ready(database, now_ms)
    later = database.read(
        "SELECT queue, count(*) FROM broker_messages WHERE state = 1 AND eta_ms > ? GROUP BY queue", (now_ms,)
    )
    delayed = {str(queue): int(count) for queue, count in later}
    leased = _counts(database, "SELECT queue, count(*) FROM broker_messages WHERE state = 2 GROUP BY queue")
    blocked = _counts(
        database,
        """
        SELECT queue, count(*) FROM broker_messages WHERE concurrency_key IS NOT NULL AND state = 3 GROUP BY queue
        """,
    )
    dead = _counts(database, "SELECT queue, count(*) FROM broker_dead GROUP BY queue")
    paused = _counts(database, "SELECT queue, since_ms FROM broker_paused")
    return [
        QueueStats(
            queue=queue,
            ready=ready.get(queue, (0, None))[0],
            delayed=delayed.get(queue, 0),
            leased=leased.get(queue, 0),
            dead=dead.get(queue, 0),
            blocked=blocked.get(queue, 0),
            oldest_ready_age_s=max(0.0, (now_ms - ready[queue][1]) / 1000) if queue in ready else None,
            paused=queue in paused,
        )
        for queue in sorted({*declared, *ready, *delayed, *leased, *dead, *blocked, *paused})
    ]


def _ready(database: Readable, now_ms: int) -> dict[str, tuple[int, int]]:
    """Return by queue how many messages are ready, and since when the oldest one is."""
    ready = {
        queue: (count, oldest)
        for queue, count, oldest in database.read(
            """
            SELECT queue, n, (SELECT eta_ms FROM broker_messages WHERE id = first)
            FROM (SELECT queue, count(*) AS n, min(id) AS first FROM broker_messages WHERE state = 0 GROUP BY queue)
                AS depths
            """
        )
    }
    for queue, count, since_ms in database.read(
        "SELECT queue, count(*), min(eta_ms) FROM broker_messages WHERE state = 1 AND eta_ms <= ? GROUP BY queue",
        (now_ms,),
    ):
        known, oldest = ready.get(queue, (0, since_ms))
        ready[queue] = (known + count, min(oldest, since_ms))
    return ready


def consumers(database: Readable, published: Callable[[str], str | None]) -> list[WorkerProcess]:
    """Return the living consumers.

    Args:
        published: returns the line that the owner of a lease publishes, by the lease's name; None: its process is dead.
    """
    rows = database.read(
        """
        SELECT id, pid, host, queues, started_ms, lease,
            (SELECT count(*) FROM broker_messages WHERE state = 2 AND holder = broker_workers.id)
        FROM broker_workers ORDER BY id
        """
    )
    return [
        WorkerProcess.of(id_, pid, host, queues, started_ms, leased, line)
        for id_, pid, host, queues, started_ms, lease, leased in rows
        if (line := published(lease)) is not None
    ]


def is_empty(database: Readable, queue: str) -> bool:
    """Return whether a queue has no waiting, delayed or claimed messages."""
    rows = database.read(
        """
        SELECT EXISTS (SELECT 1 FROM broker_messages WHERE state = 0 AND queue = ?1)
            OR EXISTS (SELECT 1 FROM broker_messages WHERE state = 1 AND queue = ?1)
            OR EXISTS (SELECT 1 FROM broker_messages INDEXED BY broker_leased WHERE state = 2 AND queue = ?1)
            OR EXISTS (SELECT 1 FROM broker_messages
                       WHERE concurrency_key IS NOT NULL AND state = 3 AND queue = ?1)
        """,
        (queue,),
    )
    return not rows[0][0]


def rows_of(database: Readable, message_ids: Sequence[str], *, leased: bool) -> list[tuple[int, str]]:
    """Return the rows (id, message id) of messages that are not claimed; if `leased`, also of claimed messages.

    Reads the whole table, but blocks no writer: an index on random ids would slow down every message.
    """
    rows = database.read(
        """
        SELECT id, message_id FROM broker_messages
        WHERE message_id IN (SELECT value FROM json_each(?) AS wanted) AND (state <> 2 OR (? AND cancelled IS NULL))
        """,
        (json.dumps(message_ids), leased),
    )
    return [(row_id, message_id) for row_id, message_id in rows]


def message_counts(database: Readable, queue: str) -> tuple[int, int, int]:
    """Return how many messages of a queue are ready or blocked, delayed, and dead."""
    rows = database.read(
        """
        SELECT (SELECT count(*) FROM broker_messages WHERE state = 0 AND queue = ?1)
                + (SELECT count(*) FROM broker_messages
                   WHERE concurrency_key IS NOT NULL AND state = 3 AND queue = ?1),
            (SELECT count(*) FROM broker_messages WHERE state = 1 AND queue = ?1),
            (SELECT count(*) FROM broker_dead WHERE queue = ?1)
        """,
        (queue,),
    )
    ready, delayed, dead = rows[0]
    return ready, delayed, dead


def waiting_messages(database: Readable, queue: str, limit: int) -> list[WaitingMessage]:
    """Return the waiting messages of a queue in the order of processing; blocked and delayed messages come last."""
    limit = clamp_integer(limit)
    columns = "message_id, queue, actor, body, attempts + deliveries, state, sent_ms, eta_ms"
    rows = database.read(
        f"""
        SELECT {columns} FROM broker_messages WHERE state = 0 AND queue = ?
        ORDER BY broker_priority DESC, actor_priority, id LIMIT ?
        """,  # noqa: S608  # a constant
        (queue, limit),
    )
    rows += database.read(
        f"""
        SELECT {columns} FROM broker_messages WHERE concurrency_key IS NOT NULL AND state = 3 AND queue = ?
        ORDER BY broker_priority DESC, actor_priority, id LIMIT ?
        """,  # noqa: S608  # a constant
        (queue, limit - len(rows)),
    )
    rows += database.read(
        f"SELECT {columns} FROM broker_messages WHERE state = 1 AND queue = ? ORDER BY eta_ms, id LIMIT ?",  # noqa: S608
        (queue, limit - len(rows)),
    )
    return [_waiting(row) for row in rows]


def held_messages(database: Readable) -> list[HeldMessage]:
    """Return the claimed messages of all processes, the oldest claim first."""
    rows = database.read(
        """
        SELECT message_id, queue, actor, pid, host, attempts + deliveries, claimed_ms
        FROM broker_messages INDEXED BY broker_leased
        JOIN broker_workers ON broker_workers.id = broker_messages.holder
        WHERE state = 2 ORDER BY claimed_ms, broker_messages.id
        """
    )
    return [
        HeldMessage(id_, queue, actor, pid, host, attempts, None if since_ms is None else utc(since_ms))
        for id_, queue, actor, pid, host, attempts, since_ms in rows
    ]


def _waiting(row: tuple[Any, ...]) -> WaitingMessage:
    message_id, queue, actor, body, attempts, state, sent_ms, eta_ms = row
    args, kwargs = decode_arguments(body)
    return WaitingMessage(
        message_id=message_id,
        queue=queue,
        actor=actor,
        args=args,
        kwargs=kwargs,
        attempts=attempts,
        delayed=state == State.DELAYED,
        blocked=state == State.BLOCKED,
        enqueued_at=utc(sent_ms),
        due_at=utc(eta_ms),
    )


def _counts(database: Readable, sql: str) -> dict[str, int]:
    return {queue: count for queue, count in database.read(sql)}  # noqa: C416  # dict() would lose the types
