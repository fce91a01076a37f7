"""Queues that may hold only so much: whoever sends to a full one waits until there is room, or is told.

What is ready or blocked counts. Delayed messages, retries and dead letters sent again are let in: refused, they would
be lost. A sender that waits leaves a mark in the tables, and who takes something away rings.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from broker.engine.batch import Batch
from broker.engine.lookout import Lookout
from broker.engine.notifications import ROOM
from broker.engine.writer import Clerk
from broker.errors import QueueFull
from broker.storage.depth import wait_for_room, waiting
from broker.storage.queue import Entry
from broker.storage.schema import Cursorable

__all__ = ["Room"]


class Room:
    """The limits of one process, and how long it waits."""

    def __init__(self, bells: Path, limits: Mapping[str, int], wait_s: float) -> None:
        self._bells = bells
        self._limits = dict(limits)
        self._wait_s = wait_s
        self._lookout: Lookout | None = None
        self._lock = threading.Lock()

    def check(self, connection: Cursorable, entries: Sequence[Entry], now_ms: int) -> None:
        """Make sure that messages fit, inside an open transaction.

        Raises:
            QueueFull: they do not.
        """
        full = self._full(connection, entries, now_ms)
        if full is not None:
            raise self._error(full)

    def store(self, clerk: Clerk, entries: Sequence[Entry], *, may_wait: bool) -> None:
        """Store messages in one commit as soon as all of them fit.

        Raises:
            QueueFull: they did not in time, or never will.
        """

        def work(batch: Batch) -> str | None:
            full = self._full(batch.connection, entries, batch.now_ms)
            if full is None:
                batch.store(entries)
            elif waits:
                wait_for_room(batch.connection, full)
            return full

        waits = may_wait and self._wait_s > 0 and self._can_ever_fit(entries)
        full = clerk.call(work)
        if full is not None and waits:
            stored = self._opened_lookout().until(lambda: clerk.call(work) is None or None, ROOM, self._wait_s)
            full = None if stored else full
        if full is not None:
            raise self._error(full)

    def close(self) -> None:
        """End the thread that listens, if one was needed."""
        with self._lock:
            lookout, self._lookout = self._lookout, None
        if lookout is not None:
            lookout.close()

    def forget(self) -> None:
        """Be as new in a forked child."""
        self._lock = threading.Lock()
        lookout, self._lookout = self._lookout, None
        if lookout is not None:
            lookout.forget()

    def concerns(self, entries: Sequence[Entry]) -> bool:
        """Tell whether any of these messages goes to a queue with a limit."""
        return bool(self._limits) and any(entry.queue in self._limits for entry in entries)

    def _full(self, connection: Cursorable, entries: Sequence[Entry], now_ms: int) -> str | None:
        for queue, coming in self._coming(entries, now_ms).items():
            limit = self._limits[queue]
            if waiting(connection, queue, limit) + coming > limit:
                return queue
        return None

    def _can_ever_fit(self, entries: Sequence[Entry]) -> bool:
        return all(coming <= self._limits[queue] for queue, coming in self._coming(entries, 0).items())

    def _coming(self, entries: Sequence[Entry], now_ms: int) -> Counter[str]:
        return Counter(
            entry.queue
            for entry in entries
            if entry.queue in self._limits and (entry.eta_ms is None or entry.eta_ms <= now_ms)
        )

    def _error(self, queue: str) -> QueueFull:
        return QueueFull(f"queue {queue!r} may hold {self._limits[queue]} messages, and has no room")

    def _opened_lookout(self) -> Lookout:
        with self._lock:
            if self._lookout is None:
                self._lookout = Lookout(self._bells)
            return self._lookout
