"""The dramatiq worker threads of this process: how many there are, which message each processes, interrupting one.

An exception is raised into a thread the way dramatiq's time limit does it: it strikes between two steps of Python code,
not inside a call that waits outside of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from dramatiq import Worker
from dramatiq.middleware import SkipMessage
from dramatiq.threading import Interrupt, raise_thread_exception

from broker.engine.message import SqliteMessage
from broker.storage.queue import Claim

__all__ = ["Cancelled", "LeaseLost", "WorkerThreads"]

Token = tuple[int, int, int]  # row, holder and number of a claim; no two claims have the same


class Cancelled(Interrupt):
    """Raised inside an actor whose message has been cancelled. It may clean up; the message will not run again."""


class LeaseLost(Interrupt):
    """Raised inside an actor whose process has lost the database: others will soon process the message."""


class WorkerThreads:
    """The workers of this process, as far as the broker has seen them start and stop, and their messages."""

    def __init__(self) -> None:
        self._running: list[Worker] = []
        self._stopping: list[Worker] = []
        # A bare lock: entering and leaving it is safe against exceptions raised into this thread.
        self._lock = threading.Lock()
        self._messages: dict[Token, tuple[int, SqliteMessage]] = {}  # with the number of the thread
        self._cancelled: set[Token] = set()  # cancelled before their processing began
        self._lost: set[Token] = set()  # likewise, those whose lease was lost

    def booted(self, worker: Worker) -> None:
        """Add the worker's threads to the count."""
        self._running.append(worker)

    def stopping(self, worker: Worker) -> None:
        """Count the worker's threads out: no messages are claimed for it."""
        if worker in self._running:
            self._running.remove(worker)
            self._stopping.append(worker)

    def stopped(self, worker: Worker) -> None:
        """Drop a worker that has stopped."""
        if worker in self._stopping:
            self._stopping.remove(worker)

    # Both are called for every claim: plain loops, without further calls.

    def count(self, queue: str) -> int | None:
        """Return how many threads can process a message of a queue; None when no worker consumes it (used by hand)."""
        count = None
        for worker in self._stopping:
            if not worker.consumer_whitelist or queue in worker.consumer_whitelist:
                count = 0
        for worker in self._running:
            if worker.consumer_whitelist and queue not in worker.consumer_whitelist:
                continue
            count = (count or 0) + worker.worker_threads
            for thread in worker.workers:
                # An exception raised into a worker thread at the wrong moment ends it for good: it does not count.
                count -= thread.ident is not None and not thread.is_alive()
        return count

    def dead(self) -> str | None:
        """Return what has ended of a running worker: a consumer thread, or all worker threads; None if nothing."""
        for worker in list(self._running):
            for name, consumer in list(worker.consumers.items()):
                if consumer.ident is not None and not consumer.is_alive():
                    return f"the consumer thread of {name} has ended"
            threads = list(worker.workers)
            if threads and all(thread.ident is not None and not thread.is_alive() for thread in threads):
                return "all worker threads have ended"
        return None

    def share(self, queue: str, other: str) -> bool:
        """Return whether messages of two queues compete for the threads of a worker."""
        for worker in (*self._running, *self._stopping):
            if not worker.consumer_whitelist or worker.consumer_whitelist.issuperset((queue, other)):
                return True
        return queue == other

    def is_default(self, prefetch: int) -> bool:
        """Return whether a prefetch is dramatiq's default and not a configured one."""
        return any(prefetch == worker.worker_threads * 2 for worker in self._running)

    def begin(self, message: SqliteMessage) -> None:
        """Note that the calling thread begins to process a message.

        Raises:
            SkipMessage: it was cancelled, or its lease was lost, while it waited for a thread.
        """
        token = _token(message.held)
        with self._lock:
            if token in self._cancelled:
                self._cancelled.discard(token)
                raise SkipMessage("cancelled before it began")
            if token in self._lost:
                self._lost.discard(token)
                message.lost = True
                raise SkipMessage("lease lost before it began")
            self._messages[token] = (threading.get_ident(), message)

    def end(self, message: SqliteMessage) -> None:
        """Note that the processing is over. From here on no exception is raised into the thread for it."""
        with self._lock:
            self._messages.pop(_token(message.held), None)

    def running_ids(self) -> list[str]:
        """Return the ids of the messages that are being processed."""
        with self._lock:
            return [message.message_id for _, message in self._messages.values()]

    def interrupt_all(self, claims: Iterable[Claim]) -> None:
        """Raise `LeaseLost` into the threads that process messages, once each.

        Args:
            claims: all claims of this process; messages whose processing has not begun are skipped later.
        """
        with self._lock:
            self._lost = {_token(claim) for claim in claims} - self._messages.keys()
            interrupted = list(self._messages.values())
            self._messages.clear()
            for thread, message in interrupted:
                message.give_back()
                raise_thread_exception(thread, LeaseLost)  # type: ignore[no-untyped-call]  # dramatiq's

    def interrupt(self, cancelled: Iterable[Claim], claims: Iterable[Claim]) -> None:
        """Raise `Cancelled` into the threads that process these messages, once each.

        Args:
            cancelled: claims of this process; messages whose processing has not begun are skipped later.
            claims: all claims of this process.
        """
        with self._lock:
            self._cancelled &= {_token(claim) for claim in claims}
            for claim in cancelled:
                token = _token(claim)
                if token in self._messages:
                    thread, message = self._messages.pop(token)
                    message.cancelled = True
                    message.options["throws"] = BaseException  # whatever the actor raises now, Retries ignores it
                    # Under the lock: before `end` the thread cannot go on to another message.
                    raise_thread_exception(thread, Cancelled)  # type: ignore[no-untyped-call]  # dramatiq's
                else:
                    self._cancelled.add(token)


def _token(claim: Claim) -> Token:
    return claim.row_id, claim.holder, claim.number
