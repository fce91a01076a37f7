"""The connections of a process to a PostgreSQL server: one that writes, one that reads, one that listens.

A transaction whose COMMIT was not answered is looked up by its number, so that it is neither lost nor repeated.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
from dramatiq.worker import WorkerThread
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ReadOnlySqlTransaction, UndefinedTable
from psycopg.pq import TransactionStatus

from broker.errors import (
    CommitOutcomeUnknown,
    DatabaseUnavailable,
    ServerUnreachable,
    WriteLockTimeout,
)
from broker.postgresql.schema import POSTGRESQL_MESSAGE_SCHEMA
from broker.postgresql.session import ServerSession
from broker.postgresql.transaction import (
    OUTCOME_QUERY,
    RECOVERY_QUERY,
    TransactionId,
    WriterConnection,
    first_query,
    was_committed,
)
from broker.storage.schema import Schema

__all__ = ["NOTIFY", "ConnectionLock", "PostgresqlDatabase", "has_tables", "url_without_password"]

LOCK_TIMEOUT_S = 30.0
CONNECT_WAIT_S = 5.0  # how long a writer tries to connect: a server that restarts is soon there again
CONNECT_INTERVAL_S = 0.2
OUTCOME_WAIT_S = 30.0
OUTCOME_INTERVAL_S = 0.05

NOTIFY = "SELECT pg_notify(name, '') FROM unnest(CAST(? AS TEXT[])) AS name"

logger = logging.getLogger(__name__)


class ConnectionLock:
    """Mutual exclusion of the threads of this process that use the connection that writes."""

    def __init__(self) -> None:
        self.timeout_s = LOCK_TIMEOUT_S
        self._lock = threading.RLock()
        self._owner: int | None = None
        self._depth = 0

    @property
    def held(self) -> bool:
        """Return whether the calling thread holds the lock."""
        return self._owner == threading.get_ident()

    def acquire(self, *, blocking: bool = True, timeout_s: float | None = None) -> bool:
        """Acquire the lock; False if another thread has held it until the end of the timeout."""
        wait_s = self.timeout_s if timeout_s is None else timeout_s
        if not (self._lock.acquire(timeout=wait_s) if blocking else self._lock.acquire(blocking=False)):
            return False
        self._owner = threading.get_ident()
        self._depth += 1
        return True

    def release(self) -> None:
        """Release the lock, once for each time that it was acquired."""
        if self.held:
            self._depth -= 1
            if self._depth == 0:
                self._owner = None
            self._lock.release()

    def release_leaked(self) -> bool:
        """Release the lock for good if the calling thread holds it; returns whether it did."""
        held = self.held
        while self.held:
            self.release()
        return held

    def waiting(self) -> contextlib.nullcontext[None]:
        """Return a context that does nothing: no thread of another process holds this lock."""
        return contextlib.nullcontext()

    def timeout_error(self) -> BaseException:
        """Return the error of a wait that has ended without the lock."""
        return WriteLockTimeout("the connection that writes is in use by another thread")


def url_without_password(url: str) -> str:
    """Return a short form of a URL for messages."""
    try:
        parts = conninfo_to_dict(url.replace("+psycopg://", "://", 1))
    except psycopg.Error:
        return "the database"
    port = f":{parts['port']}" if "port" in parts else ""
    return f"postgresql://{parts.get('host', '')}{port}/{parts.get('dbname', '')}"


def has_tables(url: str) -> bool:
    """Return whether a database has the tables of messages.

    Raises:
        ServerUnreachable: there is no server, it refuses, or the URL is wrong.
    """
    session = _connect(url, "probe")
    try:
        return session.run(POSTGRESQL_MESSAGE_SCHEMA.exists_query).fetchone() is not None
    finally:
        session.close()


def _connect(url: str, role: str) -> ServerSession:
    try:
        return ServerSession(url, f"broker {role}")
    except psycopg.Error as error:
        raise ServerUnreachable(str(error).strip()) from error


class PostgresqlDatabase:
    """The connections of one process to one database.

    Args:
        url: of the database; `postgresql+psycopg://`, as SQLAlchemy writes it, is accepted, too.
        listen_url: a way to the same database past a pooler in transaction mode; None is the same.
        lock: of the connection that writes.
        schema: of the tables.
        synchronous: whether a commit waits until it is durable.
    """

    def __init__(
        self,
        url: str,
        listen_url: str | None,
        lock: ConnectionLock,
        schema: Schema = POSTGRESQL_MESSAGE_SCHEMA,
        *,
        synchronous: bool = True,
    ) -> None:
        self._schema = schema
        self._first_query = first_query(synchronous=synchronous)
        self._url = url
        self._listen_url = listen_url or url
        self._lock = lock
        self._writer: WriterConnection | None = None
        self._reader: ServerSession | None = None
        self._reader_lock = threading.Lock()
        self._listener: ServerSession | None = None
        self._has_schema = False
        self._closing = False
        self.on_connect: list[Callable[[WriterConnection], None]] = []  # called with each connection that writes

    @property
    def title(self) -> str:
        """The name of the database and its server, without the password."""
        return url_without_password(self._url)

    @property
    def is_open(self) -> bool:
        """Return whether the connection that writes is open."""
        return self._writer is not None and not self._writer.session.is_lost

    def make_directory(self) -> None:
        """Do nothing: the server has its own."""

    def writer(self, timeout_s: float) -> WriterConnection:
        """Return the connection that writes, opened if need be. The caller holds the lock.

        Raises:
            ServerUnreachable: there is no server within that time, or within `CONNECT_WAIT_S`.
        """
        if self._writer is not None and self._was_closed_by_server(self._writer.session):
            self._drop_writer()
        if self._writer is None:
            session = self._connect_patiently(min(timeout_s, CONNECT_WAIT_S))
            try:
                [recovery] = session.run(RECOVERY_QUERY).fetchone()
                writer = WriterConnection(session, self._was_committed, self._first_query, recovery)
                self._prepare(writer)
            except BaseException:
                session.close()
                raise
            self._writer = writer
        return self._writer

    def roll_back(self, connection: WriterConnection, error: BaseException) -> None:
        """End a transaction that an error has broken off; close the connection if it cannot be used any more."""
        session = connection.session
        try:
            if session.status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
                session.script("ROLLBACK")
        except DatabaseUnavailable:
            logger.warning("Rollback failed after %s, connecting again.", error)
        # A server that is read-only has perhaps become a standby: the next connection may lead to the new primary.
        is_standby = isinstance(error.__cause__, ReadOnlySqlTransaction)
        if is_standby or session.is_lost or session.status is not TransactionStatus.IDLE:
            self._drop_writer()

    def read(self, sql: str, parameters: tuple[Any, ...] = (), *, by_writer: bool = False) -> list[tuple[Any, ...]]:
        """Return all rows of a query that sees committed data only. Any thread.

        Args:
            by_writer: called by the writer's thread, which does not wait for the queries of others.

        Raises:
            DatabaseUnavailable: the server cannot be reached.
        """
        try:
            return self._read_listening(sql, parameters) if by_writer else self._read(sql, parameters)
        except UndefinedTable:
            self.open()
        return self._read_listening(sql, parameters) if by_writer else self._read(sql, parameters)

    def open(self) -> None:
        """Create the tables where they are missing."""
        if not self._lock.acquire():
            raise self._lock.timeout_error()
        try:
            self._has_schema = False
            self._drop_writer()
            self.writer(self._lock.timeout_s)
        finally:
            self._lock.release()

    def listening(self) -> ServerSession:
        """Return the session of the writer's thread that listens, opened if need be.

        Raises:
            DatabaseUnavailable: the server cannot be reached.
        """
        if self._listener is None or self._listener.is_lost:
            self._listener = _connect(self._listen_url, "listener")
        return self._listener

    def second_session(self) -> ServerSession:
        """Return a new session, which the caller closes."""
        return _connect(self._url, "probe")

    def drop_listener(self) -> None:
        """Close the session that listens."""
        if self._listener is not None:
            self._listener.close()
        self._listener = None

    def notify(self, channels: list[str]) -> bool:
        """Notify channels of the server on the connection that writes; False if it is in use or lost.

        Not on a worker thread: an exception may be raised into that while the connection waits for the answer.
        """
        if isinstance(threading.current_thread(), WorkerThread) or not self._lock.acquire(blocking=False):
            return False
        try:
            session = None if self._writer is None else self._writer.session
            if session is None or session.is_lost or session.status is not TransactionStatus.IDLE:
                return False
            session.run(NOTIFY, (channels,))
        except DatabaseUnavailable:
            return False
        except BaseException:
            self._drop_writer()
            raise
        else:
            return True
        finally:
            self._lock.release()

    @property
    def writer_pid(self) -> int | None:
        """The number of the server's process of the connection that writes."""
        writer = self._writer
        return None if writer is None else writer.session.connection.info.backend_pid

    def shrink(self, pages: int, *, spare: int) -> bool:  # noqa: ARG002  # SQLite's
        """Do nothing: the server's autovacuum does it."""
        return False

    def close(self, timeout_s: float) -> None:
        """Close all connections but the one that listens, which the poller closes after its last notification."""
        self._closing = True
        if not self._lock.acquire(timeout_s=timeout_s):
            raise self._lock.timeout_error()
        try:
            self._drop_writer()
            with self._reader_lock:
                if self._reader is not None:
                    self._reader.close()
                self._reader = None
        finally:
            self._lock.release()

    def _prepare(self, writer: WriterConnection) -> None:
        if not self._has_schema:
            writer.execute("BEGIN IMMEDIATE")
            self._schema.migrate(writer)
            writer.execute("COMMIT")
            self._has_schema = True
        for call in self.on_connect:
            call(writer)

    def _read(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._reader_lock:
            while True:
                was_open = self._has_reader()
                try:
                    return self._run_by_reader(sql, parameters)
                except DatabaseUnavailable:
                    if not was_open:
                        raise  # else the server has closed an idle connection: once more on a new one

    def _has_reader(self) -> bool:
        if self._reader is not None and self._was_closed_by_server(self._reader):
            self._reader = None
        return self._reader is not None

    def _run_by_reader(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if self._reader is None:
            self._reader = _connect(self._url, "reader")
        try:
            return self._reader.run(sql, parameters).fetchall()
        except UndefinedTable:
            raise
        except BaseException:  # also an exception raised into this thread, which leaves the query unfinished
            self._reader.close()
            self._reader = None
            raise

    def _read_listening(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self.listening().run(sql, parameters).fetchall()

    def _connect_patiently(self, timeout_s: float) -> ServerSession:
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                return _connect(self._url, "writer")
            except ServerUnreachable:
                if self._closing or time.monotonic() >= deadline_s:
                    raise
                time.sleep(CONNECT_INTERVAL_S)

    def _was_closed_by_server(self, session: ServerSession) -> bool:
        """Return whether an idle connection has ended; what the server sent when it shut down is read here."""
        if not session.is_lost:
            try:
                session.connection.pgconn.consume_input()
            except psycopg.Error:
                session.close()
        return session.is_lost

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.session.close()
        self._writer = None

    def _was_committed(self, transaction: TransactionId) -> bool:
        """Ask the server how a transaction has ended whose COMMIT was not answered.

        Raises:
            CommitOutcomeUnknown: the server does not say within `OUTCOME_WAIT_S`, or cannot know.
        """
        deadline_s = time.monotonic() + OUTCOME_WAIT_S
        while True:
            answer = self._outcome_of(transaction.number)
            committed = None if answer is None else was_committed(transaction, *answer)
            if committed is not None:
                return committed
            if self._closing or time.monotonic() >= deadline_s:
                raise CommitOutcomeUnknown(f"transaction {transaction.number}: the connection was lost in its COMMIT")
            time.sleep(OUTCOME_INTERVAL_S)

    def _outcome_of(self, number: str) -> tuple[str | None, object] | None:
        try:
            session = _connect(self._url, "writer")
        except ServerUnreachable:
            return None
        try:
            status, recovery = session.run(OUTCOME_QUERY, (number,)).fetchone()
        except (psycopg.Error, DatabaseUnavailable):
            return None
        else:
            return status, recovery
        finally:
            session.close()
