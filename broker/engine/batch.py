"""Write requests of threads, and the batch of requests that share one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from broker.storage.concurrency import admit
from broker.storage.connection import DatabaseConnection
from broker.storage.queue import Claim, Entry, Failure, State, ack, claims_of, dead_letter, redeliver, release, store

__all__ = ["WriteBatch", "WriteRequest"]

T = TypeVar("T")


@dataclass(slots=True)
class WriteBatch:
    """One open transaction, and what must follow its commit."""

    connection: DatabaseConnection
    now_ms: int
    claims: bool = False  # whether `WriterHooks.before_commit` is called, which may claim messages
    readied: set[str] = field(default_factory=set)  # queues that gained ready messages
    delayed: set[str] = field(default_factory=set)  # queues that gained delayed messages
    settled: list[Claim] = field(default_factory=list)  # claims of this process that ended
    claimed: list[Claim] = field(default_factory=list)  # claims that began
    done: list[str] = field(default_factory=list)  # queues of the messages that were processed
    died: list[str] = field(default_factory=list)  # queues of those dead-lettered after processing
    channels: set[str] = field(default_factory=set)  # to notify after the commit

    def notify(self, channel: str) -> None:
        """Notify the listeners of a channel after the commit."""
        self.channels.add(channel)

    def store(self, entries: Iterable[Entry]) -> None:
        """Insert messages."""
        for entry in entries:
            state = store(self.connection, entry, self.now_ms)
            if state is not None:
                (self.delayed if state is State.DELAYED else self.readied).add(entry.queue)

    def ack(self, claim: Claim) -> bool:
        """Delete a message that has been processed. False: its claim was lost, and nothing changed; likewise below."""
        return self._ended(claim, ours=ack(self.connection, claim), outcome=self.done)

    def dead_letter(self, claim: Claim, failure: Failure) -> bool:
        """Move a claimed message to the dead letters."""
        return self._ended(claim, ours=dead_letter(self.connection, claim, failure, self.now_ms), outcome=self.died)

    def redeliver(self, claim: Claim, max_deliveries: int) -> bool:
        """Return a message whose processing was cut off to its old place; counts as a delivery."""
        self.readied.add(claim.queue)
        ours = redeliver(self.connection, claim, max_deliveries=max_deliveries, now_ms=self.now_ms)
        return self._ended(claim, ours=ours)

    def release(self, claims: Iterable[Claim]) -> None:
        """Return messages whose processing has not begun to their old places."""
        for claim in claims:
            self.readied.add(claim.queue)
            self._ended(claim, ours=release(self.connection, claim))

    def reclaim(self, holder: int, max_deliveries: int) -> None:
        """Return all messages of a process that is lost or stops.

        Its claims are not added to `settled`: they were never claims of this process, or it makes no more.
        """
        for claim in claims_of(self.connection, holder):
            self.readied.add(claim.queue)
            if redeliver(self.connection, claim, max_deliveries=max_deliveries, now_ms=self.now_ms):
                self._admit(claim)

    def _ended(self, claim: Claim, *, ours: bool, outcome: list[str] | None = None) -> bool:
        self.settled.append(claim)
        if ours:
            self._admit(claim)
        if ours and outcome is not None:
            outcome.append(claim.queue)
        return ours

    def _admit(self, claim: Claim) -> None:
        if claim.key is not None:
            self.readied |= admit(self.connection, claim.key)


class WriteRequest(Generic[T]):
    """Work for a transaction of the writer, and its result: a future.

    The work may be begun more than once (a failed batch is repeated request by request), but is committed at most once.
    """

    __slots__ = ("_completed", "_error", "_result", "completed", "persistent", "work")

    def __init__(self, work: Callable[[WriteBatch], T], *, persistent: bool = False) -> None:
        """Prepare a request.

        Args:
            persistent: a timeout of the write lock does not end it: no thread waits for it that could repeat it.
        """
        self.work = work
        self.persistent = persistent
        self.completed = False  # with a result or with an error
        self._result: T | None = None
        self._error: BaseException | None = None
        # A bare lock, not an Event: entering and leaving it is safe against exceptions raised into this thread.
        self._completed = threading.Lock()
        self._completed.acquire()

    def set_result(self, result: T) -> None:
        """Complete with the result; the work has been committed."""
        self._result = result
        self.completed = True
        self._completed.release()

    def set_error(self, error: BaseException) -> None:
        """Complete with an error; nothing was written."""
        self._error = error
        self.completed = True
        self._completed.release()

    def wait(self) -> T:
        """Block until completed; may be called again after an interruption."""
        with self._completed:
            pass
        if self._error is not None:
            raise self._error
        return cast("T", self._result)
