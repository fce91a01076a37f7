"""The store in a SQLite file: one writer at a time, of all processes.

A reading transaction takes no lock; a writing one holds the write lock from BEGIN IMMEDIATE to COMMIT. Messages sent
inside are part of it, because the store uses the broker's write lock and its function to join a transaction.

No wait for a lock is longer than `WriteMutex.timeout_s`. Only worker threads wait again: what they have done (a post, a
delivery) must be recorded, and the supervisor ends a process that stops with the lock.

`DatabaseReplaced` is raised when the file is no longer the one that this process opened.
"""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from loguru import logger
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from store.connection import SCHEMA_VERSION_QUERY, Join, Store, check_version, refuse_newer, upgrade
from store.data_version import DataVersion
from store.database_file import DatabaseFile, connect
from store.errors import DatabaseUnavailable, file_problem, locked, translated
from store.scope import Scope, keeping

CLOSE_TIMEOUT_S = 5.0  # for the write lock in `close`


class WriteMutex(Protocol):
    """The write lock of the file; re-entrant per thread (`broker.storage.write_lock`).

    Attributes:
        timeout_s: of each wait, in seconds.
    """

    timeout_s: float

    def acquire(self, *, timeout_s: float | None = None) -> bool:
        """Acquire the lock; False if it was not free within a time, by default the `timeout_s` of the lock."""

    def release(self) -> None:
        """Release the lock, once for each time that it was acquired."""

    def holder(self) -> str:
        """Return the process that holds the lock, for log messages."""


class SqliteStore(Store):
    """One database file; all writers hold one write lock."""

    def __init__(
        self,
        path: Path,
        *,
        write_lock: WriteMutex,
        joining: Join,
        before_write: Callable[[], None] = lambda: None,
        waits_again: Callable[[], bool] = lambda: False,
    ) -> None:
        """Configure the store; the file is opened at the first use.

        Args:
            path: the SQLite file, shared with the broker.
            write_lock: held during every write.
            joining: as at `Store`.
            before_write: called before each transaction that writes; it must be quick and raise nothing.
            waits_again: as at `Store`.
        """
        self.path = path
        self.name = str(path)
        self._write_lock = write_lock
        self._before_write = before_write
        self._file = DatabaseFile(path)
        self._engine = _engine(path, self._file, write_lock)
        self._data_version = DataVersion(path)
        super().__init__(joining=joining, waits_again=waits_again)

    @contextmanager
    def _writing(self, scope: Scope) -> Iterator[Connection]:
        self._before_write()
        with self._begun() as connection, keeping(connection, scope):
            try:
                with self._joining(connection.connection.driver_connection):
                    yield connection
                    connection.exec_driver_sql("COMMIT")
                    self._file.check()  # a commit into a replaced file must not be reported as successful
            except BaseException:
                _roll_back(connection)
                raise

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        """Hold the write lock and an open transaction in a block."""
        with ExitStack() as stack:
            while True:
                started_s = time.monotonic()
                try:
                    stack.enter_context(self._locked())
                    connection = stack.enter_context(self._connected())
                    self._begin(connection, time.monotonic() - started_s)
                    break
                except DatabaseUnavailable as error:
                    stack.close()
                    if error.reason != "locked" or not self._waits_again():
                        raise
                    logger.warning("{}; waiting again", error)
            yield connection

    def _begin(self, connection: Connection, waited_s: float) -> None:
        """Begin to write; SQLite's own lock, which other programs may hold, must be free within the same timeout."""
        timeout_s = self._write_lock.timeout_s
        if waited_s < timeout_s / 10:  # as long as the wait is short, spare two statements
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        _set_busy_timeout(connection, max(0.0, timeout_s - waited_s))
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        finally:
            _set_busy_timeout(connection, timeout_s)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a read transaction on a snapshot.

        Raises:
            DatabaseUnavailable: the file cannot be read.
            DatabaseReplaced: the file was deleted or replaced.
        """
        with self._connected() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                _roll_back(connection)

    def data_version(self) -> tuple[int, int]:
        """Return a value that changes with each commit of any process: 6 us, measured 2026-11-29.

        Raises:
            DatabaseUnavailable: the file cannot be read.
            DatabaseReplaced: the file was deleted or replaced.
        """
        self._file.check()
        return self._data_version.read()

    def content_version(self) -> tuple[int, ...]:
        """Return size, inode and modification time of the file; see `Store`."""
        facts = self.path.stat()
        return facts.st_size, facts.st_ino, facts.st_mtime_ns

    def check(self) -> None:
        """Check that the file is still the one that this process has open; cheap enough for each request.

        Raises:
            DatabaseReplaced: it was deleted or replaced.
        """
        self._file.check()

    def require_usable(self) -> None:
        """Check at the start of a process that this version can use the database.

        Raises:
            DatabaseUnavailable: it is missing, unreadable, read-only, damaged, or of another version.
        """
        wrong = file_problem(self.path)
        if wrong is not None:
            raise wrong
        try:
            with self.writing(scope="rows") as connection:  # also opens the write lock
                found = connection.exec_driver_sql(SCHEMA_VERSION_QUERY).scalar()
        except DatabaseUnavailable as error:
            if error.reason != "locked":
                raise
            with self.reading() as connection:  # it can be written later: a process that starts now is of use then
                found = connection.exec_driver_sql(SCHEMA_VERSION_QUERY).scalar()
        check_version(found)

    def damage(self, within_s: float = math.inf) -> str | None:
        """Run SQLite's quick check on the whole file; return the first damage, or None.

        It uses a separate connection, whose cache is empty.

        Args:
            within_s: time limit; a check that takes longer is cancelled and returns None.

        Raises:
            DatabaseUnavailable: the file cannot be read.
        """
        deadline_s = time.monotonic() + within_s
        with translated(), closing(connect(self.path)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline_s, 10_000)
            try:
                [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                    return None
                raise
        return None if found == "ok" else str(found)

    def migrate(self) -> None:
        """Migrate the tables to this version. Can be repeated, also by several processes at once.

        Raises:
            DatabaseUnavailable: the file cannot be used, is damaged, or was written by a newer version.
        """
        self._before_write()
        self._make_file()
        with self._locked(), self._connected() as connection:
            if connection.exec_driver_sql("PRAGMA page_count").scalar() == 0:
                connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")  # only heeded before the first table
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                self._refuse_newer(connection)
                upgrade(connection)
                connection.exec_driver_sql("COMMIT")
                self._file.record_identity()  # a new file had no WAL when it was opened
            except BaseException:
                _roll_back(connection)
                raise

    def _make_file(self) -> None:
        """Create a missing file. No other method does, so a deleted database is not replaced by an empty one."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            detail = f"the database cannot be created ({error.strerror})"
            raise DatabaseUnavailable("cannot_open", detail) from error
        wrong = file_problem(self.path)
        if wrong is not None:
            raise wrong

    def _refuse_newer(self, connection: Connection) -> None:
        try:
            found = connection.exec_driver_sql(SCHEMA_VERSION_QUERY).scalar()
        except DBAPIError as error:
            if "no such table" in str(error.orig):
                return
            raise
        refuse_newer(found)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._write_lock.acquire():
            raise locked(self._write_lock.holder())
        try:
            yield
        finally:
            self._write_lock.release()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        self._file.check()
        with translated(), self._engine.connect() as connection:
            yield connection

    def _reset_after_fork(self) -> None:
        # A forked child must neither use nor close its parent's connections (sqlite.org/howtocorrupt.html, 2.6).
        self._engine.dispose(close=False)
        self._data_version.reset_after_fork()
        self._file.reset()

    def close(self) -> None:
        """Close all connections, with the write lock held: closing the last one checkpoints the WAL.

        If the lock is not free in time, they stay open, and end with the process. They are not the last ones, because
        the process that holds the lock has some.
        """
        if not self.path.exists():
            return
        if not self._write_lock.acquire(timeout_s=min(CLOSE_TIMEOUT_S, self._write_lock.timeout_s)):
            logger.warning("Database not closed: the write lock is held by {}", self._write_lock.holder())
            return
        try:
            self._engine.dispose()
            self._data_version.close()
            self._file.reset()
        finally:
            self._write_lock.release()


def _set_busy_timeout(connection: Connection, timeout_s: float) -> None:
    connection.exec_driver_sql(f"PRAGMA busy_timeout={timeout_s * 1000:.0f}")


def _roll_back(connection: Connection) -> None:
    if connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]  # it is sqlite3's
        connection.exec_driver_sql("ROLLBACK")


def _engine(path: Path, file: DatabaseFile, write_lock: WriteMutex) -> Engine:
    # AUTOCOMMIT: the driver begins no transaction by itself; the methods above execute BEGIN and COMMIT.
    engine = create_engine(
        f"sqlite:///{path}",
        creator=lambda: connect(path),
        isolation_level="AUTOCOMMIT",
        pool_size=4,
        max_overflow=-1,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:  # Any: a DBAPI connection has no common type
        busy_timeout = f"busy_timeout={write_lock.timeout_s * 1000:.0f}"
        for pragma in ("foreign_keys=ON", "synchronous=FULL", busy_timeout, "wal_autocheckpoint=1000"):
            connection.execute(f"PRAGMA {pragma}").close()
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").close()  # opens the WAL, whose identity is recorded
        file.record_identity()

    return engine
