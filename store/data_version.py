"""Detects that something was committed, so that what was computed from the database can be used again."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from store.database_file import connect
from store.errors import translated


class DataVersion:
    """A number that changes with each commit of any process (sqlite.org/pragma.html#pragma_data_version).

    SQLite compares with the last call on the same connection, and leaves out commits of that connection. So this one is
    used for nothing else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._opened = 0
        self._inherited: list[sqlite3.Connection | None] = []

    def read(self) -> tuple[int, int]:
        """Return the number, and which connection it is of.

        Raises:
            DatabaseUnavailable: the file cannot be read.
        """
        with self._lock, translated():
            if self._connection is None:
                self._connection = connect(self._path)
            [found] = self._connection.execute("PRAGMA data_version").fetchone()
            return self._opened, int(found)

    def close(self) -> None:
        """Close the connection. The numbers of the next one cannot be compared with those before."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._opened += 1

    def reset_after_fork(self) -> None:
        """Use the parent's connection no more; it is kept, because a child must not close it either."""
        self._lock = threading.Lock()
        self._inherited.append(self._connection)
        self._connection = None
        self._opened += 1
