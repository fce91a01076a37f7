"""The clerk's rounds: keep the lease, look after the other processes and the file, and at the tables though
no bell rang.

When they are due is decided here; what is found is written by the clerk, which passes its way of committing.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable

from broker.engine.batch import Batch
from broker.engine.notifications import CANCELLED, WORKERS
from broker.engine.prefetch import Floor
from broker.engine.processes import Patrol, Peer
from broker.engine.tidying import Tidying
from broker.engine.watch import Watch
from broker.errors import DatabaseUnavailable
from broker.storage.database import Database

__all__ = ["Rounds"]

DEAF_POLL_S = 0.25
TIDYING_PAUSE_S = 0.05  # between two steps: others want to write, too

logger = logging.getLogger(__name__)


class Rounds:
    """When to get up although nobody calls."""

    def __init__(
        self, patrol: Patrol, floor: Floor, watch: Watch, database: Database, tidying: Tidying, interval_s: float
    ) -> None:
        self._patrol = patrol
        self._floor = floor
        self._watch = watch
        self._database = database
        self._tidying = tidying
        self._interval_s = interval_s
        self._next_s = 0.0

    def hurry(self) -> None:
        """Go at once: a process has died or come, or a message was cancelled."""
        self._next_s = 0.0

    def due_in_s(self) -> list[float]:
        """Return in how many seconds the next round and the next heartbeat are due."""
        beat_s = self._patrol.next_beat_s(holding=bool(self._floor.held))
        round_s = self._next_s - time.monotonic()
        return [round_s] if beat_s is None else [round_s, beat_s]

    def go(self, commit: Callable[[Callable[[Batch], None]], object]) -> None:
        """Do what is due. A process that does not consume has nothing to do here."""
        if self._patrol.holder is None:
            return
        self._patrol.beat(holding=bool(self._floor.held))
        if time.monotonic() < self._next_s:
            return
        for desk in self._floor.open_desks():
            desk.unsure = True
        self._watch.listen(WORKERS)
        self._watch.listen(CANCELLED)
        untidy = False
        try:
            self._visit_peers(commit)
            self._heed_cancellations()
            untidy = self._tidying.go(commit)
        except (sqlite3.Error, OSError, DatabaseUnavailable) as error:
            logger.warning("Could not look after the other processes and the file: %s", error)
        self._next_s = time.monotonic() + (TIDYING_PAUSE_S if untidy else self._pause_s())

    def _heed_cancellations(self) -> None:
        """Interrupt what somebody has cancelled while we work on it."""
        rows = self._database.read(
            """
            SELECT id, claim FROM broker_messages INDEXED BY broker_leased
            WHERE state = 2 AND holder = ? AND cancelled = 1
            """,
            (self._patrol.holder,),
            by_clerk=True,
        )
        if rows:
            self._floor.interrupt([(row_id, number) for row_id, number in rows])

    def _pause_s(self) -> float:
        if self._watch.deaf:
            return DEAF_POLL_S
        if self._patrol.suspicious:
            return self._patrol.lease_s / 4
        return min(self._interval_s, self._patrol.lease_s)

    def _visit_peers(self, commit: Callable[[Callable[[Batch], None]], object]) -> None:
        rows = self._database.read("SELECT id, lease, pid FROM broker_workers", by_clerk=True)
        peers = [Peer(*row) for row in rows]
        lost = self._patrol.lost(peers)
        if lost:
            commit(lambda batch: self._patrol.sweep(batch, lost))
        self._watch.mourn({peer.pid for peer in peers if peer.id != self._patrol.holder and peer not in lost})
