"""Periodic work of a consuming process: other processes, cancelled messages, the size of the file.

Runs on the writer's thread. Each step is small, so that no step holds the write lock for long.
"""

from __future__ import annotations

import logging
import sqlite3
import time

from broker.engine.notifications import CANCELLED, WORKERS, Poller
from broker.engine.prefetch import Prefetcher
from broker.engine.processes import Commit, Registry
from broker.errors import DatabaseUnavailable
from broker.storage.connection import Writable
from broker.storage.dead_letters import purge_some

__all__ = ["Maintenance"]

STEP_INTERVAL_S = 0.05  # between two steps of cleaning: other processes want to write, too
SPARE_PAGES = 1000  # left in the file for the next messages; 4 MB
PAGES_PER_STEP = 500
DEAD_LETTERS_PER_STEP = 1000

logger = logging.getLogger(__name__)


class Maintenance:
    """The schedule of a process that consumes; one that only sends has nothing to maintain."""

    def __init__(
        self,
        database: Writable,
        registry: Registry,
        prefetcher: Prefetcher,
        poller: Poller,
        commit: Commit,
        *,
        interval_s: float,
        dead_letters_kept_s: float | None,
    ) -> None:
        self._database = database
        self._registry = registry
        self._prefetcher = prefetcher
        self._poller = poller
        self._commit = commit
        self._interval_s = interval_s
        self._dead_letters_kept_s = dead_letters_kept_s
        self._due_s = 0.0

    def run_soon(self) -> None:
        """Run at the next opportunity: a process has exited or registered, or a message was cancelled."""
        self._due_s = 0.0

    def due_in_s(self) -> list[float]:
        """Return in how many seconds the next run and the next heartbeat are due."""
        heartbeat_s = self._registry.heartbeat_due_in_s(holding=bool(self._prefetcher.claims))
        run_s = self._due_s - time.monotonic()
        return [run_s] if heartbeat_s is None else [run_s, heartbeat_s]

    def run(self) -> bool:
        """Run if it is due; returns whether it was."""
        if self._registry.id is None:
            return False
        self._registry.heartbeat(holding=bool(self._prefetcher.claims))
        self._registry.keep(self._commit)
        if time.monotonic() < self._due_s:
            return False
        for buffer in self._prefetcher.open_buffers():
            buffer.must_read = True
        self._poller.listen(WORKERS, self.run_soon)
        self._poller.listen(CANCELLED, self.run_soon)
        unfinished = False
        try:
            self._prune_processes()
            self._interrupt_cancelled()
            unfinished = self._purge_dead_letters()
            unfinished |= self._shrink_file()
        except (sqlite3.Error, OSError, DatabaseUnavailable) as error:
            logger.warning("Maintenance failed, retrying at the next run: %s", error)
        self._due_s = time.monotonic() + (STEP_INTERVAL_S if unfinished else self._next_interval_s())
        return True

    def _next_interval_s(self) -> float:
        if self._poller.fallback_interval_s is not None:
            return self._poller.fallback_interval_s
        return self._registry.next_look_s(self._interval_s)

    def _prune_processes(self) -> None:
        others = self._registry.prune_lost(self._database, self._commit)
        self._poller.watch_processes(others, self.run_soon)

    def _interrupt_cancelled(self) -> None:
        """Interrupt messages of this process that were cancelled while they are being processed."""
        rows = self._database.read(
            """
            SELECT id, claim FROM broker_messages INDEXED BY broker_leased
            WHERE state = 2 AND holder = ? AND cancelled = 1
            """,
            (self._registry.id,),
            by_writer=True,
        )
        if rows:
            self._prefetcher.interrupt([(row_id, number) for row_id, number in rows])

    def _purge_dead_letters(self) -> bool:
        """Delete some of the dead letters that are too old; returns whether there may be more."""
        if self._dead_letters_kept_s is None:
            return False
        before_ms = int((time.time() - self._dead_letters_kept_s) * 1000)
        if not self._database.read("SELECT 1 FROM broker_dead WHERE died_ms < ? LIMIT 1", (before_ms,), by_writer=True):
            return False
        self._commit(lambda batch: purge_some(batch.connection, before_ms, DEAD_LETTERS_PER_STEP))
        return True

    def _shrink_file(self) -> bool:
        """Return some unused pages to the disk; returns whether there may be more."""
        return self._database.shrink(PAGES_PER_STEP, spare=SPARE_PAGES)
