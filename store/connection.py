"""A database with two kinds of transactions; `store.sqlite` and `store.postgresql` are the engines.

`Store.reading` opens a snapshot. `Store.writing` commits a change together with the messages that are sent inside of
it, because the store uses the broker's function to join a transaction.

Both raise `store.errors.DatabaseUnavailable` when the database cannot be used.
"""

from __future__ import annotations

import atexit
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, overload

from sqlalchemy import Connection

from store.errors import DatabaseUnavailable
from store.scope import Kind, Scope

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA_VERSION_QUERY = "SELECT version_num FROM store_version"  # Alembic's, named so in `migrations/env.py`

Writing = AbstractContextManager[Connection]
Join = Callable[[Any], AbstractContextManager[Any]]  # Any: a DBAPI connection has no common type


class Store(ABC):
    """One database, which may be used by many threads and processes.

    Attributes:
        name: of the database, for messages to its operator; without a password.
    """

    name: str

    def __init__(self, *, joining: Join, waits_again: Callable[[], bool] = lambda: False) -> None:
        """Configure the store; the first use opens the database.

        Args:
            joining: makes messages sent on this thread part of the given connection's transaction
                (`broker.engine.transactions`).
            waits_again: called after a wait for a lock that ended without it; returns whether the calling thread waits
                for it once more.
        """
        self._joining = joining
        self._waits_again = waits_again
        os.register_at_fork(after_in_child=self._reset_after_fork)
        atexit.register(self.close)

    @overload
    def writing(self, *, job: str, accounts: Iterable[str] = ()) -> Writing: ...

    @overload
    def writing(self, *, part: str) -> Writing: ...

    @overload
    def writing(self, *, publication: str) -> Writing: ...

    @overload
    def writing(self, *, accounts: Iterable[str]) -> Writing: ...

    @overload
    def writing(self, *, endpoint: str) -> Writing: ...

    @overload
    def writing(self, *, scope: Kind) -> Writing: ...

    def writing(self, **names: Any) -> Writing:  # Any: the types are those above
        """Begin a transaction with the locks that it needs, and commit it with the messages sent inside.

        An exception in the block rolls it back, and no worker is notified. Keep it short: no network, no child process,
        no sync of a large file in here.

        Args:
            names: the rows that the transaction decides about, without a default: see `store.scope.Scope`.

        Raises:
            DatabaseUnavailable: nothing was written; with the reason "locked" because a lock was not free in time.
            DatabaseReplaced: nothing was written, or only into a file that was deleted or replaced.
            CommitUnclear: the connection was lost, and it is unknown whether the transaction is committed.
        """
        return self._writing(Scope(**names))

    @abstractmethod
    def _writing(self, scope: Scope) -> Writing:
        """Return the transaction of `writing`."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """Open a read transaction on a snapshot.

        Raises:
            DatabaseUnavailable: the database cannot be read.
            DatabaseReplaced: its file was deleted or replaced.
        """

    @abstractmethod
    def data_version(self) -> tuple[int, int]:
        """Return a value that changes with each commit of any process.

        Raises:
            DatabaseUnavailable: the database cannot be read.
            DatabaseReplaced: its file was deleted or replaced.
        """

    @abstractmethod
    def content_version(self) -> tuple[int, ...] | None:
        """Return a value that changes when the file changes, the size in bytes first; None if there is no file.

        Raises:
            OSError: the file cannot be accessed.
        """

    @abstractmethod
    def check(self) -> None:
        """Check that the database is still the one that this process has open; cheap enough for each request.

        Raises:
            DatabaseReplaced: its file was deleted or replaced.
        """

    @abstractmethod
    def require_usable(self) -> None:
        """Check at the start of a process that this version can use the database.

        Raises:
            DatabaseUnavailable: it is missing, cannot be reached or written, is damaged, or of another version.
        """

    @abstractmethod
    def damage(self, within_s: float = math.inf) -> str | None:
        """Return the first damage of the file, or None.

        Args:
            within_s: time limit; a check that takes longer is cancelled and returns None.

        Raises:
            DatabaseUnavailable: the database cannot be read.
        """

    @abstractmethod
    def migrate(self) -> None:
        """Migrate the tables to this version. Can be repeated, also by several processes at once.

        Raises:
            DatabaseUnavailable: the database cannot be used, is damaged, or was written by a newer version.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the connections that are not in use."""

    @abstractmethod
    def _reset_after_fork(self) -> None:
        """Neither use nor close the connections of the parent."""


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing, in the open transaction."""
    from alembic import command  # noqa: PLC0415 (11 MB of memory, needed only by the process that migrates)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def known_versions() -> list[str]:
    """Return the schema versions of this code, oldest first, by the names of the migration files."""
    return sorted(found.name[1:5] for found in (MIGRATIONS / "versions").glob("v[0-9][0-9][0-9][0-9]_*.py"))


def newer_version(found: str) -> DatabaseUnavailable:
    """Return the error for a database that was written by a newer version."""
    sentence = f"the database was written by a newer version of VidProd (its tables have version {found[:20]})"
    return DatabaseUnavailable("newer", f"{sentence}; install that version")


def check_version(found: str | None) -> None:
    """Check that a schema version is that of this code.

    Raises:
        DatabaseUnavailable: it is newer or older.
    """
    refuse_newer(found)
    if found != known_versions()[-1]:
        raise DatabaseUnavailable("not_migrated", "the database is of an older version; run the migrations")


def refuse_newer(found: str | None) -> None:
    """Check that a schema version is known to this code; None: there are no tables.

    Raises:
        DatabaseUnavailable: it is newer.
    """
    if found is not None and found not in known_versions():
        raise newer_version(found)
