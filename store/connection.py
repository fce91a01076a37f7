"""How the store is read and written: one door each.

`reading()` is a snapshot and takes no gate. `writing()` is the gate, then BEGIN IMMEDIATE, then COMMIT; a message sent
inside it commits with it, because whoever builds the store hands in the broker's gate and its way to join.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

Join = Callable[[Any], AbstractContextManager[Any]]  # Any: a DBAPI connection has no common type


class Store:
    """One database file, read and written under one gate."""

    def __init__(self, path: Path, *, gate: AbstractContextManager[Any], joining: Join) -> None:
        """Prepare; nothing is opened before the first use.

        Args:
            path: the SQLite file, shared with the broker.
            gate: held for every write, re-entrant on a thread (`broker.gate`).
            joining: lets sends on this thread use the given connection's open transaction (`broker.joining`).
        """
        self.path = path
        self._gate = gate
        self._joining = joining
        self._engine = _engine(path)
        # A forked child must neither use nor close what its parent opened (sqlite.org/howtocorrupt.html, 2.6).
        os.register_at_fork(after_in_child=lambda: self._engine.dispose(close=False))
        atexit.register(self.close)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes, and commit it with the messages sent inside.

        Keep it short: no network, no child process, no sync of a large file in here.
        """
        with self._gate, self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                with self._joining(connection.connection.driver_connection):
                    yield connection
                    connection.exec_driver_sql("COMMIT")
            except BaseException:
                if connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]  # it is sqlite3's
                    connection.exec_driver_sql("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a snapshot to read from."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    def migrate(self) -> None:
        """Bring the tables to this version; harmless when they are, and when several processes do it at once."""
        from alembic import command  # noqa: PLC0415 (11 MB that only the process that migrates should carry)
        from alembic.config import Config  # noqa: PLC0415

        self.path.parent.mkdir(parents=True, exist_ok=True)
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        with self._gate, self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise

    def close(self) -> None:
        """Close all connections. The last one to close a file checkpoints it, hence the gate."""
        if self.path.exists():
            with self._gate:
                self._engine.dispose()


def _engine(path: Path) -> Engine:
    # AUTOCOMMIT: the driver begins nothing by itself, the doors above say BEGIN and COMMIT.
    engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT", pool_size=4, max_overflow=-1)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:  # Any: a DBAPI connection has no common type
        for pragma in ("foreign_keys=ON", "synchronous=FULL", "busy_timeout=30000", "wal_autocheckpoint=1000"):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine
