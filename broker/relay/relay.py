"""The relay: keeps tokens in the transport for the queues that have ready messages.

It is registered as a process of the database like a worker, with a heartbeat. Several relays may run; the one that was
registered first is active. The next one takes over when the database has dropped the first one's connection, or when
its heartbeat lags. Two that are active for a moment do no harm: they put more tokens than are needed.

The relay keeps nothing. It compares how many messages are ready with how many tokens wait, and puts those that are
missing. So a token that was lost with the transport's memory, or taken by a process that died, is put again.
"""

from __future__ import annotations

import logging
import time
from functools import partial

from broker.engine.batch import WriteBatch
from broker.engine.engine import Engine, EngineParts, Options
from broker.engine.notifications import WORKERS
from broker.engine.worker_threads import WorkerThreads
from broker.errors import DatabaseUnavailable, TransportUnavailable
from broker.postgresql.database import ConnectionLock, PostgresqlDatabase
from broker.postgresql.poller import PostgresqlPoller
from broker.postgresql.registry import PostgresqlRegistry
from broker.relay.transport import Transport, open_transport
from broker.storage.database import now_ms
from broker.storage.queue import promote

__all__ = ["RELAY", "Relay"]

# What a relay is registered for in place of queues; no queue can have this name.
RELAY = ".relay"

WINDOW = 16  # tokens that wait in a queue at most
CHECK_S = 1.0  # between two reads of the registry
MIN_PAUSE_S = 0.05  # while messages are ready and tokens are taken; claims send no notification
MAX_PAUSE_S = 1.0  # while messages are ready and no tokens are taken
IDLE_S = 10.0  # while nothing is ready; only a safety net behind notifications
RETRY_S = 1.0
LEASE_S = 12.0  # of its heartbeat: a relay that is frozen or cut off is replaced after a third of that time

logger = logging.getLogger(__name__)


class RelayEngine(Engine):
    """The engine of a relay's process: it claims nothing, but keeps tokens in the transport."""

    def __init__(
        self, parts: EngineParts, options: Options, registry: PostgresqlRegistry, transport: Transport, window: int
    ) -> None:
        self._relays = registry
        self._transport = transport
        self._window = window
        self.is_active = False
        self._queues: set[str] = set()  # those of the living workers
        self._check_due_s = 0.0  # monotonic times
        self._pass_due_s = 0.0
        self._pauses_s: dict[str, float] = {}  # by queue
        self._error = ""
        self._started = False
        super().__init__(parts, WorkerThreads(), options)
        self._started = True  # the writer's thread has started before `writer` was assigned
        self.writer.wake()

    def idle(self) -> float:
        """Keep the heartbeat, prune lost workers as every engine, and put the tokens that are missing."""
        if not self._started:
            return IDLE_S
        try:
            if self.registry.id is None:
                self.writer.commit(self._register)
            due_in_s = min(super().idle(), self._run())
        except (DatabaseUnavailable, TransportUnavailable) as error:
            self._report(str(error))
            self._pass_due_s = time.monotonic() + RETRY_S
            return RETRY_S
        return due_in_s

    def after_commit(self, batch: WriteBatch) -> None:
        """Look at the queues that gained messages by this process: the database notifies only others."""
        super().after_commit(batch)
        if batch.readied or batch.delayed:
            self._notified()

    def closing(self) -> None:
        """Leave the registry, so that the next relay takes over at once."""
        super().closing()
        self._transport.close()

    def _register(self, batch: WriteBatch) -> None:
        self.registry.register(batch, [RELAY])
        batch.notify(RELAY)

    def _run(self) -> float:
        """Do what is due; returns in how many seconds something is due again."""
        now_s = time.monotonic()
        if now_s >= self._check_due_s:
            self._check_due_s = now_s + CHECK_S
            self._check()
        if not self.is_active:
            return CHECK_S
        if now_s >= self._pass_due_s:
            pauses_s = [self._supply(queue) for queue in sorted(self._queues)]
            self._transport.keep_alive()
            self._pass_due_s = now_s + min(pauses_s, default=IDLE_S)
            self._report("")
        return max(0.0, min(self._pass_due_s, self._check_due_s) - time.monotonic())

    def _check(self) -> None:
        """Find out whether this relay is the active one, and which queues have workers."""
        processes = self._relays.responsive(self.database)
        relays = [id_ for id_, queues in processes.items() if queues == (RELAY,)]
        active = relays[:1] == [self.registry.id]
        if active != self.is_active:
            self.is_active = active
            logger.info("Relay %s is %s.", self.registry.id, "active" if active else "in reserve")
            self._pass_due_s = 0.0
        queues = {queue for queues in processes.values() for queue in queues if queue != RELAY}
        if queues - self._queues:
            self._pass_due_s = 0.0
        self._queues = queues
        for channel in (RELAY, WORKERS):
            self._poller.listen(channel, self._registry_changed)
        for queue in queues:
            self._poller.listen(queue, self._notified)

    def _supply(self, queue: str) -> float:
        """Put the tokens that a queue lacks; returns in how many seconds to look again."""
        ready, eta_ms = self._read(queue)
        moment_ms = now_ms()
        if eta_ms is not None and eta_ms <= moment_ms:
            self.writer.commit(partial(_promote, queue))
            return MIN_PAUSE_S
        missing = ready - self._transport.depth(queue) if ready else 0
        if missing > 0:
            self._transport.put(queue, missing)
        pause_s = self._next_pause_s(queue, ready=ready, missing=missing)
        return pause_s if eta_ms is None else min(pause_s, (eta_ms - moment_ms) / 1000)

    def _next_pause_s(self, queue: str, *, ready: int, missing: int) -> float:
        if not ready:
            self._pauses_s.pop(queue, None)
            return IDLE_S
        pause_s = MIN_PAUSE_S if missing > 0 else min(MAX_PAUSE_S, 2 * self._pauses_s.get(queue, MIN_PAUSE_S))
        self._pauses_s[queue] = pause_s
        return pause_s

    def _read(self, queue: str) -> tuple[int, int | None]:
        """Return how many messages of a queue may be claimed, up to the window, and when the next delay ends."""
        [(ready, eta_ms)] = self.database.read(
            """
            SELECT (SELECT count(*) FROM (
                    SELECT 1 FROM broker_messages WHERE state = 0 AND queue = ?1
                        AND NOT EXISTS (SELECT 1 FROM broker_paused WHERE queue = ?1)
                    LIMIT ?2) AS ready),
                (SELECT min(eta_ms) FROM broker_messages WHERE state = 1 AND queue = ?1)
            """,
            (queue, self._window),
            by_writer=True,
        )
        return ready, eta_ms

    def _notified(self) -> None:
        if self.is_active:
            self._pass_due_s = 0.0

    def _registry_changed(self) -> None:
        self._check_due_s = 0.0

    def _report(self, error: str) -> None:
        """Log an outage once, and its end."""
        if error and not self._error:
            logger.warning("The relay pauses, trying again every %.0f s: %s", RETRY_S, error)
        elif self._error and not error:
            logger.info("The relay continues.")
        self._error = error


class Relay:
    """A relay between a database and a transport; runs on a thread of its own from `start` to `close`.

    Any number of processes may have one: the first is active, the others are in reserve. It serves the queues that
    living workers consume.

    Args:
        url: of the database, as of `PostgresqlBroker`.
        transport_url: as of `RelayedBroker`.
        listen_url: as of `PostgresqlBroker`.
        window: how many tokens wait in a queue at most: as many idle workers wake at once. It does not change the order
            of messages, because a token names none.
        poll_interval_s, max_deliveries, dead_letters_kept_s: as of `PostgresqlBroker`; the relay returns the messages
            of lost workers, as these do for each other.

    Raises:
        TransportUnusable: the transport's URL cannot be read, or its Python package is not installed.
    """

    def __init__(
        self,
        url: str,
        transport_url: str,
        *,
        listen_url: str | None = None,
        window: int = WINDOW,
        poll_interval_s: float = 30.0,
        max_deliveries: int = 10,
        dead_letters_kept_s: float | None = None,
    ) -> None:
        self._transport = open_transport(transport_url)
        self._urls = (url, listen_url)
        self._window = window
        self._options = Options(poll_interval_s, LEASE_S, max_deliveries, dead_letters_kept_s)
        self._engine: RelayEngine | None = None

    def start(self) -> None:
        """Start the thread. It connects by itself, again and again if need be."""
        lock = ConnectionLock()
        database = PostgresqlDatabase(*self._urls, lock)
        poller = PostgresqlPoller(database)
        registry = PostgresqlRegistry(
            database, poller.probe, _nothing, lease_s=LEASE_S, max_deliveries=self._options.max_deliveries
        )
        parts = EngineParts(database, lock, poller, registry)
        self._engine = RelayEngine(parts, self._options, registry, self._transport, self._window)

    @property
    def is_active(self) -> bool:
        """Return whether this relay puts tokens, and not another one."""
        return self._engine is not None and self._engine.is_active

    def dead_thread(self) -> str | None:
        """Return the name of the relay's thread if it has ended; None if it lives."""
        return "the relay's thread has ended" if self._engine is not None and self._engine.writer.died else None

    def close(self) -> None:
        """End the thread and close all connections; another relay takes over at once."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()


def _promote(queue: str, batch: WriteBatch) -> None:
    if promote(batch.connection, queue, batch.now_ms):
        batch.readied.add(queue)


def _nothing() -> None:
    """Interrupt nothing when the lease is lost: a relay holds no messages."""
