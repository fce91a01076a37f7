"""Dramatiq's Broker on PostgreSQL: the same engine as on SQLite, with parts for a database that many machines share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dramatiq import Middleware

from broker.broker import DatabaseBroker
from broker.engine.engine import EngineParts, Options
from broker.engine.transactions import SendContext
from broker.engine.worker_threads import LeaseLost
from broker.postgresql.database import ConnectionLock, PostgresqlDatabase
from broker.postgresql.dialect import SharedDialect
from broker.postgresql.poller import PostgresqlPoller
from broker.postgresql.registry import PostgresqlRegistry
from broker.postgresql.schema import POSTGRESQL_MESSAGE_SCHEMA
from broker.postgresql.session import JoinedConnection
from broker.storage.connection import Cursorable

__all__ = ["PostgresqlBroker"]


class PostgresqlBroker(DatabaseBroker):
    """Dramatiq messages in a PostgreSQL database, which may be the application's own.

    Nothing is opened before the first use, and everything is opened anew in a forked child, so a broker can be made at
    import time. The tables are created in the first schema of the search path.

    Args:
        url: `postgresql://…`; parameters of libpq may follow it.
        listen_url: a way to the same database past a pooler in transaction mode, through which no notification comes;
            without it, and behind such a pooler, the queues are polled once a second.
        middleware: as in dramatiq; None is dramatiq's default list.
        poll_interval_s: how often the tables are read without a notification; only a safety net.
        lease_s: after how long the messages of a process that is frozen or cut off go to others. It interrupts its own
            actors after a third of that time.
        max_deliveries: a message whose processing was cut off this often is suspected of killing its workers and goes
            to the dead letters.
        dead_letters_kept_s: consuming processes delete dead letters that are older; None keeps them until purged.
        redact: returns the error text and traceback of a dead letter without secrets; it must raise nothing.
        on_lease_lost: called with the ids of the running messages, on a thread of the broker, when this process can no
            longer answer for them, before `LeaseLost` is raised in their actors. It stops what an exception does not
            stop: child processes. It must be quick and raise nothing.
    """

    def __init__(
        self,
        url: str,
        *,
        listen_url: str | None = None,
        middleware: list[Middleware] | None = None,
        poll_interval_s: float = 30.0,
        lease_s: float = 60.0,
        max_deliveries: int = 10,
        dead_letters_kept_s: float | None = None,
        redact: Callable[[str], str] = lambda text: text,
        on_lease_lost: Callable[[list[str]], None] = lambda message_ids: None,  # noqa: ARG005
    ) -> None:
        self.write_lock = None
        self._url = url
        self._listen_url = listen_url
        self._on_lease_lost = on_lease_lost
        super().__init__(
            Options(poll_interval_s, lease_s, max_deliveries, dead_letters_kept_s, redact),
            partial(SendContext, POSTGRESQL_MESSAGE_SCHEMA, lambda callback: callback(), self._notify),
            middleware,
        )

    def check_lease(self) -> None:
        """Check in an actor that others cannot have its message yet; raises as of `MessageBroker`.

        The thread that interrupts actors may not have run yet since the process was frozen.
        """
        engine = self._opened
        registry = None if engine is None else engine.registry
        if engine is None or not isinstance(registry, PostgresqlRegistry) or registry.is_held(engine.writer.wake):
            return
        raise LeaseLost("no heartbeat for a third of the lease")

    def _parts(self) -> EngineParts:
        lock = ConnectionLock()
        database = PostgresqlDatabase(self._url, self._listen_url, lock)
        poller = PostgresqlPoller(database)
        registry = PostgresqlRegistry(
            database,
            # With `listen_url`, notifications say nothing about the way by which messages are written.
            poller.probe if self._listen_url is None else lambda: False,
            self._lease_lost,
            lease_s=self._options.lease_s,
            max_deliveries=self._options.max_deliveries,
        )
        return EngineParts(database, lock, poller, registry)

    def _joinable(self, connection: Cursorable) -> Cursorable:
        joined = JoinedConnection(connection)
        joined.dialect = SharedDialect(joined.cursor, repeats=False)
        return joined

    def _notify(self, queues: set[str]) -> None:
        self._engine().notify(queues)

    def _lease_lost(self) -> None:
        engine = self._opened
        if engine is not None:
            claims = list(engine.prefetcher.claims.values())
            running = self._threads.running_ids()
            if running:
                self.logger.warning("The lease of this process is lost; %d messages are interrupted.", len(running))
                self._on_lease_lost(running)
            self._threads.interrupt_all(claims)
