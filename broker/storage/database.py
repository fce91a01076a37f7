"""The database file: its paths, and the connections of a process, one that writes and two that read.

The connection that writes is used under the write lock only. This module opens, begins and ends; the statements about
messages are in `queue`, `dead_letters` and `inspection`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from broker.errors import DatabaseReplaced, DatabaseUnavailable, WriteLockTimeout, is_locked, translated
from broker.storage.connection import DatabaseConnection
from broker.storage.fork import close_before_forks
from broker.storage.schema import MESSAGE_SCHEMA
from broker.storage.write_lock import WriteLock

__all__ = [
    "MAX_INTEGER",
    "BrokerPaths",
    "Database",
    "IfReplaced",
    "ReadConnection",
    "Synchronous",
    "begin",
    "clamp_integer",
    "now_ms",
    "utc",
]

Synchronous = Literal["OFF", "NORMAL", "FULL", "EXTRA"]
IfReplaced = Literal["reopen", "refuse"]

BUSY_TIMEOUT_S = 5.0
BUSY_STEP_S = 0.5  # of the connection that writes; it tries again until the timeout of the write lock is over
WAL_PAGES = 1000  # the commit that passes this runs a checkpoint, so under the write lock
WAL_KEPT_BYTES = 8 * 1024 * 1024

# Never renamed: a process of an older version that watches this directory would no longer be notified.
CHANNELS_DIRECTORY = "bells"

_INCREMENTAL = 2  # as PRAGMA auto_vacuum says it

MAX_INTEGER = 2**63 - 1  # sqlite.org/datatype3.html, section 2

logger = logging.getLogger(__name__)


def now_ms() -> int:
    """Return the wall clock in Unix milliseconds, the unit of the tables."""
    return time.time_ns() // 1_000_000


def utc(moment_ms: int) -> datetime:
    """Return the time of a moment of the tables."""
    return datetime.fromtimestamp(moment_ms / 1000, tz=UTC)


def clamp_integer(number: int) -> int:
    """Return the nearest 64-bit integer; `sqlite3` raises OverflowError for larger ones."""
    return max(-MAX_INTEGER - 1, min(number, MAX_INTEGER))


@dataclass(frozen=True)
class BrokerPaths:
    """The paths of a database file and of its side files.

    The side files hold no data and may be deleted while no process uses the database.
    """

    database: Path

    @cached_property
    def directory(self) -> Path:
        """Directory of the side files."""
        return self.database.with_name(self.database.name + "-broker")

    @cached_property
    def channels(self) -> Path:
        """Directory with a file per notification channel."""
        return self.directory / CHANNELS_DIRECTORY

    @cached_property
    def leases(self) -> Path:
        """Directory with a locked file per consuming process."""
        return self.directory / "leases"


class ReadConnection:
    """A connection that only reads, one query at a time, for any thread. Opened by the first query."""

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
        """Close; the next query opens the connection again."""
        with self._lock:
            self._close()

    def close_for_fork(self, until_forked: ExitStack) -> None:
        """Close, and block all threads until the fork is over."""
        until_forked.enter_context(self._lock)
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class Database:
    """The connections of one process to one database file."""

    def __init__(
        self,
        path: Path,
        write_lock: WriteLock,
        synchronous: Synchronous,
        if_replaced: IfReplaced = "reopen",
        before_write: Callable[[], None] | None = None,
    ) -> None:
        self.path = path
        self._name = str(path)
        self._refuses = if_replaced == "refuse"
        self._write_lock = write_lock
        self._synchronous = synchronous
        self._before_write = before_write
        self._writer: sqlite3.Connection | None = None
        self._reader = ReadConnection(self._connect)
        self._writer_reader = ReadConnection(self._connect)  # of the writer's thread
        self._identity: tuple[int, int] | None = None  # of the file that is open
        # Path → identity of the WAL and the shared memory, while they are open.
        self._wal_identities: dict[str, tuple[int, int]] = {}
        self._used = False  # set before anything is opened, so that a fork at that moment waits
        close_before_forks(self)

    def writer(self, timeout_s: float) -> sqlite3.Connection:
        """Return the connection that writes, opened if need be. The caller holds the write lock.

        Args:
            timeout_s: how long to wait for a foreign writer that ignores the write lock, to within `BUSY_STEP_S`.

        Raises:
            sqlite3.Error: the file cannot be opened.
            DatabaseReplaced: the file was replaced, and `if_replaced` is "refuse".
        """
        if self._before_write is not None:
            self._before_write()
        opened_before = self._writer is not None or self._identity is not None
        if opened_before and self._is_replaced():
            self._leave_replaced_file()
        if self._writer is None:
            connection = self._connect()
            try:
                connection.execute(f"PRAGMA busy_timeout = {min(BUSY_TIMEOUT_S, BUSY_STEP_S) * 1000:.0f}")
                if self._refuses:
                    self._refuse_empty(connection)
                _retry_while_locked(lambda: _prepare(connection), timeout_s)
                if self._synchronous != "OFF":
                    _sync_parents(self.path.parent)
            except BaseException:
                connection.close()
                raise
            self._record_identity()
            self._writer = connection
        return self._writer

    @property
    def title(self) -> str:
        """The path of the file, for log messages."""
        return self._name

    def roll_back(self, connection: sqlite3.Connection, error: BaseException) -> None:
        """End a transaction that an error has broken off; close the connection if that may cure the error."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            logger.warning("Rollback failed after %s, reopening the database", error)
        if translated(error) is not error and not (isinstance(error, sqlite3.Error) and is_locked(error)):
            # Full, unreadable or replaced: a new connection recovers as soon as the cause is gone.
            self._writer = None
            self._wal_identities = {}
            connection.close()

    def _record_identity(self) -> None:
        self._identity = _identity(self._name)
        if self._refuses:
            names = (f"{self._name}-wal", f"{self._name}-shm")
            self._wal_identities = {name: found for name in names if (found := _identity(name)) is not None}

    def read(self, sql: str, parameters: tuple[Any, ...] = (), *, by_writer: bool = False) -> list[tuple[Any, ...]]:
        """Return all rows of a query that sees committed data only. Any thread; never waits for a writer.

        Only a file without tables needs the write lock, which creates them.

        Args:
            by_writer: do not wait for slow queries of other threads either (counting a million messages).

        Raises:
            DatabaseUnavailable: the file cannot be read.
        """
        reader = self._writer_reader if by_writer else self._reader
        try:
            if self._is_replaced() and not self._has_tables():
                self.open()
            return reader.read(sql, parameters)
        except (sqlite3.Error, OSError) as error:
            reader.close()
            raise translated(error) from error

    @property
    def is_open(self) -> bool:
        """Return whether the file has been opened, so that its directory exists."""
        return self._writer is not None

    def open(self) -> None:
        """Create the file and its tables where they are missing."""
        if self._writer is None or self._is_replaced():
            # A thread that holds the write lock may have an open transaction, which would never end meanwhile.
            timeout_s = 0.0 if self._write_lock.held else self._write_lock.timeout_s
            self.make_directory()
            with self._write_lock:
                self.writer(timeout_s)

    def _has_tables(self) -> bool:
        """Return whether the file, which this process has not opened yet, can be read as it is."""
        if self._identity is not None or _identity(self._name) is None:
            return False
        self._used = True
        try:
            rows = self._reader.read(MESSAGE_SCHEMA.version_query, ())
        except (sqlite3.Error, OSError):
            self._reader.close()
            return False
        if rows != [(MESSAGE_SCHEMA.latest,)]:
            return False
        self._record_identity()
        return True

    def shrink(self, pages: int, *, spare: int) -> bool:
        """Return up to `pages` unused pages to the file system, and checkpoint the WAL.

        Args:
            spare: so many unused pages are left in the file.

        Returns:
            False: there was nothing to return.

        Raises:
            sqlite3.Error: a foreign writer is in the way, or the file cannot be written.
        """
        [(mode,)] = self.read("PRAGMA auto_vacuum", by_writer=True)
        [(free,)] = self.read("PRAGMA freelist_count", by_writer=True)
        if mode != _INCREMENTAL or free <= spare:
            return False
        with self._write_lock:
            connection = self.writer(0.0)
            # It frees one page a step and has no rows, so `execute` would stop at the first: a script goes to the end.
            connection.executescript(f"PRAGMA incremental_vacuum({pages}); PRAGMA wal_checkpoint(PASSIVE)")
        return True

    def close(self, timeout_s: float) -> None:
        """Close all connections. The last close of a file checkpoints it, hence under the write lock.

        Raises:
            WriteLockTimeout: it was not free in time. The connections stay open, and end with the process; they are not
                the last ones, because the process that holds the lock has some.
        """
        if not self._write_lock.acquire(timeout_s=timeout_s):
            raise self._write_lock.timeout_error()
        try:
            for reader in (self._reader, self._writer_reader):
                reader.close()
            self._close_writer()
        finally:
            self._write_lock.release()

    def close_for_fork(self, until_forked: ExitStack) -> None:
        """Close, and block other threads until the fork is over."""
        if not self._used:
            return
        with contextlib.suppress(OSError, WriteLockTimeout):  # its directory is missing: nothing is open there
            until_forked.enter_context(self._write_lock)
        for reader in (self._reader, self._writer_reader):
            reader.close_for_fork(until_forked)
        self._close_writer()

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        if not self._refuses:
            self._identity = None
        self._wal_identities = {}  # the last connection deletes these files, and the next one creates others

    def make_directory(self) -> None:
        """Make the directory of the file and of the write lock beside it, unless the file is open."""
        self._used = True
        if self._writer is None:  # before the write lock is taken, whose file lies there, too
            self.path.parent.mkdir(parents=True, exist_ok=True)

    def _is_replaced(self) -> bool:
        try:
            found = os.stat(self._name)  # noqa: PTH116  # at every commit: 3 us less than by Path
        except FileNotFoundError:
            return True
        if (found.st_dev, found.st_ino) != self._identity or (self._refuses and found.st_size == 0):
            return True
        return self._refuses and any(_identity(name) != known for name, known in self._wal_identities.items())

    def _leave_replaced_file(self) -> None:
        """Close a file that has been deleted or replaced: no other process would ever see what is written to it.

        Raises:
            DatabaseReplaced: `if_replaced` is "refuse".
        """
        if self._refuses:
            raise DatabaseReplaced(f"{self.path} was deleted or replaced; restart this process")
        logger.error("%s was deleted or replaced; its messages are lost, new messages go to the new file.", self.path)
        for reader in (self._reader, self._writer_reader):
            reader.close()
        self._close_writer()  # SQLite sees that the file has moved, and leaves the WAL of the new one alone
        self.make_directory()

    def _refuse_empty(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
            raise DatabaseUnavailable(f"{self.path} is empty; the application must create its tables first")

    def _connect(self) -> sqlite3.Connection:
        # Threads share these connections one after the other: under the write lock, or the lock of a ReadConnection.
        name = f"file:{quote(str(self.path))}?mode=rw" if self._refuses else str(self.path)
        connection = sqlite3.connect(
            name, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=self._refuses
        )
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
        return connection


def begin(connection: DatabaseConnection, timeout_s: float) -> None:
    """Begin an immediate transaction.

    Args:
        timeout_s: as in `Database.writer`.

    Raises:
        sqlite3.Error: the file cannot be written.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if not is_locked(error):
            raise
        _retry_while_locked(lambda: connection.execute("BEGIN IMMEDIATE"), timeout_s)


def _prepare(connection: sqlite3.Connection) -> None:
    """Set the pragmas that are stored in the file, and migrate its tables. Under the write lock, so without races."""
    if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only heeded before the first table
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    if MESSAGE_SCHEMA.version(connection) == MESSAGE_SCHEMA.latest:
        return  # nothing to write: a full disk can still be read
    connection.execute("BEGIN IMMEDIATE")
    try:
        MESSAGE_SCHEMA.migrate(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)  # noqa: PTH116  # as in `Database._is_replaced`
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _sync_parents(directory: Path) -> None:
    """Make a directory that may be new survive a power cut, with its parents.

    SQLite syncs the directory of its files, but not the entry of that directory in its parent. Every process does it
    before its first commit: the process that made the directories may not have done it.
    """
    for parent in directory.parents:
        with contextlib.suppress(OSError):  # not readable, or not synced by its file system: SQLite ignores that, too
            fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def _retry_while_locked(action: Any, timeout_s: float) -> None:
    """Repeat an action until no foreign lock prevents it.

    Raises:
        sqlite3.OperationalError: the timeout is over, or the error is not about a lock.
    """
    started = time.monotonic()
    while True:
        try:
            action()
        except sqlite3.OperationalError as error:
            waited = time.monotonic() - started
            if not is_locked(error) or waited >= timeout_s:
                raise
            logger.warning("Database locked for %.1f s by a writer that does not take the write lock, retrying", waited)
            time.sleep(0.01)
        else:
            return
