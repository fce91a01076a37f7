"""Dramatiq's results in a database: in that of the messages or any other, waited for without polling."""

from __future__ import annotations

import os
from typing import Any

from dramatiq import Encoder, Message
from dramatiq.results import ResultBackend, ResultMissing, ResultTimeout
from dramatiq.results.backend import DEFAULT_TIMEOUT, Missing

from broker.backend import BackendStore, FileBackendStore
from broker.engine.batch import WriteBatch
from broker.engine.notifications import channel_of
from broker.storage.database import Synchronous, now_ms

__all__ = ["DatabaseResultBackend", "SqliteResultBackend"]

PURGED_PER_WRITE = 32  # each stored result deletes so many expired ones, so that they do not pile up


class DatabaseResultBackend(ResultBackend):
    """Results of actors in a database; a subclass for each kind of database says how it is opened.

    Args:
        storage: the database.
        namespace: as in dramatiq, part of every key.
        encoder: as in dramatiq; None is dramatiq's present one.
        use_namespace_prefix_keys: as in dramatiq; readable keys instead of digests.
    """

    def __init__(
        self, storage: BackendStore, namespace: str, encoder: Encoder | None, *, use_namespace_prefix_keys: bool
    ) -> None:
        super().__init__(namespace=namespace, encoder=encoder, use_namespace_prefix_keys=use_namespace_prefix_keys)
        self._storage = storage

    def get_result(self, message: Message[Any], *, block: bool = False, timeout: int | None = None) -> Any:
        """Return the result of a message, or wait for it.

        Args:
            message: the message, or a copy of it.
            block: whether to wait.
            timeout: milliseconds to wait; None is dramatiq's default of ten seconds.

        Raises:
            ResultMissing: there is none yet (without `block`).
            ResultTimeout: there was none within `timeout`.
            ResultFailure: the actor failed; the error says how.
            DatabaseUnavailable: the database cannot be read.
        """
        key = self.build_message_key(message)
        if block:
            timeout_ms = DEFAULT_TIMEOUT if timeout is None else timeout
            data = self._storage.wait(lambda: self._data(key), channel_of("results", key), timeout_ms)
        else:
            data = self._data(key)
        if data is None:
            absence = ResultTimeout if block else ResultMissing
            raise absence(message)
        return self.unwrap_result(self.encoder.decode(data))  # type: ignore[no-untyped-call]  # dramatiq's

    def purge(self) -> int:
        """Delete all expired results; returns how many. Each stored result deletes some."""
        return self._storage.write(
            lambda batch: (
                batch.connection.execute("DELETE FROM broker_results WHERE expires_ms <= ?", (batch.now_ms,)).rowcount
            )
        )

    def close(self) -> None:
        """Close the database and end the threads. May be repeated; the next use opens it again."""
        self._storage.close()

    def _get(self, message_key: str) -> Any:  # Any: a result, or dramatiq's Missing
        data = self._data(message_key)
        return Missing if data is None else self.encoder.decode(data)

    def _store(self, message_key: str, result: Any, ttl: int) -> None:  # Any: a result is whatever an actor returns
        data = self.encoder.encode(result)

        def work(batch: WriteBatch) -> None:
            _purge_some(batch)
            batch.connection.execute(
                """
                INSERT INTO broker_results (key, value, expires_ms) VALUES (?, ?, ?)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_ms = excluded.expires_ms
                """,
                (message_key, data, batch.now_ms + ttl),
            )
            batch.notify(channel_of("results", message_key))

        self._storage.write(work)

    def _data(self, key: str) -> bytes | None:
        rows = self._storage.read("SELECT value FROM broker_results WHERE key = ? AND expires_ms > ?", (key, now_ms()))
        return rows[0][0] if rows else None


class SqliteResultBackend(DatabaseResultBackend):
    """Results of actors in a SQLite file, which may be that of the messages.

    With "NORMAL" a result is still never lost while its message is gone, if both are in one file: the broker's own
    "FULL" commit of the acknowledgement comes later and makes all commits before it durable.

    Args:
        path: the database file; its directory is made if it is missing. Not on a network file system.
        namespace: as in dramatiq, part of every key.
        encoder: as in dramatiq; None is dramatiq's present one.
        use_namespace_prefix_keys: as in dramatiq; readable keys instead of digests.
        synchronous: SQLite's; with "NORMAL" a power cut (not a crash) may undo the last commits.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        namespace: str = "dramatiq-results",
        encoder: Encoder | None = None,
        use_namespace_prefix_keys: bool = False,
        synchronous: Synchronous = "NORMAL",
    ) -> None:
        storage = FileBackendStore(path, synchronous)
        super().__init__(storage, namespace, encoder, use_namespace_prefix_keys=use_namespace_prefix_keys)


def _purge_some(batch: WriteBatch) -> None:
    batch.connection.execute(
        """
        DELETE FROM broker_results WHERE key IN
            (SELECT key FROM broker_results WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?
             /*postgresql FOR UPDATE SKIP LOCKED*/)
        """,
        (batch.now_ms, PURGED_PER_WRITE),
    )
