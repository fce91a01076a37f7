"""Dramatiq's rate limiters and barriers on SQLite: counters that expire, and events that can be waited for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from dramatiq.rate_limits import RateLimiterBackend

from broker import counters
from broker.backend import Office
from broker.engine.batch import Batch
from broker.engine.lookout import bell_of
from broker.storage.clock import now_ms
from broker.storage.database import Synchronous

__all__ = ["SqliteRateLimiterBackend"]

PURGED_AT_ONCE = 32  # each change takes up to so many expired rows along, so nothing piles up
ALL = -1  # as a limit in SQLite
EVENT_LIVES_MS = 1000  # at least, so that whoever waits already cannot miss it


class SqliteRateLimiterBackend(RateLimiterBackend):
    """Counters in a SQLite file, which may be that of the messages.

    A time limit or shutdown that dramatiq raises into a thread while it takes a slot does not leave the slot taken,
    and one that comes while it gives the slot back does not keep it.

    Args:
        path: the database file; its directory is made if it is missing. Not on a network file system.
        synchronous: SQLite's; with "NORMAL" a power cut (not a crash) may undo the last commits. It takes the holders
            of the slots along, and an acknowledgement of the broker in the same file makes all before it durable.
    """

    def __init__(self, path: str | os.PathLike[str], *, synchronous: Synchronous = "NORMAL") -> None:
        self._office = Office(path, synchronous)

    def add(self, key: str, value: int, ttl: int) -> bool:
        """Set a counter for `ttl` milliseconds unless it is there; False if it is."""
        return self._changed(
            lambda batch: counters.add(batch.connection, key, value, ttl_ms=ttl, now_ms=batch.now_ms),
            undo=lambda batch: counters.undo(batch.connection, key, value),
        )

    def incr(self, key: str, amount: int, maximum: int, ttl: int) -> bool:
        """Raise a counter and let it live anew; False, and no change, if it would pass the maximum."""
        return self._changed(
            lambda batch: counters.change(
                batch.connection, key, amount, maximum=maximum, ttl_ms=ttl, now_ms=batch.now_ms
            ),
            undo=lambda batch: counters.undo(batch.connection, key, amount),
        )

    def decr(self, key: str, amount: int, minimum: int, ttl: int) -> bool:
        """Lower a counter and let it live anew; False, and no change, if it would pass the minimum.

        If interrupted, a slot is given back all the same. A party at a barrier (whose minimum is above 0) has not come:
        its message will run again.
        """
        return self._changed(
            lambda batch: counters.change(
                batch.connection, key, -amount, minimum=minimum, ttl_ms=ttl, now_ms=batch.now_ms
            ),
            undo=(lambda batch: counters.undo(batch.connection, key, -amount)) if minimum > 0 else None,
        )

    def incr_and_sum(self, key: str, keys: Callable[[], Iterable[str]], amount: int, maximum: int, ttl: int) -> bool:
        """Raise a counter unless it or the sum of all `keys` would pass the maximum; False if so.

        Args:
            keys: asked inside the transaction, on another thread, because they may depend on the time.
        """

        def work(batch: Batch) -> bool:
            if counters.total(batch.connection, keys(), now_ms=batch.now_ms) + amount > maximum:
                return False
            return counters.change(batch.connection, key, amount, maximum=maximum, ttl_ms=ttl, now_ms=batch.now_ms)

        return self._changed(work, undo=lambda batch: counters.undo(batch.connection, key, amount))

    def wait(self, key: str, timeout: int | None) -> bool:
        """Wait until an event is noted, or return at once if it was and has not expired.

        Args:
            key: of the event.
            timeout: milliseconds; None waits for ever.

        Returns:
            False when the time was over first.
        """
        return self._office.wait(lambda: self._noted(key), bell_of("events", key), timeout) is not None

    def wait_notify(self, key: str, ttl: int) -> None:
        """Note an event, for `ttl` milliseconds (at least a second), and wake whoever waits for it, in any process."""

        def work(batch: Batch) -> None:
            ttl_ms = max(ttl, EVENT_LIVES_MS)
            counters.note_event(batch.connection, key, ttl_ms=ttl_ms, now_ms=batch.now_ms)
            batch.readied.add(bell_of("events", key))  # rung after the commit, like that of a queue

        self._office.write(work)

    def purge(self) -> int:
        """Delete all expired counters and events; returns how many. Every change does it bit by bit."""
        return self._office.write(lambda batch: counters.purge(batch.connection, limit=ALL, now_ms=batch.now_ms))

    def close(self) -> None:
        """Close the file and end the threads. May be repeated; the next use opens it again."""
        self._office.close()

    def _changed(self, work: Callable[[Batch], bool], undo: Callable[[Batch], object] | None = None) -> bool:
        def purging_work(batch: Batch) -> bool:
            counters.purge(batch.connection, limit=PURGED_AT_ONCE, now_ms=batch.now_ms)
            return work(batch)

        return self._office.write(purging_work, undo=undo)

    def _noted(self, key: str) -> bool | None:
        rows = self._office.read("SELECT 1 FROM broker_events WHERE key = ? AND expires_ms > ?", (key, now_ms()))
        return True if rows else None
