"""The writer thread of one broker or backend in one process: a queue of write requests with group commit.

Other threads submit requests and wait. Requests that arrive together share one commit, and an exception that dramatiq
raises into a worker thread (time limit, shutdown, cancellation) does not interrupt SQL. Two kinds of threads commit by
themselves: one that is no worker thread and finds the write lock free (`commit_inline`), and any that holds the write
lock already (`submit`). Messages that are sent in `SqliteBroker.joining` do not come here: they are inserted on the
sending thread, by the transaction that they join.

What else is written in a commit, and what the thread does when no request waits, is decided by the `WriterHooks`.
`engine.engine.Engine` implements them: claims, promotion of delayed messages, maintenance.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from dramatiq.worker import WorkerThread

from broker.engine.batch import WriteBatch, WriteRequest
from broker.engine.notifications import Poller
from broker.errors import (
    BrokerClosed,
    CommitOutcomeUnknown,
    DatabaseUnavailable,
    NotJoined,
    ServerUnreachable,
    TransactionRestart,
    WriteLockTimeout,
    is_locked,
    translated,
)
from broker.storage.connection import Writable, WriterLock
from broker.storage.database import begin, now_ms
from broker.storage.thread_starter import start_thread

__all__ = ["BATCH_LIMIT", "Writer", "WriterHooks"]

T = TypeVar("T")

BATCH_LIMIT = 256  # maximum of requests in one commit
IDLE_S = 3600.0  # between two calls of `idle` when nothing is due and nothing happens
GATHER_S = 0.00005  # wait for a further request of the same commit
IDLE_HOOK_INTERVAL_S = 0.02  # between two calls of `idle` under load, when a request always waits
PAUSE_AFTER_FAILURE_S = 1.0  # after an unexpected error on the writer's thread
CLOSE_TIMEOUT_S = 5.0  # for the write lock in `close`; then other processes return this one's messages
RESTARTS = 10  # of a transaction
LOCK_STEP_S = 1.0  # a wait for the write lock that notices the close

logger = logging.getLogger(__name__)


class WriterHooks:
    """Hooks of a writer's owner; they do nothing by default."""

    def after_begin(self) -> None:
        """Called at the beginning of each transaction. The engine extends its lease: it may have waited long."""

    def before_commit(self, batch: WriteBatch) -> None:
        """Called before COMMIT, after the work of all requests; may write. Only for batches with `WriteBatch.claims`.

        True for groups of requests, also of one, and for `commit` without work. False for a request that is committed
        alone (after its group failed, or by a thread that holds the write lock), for `commit` with work, and for inline
        commits.
        """

    def after_commit(self, batch: WriteBatch) -> None:
        """Called while the write lock is still held, before the channels of the batch are notified."""

    def rolled_back(self) -> None:
        """Called after a transaction was rolled back; the claims made in it are void."""

    def more_expected(self, requests: int) -> bool:  # noqa: ARG002  # a hook
        """Return whether more requests than these will arrive in a moment, so that one commit serves them all."""
        return False

    def idle(self) -> float:
        """Called on the writer's thread when no request waits; under load every 20 ms.

        Returns:
            Seconds until the next call, at most. A request, `wake`, a notification or the exit of a watched process
            leads to an earlier one.
        """
        return IDLE_S

    def closing(self) -> None:
        """Called on the writer's thread after the last request, before the database is closed."""


class Writer:
    """The writer of one database in one process. Starts its thread when made; `close` ends it."""

    def __init__(
        self,
        database: Writable,
        lock: WriterLock,
        hooks: WriterHooks,
        poller: Poller,
        batch_limit: int = BATCH_LIMIT,
    ) -> None:
        self._batch_limit = batch_limit
        self._database = database
        self._lock = lock
        self._hooks = hooks
        self._poller = poller
        self._requests: deque[WriteRequest[Any]] = deque()
        self._closing = False
        self.closed = False
        self._close_by_s = math.inf  # monotonic time until which the thread waits for the write lock
        self._idle_due_s = 0.0  # monotonic time from which `idle` is called even if requests wait
        self._thread = threading.Thread(target=self._run, name="broker-writer", daemon=True)
        start_thread(self._thread)

    @property
    def died(self) -> bool:
        """Return whether the thread has ended without `close`."""
        return not self._closing and not self._thread.is_alive()

    # Called by other threads.

    def call(self, work: Callable[[WriteBatch], T]) -> T:
        """Submit work, wait for its commit, and return its result.

        Raises:
            DatabaseUnavailable: nothing was written; the cause lies in the file or the disk.
            WriteLockTimeout: nothing was written; the write lock was not free within its timeout, or enough threads
                wait for it (`WriteLock.max_waiting`).
            NotJoined: this thread holds the write lock and has a transaction of its own, which it did not join.
        """
        request = WriteRequest(work)
        with self._lock.waiting():
            self.submit(request)
            return request.wait()

    def submit(self, request: WriteRequest[T]) -> None:
        """Submit a request without waiting for it. A second submission has no effect.

        If this thread holds the write lock, the request is completed before the return: the writer's thread would wait
        for the lock, and this thread for the request.

        Raises:
            BrokerClosed: the interpreter is shutting down.
        """
        if sys.is_finalizing():
            raise BrokerClosed("the interpreter is shutting down")
        if request.completed:
            return
        if self._lock.held:
            self._commit_alone(request, timeout_s=0.0)
            return
        self.submit_nowait(request)
        if self.closed:
            self._refuse_requests()

    def submit_nowait(self, request: WriteRequest[T]) -> None:
        """Append a request and wake the writer's thread. It takes no lock, so finalizers may call it."""
        self._requests.append(request)
        self._poller.wake()

    def commit_inline(self, work: Callable[[WriteBatch], object]) -> bool:
        """Commit on this thread if the write lock is free, which spares two changes of threads.

        Saves 60 us of a commit of 100 us (measured with synchronous=NORMAL). Requests that arrive together are better
        committed together, and not by a worker's thread: dramatiq raises exceptions into those.

        Returns:
            False: nothing was written, and the work should be submitted. The lock is held, this is a worker thread, the
            file is not open, the writer is closing, or SQLite or the file had an error, which the writer's thread will
            meet, too, and report.

        Raises:
            Exception: of the work, or DatabaseUnavailable; nothing was written.
        """
        acquired = (
            self._database.is_open  # otherwise the directory of the lock file may be missing
            and not self._lock.held
            and not isinstance(threading.current_thread(), WorkerThread)
            and self._lock.acquire(blocking=False)
        )
        if not acquired:
            return False
        try:
            if self._closing or sys.is_finalizing():
                return False
            batch, _ = self._commit((work,), claims=False, timeout_s=0.0)
        except CommitOutcomeUnknown:
            raise  # a second attempt might write twice
        except (sqlite3.Error, OSError, DatabaseUnavailable):
            return False
        finally:
            self._lock.release_leaked()  # not `release`: a signal handler's exception may have left it acquired twice
        self._poller.notify(batch.channels)
        return True

    def wake(self) -> None:
        """Have the writer's thread call `idle`: at once if it sleeps, under load after some 20 ms at the latest."""
        self._idle_due_s = 0.0
        self._poller.wake()

    def close(self) -> None:
        """Commit the submitted requests, end the thread and close the database.

        If the write lock is not free within `CLOSE_TIMEOUT_S`, the requests fail, and the claimed messages stay claimed
        until another process notices that this one has ended.
        """
        self._close_by_s = time.monotonic() + CLOSE_TIMEOUT_S
        self._closing = True  # before the database is closed, which `commit_inline` must not open again
        self._poller.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def commit(self, work: Callable[[WriteBatch], object] | None = None) -> None:
        """Commit work on the writer's thread, for the hooks. Without work, `before_commit` is called and may claim.

        Raises:
            DatabaseUnavailable, sqlite3.Error, OSError: nothing was written.
        """
        with self._locked() as timeout_s:
            works = () if work is None else (work,)
            batch, _ = self._commit(works, claims=work is None, timeout_s=timeout_s)
        self._poller.notify(batch.channels)

    # Runs on the writer's thread.

    def _run(self) -> None:
        while not self._closing or self._requests:
            try:
                self._gather()
                requests = self._taken_requests()
                if requests:
                    self._commit_group(requests)
                busy = requests and self._requests and time.monotonic() < self._idle_due_s
                if not self._closing and not busy:
                    timeout_s = self._hooks.idle()
                    self._poller.wait(0.0 if self._requests else timeout_s)
                    self._idle_due_s = time.monotonic() + IDLE_HOOK_INTERVAL_S
            except Exception:
                # Expected errors are raised in the thread that waits for the request. This one is a bug; without the
                # writer's thread, all threads that submit requests would block for ever.
                logger.exception("Writer thread: unexpected error, continuing.")
                time.sleep(PAUSE_AFTER_FAILURE_S)
        try:
            self._close()
        finally:
            self.closed = True
            self._refuse_requests()

    def _gather(self) -> None:
        """Wait until no further request arrives, as long as the hooks expect more for this commit."""
        present = 0
        while present < len(self._requests) and not self._closing and self._hooks.more_expected(len(self._requests)):
            present = len(self._requests)
            time.sleep(GATHER_S)

    def _taken_requests(self) -> list[WriteRequest[Any]]:
        requests: dict[WriteRequest[Any], None] = {}
        while self._requests and len(requests) < self._batch_limit:
            request = self._requests.popleft()
            if not request.completed:
                requests[request] = None  # once, even if it was submitted twice
        return list(requests)

    def _refuse_requests(self) -> None:
        for request in self._taken_requests():
            request.set_error(BrokerClosed("the broker was closed"))

    @contextmanager
    def _locked(self) -> Iterator[float]:
        """Hold the write lock in a block; yields how many seconds are left of its timeout.

        Raises:
            WriteLockTimeout: it was not free in time, or this writer is being closed.
            OSError: the directory or the lock file cannot be made.
        """
        self._database.make_directory()
        deadline_s = time.monotonic() + self._lock.timeout_s
        while not self._lock.acquire(timeout_s=min(LOCK_STEP_S, self._left_s(deadline_s))):
            if self._left_s(deadline_s) == 0.0:
                raise self._lock.timeout_error()
        try:
            yield self._left_s(deadline_s)
        finally:
            self._lock.release()

    def _left_s(self, deadline_s: float) -> float:
        return max(0.0, min(deadline_s, self._close_by_s) - time.monotonic())

    def _commit_group(self, requests: list[WriteRequest[Any]]) -> None:
        """Commit these requests together, with what can be claimed; one by one if that fails."""
        try:
            with self._locked() as timeout_s:
                batch, results = self._commit([request.work for request in requests], claims=True, timeout_s=timeout_s)
        except Exception as error:  # noqa: BLE001  # of any request, or of the claims; each request gets its own below
            if isinstance(translated(error), (WriteLockTimeout, ServerUnreachable)):
                self._give_up(requests, translated(error))
                return
            if isinstance(error, CommitOutcomeUnknown):
                for request in requests:
                    request.set_error(error)
                return
            for request in requests:
                self._commit_alone(request)
        else:
            self._poller.notify(batch.channels)
            for request, result in zip(requests, results, strict=True):
                request.set_result(result)

    def _give_up(self, requests: list[WriteRequest[Any]], timeout: BaseException) -> None:
        """Fail all requests, also those submitted meanwhile, so that none waits for two timeouts."""
        requests += self._taken_requests()
        logger.warning("Writer thread: %d requests failed, %s.", len(requests), timeout)
        for request in requests:
            if request.persistent and not self._closing:
                self._requests.append(request)
            else:
                request.set_error(timeout)

    def _commit_alone(self, request: WriteRequest[Any], timeout_s: float | None = None) -> None:
        try:
            with self._locked() as left_s:
                batch, [result] = self._commit(
                    (request.work,), claims=False, timeout_s=left_s if timeout_s is None else timeout_s
                )
        except Exception as error:  # noqa: BLE001  # every error goes to the thread that waits for the request
            if self._lock.held and isinstance(error, sqlite3.OperationalError) and is_locked(error):
                error = NotJoined(f"this thread holds the write lock and a transaction; join it ({error})")
            request.set_error(translated(error))
        else:
            self._poller.notify(batch.channels)
            request.set_result(result)

    def _commit(
        self, works: Sequence[Callable[[WriteBatch], Any]], *, claims: bool, timeout_s: float, restarts: int = RESTARTS
    ) -> tuple[WriteBatch, list[Any]]:
        """Do all work in one transaction, in its order; returns the batch and the results.

        The calling thread holds the write lock. The channels of the batch are to be notified after the lock's release.

        Args:
            works: of the requests.
            claims: whether the hooks may claim messages in this transaction.
            timeout_s: as in `Database.writer`.
            restarts: how often the transaction is repeated if others are in its way (PostgreSQL only).

        Raises:
            Exception: of the work, of a hook, or of the file; nothing was written.
        """
        connection = self._database.writer(timeout_s)
        try:
            begin(connection, timeout_s)
            self._hooks.after_begin()
            batch = WriteBatch(connection, now_ms(), claims)
            results = []
            for work in works:
                results.append(work(batch))  # noqa: PERF401  # before Python 3.12 a comprehension is a call
            if claims:
                self._hooks.before_commit(batch)
            connection.execute("COMMIT")
        except BaseException as error:
            self._database.roll_back(connection, error)
            self._hooks.rolled_back()
            if restarts and isinstance(error, TransactionRestart):
                return self._commit(works, claims=claims, timeout_s=timeout_s, restarts=restarts - 1)
            raise
        self._hooks.after_commit(batch)
        return batch, results

    def _close(self) -> None:
        try:
            self._hooks.closing()
            self._database.close(self._left_s(math.inf))
        except (sqlite3.Error, OSError, DatabaseUnavailable) as error:
            logger.warning(
                "Closing %s failed (%s); other processes will return its messages.", self._database.title, error
            )
        self._poller.close()
