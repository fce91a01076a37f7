"""A connection that only reads, one query at a time, for whichever thread comes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

__all__ = ["Reader"]


class Reader:
    """Opens at the first query. Whoever owns it sees to errors and forks."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def read(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Return all rows of a query.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        with self._lock:
            if self._connection is None:
                self._connection = self._connect()
                self._connection.execute("PRAGMA query_only = ON")
            return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """Close; the next query opens it again."""
        with self._lock:
            self._close()

    def close_for_fork(self, until_forked: ExitStack) -> None:
        """Close, and keep all threads out until the fork is over."""
        until_forked.enter_context(self._lock)
        self._close()

    def forget(self) -> None:
        """Be as new in a forked child. Nothing was open when it was forked."""
        self._connection = None
        self._lock = threading.Lock()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
