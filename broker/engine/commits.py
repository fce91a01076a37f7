"""One transaction of this process, on whichever thread: do the work, claim, book what came of it, tell the others."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from broker.engine.batch import Batch, Order
from broker.engine.claiming import Claiming
from broker.engine.notifications import ring
from broker.engine.prefetch import Floor
from broker.engine.processes import Patrol
from broker.storage.clock import now_ms
from broker.storage.database import Database
from broker.storage.places import Places
from broker.storage.tally import Tally

__all__ = ["Commits"]


class Commits:
    """Where all that this process writes to the tables is committed."""

    def __init__(
        self, places: Places, database: Database, floor: Floor, claiming: Claiming, patrol: Patrol, tally: Tally
    ) -> None:
        self._bells = places.bells
        self._database = database
        self._floor = floor
        self._claiming = claiming
        self._patrol = patrol
        self._tally = tally

    def commit(
        self, orders: Sequence[Order[Any]], *, claiming: bool = False, patience_s: float | None = None
    ) -> tuple[list[Any], Batch]:
        """Do the work of these orders in one transaction, in their order; returns their results and what it did.

        Args:
            claiming: lease what there is for idle threads, too.
            patience_s: as in `Database.writing`.

        Raises:
            Exception: of one of them, or of the file's; nothing was written.
        """
        with self._database.writing(patience_s) as connection:
            # The gate may have been shut for long; from here on nobody can take us for lost.
            self._patrol.beat(holding=bool(self._floor.held))
            batch = Batch(connection, now_ms())
            results = [order.work(batch) for order in orders]
            self._floor.expect(batch.readied)
            if claiming:
                self._claiming.claim(batch, self._enlisted)
        self._floor.take_in(batch)
        self._tally.count(batch.done, batch.died)
        self._tell(batch)
        return results, batch

    def _enlisted(self, batch: Batch) -> int:
        holder = self._patrol.enlist(batch, self._floor.open_queues())
        self._patrol.beat(holding=True)
        return holder

    def _tell(self, batch: Batch) -> None:
        """Ring for the other processes, unless we took all there was; look ourselves at what is delayed."""
        bells = set(batch.bells)
        for queue in batch.readied | batch.delayed:
            desk = self._floor.desks.get(queue)
            if desk is not None and queue in batch.delayed:
                desk.unsure = True
            if queue in batch.delayed or desk is None or desk.ready:
                bells.add(queue)
        for bell in bells:
            with contextlib.suppress(OSError):  # not heard: the others look at poll_interval_s
                ring(self._bells, bell)
