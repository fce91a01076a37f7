"""An order is a piece of writing that a thread hands to the clerk; a batch is the orders that share one commit."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from broker.messages import Claim, Entry, State, give_back, store

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

    def store(self, entries: Iterable[Entry]) -> None:
        """Insert messages and note whom that concerns."""
        for entry in entries:
            state = store(self.connection, entry, self.now_ms)
            if state is not None:
                (self.delayed if state is State.DELAYED else self.readied).add(entry.queue)

    def give_back(self, claims: list[Claim]) -> None:
        """Return messages that nobody has begun to work on to their old places."""
        for held in claims:
            give_back(self.connection, held)
            self.readied.add(held.queue)
        self.settled += claims


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
