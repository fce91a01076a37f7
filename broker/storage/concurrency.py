"""Concurrency keys: at most n messages of a key are processed at once; the others are blocked.

Invariant after every transaction: as many messages of a key as its limit allows are leased (in all queues together) or
ready before each blocked message of its queue. So a transaction that ends a claim or removes a ready message makes the
next ones ready (`admit`), and blocked messages need not be read otherwise. Where the limits of one key differ, a
message's own limit counts.

More messages than that may be ready: a claim blocks those that the limit excludes. On PostgreSQL, a transaction that
blocks messages of a key, or makes them ready, reserves the key (`Dialect`).
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.storage.connection import Cursorable, DatabaseConnection, dialect_of

__all__ = ["Concurrency", "SemaphoreCounts", "admit", "admits"]


@dataclass(frozen=True, slots=True)
class Concurrency:
    """A key that messages share, in all queues, and how many of them may be processed at once."""

    key: str
    limit: int


_FIRST = """
    SELECT id, broker_priority, actor_priority FROM broker_messages
    WHERE concurrency_key = ?1 AND state = {state} AND queue = ?2
    ORDER BY broker_priority DESC, actor_priority, id LIMIT ?3
"""


class SemaphoreCounts:
    """The leased messages of each key while one transaction claims, as counting semaphores."""

    def __init__(self, connection: DatabaseConnection) -> None:
        self._connection = connection
        self._dialect = dialect_of(connection)
        self._leased: dict[str, int] = {}

    def is_free(self, key: str) -> bool:
        """Return whether this transaction may decide about a key. False: another one does, which will soon end."""
        return self._dialect is None or self._dialect.try_key(key)

    def acquire(self, key: str, limit: int) -> bool:
        """Count one more message of a key. False: the limit is reached."""
        leased = self._leased.get(key)
        if leased is None:
            leased = _leased(self._connection, key, limit)
        self._leased[key] = leased + (leased < limit)
        return leased < limit


def admits(
    connection: Cursorable, concurrency: Concurrency, queue: str, broker_priority: int, actor_priority: int
) -> bool:
    """Return whether a new message of a key is ready at once.

    It is blocked if as many as the limit allows are leased or come before it in its queue. If another transaction
    decides about the key, the message is ready, and the next claim blocks it.
    """
    dialect = dialect_of(connection)
    if dialect is not None and not dialect.try_key(concurrency.key):
        return True
    cursor = connection.cursor()
    cursor.execute(
        """
        SELECT count(*) FROM (
            SELECT 1 FROM broker_messages WHERE concurrency_key = ?1 AND state = 2
            UNION ALL
            SELECT 1 FROM broker_messages WHERE concurrency_key = ?1 AND state = 0 AND queue = ?2
                AND broker_priority > ?3
            UNION ALL
            SELECT 1 FROM broker_messages WHERE concurrency_key = ?1 AND state = 0 AND queue = ?2
                AND broker_priority = ?3 AND actor_priority <= ?4
            LIMIT ?5
        ) AS before
        """,
        (concurrency.key, queue, broker_priority, actor_priority, concurrency.limit),
    )
    before = int(cursor.fetchone()[0])
    cursor.close()
    return before < concurrency.limit


def admit(connection: DatabaseConnection, key: str) -> set[str]:
    """Make as many blocked messages of a key ready as the limit allows; returns the queues that gained some."""
    dialect = dialect_of(connection)
    if dialect is not None:
        dialect.take_key(key)
    readied: set[str] = set()
    queue = ""
    while True:
        # From queue to queue by the index: DISTINCT would read all blocked messages.
        row = connection.execute(
            "SELECT min(queue) FROM broker_messages WHERE concurrency_key = ? AND state = 3 AND queue > ?", (key, queue)
        ).fetchone()
        if row[0] is None:
            return readied
        queue = row[0]
        if _admit_in(connection, key, queue):
            readied.add(queue)


def _admit_in(connection: DatabaseConnection, key: str, queue: str) -> bool:
    (limit,) = connection.execute(
        """
        SELECT concurrency_limit FROM broker_messages WHERE concurrency_key = ? AND state = 3 AND queue = ?
        ORDER BY broker_priority DESC, actor_priority, id LIMIT 1
        """,
        (key, queue),
    ).fetchone()
    free = limit - _leased(connection, key, limit)
    if free <= 0:
        return False
    # The next of all waiting messages: a released message is ready, but may rank behind a blocked one.
    admitted = connection.execute(
        f"""
        UPDATE broker_messages SET state = 0 WHERE state = 3 AND id IN (
            SELECT id FROM (
                SELECT * FROM ({_FIRST.format(state=0)}) AS ready
                UNION ALL SELECT * FROM ({_FIRST.format(state=3)}) AS blocked
            ) AS waiting ORDER BY broker_priority DESC, actor_priority, id LIMIT ?3
        )
        """,  # noqa: S608  # constants
        (key, queue, free),
    )
    return admitted.rowcount > 0


def _leased(connection: DatabaseConnection, key: str, limit: int) -> int:
    row = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM broker_messages WHERE concurrency_key = ? AND state = 2 LIMIT ?) AS held",
        (key, limit),
    ).fetchone()
    return int(row[0])
