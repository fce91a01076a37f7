"""The errors about the database file, with messages for its operator.

StoreError
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
        return None
    if str(error).startswith(("no such table", "no such column")):
        return DatabaseUnavailable("not_migrated", "the database has no tables of this version; run the migrations")
    code = getattr(error, "sqlite_errorcode", None) or 0
    known = REASONS.get(code) or REASONS.get(code & 0xFF)
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
