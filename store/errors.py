"""The errors about the database, with messages for its operator.

StoreError
├── CommitUnclear         read whether it was written, before it is written again
└── DatabaseUnavailable   nothing was written; remove the cause, then try again
    └── DatabaseReplaced  the file is not the one that this process opened; restart the machine
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

REASONS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_CORRUPT: ("damaged", "the database is damaged"),
    sqlite3.SQLITE_NOTADB: ("not_a_database", "the file is not a SQLite database, or its header is damaged"),
    sqlite3.SQLITE_FULL: ("disk_full", "the disk is full"),
    sqlite3.SQLITE_IOERR_SHMSIZE: ("disk_full", "the disk is full"),  # an extended code: no room for the shared memory
    sqlite3.SQLITE_READONLY: ("read_only", "the database or its directory cannot be written"),
    sqlite3.SQLITE_PERM: ("no_permission", "this process has no permission to use the database"),
    sqlite3.SQLITE_CANTOPEN: ("cannot_open", "the database cannot be opened"),
    sqlite3.SQLITE_IOERR: ("disk_error", "the disk reports an error"),
    sqlite3.SQLITE_BUSY: ("locked", "another process keeps the database locked"),
    sqlite3.SQLITE_LOCKED: ("locked", "another process keeps the database locked"),
    sqlite3.SQLITE_PROTOCOL: ("locked", "another process keeps the database locked"),
}
"""SQLite's result codes (sqlite.org/rescode.html) → our reason and its sentence."""


UNREACHABLE = ("unreachable", "the database server cannot be reached")
READ_ONLY = ("unreachable", "the database server cannot be written: it is a standby, or read-only")
READ_ONLY_STATE = "25006"
NOT_MIGRATED = ("not_migrated", "the database has no tables of this version; run the migrations")
SERVER_REASONS: dict[str, tuple[str, str]] = {
    "08": UNREACHABLE,
    "57P01": UNREACHABLE,  # admin_shutdown
    "57P02": UNREACHABLE,  # crash_shutdown
    "57P03": UNREACHABLE,  # cannot_connect_now
    "25P03": ("unreachable", "the database server has ended a transaction that was idle for too long"),
    "3D000": ("missing", "there is no database"),
    "28": ("no_permission", "the database server refuses the user or the password"),
    "42501": ("no_permission", "the database user has no permission to use the tables"),
    READ_ONLY_STATE: READ_ONLY,
    "53100": ("disk_full", "the disk is full"),
    "53": ("unreachable", "the database server has no free connection or memory"),
    "58": ("disk_error", "the disk of the database server reports an error"),
    "XX001": ("damaged", "the database is damaged"),
    "XX002": ("damaged", "the database is damaged"),
    "55P03": ("locked", "another transaction keeps the rows locked"),  # lock_not_available
    "40P01": ("locked", "another transaction keeps the rows locked"),  # deadlock_detected
    "40001": ("locked", "another transaction keeps the rows locked"),  # serialization_failure
    "42P01": NOT_MIGRATED,  # undefined_table
    "42703": NOT_MIGRATED,  # undefined_column
}
"""PostgreSQL's SQLSTATE or its class (Appendix A of its manual) → our reason and its sentence."""


class StoreError(Exception):
    """Base class of the store's errors."""


class DatabaseUnavailable(StoreError):
    """The database cannot be used; nothing was written.

    Attributes:
        reason: a stable code in snake_case.
        sentence: the message, without a path, because /health is public.
    """

    def __init__(self, reason: str, sentence: str, *, log_detail: str = "") -> None:
        """Describe the problem; `log_detail` is for the log, and in the text of the exception only."""
        super().__init__(f"{sentence} ({log_detail})" if log_detail else sentence)
        self.reason = reason
        self.sentence = sentence


class CommitUnclear(StoreError):
    """The connection ended during COMMIT, and the server does not say whether the transaction is committed.

    A message that is delivered again begins with a guard on the state, which shows whether it was.
    """

    def __init__(self, transaction_id: str) -> None:
        """Name the transaction."""
        super().__init__(f"the connection was lost during the commit of transaction {transaction_id}: outcome unknown")


def locked(holder: str) -> DatabaseUnavailable:
    """Return the error of a wait for a lock that was not free in time."""
    return DatabaseUnavailable(*REASONS[sqlite3.SQLITE_BUSY], log_detail=f"held by {holder}")


class DatabaseReplaced(DatabaseUnavailable):
    """The file was deleted or replaced after this process had opened it.

    Data written to the old file would be lost. The new file is refused until the machine is restarted, because uploads
    must be compared with its records first.
    """

    def __init__(self, what: str) -> None:
        """Name the file, such as "the database file"."""
        self.what = what
        super().__init__("replaced", f"{what} was deleted or replaced while the machine ran; restart the machine")


def unavailable(error: BaseException) -> DatabaseUnavailable | None:
    """Return the `DatabaseUnavailable` for an error of the driver; None if the error is not about the file."""
    if isinstance(error, DBAPIError):
        error = error.orig or error
    if not isinstance(error, sqlite3.Error):
        return _of_server(error)
    if str(error).startswith(("no such table", "no such column")):
        return DatabaseUnavailable("not_migrated", "the database has no tables of this version; run the migrations")
    code = getattr(error, "sqlite_errorcode", None) or 0
    known = REASONS.get(code) or REASONS.get(code & 0xFF)
    return None if known is None else DatabaseUnavailable(*known)


def _of_server(error: BaseException) -> DatabaseUnavailable | None:
    """Return the `DatabaseUnavailable` for an error of psycopg, which is recognised by its attribute `sqlstate`."""
    if not hasattr(error, "sqlstate"):
        return None
    if error.sqlstate is None:  # the server was not reached, or the connection has ended
        is_lost = "OperationalError" in {kind.__name__ for kind in type(error).__mro__}
        return DatabaseUnavailable(*UNREACHABLE, log_detail=str(error).partition("\n")[0]) if is_lost else None
    known = SERVER_REASONS.get(error.sqlstate) or SERVER_REASONS.get(error.sqlstate[:2])
    return None if known is None else DatabaseUnavailable(*known)


@contextmanager
def translated() -> Iterator[None]:
    """Translate the driver's errors about the file to `DatabaseUnavailable`; other errors pass."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        known = unavailable(error)
        if known is None:
            raise
        raise known from error


def file_problem(path: Path) -> DatabaseUnavailable | None:
    """Check a database file's existence, kind and permissions; return the problem, or None."""
    try:
        if not path.exists():
            return DatabaseUnavailable("missing", "there is no database")
        if not path.is_file():
            return DatabaseUnavailable("not_a_file", "there is a directory in the place of the database file")
    except OSError as error:
        return DatabaseUnavailable("no_permission", f"the database cannot be accessed ({error.strerror})")
    if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK | os.X_OK):
        reason = "read_only" if os.access(path, os.R_OK) else "no_permission"
        return DatabaseUnavailable(reason, "this process has no permission to write the database or its directory")
    return None
