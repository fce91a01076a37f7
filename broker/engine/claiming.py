"""Finding and claiming messages for the consumers of this process. Runs on the clerk's thread."""

from __future__ import annotations

import time
from collections.abc import Callable

from broker.engine.batch import Batch
from broker.engine.prefetch import Desk, Floor
from broker.errors import DatabaseUnavailable
from broker.storage.database import Database
from broker.storage.queue import claim, promote

__all__ = ["Claiming"]

PAUSE_AFTER_FAILURE_S = 1.0


class Claiming:
    """Which queues have something for us, as far as known, and the claims made so far."""

    def __init__(self, floor: Floor, database: Database) -> None:
        self._floor = floor
        self._database = database
        self._number = 0
        self._resume_s = 0.0

    def possible(self) -> bool:
        """Tell whether something can be claimed for an idle thread now."""
        return time.monotonic() >= self._resume_s and self._floor.hungry()

    def claim(self, batch: Batch, enlisted: Callable[[Batch], int]) -> None:
        """Lease messages to this process inside an open transaction.

        Args:
            enlisted: makes sure that our lease holds, returns our id. Asked only if there is something to claim.
        """
        if time.monotonic() < self._resume_s:
            return
        for desk, wanted in self._floor.asking(batch.settled, batch.claimed):
            holder = enlisted(batch)
            if desk.eta_ms is not None and desk.eta_ms <= batch.now_ms:
                promote(batch.connection, desk.queue, batch.now_ms)
                desk.unsure = True  # for the eta of the next one
            if self._may_claim(batch, desk):
                self._number += 1
                claims, desk.ready = claim(
                    batch.connection, desk.queue, wanted, holder=holder, number=self._number, now_ms=batch.now_ms
                )
                batch.claimed += claims

    def _may_claim(self, batch: Batch, desk: Desk) -> bool:
        """Return whether the queue is not paused; checked before each claim."""
        paused = batch.connection.execute("SELECT 1 FROM broker_paused WHERE queue = ?", (desk.queue,)).fetchone()
        if paused is not None:
            desk.ready = False
        return paused is None

    def fail(self, error: BaseException) -> None:
        """Tell the waiting consumers of an error, and pause."""
        self._resume_s = time.monotonic() + PAUSE_AFTER_FAILURE_S
        self._floor.disappoint(error)

    def look(self, listen: Callable[[str], None], now_ms: int) -> bool:
        """Look at the tables for desks that are unsure; True when there is something to claim.

        Args:
            listen: called with a queue before its table is looked at, so that no bell is missed in between.
        """
        for desk in self._floor.open_desks():
            if desk.unsure:
                desk.unsure = False
                listen(desk.queue)
                try:
                    desk.ready, desk.eta_ms = self._glance(desk.queue)
                except DatabaseUnavailable:
                    desk.ready = True  # claiming will meet it again, say so, and have it looked at once more
            if desk.eta_ms is not None and desk.eta_ms <= now_ms:
                desk.ready = True
        return self.possible()

    def overdue(self, now_ms: int) -> bool:
        """Tell whether delayed messages have fallen due that no idle thread can take now."""
        desks = self._floor.open_desks()
        due = any(desk.eta_ms is not None and desk.eta_ms <= now_ms for desk in desks)
        return due and time.monotonic() >= self._resume_s

    def promote_due(self, batch: Batch) -> None:
        """Make them ready, so that they keep their turn before what is sent from now on."""
        for desk in self._floor.open_desks():
            if desk.eta_ms is not None and desk.eta_ms <= batch.now_ms:
                desk.unsure = True
                if promote(batch.connection, desk.queue, batch.now_ms):
                    batch.readied.add(desk.queue)

    def due_in_s(self, now_ms: int) -> list[float]:
        """Return in how many seconds something of ours falls due: delays, the end of a pause."""
        desks = self._floor.open_desks()
        due = [(desk.eta_ms - now_ms) / 1000 for desk in desks if desk.eta_ms is not None and not desk.ready]
        pause_s = self._resume_s - time.monotonic()
        return [*due, pause_s] if pause_s > 0 else due

    def _glance(self, queue: str) -> tuple[bool, int | None]:
        rows = self._database.read(
            """
            SELECT EXISTS (SELECT 1 FROM broker_messages WHERE state = 0 AND queue = ?1)
                    AND NOT EXISTS (SELECT 1 FROM broker_paused WHERE queue = ?1),
                (SELECT min(eta_ms) FROM broker_messages WHERE state = 1 AND queue = ?1)
            """,
            (queue,),
            by_clerk=True,
        )
        return bool(rows[0][0]), rows[0][1]
