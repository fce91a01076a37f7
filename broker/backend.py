"""What a result or rate limiter backend needs of its process: a clerk that writes, a reader, a lookout.

All of it is opened at the first use and anew in a forked child. What is stored and when it expires is the backends'.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from dramatiq.threading import Interrupt

from broker.engine.batch import Batch, Order
from broker.engine.lookout import Lookout, seconds
from broker.engine.prefetch import Staff
from broker.engine.writer import Clerk, Terms
from broker.storage.backend_schema import BACKEND_VERSION_QUERY, ensure_backend_schema
from broker.storage.database import Synchronous
from broker.storage.fork import forget_in_children
from broker.storage.places import Places
from broker.storage.write_lock import WriteGate

__all__ = ["Office"]

T = TypeVar("T")


class Office:
    """One database file as one backend uses it."""

    def __init__(self, path: str | os.PathLike[str], synchronous: Synchronous) -> None:
        self._places = Places(Path(path).resolve())
        self._gate = WriteGate(path)
        # Nothing is ever consumed here, so the last three mean nothing.
        self._terms = Terms(synchronous, poll_interval_s=30.0, lease_s=60.0, max_deliveries=1)
        self._clerk_now: Clerk | None = None
        self._lookout_now: Lookout | None = None
        self._lock = threading.Lock()
        self._prepared = False
        forget_in_children(self)

    def write(self, work: Callable[[Batch], T], *, undo: Callable[[Batch], object] | None = None) -> T:
        """Have a piece of writing committed and return its result.

        Dramatiq raises time limits and shutdowns into threads at any moment. The work is done all the same, once; then
        the exception goes on. The caller never learns the result, so `undo` is done first if that was a true one.

        Raises:
            DatabaseUnavailable: nothing was written; the cause lies in the file or the disk.
            NotJoined: this thread is inside the gate with a transaction of its own.
        """

        def prepared_work(batch: Batch) -> T:
            ensure_backend_schema(batch.connection)  # two look-ups; the file may have been replaced
            return work(batch)

        order = Order(prepared_work)
        clerk: Clerk | None = None
        interruption: Interrupt | None = None
        while True:
            try:
                clerk = clerk or self._clerk()
                clerk.submit(order)
                result = order.wait()
            except Interrupt as late:
                interruption = interruption or late
            else:
                break
        if interruption is not None:
            if undo is not None and result:
                self.write(undo)
            raise interruption
        return result

    def read(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Return all rows of a query that sees committed data only; never waits for a writer.

        Raises:
            DatabaseUnavailable: the file cannot be read.
        """
        try:
            if not self._prepared:
                self._prepare()
            return self._clerk().database.read(sql, parameters)
        except sqlite3.OperationalError:
            self._prepared = False  # the file was replaced: the next one finds the tables made anew
            raise

    def wait(self, look: Callable[[], T | None], bell: str, timeout_ms: float | None) -> T | None:
        """Return what `look` finds now or after a ring of the bell; None when the time is over (never, if None)."""
        found = look()
        if found is not None or timeout_ms == 0:
            return found
        return self._lookout().until(look, bell, seconds(timeout_ms))

    def close(self) -> None:
        """Close the file and end the threads. May be repeated; the next use opens it again."""
        with self._lock:
            clerk, self._clerk_now = self._clerk_now, None
            lookout, self._lookout_now = self._lookout_now, None
        if lookout is not None:
            lookout.close()
        if clerk is not None:
            atexit.unregister(self.close)
            clerk.close()

    def forget(self) -> None:
        """Be as new in a forked child."""
        self._lock = threading.Lock()
        clerk, self._clerk_now = self._clerk_now, None
        lookout, self._lookout_now = self._lookout_now, None
        if lookout is not None:
            lookout.forget()
        if clerk is not None:
            atexit.unregister(self.close)
            clerk.forget()

    def _prepare(self) -> None:
        # On the clerk's thread, unless this one is inside the gate, perhaps with a transaction: then it only looks.
        if not self._gate.held or not self._clerk().database.read(BACKEND_VERSION_QUERY):
            self.write(lambda _: None)
        self._prepared = True

    def _clerk(self) -> Clerk:
        clerk = self._clerk_now
        if clerk is not None:
            return clerk
        with self._lock:
            if self._clerk_now is None:
                self._clerk_now = Clerk(self._places, self._gate, Staff(), self._terms)
                atexit.register(self.close)
            return self._clerk_now

    def _lookout(self) -> Lookout:
        lookout = self._lookout_now
        if lookout is not None:
            return lookout
        with self._lock:
            if self._lookout_now is None:
                self._lookout_now = Lookout(self._places.bells)
            return self._lookout_now
