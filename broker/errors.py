"""Errors of the broker, classed by what the caller should do next.

Tree (dramatiq's own errors above the line, so that its workers react rightly):

    dramatiq.BrokerError
        dramatiq.BrokerConnectionError
            dramatiq.ConnectionFailed
                DatabaseUnavailable   wait or free the disk, then try again: nothing was written
                    DatabaseReplaced  restart the process: its file was deleted or replaced
                    WriteLockTimeout  try again later: another thread or process has held the write lock all the time
                    ServerUnreachable     try again later: no connection to the server could be made
                    SessionLost           try again: the connection to the server was lost in a transaction
                    TransactionRestart    try again: other transactions were in the way, or the server is read-only
                    CommitOutcomeUnknown  look first: the connection was lost during the COMMIT
                SchemaTooNew          install the newer version of this package
            dramatiq.ConnectionClosed
                BrokerClosed          the interpreter is ending: nothing can be sent any more
        dramatiq.QueueNotFound
            UnknownQueue              a mistake in the program: declare the queue, import its actors
        TransportUnavailable          wait: RabbitMQ or Redis cannot be reached; nothing is lost
        TransportUnusable             a mistake in the settings: the URL, or a package that is missing
        NotJoined                     a mistake in the program: join the open transaction
    dramatiq.QueueJoinTimeout
        JoinTimeout                   wait longer
"""

from __future__ import annotations

import sqlite3

from dramatiq.errors import (
    BrokerError,
    ConnectionClosed,
    ConnectionFailed,
    DramatiqError,
    QueueJoinTimeout,
    QueueNotFound,
)

__all__ = [
    "BrokerClosed",
    "CommitOutcomeUnknown",
    "DatabaseReplaced",
    "DatabaseUnavailable",
    "JoinTimeout",
    "NotJoined",
    "SchemaTooNew",
    "ServerUnreachable",
    "SessionLost",
    "TransactionRestart",
    "TransportUnavailable",
    "TransportUnusable",
    "UnknownQueue",
    "WriteLockTimeout",
    "is_locked",
    "translated",
]

_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


class _Typed(DramatiqError):
    def __init__(self, message: str) -> None:
        super().__init__(message)  # type: ignore[no-untyped-call]  # dramatiq does not annotate its errors


class DatabaseUnavailable(_Typed, ConnectionFailed):
    """The database file cannot be used right now: full, unreadable, read-only or held by a foreign lock."""


class DatabaseReplaced(DatabaseUnavailable):
    """The database file, its WAL or its shared memory was deleted or replaced."""


class WriteLockTimeout(DatabaseUnavailable):
    """The write lock, or SQLite's, was not free within the timeout; the text names the process that holds it."""


class ServerUnreachable(DatabaseUnavailable):
    """No connection to the database server could be made in time; nothing was written."""


class CommitOutcomeUnknown(DatabaseUnavailable):
    """The connection was lost while a transaction was committed, and the server did not say in time how it ended."""


class SessionLost(DatabaseUnavailable):
    """The session with the database server has ended in a transaction, before its COMMIT; nothing was written."""


class TransactionRestart(DatabaseUnavailable):
    """A transaction is to be repeated from its beginning; nothing was written.

    Another one was in its way, or the server is read-only: then on a new connection, which leads to the new primary.
    """


class SchemaTooNew(_Typed, ConnectionFailed):
    """The file was written by a newer version of this package."""


class BrokerClosed(_Typed, ConnectionClosed):
    """The interpreter is shutting down."""


class TransportUnavailable(_Typed, BrokerError):
    """RabbitMQ or Redis cannot be reached now; the messages are in the database."""


class TransportUnusable(_Typed, BrokerError):
    """The URL of a transport names none that is known, or its Python package is not installed."""


class NotJoined(_Typed, BrokerError):
    """A connection was used for joining that has no open transaction, or the write lock is held without joining."""


class UnknownQueue(_Typed, QueueNotFound):
    """The queue has not been declared in this process."""


class JoinTimeout(_Typed, QueueJoinTimeout):
    """A queue was not empty in time."""


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code of an error, 0 when it did not come from SQLite itself."""
    code: int = getattr(error, "sqlite_errorcode", 0) or 0
    return code & 0xFF


def is_locked(error: sqlite3.Error) -> bool:
    """Return whether the error means that another connection is writing."""
    return primary_code(error) in _LOCKED


def translated(error: BaseException) -> BaseException:
    """Return dramatiq's kind of error for a SQLite or file error that another try may cure; else the error itself."""
    if isinstance(error, sqlite3.Error) and is_locked(error):
        return WriteLockTimeout(f"{error} (by a writer that does not take the write lock)")
    if isinstance(error, sqlite3.Error) and primary_code(error) in _UNAVAILABLE:
        return DatabaseUnavailable(f"{error} ({getattr(error, 'sqlite_errorname', 'SQLITE_ERROR')})")
    if isinstance(error, OSError):
        return DatabaseUnavailable(str(error))
    return error
