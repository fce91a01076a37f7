"""The parts of a database that the shared statements use, whichever engine runs them.

The statements are written for SQLite and kept neutral. Where PostgreSQL needs a clause more, it stands in a comment
that begins with "postgresql", which SQLite skips. Where it needs other statements, its connections have a `dialect`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from broker.storage.unique import Unique

__all__ = ["Cursor", "Cursorable", "DatabaseConnection", "Dialect", "Readable", "Writable", "WriterLock", "dialect_of"]


class Cursor(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement has changed."""

    def fetchone(self) -> Any:  # Any: a row, as the statement describes it
        """Return the next row; None after the last."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""


class Cursorable(Protocol):
    """A DBAPI connection to the database, also SQLAlchemy's wrapper of it."""

    def cursor(self) -> Any:  # Any: DBAPI cursors agree on nothing narrower
        """Return a cursor."""


class DatabaseConnection(Cursorable, Protocol):
    """A connection with an open transaction."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run a statement."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run a statement once for each tuple of parameters."""


class Readable(Protocol):
    """A database that answers queries."""

    def read(self, sql: str, parameters: tuple[Any, ...] = (), *, by_writer: bool = False) -> list[tuple[Any, ...]]:
        """Return all rows of a query that sees committed data only."""


class Writable(Readable, Protocol):
    """A database with one connection that writes, which the holder of the process's lock uses."""

    @property
    def is_open(self) -> bool:
        """Return whether the connection that writes is open."""

    @property
    def title(self) -> str:
        """Its name for log messages, without secrets."""

    def make_directory(self) -> None:
        """Prepare the place of the database."""

    def writer(self, timeout_s: float) -> DatabaseConnection:
        """Return the connection that writes, opened if need be."""

    def roll_back(self, connection: Any, error: BaseException) -> None:  # Any: the engine's own kind
        """End a transaction that an error has broken off."""

    def shrink(self, pages: int, *, spare: int) -> bool:
        """Return unused space to the file system, if the engine does not do it by itself; False: there was none."""

    def close(self, timeout_s: float) -> None:
        """Close all connections."""


class WriterLock(Protocol):
    """The lock of the connection that writes."""

    timeout_s: float

    @property
    def held(self) -> bool:
        """Return whether the calling thread holds the lock."""

    def acquire(self, *, blocking: bool = True, timeout_s: float | None = None) -> bool:
        """Acquire the lock; False if others have held it until the end of the timeout."""

    def release(self) -> None:
        """Release the lock, once for each time that it was acquired."""

    def release_leaked(self) -> bool:
        """Release the lock for good if the calling thread holds it; returns whether it did."""

    def waiting(self) -> AbstractContextManager[None]:
        """Count the calling thread among those that wait for the lock."""

    def timeout_error(self) -> BaseException:
        """Return the error of a wait that has ended without the lock."""


class Dialect(Protocol):
    """Statements that differ where several processes write at the same time. SQLite has one writer and needs none."""

    def try_key(self, key: str) -> bool:
        """Reserve the decisions about a concurrency key for this transaction. False: another one has them."""

    def take_key(self, key: str) -> None:
        """Reserve the decisions about a concurrency key for this transaction.

        Raises:
            TransactionRestart: another transaction has them; the next attempt waits for them at its beginning.
        """

    def take_sums(self) -> None:
        """Reserve the sums of counters for this transaction, and wait for others to end theirs."""

    def reserve(self, unique: Unique, message_id: str) -> bool:
        """Reserve a unique key for a message. False: another message has it."""


def dialect_of(connection: Cursorable) -> Dialect | None:
    """Return the dialect of a connection; None is SQLite's."""
    return getattr(connection, "dialect", None)
