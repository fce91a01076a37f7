"""The inner state of a broker, for tests: writer, claims, lease, connections. Production code never imports it."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from broker.broker import SqliteBroker
from broker.engine import notifications
from broker.engine.batch import WriteBatch, WriteRequest
from broker.engine.message import SqliteMessage
from broker.engine.processes import LeaseFile
from broker.storage.database import Database, ReadConnection
from broker.storage.write_lock import WriteLock

__all__ = ["BrokerDebug", "awaits_notification", "each_connection", "is_blocked"]

T = TypeVar("T")


class BrokerDebug:
    """The inner state of one broker in this process. Every member opens a closed broker."""

    def __init__(self, broker: SqliteBroker) -> None:
        self._broker = broker

    @property
    def is_idle(self) -> bool:
        """Return whether the writer thread sleeps, with no request, read or timer due. Notifications may be unread."""
        engine = self._broker._engine()
        asleep = engine._poller._asleep and not engine._poller._woken and not engine.writer._requests
        must_read = any(buffer.must_read for buffer in engine.prefetcher.open_buffers())
        return asleep and not must_read and engine._due_in_s() > 0

    @property
    def claims(self) -> set[tuple[int, int]]:
        """Row id and claim number of each message that this process holds."""
        return set(self._broker._engine().prefetcher.claims)

    @property
    def process_id(self) -> int | None:
        """Id of this process in `broker_workers`; None while it is not registered."""
        return self._broker._engine().registry.id

    @property
    def database(self) -> Database:
        """The connections of this process."""
        return self._broker._engine().database

    @property
    def lease(self) -> LeaseFile:
        """The lease of this process, which must be registered."""
        lease = self._broker._engine().registry._lease
        assert lease is not None
        return lease

    def waiting(self, queue: str) -> int:
        """Return how many consumers wait for a message of a queue."""
        buffer = self._broker._engine().prefetcher.buffers.get(queue)
        return 0 if buffer is None else len(buffer.waiting)

    def write(self, work: Callable[[WriteBatch], T]) -> T:
        """Commit work on the writer thread, after all requests submitted before, and return its result."""
        return self._broker._engine().writer.call(work)

    def collect(self, message: SqliteMessage, *, failed: bool) -> AbstractContextManager[None]:
        """Collect what this thread sends in a block as follow-ups of a message, as the hooks after its actor do."""
        return self._broker._context.collect(message, failed=failed)

    def run_maintenance_soon(self) -> None:
        """Have the writer thread run the maintenance, as when another process exits."""
        self._broker._engine().maintenance.run_soon()
        self._broker._engine().writer.wake()

    def die(self) -> None:
        """Close the broker as the kernel closes a killed process: its row and its claims stay in the tables."""
        self._broker._engine().registry.deregister = lambda batch: None  # type: ignore[method-assign]  # noqa: ARG005
        self._broker.close()


def is_blocked(thread: threading.Thread) -> bool:
    """Return whether a thread waits for the write lock, its write request or the end of a query."""
    return _is_inside(thread, WriteLock.acquire, WriteRequest.wait, ReadConnection.read)


def awaits_notification(thread: threading.Thread) -> bool:
    """Return whether a thread waits for a result or an event that the tables do not have."""
    return _is_inside(thread, notifications._Wait.block)


def _is_inside(thread: threading.Thread, *functions: Any) -> bool:  # Any: functions with code
    codes = {function.__code__ for function in functions}
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_code not in codes:
        frame = frame.f_back
    return frame is not None


@contextmanager
def each_connection(prepare: Callable[[sqlite3.Connection], object]) -> Iterator[None]:
    """Call `prepare` with every connection that a broker or backend opens in this block."""
    connect = Database._connect

    def connect_prepared(self: Database) -> sqlite3.Connection:
        connection = connect(self)
        prepare(connection)
        return connection

    Database._connect = connect_prepared  # type: ignore[method-assign]  # for the length of the block
    try:
        yield
    finally:
        Database._connect = connect  # type: ignore[method-assign]
