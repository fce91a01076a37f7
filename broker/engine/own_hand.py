"""What threads commit by their own hand, without the clerk: those that find the gate free, and those that hold it."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Callable
from typing import Any

from dramatiq.worker import WorkerThread

from broker.engine.batch import Batch, Order
from broker.engine.commits import Commits
from broker.engine.prefetch import Floor
from broker.engine.watch import Watch
from broker.errors import NotJoined, is_locked, translated
from broker.storage.database import Database
from broker.storage.write_lock import WriteGate

__all__ = ["OwnHand"]


class OwnHand:
    """The way past the clerk."""

    def __init__(self, commits: Commits, database: Database, gate: WriteGate, floor: Floor, watch: Watch) -> None:
        self._commits = commits
        self._database = database
        self._gate = gate
        self._floor = floor
        self._watch = watch
        self.closed = False  # set before the clerk closes the file, which must not be opened again then

    def commit(self, work: Callable[[Batch], Any]) -> bool:
        """Commit on this thread if it finds the gate free, which spares two changes of threads.

        60 of 100 us with synchronous=NORMAL (measured). Threads that come together are better served together, and not
        a worker's thread: dramatiq raises exceptions into those.

        Returns:
            False: nothing was written; it was not to be, or there is a reason that the clerk will meet, too, and tell.
        """
        alone = (
            self._database.is_open  # whoever opens it first makes the directory, in which the gate lies, too
            and not self._gate.held
            and not isinstance(threading.current_thread(), WorkerThread)
            and self._gate.enter_unless_busy()
        )
        if not alone:
            return False
        try:
            if self.closed or sys.is_finalizing():
                return False
            self._commit(Order(work), None)
        except (sqlite3.Error, OSError):
            return False
        finally:
            self._gate.release_leaked()  # whatever a signal's handler has raised on the way
        return True

    def serve(self, order: Order[Any]) -> None:
        """Commit an order of a thread that holds the gate: the clerk could not."""
        try:
            result = self._commit(order, 0.0)
        except sqlite3.OperationalError as error:
            if is_locked(error):
                order.fail(NotJoined(f"this thread holds the gate and a transaction; join it ({error})"))
            else:
                order.fail(translated(error))
        except Exception as error:  # noqa: BLE001  # whatever it is, it goes to whoever waits for it
            order.fail(translated(error))
        else:
            order.finish(result)

    def _commit(self, order: Order[Any], patience_s: float | None) -> Any:
        [result], batch = self._commits.commit([order], patience_s=patience_s)
        if self._floor.desks:
            # The clerk may be about to note what it has seen before this commit: it has to look once more.
            for queue in batch.readied & self._floor.desks.keys():
                self._floor.desks[queue].unsure = True
            self._watch.nudge()
        return result
