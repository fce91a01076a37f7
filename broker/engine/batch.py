"""An order is a piece of writing that a thread hands to the clerk; a batch is the orders that share one commit."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from broker.storage.concurrency import admit
from broker.storage.queue import Claim, Entry, State, store
from broker.storage.settling import Obituary, abandon, acknowledge, bury, claims_of, give_back

__all__ = ["Batch", "Order"]

T = TypeVar("T")


@dataclass(slots=True)
class Batch:
    """One transaction while it is open, and what must happen once it has been committed."""

    connection: sqlite3.Connection
    now_ms: int
    readied: set[str] = field(default_factory=set)  # queues that gained ready messages
    delayed: set[str] = field(default_factory=set)  # queues that gained delayed messages
    settled: list[Claim] = field(default_factory=list)  # claims that ended
    claimed: list[Claim] = field(default_factory=list)  # claims that began
    done: list[str] = field(default_factory=list)  # queues of the messages that were worked off
    died: list[str] = field(default_factory=list)  # queues of those that went to the dead letters after their work
    bells: set[str] = field(default_factory=set)  # to ring besides those of the queues

    def store(self, entries: Iterable[Entry]) -> None:
        """Insert messages and note whom that concerns."""
        for entry in entries:
            state = store(self.connection, entry, self.now_ms)
            if state is not None:
                (self.delayed if state is State.DELAYED else self.readied).add(entry.queue)

    def acknowledge(self, held: Claim) -> bool:
        """Delete a message that has been worked off. This and the next: False, the claim had been lost."""
        return self._ended(held, ours=acknowledge(self.connection, held), outcome=self.done)

    def bury(self, held: Claim, obituary: Obituary) -> bool:
        """Move a held message to the dead letters."""
        return self._ended(held, ours=bury(self.connection, held, obituary, self.now_ms), outcome=self.died)

    def abandon(self, held: Claim, max_deliveries: int) -> bool:
        """Return a message whose work was cut off to its old place."""
        self.readied.add(held.queue)
        ours = abandon(self.connection, held, max_deliveries=max_deliveries, now_ms=self.now_ms)
        return self._ended(held, ours=ours)

    def give_back(self, claims: Iterable[Claim]) -> None:
        """Return messages that nobody has begun to work on to their old places."""
        for held in claims:
            self.readied.add(held.queue)
            self._ended(held, ours=give_back(self.connection, held))

    def reclaim(self, holder: int, max_deliveries: int) -> None:
        """Take back everything that a process held which is lost or leaves."""
        for held in claims_of(self.connection, holder):
            self.abandon(held, max_deliveries)

    def _ended(self, held: Claim, *, ours: bool, outcome: list[str] | None = None) -> bool:
        self.settled.append(held)
        if ours and held.key is not None:
            self.readied |= admit(self.connection, held.key)
        if ours and outcome is not None:
            outcome.append(held.queue)
        return ours


class Order(Generic[T]):
    """Work inside a transaction of the clerk, and the answer to it.

    The work may be begun more than once (a failed batch is repeated order by order), but is committed at most once.
    """

    __slots__ = ("_answered", "_error", "_result", "answered", "work")

    def __init__(self, work: Callable[[Batch], T]) -> None:
        self.work = work
        self.answered = False  # whether the work is over, one way or the other
        self._result: T | None = None
        self._error: BaseException | None = None
        # A bare lock, not an Event: entering and leaving it is safe against exceptions raised into this thread.
        self._answered = threading.Lock()
        self._answered.acquire()

    def finish(self, result: T) -> None:
        """Answer with the result; the work has been committed."""
        self._result = result
        self.answered = True
        self._answered.release()

    def fail(self, error: BaseException) -> None:
        """Answer with an error; nothing was written."""
        self._error = error
        self.answered = True
        self._answered.release()

    def wait(self) -> T:
        """Block until answered; may be called again after an interruption."""
        with self._answered:
            pass
        if self._error is not None:
            raise self._error
        return cast("T", self._result)
