"""The database of a result or rate limiter backend: a writer, reads, and waits for other processes.

Opened at the first use and anew in a forked child. What is stored and when it expires is up to the backends.
"""

from __future__ import annotations

import atexit
import math
import os
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from dramatiq.threading import Interrupt

from broker.engine.batch import WriteBatch, WriteRequest
from broker.engine.notifications import ChannelWaiter, Poller, Waiter
from broker.engine.writer import BATCH_LIMIT, Writer, WriterHooks
from broker.errors import DatabaseUnavailable
from broker.storage.connection import Writable, WriterLock
from broker.storage.database import BrokerPaths, Database, Synchronous
from broker.storage.file_path import file_path
from broker.storage.fork import reset_in_children
from broker.storage.schema import BACKEND_SCHEMA, Schema
from broker.storage.write_lock import WriteLock

__all__ = ["BackendParts", "BackendStore", "FileBackendStore"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BackendParts:
    """The parts of a backend's store that depend on the kind of the database."""

    database: Writable
    lock: WriterLock
    poller: Poller
    new_waiter: Callable[[], Waiter]  # called when a thread waits for the first time


class BackendStore(ABC):
    """One database as one backend uses it.

    Args:
        schema: of the backend's tables.
        batch_limit: how many writes may share a commit.
    """

    def __init__(self, schema: Schema, batch_limit: int = BATCH_LIMIT) -> None:
        self._schema = schema
        self._batch_limit = batch_limit
        self._lock = threading.Lock()
        self._opened: tuple[BackendParts, Writer] | None = None
        self._waiter: Waiter | None = None
        self._has_schema = False
        reset_in_children(self)

    @abstractmethod
    def _parts(self) -> BackendParts:
        """Return new parts for this process."""

    def _begin(self, batch: WriteBatch) -> None:  # noqa: B027  # a hook
        """Called at the beginning of each write."""

    def write(self, work: Callable[[WriteBatch], T], *, undo: Callable[[WriteBatch], object] | None = None) -> T:
        """Commit work and return its result.

        Dramatiq raises time limits and shutdowns into threads at any moment. The work is committed once nevertheless,
        and then the exception propagates. The caller does not get the result, so `undo` is committed before if the
        result was true.

        Raises:
            DatabaseUnavailable: nothing was written; the cause lies in the file, the disk or the server.
            NotJoined: this thread holds the write lock and has a transaction of its own.
        """

        def begin_and_work(batch: WriteBatch) -> T:
            self._begin(batch)
            return work(batch)

        request = WriteRequest(begin_and_work)
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
            DatabaseUnavailable: the database cannot be read.
        """
        try:
            if not self._has_schema:
                self._ensure_schema()
            return self._open()[0].database.read(sql, parameters)
        except (sqlite3.OperationalError, DatabaseUnavailable):
            self._has_schema = False  # the database was replaced: the next read creates the tables
            raise

    def wait(self, read: Callable[[], T | None], channel: str, timeout_ms: float | None) -> T | None:
        """Return what `read` finds, now or after a notification; None when the time has passed (never, if None)."""
        found = read()
        if found is not None or timeout_ms == 0:
            return found
        return self._open_waiter().wait(read, channel, math.inf if timeout_ms is None else timeout_ms / 1000)

    def close(self) -> None:
        """Close the database and end the threads. May be repeated; the next use opens it again."""
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
        parts = self._open()[0]
        if not parts.lock.held or not parts.database.read(self._schema.exists_query):
            self.write(lambda _: None)
        self._has_schema = True

    def _open(self) -> tuple[BackendParts, Writer]:
        opened = self._opened
        if opened is not None:
            return opened
        with self._lock:
            if self._opened is None:
                parts = self._parts()
                writer = Writer(parts.database, parts.lock, WriterHooks(), parts.poller, self._batch_limit)
                self._opened = parts, writer
                atexit.register(self.close)
            return self._opened

    def _open_waiter(self) -> Waiter:
        waiter = self._waiter
        if waiter is not None:
            return waiter
        new_waiter = self._open()[0].new_waiter
        with self._lock:
            if self._waiter is None:
                self._waiter = new_waiter()
            return self._waiter


class FileBackendStore(BackendStore):
    """One SQLite file as one backend uses it."""

    def __init__(self, path: str | os.PathLike[str], synchronous: Synchronous) -> None:
        self._paths = BrokerPaths(file_path(path))
        self._write_lock = WriteLock(path)
        self._synchronous = synchronous
        super().__init__(BACKEND_SCHEMA)

    def _parts(self) -> BackendParts:
        channels = self._paths.channels
        return BackendParts(
            Database(self._paths.database, self._write_lock, self._synchronous),
            self._write_lock,
            Poller(channels),
            partial(ChannelWaiter, channels),
        )

    def _begin(self, batch: WriteBatch) -> None:
        self._schema.migrate(batch.connection)  # two queries; the file may have been replaced
