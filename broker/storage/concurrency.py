"""At most n at once of a key: messages that would be one too many are blocked until one of their key has ended.

What holds after every transaction: a message that is blocked would not be next of its key in its queue, since as many
as may be are leased (in all queues together) or ready before it. So whoever ends a claim, or takes away a ready
message, lets the next ones in (`admit`), and nobody has to look at the blocked ones otherwise. A message's own limit
counts, should those of one key differ.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from broker.storage.schema import Cursorable

__all__ = ["Concurrency", "Slots", "admit", "admits"]


@dataclass(frozen=True, slots=True)
class Concurrency:
    """Which messages count together, in all queues, and how many of them may be worked on at once."""

    key: str
    limit: int


_FIRST = """
    SELECT id, broker_priority, actor_priority FROM broker_messages
    WHERE concurrency_key = ?1 AND state = {state} AND queue = ?2
    ORDER BY broker_priority DESC, actor_priority, id LIMIT ?3
"""


class Slots:
    """How many of each key are leased, while one transaction claims."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._leased: dict[str, int] = {}

    def take(self, key: str, limit: int) -> bool:
        """Count one more of a key. False: it is at the limit."""
        leased = self._leased.get(key)
        if leased is None:
            leased = _leased(self._connection, key, limit)
        self._leased[key] = leased + (leased < limit)
        return leased < limit


def admits(
    connection: Cursorable, concurrency: Concurrency, queue: str, broker_priority: int, actor_priority: int
) -> bool:
    """Tell whether a new message of a key may be ready at once.

    Not if as many as may be are leased or stand before it in its queue; it would only be looked at in vain.
    """
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
        )
        """,
        (concurrency.key, queue, broker_priority, actor_priority, concurrency.limit),
    )
    before = int(cursor.fetchone()[0])
    cursor.close()
    return before < concurrency.limit


def admit(connection: sqlite3.Connection, key: str) -> set[str]:
    """Make as many blocked messages of a key ready as may be; returns the queues that gained some."""
    readied: set[str] = set()
    queue = ""
    while True:
        # From queue to queue by the index: DISTINCT would read all that is blocked.
        row = connection.execute(
            "SELECT min(queue) FROM broker_messages WHERE concurrency_key = ? AND state = 3 AND queue > ?", (key, queue)
        ).fetchone()
        if row[0] is None:
            return readied
        queue = row[0]
        if _admit_in(connection, key, queue):
            readied.add(queue)


def _admit_in(connection: sqlite3.Connection, key: str, queue: str) -> bool:
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
    # Those that may go next, of all that wait: what was given back is ready, but may rank behind what is blocked.
    admitted = connection.execute(
        f"""
        UPDATE broker_messages SET state = 0 WHERE state = 3 AND id IN (
            SELECT id FROM (
                SELECT * FROM ({_FIRST.format(state=0)}) UNION ALL SELECT * FROM ({_FIRST.format(state=3)})
            ) ORDER BY broker_priority DESC, actor_priority, id LIMIT ?3
        )
        """,  # noqa: S608  # constants of ours
        (key, queue, free),
    )
    return admitted.rowcount > 0


def _leased(connection: sqlite3.Connection, key: str, limit: int) -> int:
    row = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM broker_messages WHERE concurrency_key = ? AND state = 2 LIMIT ?)",
        (key, limit),
    ).fetchone()
    return int(row[0])
