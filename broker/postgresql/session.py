"""A session: one connection to the server, with the shared statements translated and errors classed.

Nothing here decides about messages, and nothing is set for the length of a session, so that a pooler such as PgBouncer
may stand between; what a transaction needs is set by its first statement.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import RawCursor, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from broker.errors import DatabaseUnavailable, SessionLost, TransactionRestart
from broker.postgresql.bounded_connection import connect
from broker.postgresql.statements import translated_statement
from broker.storage.fork import close_in_children, keep_in_children

__all__ = ["JoinedConnection", "ServerSession", "TranslatingCursor", "connected", "server_error"]

_RETRIED = (errors.DeadlockDetected, errors.SerializationFailure, errors.ReadOnlySqlTransaction)
_UNAVAILABLE = (psycopg.OperationalError, psycopg.InterfaceError)
_ENDED = frozenset({None, "08000", "08003", "08006", "25P03", "57P01", "57P02", "57P03"})
"""States of SQL of sessions that have ended; none is that of a connection that was lost."""

Row = tuple[Any, ...]  # Any: as the statement describes it


def connected(url: str, name: str) -> psycopg.Connection[Row]:
    """Return a new connection without open transactions; `name` is shown in the list of activities.

    Raises:
        psycopg.Error: there is no server, or it refuses.
    """
    named = {"application_name": name} | conninfo_to_dict(url.replace("+psycopg://", "://", 1))
    return connect(
        make_conninfo("", **named),
        autocommit=True,
        cursor_factory=RawCursor,
        row_factory=tuple_row,
        prepare_threshold=None,
    )


def server_error(error: psycopg.Error) -> BaseException:
    """Return the broker's kind of error where another attempt may help; else the error itself."""
    if isinstance(error, _RETRIED):
        return TransactionRestart(str(error).partition("\n")[0])
    if isinstance(error, _UNAVAILABLE) and error.sqlstate in _ENDED:
        return SessionLost(str(error).strip() or type(error).__name__)
    if isinstance(error, _UNAVAILABLE):
        return DatabaseUnavailable(str(error).strip() or type(error).__name__)
    return error


class TranslatingCursor:
    """A cursor that takes the shared statements."""

    def __init__(self, cursor: psycopg.Cursor[Row]) -> None:
        self.raw = cursor

    @property
    def rowcount(self) -> int:
        """How many rows the last statement has changed."""
        return self.raw.rowcount

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> TranslatingCursor:
        """Run a statement.

        Raises:
            DatabaseUnavailable: the connection was lost, or the server cannot run it now.
            TransactionRestart: another transaction was in the way.
        """
        try:
            self.raw.execute(translated_statement(sql), _storable(parameters) or None)
        except psycopg.Error as error:
            raise server_error(error) from error
        return self

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> TranslatingCursor:
        """Run a statement once for each tuple of parameters. Raises as `execute`."""
        rows = [_storable(row) for row in parameters]
        try:
            if rows:
                self.raw.executemany(translated_statement(sql), rows)
        except psycopg.Error as error:
            raise server_error(error) from error
        return self

    def fetchone(self) -> Any:  # Any: a row
        """Return the next row; None after the last."""
        return self.raw.fetchone()

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return self.raw.fetchall()

    def close(self) -> None:
        """Drop the rows."""
        self.raw.close()


class ServerSession:
    """One connection of this process; a forked child closes its copy of the descriptor."""

    def __init__(self, url: str, name: str) -> None:
        """Connect.

        Raises:
            psycopg.Error: there is no server, or it refuses.
        """
        self.connection = connected(url, name)
        self.fd = close_in_children(self.connection.fileno())
        self._received: deque[psycopg.Notify] = deque()  # while a statement ran
        self.connection.add_notify_handler(self._received.append)

    @property
    def is_lost(self) -> bool:
        """Return whether the connection is known to be closed."""
        return self.connection.closed

    @property
    def status(self) -> TransactionStatus:
        """The state of the transaction."""
        return self.connection.info.transaction_status

    def cursor(self) -> TranslatingCursor:
        """Return a cursor."""
        try:
            return TranslatingCursor(self.connection.cursor())
        except psycopg.Error as error:
            raise server_error(error) from error

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> TranslatingCursor:
        """Run a statement; raises as `TranslatingCursor.execute`."""
        return self.cursor().execute(sql, parameters)

    def script(self, statements: str) -> Row | None:
        """Run several statements without parameters in one round trip; returns the first row of the last.

        Raises:
            DatabaseUnavailable: as of `TranslatingCursor.execute`.
        """
        try:
            cursor = self.connection.execute(statements)
            while cursor.nextset():
                pass
            return cursor.fetchone() if cursor.description else (cursor.statusmessage,)
        except psycopg.Error as error:
            raise server_error(error) from error

    @contextlib.contextmanager
    def pipeline(self) -> Iterator[None]:
        """Send the statements of a block in one round trip; their results are there after the block.

        Raises:
            DatabaseUnavailable: as of `TranslatingCursor.execute`, also of a statement in the block.
        """
        try:
            with self.connection.pipeline():
                yield
        except psycopg.Error as error:
            raise server_error(error) from error

    def notified(self) -> list[tuple[str, int]]:
        """Return the channel and the sender's process id of each new notification, without blocking.

        Raises:
            psycopg.Error: the connection was lost.
        """
        connection = self.connection.pgconn
        connection.consume_input()
        found = [(each.channel, each.pid) for each in (self._received.popleft() for _ in range(len(self._received)))]
        while (notification := connection.notifies()) is not None:
            found.append((notification.relname.decode(), notification.be_pid))
        return found

    def close(self) -> None:
        """Close; does nothing if it is closed."""
        keep_in_children(self.fd)
        with contextlib.suppress(psycopg.Error):
            self.connection.close()


class JoinedConnection:
    """A connection of the application's, on which it has begun a transaction, for the shared statements."""

    def __init__(self, connection: Any) -> None:  # Any: psycopg's or a wrapper of it, such as SQLAlchemy's
        self._connection: psycopg.Connection[Any] = getattr(connection, "driver_connection", connection)
        self.dialect: Any = None  # set by the broker

    @property
    def in_transaction(self) -> bool:
        """Return whether a transaction is open; without autocommit, the next statement opens it."""
        return not self._connection.autocommit or self._connection.info.transaction_status is TransactionStatus.INTRANS

    def cursor(self) -> TranslatingCursor:
        """Return a cursor of the application's transaction."""
        return TranslatingCursor(RawCursor(self._connection, row_factory=tuple_row))


def _storable(parameters: Sequence[Any]) -> tuple[Any, ...]:
    """Return parameters without NUL characters in texts, which PostgreSQL refuses and SQLite stores."""
    return tuple(
        value.replace("\0", "\\0") if isinstance(value, str) and "\0" in value else value for value in parameters
    )
