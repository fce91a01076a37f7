"""The messages of the queues: store, promote, claim, the ends of a claim, cancel, flush, pause.

Functions over an open transaction, without clock, threads or files. `engine.writer` and `engine.transactions` decide
who commits and who is notified. Each end of a claim is fenced: a claim that was lost before changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from broker.storage.concurrency import Concurrency, SemaphoreCounts, admit, admits
from broker.storage.connection import Cursorable, DatabaseConnection
from broker.storage.unique import Unique, free, free_queue, reserve

__all__ = [
    "MOVED_PER_TRANSACTION",
    "CancelResult",
    "Claim",
    "Entry",
    "Failure",
    "State",
    "ack",
    "cancel",
    "claim",
    "claims_of",
    "dead_letter",
    "flush",
    "is_cancelled",
    "pause",
    "promote",
    "redeliver",
    "release",
    "resume",
    "store",
]

MOVED_PER_TRANSACTION = 1000  # limits how long one transaction holds the write lock when a flood is due or blocked

_FENCED = "id = ? AND holder = ? AND claim = ?"

# Literal conditions, so that SQLite uses the partial indexes. Blocked messages come first: without a ready message
# before them, no process would find them.
_WAITING = (
    "concurrency_key IS NOT NULL AND state = 3 AND queue = ?",
    "state = 0 AND queue = ?",
    "state = 1 AND queue = ?",
)


class State(IntEnum):
    """The state of a stored message."""

    READY = 0  # may be claimed
    DELAYED = 1  # waits for its eta
    LEASED = 2  # claimed by a process
    BLOCKED = 3  # would be ready, but the limit of its concurrency key is reached


@dataclass(frozen=True, slots=True)
class Entry:
    """A message to be stored."""

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
    """A message claimed by a process. `(holder, number)` is the fencing token: no other claim ever has it."""

    row_id: int
    holder: int
    number: int
    queue: str
    body: bytes
    attempts: int  # runs so far, this one included
    key: str | None = None  # its concurrency key


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a message goes to the dead letters, and its last body."""

    error: str
    traceback: str | None
    body: bytes | None = None  # None: as it was stored


@dataclass(frozen=True, slots=True)
class CancelResult:
    """The result of cancelling one row."""

    queue: str | None = None  # of a waiting message, which was deleted
    marked: bool = False  # it is claimed, and will not run again
    readied: frozenset[str] = frozenset()  # queues that gained ready messages


def store(connection: Cursorable, entry: Entry, now_ms: int) -> State | None:
    """Insert a message through any DBAPI connection, inside its open transaction. None: a duplicate, not inserted.

    A message that has run before is never a duplicate, even if its key has expired and another message reserved it.
    """
    if entry.unique is not None:
        reserved = reserve(connection, entry.unique, entry.message_id, now_ms)
        if not reserved and not entry.attempts:
            return None
    concurrency = entry.concurrency
    if entry.eta_ms is not None and entry.eta_ms > now_ms:
        state = State.DELAYED
    elif concurrency is None or admits(
        connection, concurrency, entry.queue, entry.broker_priority, entry.actor_priority
    ):
        state = State.READY
    else:
        state = State.BLOCKED
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


def promote(connection: DatabaseConnection, queue: str, now_ms: int) -> int:
    """Make due messages ready, at the tail of the queue and in the order of their eta. Returns how many.

    The rows are inserted again, so that ids rise in the order of becoming ready: a delay is no shortcut to the head.
    """
    due = connection.execute(
        """
        SELECT id FROM broker_messages WHERE state = 1 AND queue = ? AND eta_ms <= ? ORDER BY eta_ms, id LIMIT ?
        /*postgresql FOR UPDATE SKIP LOCKED*/
        """,
        (queue, now_ms, MOVED_PER_TRANSACTION),
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
    connection: DatabaseConnection, queue: str, limit: int, *, holder: int, number: int, now_ms: int
) -> tuple[list[Claim], bool]:
    """Lease ready messages of a queue to a process, the most urgent first.

    Messages whose key is at its limit are blocked on the way, up to `MOVED_PER_TRANSACTION`.

    Returns:
        Up to `limit` claims, and whether the queue may hold more that can be claimed.
    """
    claims: list[Claim] = []
    counts = SemaphoreCounts(connection)
    blocked = 0
    while blocked < MOVED_PER_TRANSACTION:
        wanted = limit - len(claims)
        rows = connection.execute(
            """
            SELECT id, body, attempts + deliveries + 1, concurrency_key, concurrency_limit FROM broker_messages
            WHERE state = 0 AND queue = ?
            ORDER BY broker_priority DESC, actor_priority, id LIMIT ?
            /*postgresql FOR UPDATE SKIP LOCKED*/
            """,
            (queue, wanted),
        ).fetchall()
        decided = [row for row in rows if row[3] is None or counts.is_free(row[3])]
        free = [row for row in decided if row[3] is None or counts.acquire(row[3], row[4])]
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
        full = [(row[0],) for row in decided if row[0] not in taken]
        connection.executemany("UPDATE broker_messages SET state = 3 WHERE id = ?", full)
        blocked += len(full)
        if len(decided) < len(rows):
            break  # the next claim finds them again
    return claims, True


def ack(connection: DatabaseConnection, held: Claim) -> bool:
    """Delete a message that has been processed. False, here and below: the claim was lost, nothing was changed."""
    return connection.execute(f"DELETE FROM broker_messages WHERE {_FENCED}", _token(held)).rowcount == 1  # noqa: S608


def release(connection: DatabaseConnection, held: Claim) -> bool:
    """Requeue a message that no thread has begun, at its old place; not counted as a delivery.

    A message that was cancelled meanwhile is deleted.
    """
    cursor = connection.execute(
        f"""
        UPDATE broker_messages SET state = 0, holder = NULL, claim = NULL, deliveries = deliveries - 1
        WHERE {_FENCED} AND cancelled IS NULL
        """,  # noqa: S608  # a constant
        _token(held),
    )
    return cursor.rowcount == 1 or _delete_cancelled(connection, held)


def redeliver(connection: DatabaseConnection, held: Claim, *, max_deliveries: int, now_ms: int) -> bool:
    """Requeue a message whose processing was interrupted, at its old place; counted as a delivery.

    A message that was cancelled is deleted. A message that was interrupted `max_deliveries` times is suspected of
    killing its workers, and is dead-lettered.
    """
    row = connection.execute(
        f"""
        UPDATE broker_messages SET state = 0, holder = NULL, claim = NULL
        WHERE {_FENCED} AND cancelled IS NULL RETURNING deliveries
        """,  # noqa: S608  # a constant
        _token(held),
    ).fetchall()
    if not row:
        return _delete_cancelled(connection, held)
    [(deliveries,)] = row
    if deliveries >= max_deliveries:
        error = (
            f"DeliveryLimit: handed out {deliveries} times and cut off each time, by the end of its process or thread"
        )
        _move_to_dead_letters(connection, held.row_id, Failure(error, None), now_ms)
    return True


def dead_letter(connection: DatabaseConnection, held: Claim, failure: Failure, now_ms: int) -> bool:
    """Move a claimed message to the dead letters."""
    ours = connection.execute(f"SELECT 1 FROM broker_messages WHERE {_FENCED}", _token(held)).fetchone()  # noqa: S608
    if ours is None:
        return False
    _move_to_dead_letters(connection, held.row_id, failure, now_ms)
    return True


def claims_of(connection: DatabaseConnection, holder: int) -> list[Claim]:
    """Return all claims of a process, without the bodies."""
    rows = connection.execute(
        "SELECT id, claim, queue, concurrency_key FROM broker_messages WHERE state = 2 AND holder = ? ORDER BY id",
        (holder,),
    )
    return [Claim(row_id, holder, number, queue, b"", 0, key) for row_id, number, queue, key in rows.fetchall()]


def is_cancelled(connection: DatabaseConnection, held: Claim) -> bool:
    """Return whether a message has been cancelled since it was claimed."""
    row = connection.execute(
        f"SELECT 1 FROM broker_messages WHERE {_FENCED} AND cancelled = 1",  # noqa: S608  # a constant
        _token(held),
    ).fetchone()
    return row is not None


def cancel(connection: DatabaseConnection, row_id: int, message_id: str, *, abort: bool) -> CancelResult:
    """Delete a message that no thread has begun, and free its unique key.

    Args:
        abort: mark the message if it is claimed: the process that holds it interrupts it, and it does not run again.
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
        return CancelResult(queue=queue, readied=frozenset() if key is None else frozenset(admit(connection, key)))
    if not abort:
        return CancelResult()
    marked = connection.execute(
        "UPDATE broker_messages SET cancelled = 1 WHERE id = ? AND message_id = ? AND state = 2", (row_id, message_id)
    )
    return CancelResult(marked=marked.rowcount == 1)


def flush(connection: DatabaseConnection, queue: str) -> None:
    """Delete all waiting and dead messages of a queue; claimed messages stay."""
    free_queue(connection, queue)
    for condition in _WAITING:
        connection.execute(f"DELETE FROM broker_messages WHERE {condition}", (queue,))  # noqa: S608  # constants
    connection.execute("DELETE FROM broker_dead WHERE queue = ?", (queue,))


def pause(connection: DatabaseConnection, queue: str, now_ms: int) -> None:
    """Pause a queue: nothing is claimed from it, in any process. A paused queue keeps its old date."""
    connection.execute(
        "INSERT INTO broker_paused (queue, since_ms) VALUES (?, ?) ON CONFLICT DO NOTHING", (queue, now_ms)
    )


def resume(connection: DatabaseConnection, queue: str) -> bool:
    """End the pause of a queue. False: it was not paused."""
    return connection.execute("DELETE FROM broker_paused WHERE queue = ?", (queue,)).rowcount == 1


def _move_to_dead_letters(connection: DatabaseConnection, row_id: int, failure: Failure, now_ms: int) -> None:
    connection.execute(
        """
        INSERT INTO broker_dead
            (queue, broker_priority, actor_priority, message_id, actor, body, sent_ms, died_ms, attempts, error,
             traceback, concurrency_key, concurrency_limit)
        SELECT queue, broker_priority, actor_priority, message_id, actor, coalesce(?, body), sent_ms, ?,
            attempts + deliveries, ?, ?, concurrency_key, concurrency_limit
        FROM broker_messages WHERE id = ?
        """,
        (failure.body, now_ms, failure.error, failure.traceback, row_id),
    )
    connection.execute("DELETE FROM broker_messages WHERE id = ?", (row_id,))


def _delete_cancelled(connection: DatabaseConnection, held: Claim) -> bool:
    rows = connection.execute(
        f"DELETE FROM broker_messages WHERE {_FENCED} AND cancelled = 1 RETURNING message_id",  # noqa: S608
        _token(held),
    ).fetchall()
    for (message_id,) in rows:
        free(connection, message_id)
    return bool(rows)


def _token(held: Claim) -> tuple[int, int, int]:
    return held.row_id, held.holder, held.number
