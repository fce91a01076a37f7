"""Queues that are paused: nothing is claimed from them, in any process, until they are resumed."""

from __future__ import annotations

import sqlite3

__all__ = ["pause", "resume"]


def pause(connection: sqlite3.Connection, queue: str, now_ms: int) -> None:
    """Pause a queue. One that is paused stays so, with its old date."""
    connection.execute("INSERT OR IGNORE INTO broker_paused (queue, since_ms) VALUES (?, ?)", (queue, now_ms))


def resume(connection: sqlite3.Connection, queue: str) -> bool:
    """Have a queue go on. False: it was not paused."""
    return connection.execute("DELETE FROM broker_paused WHERE queue = ?", (queue,)).rowcount == 1
