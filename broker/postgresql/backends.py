"""Dramatiq's results and rate limiters on PostgreSQL: the same statements as on SQLite."""

from __future__ import annotations

from functools import partial
from typing import Literal

from dramatiq import Encoder

from broker.backend import BackendParts, BackendStore
from broker.engine.writer import BATCH_LIMIT
from broker.postgresql.database import ConnectionLock, PostgresqlDatabase
from broker.postgresql.poller import PostgresqlWaiter, WaitersPoller
from broker.postgresql.schema import POSTGRESQL_BACKEND_SCHEMA
from broker.rate_limits import DatabaseRateLimiterBackend
from broker.results import DatabaseResultBackend

__all__ = ["PostgresqlRateLimiterBackend", "PostgresqlResultBackend"]

Synchronous = Literal["NORMAL", "FULL"]


class ServerBackendStore(BackendStore):
    """One PostgreSQL database as one backend uses it: at most three connections, opened when they are needed.

    Args:
        url: as of `PostgresqlBroker`, and `listen_url`.
        synchronous: "NORMAL": a crash of the server may undo the last commits.
        batch_limit: how many writes may share a commit.
    """

    def __init__(self, url: str, listen_url: str | None, synchronous: Synchronous, batch_limit: int) -> None:
        self._url = url
        self._listen_url = listen_url
        self._synchronous = synchronous == "FULL"
        super().__init__(POSTGRESQL_BACKEND_SCHEMA, batch_limit)

    def _parts(self) -> BackendParts:
        lock = ConnectionLock()
        database = PostgresqlDatabase(
            self._url, self._listen_url, lock, POSTGRESQL_BACKEND_SCHEMA, synchronous=self._synchronous
        )
        poller = WaitersPoller(database)
        return BackendParts(database, lock, poller, partial(PostgresqlWaiter, poller))


class PostgresqlResultBackend(DatabaseResultBackend):
    """Results of actors in a PostgreSQL database, which may be that of the messages.

    With "NORMAL" a result is still never lost while its message is gone, if both are on one server: the commit of the
    acknowledgement comes later and makes all commits before it durable.

    Args:
        url: as of `PostgresqlBroker`, and `listen_url`.
        namespace: as in dramatiq, part of every key.
        encoder: as in dramatiq; None is dramatiq's present one.
        use_namespace_prefix_keys: as in dramatiq; readable keys instead of digests.
        synchronous: with "NORMAL" a crash of the server may undo the last commits.
    """

    def __init__(
        self,
        url: str,
        *,
        listen_url: str | None = None,
        namespace: str = "dramatiq-results",
        encoder: Encoder | None = None,
        use_namespace_prefix_keys: bool = False,
        synchronous: Synchronous = "NORMAL",
    ) -> None:
        storage = ServerBackendStore(url, listen_url, synchronous, BATCH_LIMIT)
        super().__init__(storage, namespace, encoder, use_namespace_prefix_keys=use_namespace_prefix_keys)


class PostgresqlRateLimiterBackend(DatabaseRateLimiterBackend):
    """Counters in a PostgreSQL database, which may be that of the messages. They expire by the clocks of the processes.

    Args:
        url: as of `PostgresqlBroker`, and `listen_url`.
        synchronous: with "NORMAL" a crash of the server may undo the last commits.
    """

    def __init__(self, url: str, *, listen_url: str | None = None, synchronous: Synchronous = "NORMAL") -> None:
        # One counter a transaction: two transactions that change two counters in different order are a deadlock.
        super().__init__(ServerBackendStore(url, listen_url, synchronous, batch_limit=1))
