"""What can be seen from outside: how full the queues are and who works on them. Reads only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from broker.storage.database import Database
from broker.storage.tally import Counts, parsed

__all__ = [
    "QueueStats",
    "WorkerProcess",
    "consumers",
    "is_empty",
    "message_counts",
    "queue_stats",
    "rows_of",
]


@dataclass(frozen=True, slots=True)
class QueueStats:
    """One queue at one moment."""

    queue: str
    ready: int  # including those whose delay is over
    delayed: int
    leased: int  # being worked on, or on the way to a thread
    dead: int
    oldest_ready_age_s: float | None  # how long the oldest ready message has been ready; None when there is none
    blocked: int = 0  # ready but for others of their concurrency key
    paused: bool = False  # nothing is claimed from it until it is resumed


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A living process that consumes."""

    id: int
    pid: int
    host: str
    queues: tuple[str, ...]
    leased: int  # messages it holds
    started_at: datetime  # UTC
    counts: Mapping[str, Counts] = field(default_factory=dict)  # by queue, since it began to consume


def queue_stats(database: Database, declared: Iterable[str], now_ms: int) -> list[QueueStats]:
    """Return the figures of all queues that are declared or hold something, by name.

    A message whose delay is over counts as ready: only a consuming process would move it, and there may be none.
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


def _ready(database: Database, now_ms: int) -> dict[str, tuple[int, int]]:
    """Return by queue how many messages are ready, and since when the oldest one is."""
    ready = {
        queue: (count, oldest)
        for queue, count, oldest in database.read(
            """
            SELECT queue, n, (SELECT eta_ms FROM broker_messages WHERE id = first)
            FROM (SELECT queue, count(*) AS n, min(id) AS first FROM broker_messages WHERE state = 0 GROUP BY queue)
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


def consumers(database: Database, published: Callable[[str], str | None]) -> list[WorkerProcess]:
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
        WorkerProcess(
            id=id_,
            pid=pid,
            host=host,
            queues=tuple(json.loads(queues)),
            leased=leased,
            counts=parsed(line),
            started_at=datetime.fromtimestamp(started_ms / 1000, tz=UTC),
        )
        for id_, pid, host, queues, started_ms, lease, leased in rows
        if (line := published(lease)) is not None
    ]


def is_empty(database: Database, queue: str) -> bool:
    """Tell whether nothing of a queue waits, is delayed or is being worked on."""
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


def rows_of(database: Database, message_id: str, *, leased: bool) -> list[int]:
    """Return the rows of a message that nobody has begun, or all of them.

    Reads the whole table, but keeps no writer waiting: an index on random ids would slow down every message.
    """
    rows = database.read(
        "SELECT id FROM broker_messages WHERE message_id = ? AND (state <> 2 OR (? AND cancelled IS NULL))",
        (message_id, leased),
    )
    return [row_id for (row_id,) in rows]


def message_counts(database: Database, queue: str) -> tuple[int, int, int]:
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


def _counts(database: Database, sql: str) -> dict[str, int]:
    return {queue: count for queue, count in database.read(sql)}  # noqa: C416  # dict() would lose the types
