"""The database of a result or rate limiter backend: a writer, reads, and waits for other processes.

Opened at the first use and anew in a forked child. What is stored and when it expires is up to the backends.
"""

from __future__ import annotations

import atexit
import math
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from dramatiq.threading import Interrupt

from broker.engine.batch import WriteBatch, WriteRequest
from broker.engine.notifications import ChannelWaiter
from broker.engine.writer import Writer, WriterHooks
from broker.storage.database import BrokerPaths, Database, Synchronous
from broker.storage.fork import reset_in_children
from broker.storage.schema import BACKEND_SCHEMA
from broker.storage.write_lock import WriteLock

__all__ = ["BackendStore"]

T = TypeVar("T")


class BackendStore:
    """One database file as one backend uses it."""

    def __init__(self, path: str | os.PathLike[str], synchronous: Synchronous) -> None:
        self._paths = BrokerPaths(Path(path).resolve())
        self._write_lock = WriteLock(path)
        self._synchronous = synchronous
        self._lock = threading.Lock()
        self._opened: tuple[Database, Writer] | None = None
        self._waiter: ChannelWaiter | None = None
        self._has_schema = False
        reset_in_children(self)

    def write(self, work: Callable[[WriteBatch], T], *, undo: Callable[[WriteBatch], object] | None = None) -> T:
        """Commit work and return its result.

        Dramatiq raises time limits and shutdowns into threads at any moment. The work is committed once nevertheless,
        and then the exception propagates. The caller does not get the result, so `undo` is committed before if the
        result was true.

        Raises:
            DatabaseUnavailable: nothing was written; the cause lies in the file or the disk.
            NotJoined: this thread holds the write lock and has a transaction of its own.
        """

        def work_with_schema(batch: WriteBatch) -> T:
            BACKEND_SCHEMA.migrate(batch.connection)  # two queries; the file may have been replaced
            return work(batch)

        request = WriteRequest(work_with_schema)
        writer: Writer | None = None
        interruption: Interrupt | None = None
        while True:
            try:
                writer = writer or self._open()[1]
                writer.submit(request)
                result = request.wait()
            except Interrupt as late:
                interruption = interruption or late
            else:
                break
        if interruption is not None:
            if undo is not None and result:
                self.write(undo)
            raise interruption
        return result

    def read(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Return all rows of a query that sees committed data only; never waits for a writer.

        Raises:
            DatabaseUnavailable: the file cannot be read.
        """
        try:
            if not self._has_schema:
                self._ensure_schema()
            return self._open()[0].read(sql, parameters)
        except sqlite3.OperationalError:
            self._has_schema = False  # the file was replaced: the next read creates the tables
            raise

    def wait(self, read: Callable[[], T | None], channel: str, timeout_ms: float | None) -> T | None:
        """Return what `read` finds, now or after a notification; None when the time has passed (never, if None)."""
        found = read()
        if found is not None or timeout_ms == 0:
            return found
        return self._open_waiter().wait(read, channel, math.inf if timeout_ms is None else timeout_ms / 1000)

    def close(self) -> None:
        """Close the file and end the threads. May be repeated; the next use opens it again."""
        with self._lock:
            opened, self._opened = self._opened, None
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.close()
        if opened is not None:
            atexit.unregister(self.close)
            opened[1].close()

    def reset_after_fork(self) -> None:
        """Drop the parent's writer and waiter in a forked child."""
        self._lock = threading.Lock()
        if self._opened is not None:
            atexit.unregister(self.close)
        self._opened = self._waiter = None

    def _ensure_schema(self) -> None:
        # On the writer's thread. A thread that holds the write lock, perhaps with a transaction, only looks.
        if not self._write_lock.held or not self._open()[0].read(BACKEND_SCHEMA.exists_query):
            self.write(lambda _: None)
        self._has_schema = True

    def _open(self) -> tuple[Database, Writer]:
        opened = self._opened
        if opened is not None:
            return opened
        with self._lock:
            if self._opened is None:
                database = Database(self._paths.database, self._write_lock, self._synchronous)
                self._opened = database, Writer(self._paths, database, self._write_lock, WriterHooks())
                atexit.register(self.close)
            return self._opened

    def _open_waiter(self) -> ChannelWaiter:
        waiter = self._waiter
        if waiter is not None:
            return waiter
        with self._lock:
            if self._waiter is None:
                self._waiter = ChannelWaiter(self._paths.channels)
            return self._waiter
