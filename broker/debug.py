"""The inner state of a broker, for tests: writer, claims, lease, connections. Production code never imports it."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from broker.broker import DatabaseBroker
from broker.engine import notifications
from broker.engine.batch import WriteBatch, WriteRequest
from broker.engine.message import SqliteMessage
from broker.engine.prefetch import Prefetcher
from broker.engine.processes import LeaseFile, ProcessRegistry
from broker.postgresql.database import PostgresqlDatabase
from broker.postgresql.registry import Moment, PostgresqlRegistry
from broker.storage.connection import Writable
from broker.storage.database import Database, ReadConnection
from broker.storage.write_lock import WriteLock

__all__ = ["BrokerDebug", "awaits_notification", "each_connection", "is_blocked", "woken_by_tokens_only"]

T = TypeVar("T")


class BrokerDebug:
    """The inner state of one broker in this process. Every member opens a closed broker."""

    def __init__(self, broker: DatabaseBroker) -> None:
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
    def database(self) -> Writable:
        """The connections of this process."""
        return self._broker._engine().database

    @property
    def lease(self) -> LeaseFile:
        """The lease of this process, which must be registered."""
        registry = self._broker._engine().registry
        assert isinstance(registry, ProcessRegistry)
        lease = registry._lease
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

    def delay_heartbeats(self) -> None:
        """Let this process be as after a freeze of an hour, before its thread has noticed that a heartbeat is due."""
        registry = self._broker._engine().registry
        assert isinstance(registry, PostgresqlRegistry)
        registry._due_s -= 3600
        registry.keep = lambda commit: None  # type: ignore[method-assign]  # noqa: ARG005

    def age_heartbeat(self, seconds: float, *, paused: bool) -> None:
        """Let the last heartbeat be older; `paused`: by the wall clock only, as in a virtual machine."""
        registry = self._broker._engine().registry
        assert isinstance(registry, PostgresqlRegistry)
        assert registry._watch is not None
        boot_s, wall_s = registry._watch._last
        registry._watch._last = Moment(boot_s if paused else boot_s - seconds, wall_s - seconds)

    @contextmanager
    def frozen_in_transaction(self) -> Iterator[None]:
        """Let the writer of this process stop in the middle of a transaction, with its rows locked."""
        database = self._broker._engine().database
        assert isinstance(database, PostgresqlDatabase)
        assert database._lock.acquire()
        try:
            session = database.writer(5.0).session
            with session.pipeline():
                session.run("BEGIN")
                session.run("SELECT set_config('idle_in_transaction_session_timeout', '1s', true)")
                session.run("SELECT id FROM broker_messages FOR UPDATE")
            yield
            session.close()
        finally:
            database._lock.release_leaked()

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
def woken_by_tokens_only() -> Iterator[None]:
    """Have relayed processes learn of their own messages by tokens in this block, as others do.

    By default a process claims what it has sent at once, so that no test with one process would need a relay.
    """
    recheck, unclaimed = Prefetcher.recheck, Prefetcher.unclaimed

    def recheck_unless_relayed(self: Prefetcher, queues: set[str]) -> None:
        recheck(self, set() if self._relayed else queues)

    def all_unclaimed(self: Prefetcher, batch: WriteBatch) -> set[str]:
        return batch.readied | batch.delayed if self._relayed else unclaimed(self, batch)

    Prefetcher.recheck = recheck_unless_relayed  # type: ignore[method-assign]  # for the length of the block
    Prefetcher.unclaimed = all_unclaimed  # type: ignore[method-assign]
    try:
        yield
    finally:
        Prefetcher.recheck, Prefetcher.unclaimed = recheck, unclaimed  # type: ignore[method-assign]


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
