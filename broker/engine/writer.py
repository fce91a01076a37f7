"""The single writer thread of a process: a queue of write requests with group commit.

Other threads submit requests and wait. So no SQL runs on threads that dramatiq interrupts with exceptions, and requests
that arrive together share one commit. A thread that finds the write lock free may commit by itself (`commit_inline`).
What else belongs to a commit, and what the thread does when it is idle, is up to the `WriterHooks`, which
`engine.engine.Engine` implements (claims, promotion of delayed messages, maintenance).
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dramatiq.worker import WorkerThread

from broker.engine.batch import WriteBatch, WriteRequest
from broker.engine.notifications import Poller, notify
from broker.errors import BrokerClosed, DatabaseUnavailable, NotJoined, is_locked, translated
from broker.storage.database import BrokerPaths, Database, begin, now_ms
from broker.storage.write_lock import WriteLock

__all__ = ["Writer", "WriterHooks"]

T = TypeVar("T")

BATCH_LIMIT = 256
IDLE_S = 3600.0
GATHER_S = 0.00005
IDLE_HOOK_INTERVAL_S = 0.02  # how often `idle` runs under load, when the thread never sleeps
PAUSE_AFTER_FAILURE_S = 1.0

logger = logging.getLogger(__name__)


class WriterHooks:
    """Hooks of a writer's owner; they do nothing by default."""

    def after_begin(self) -> None:
        """Called when the write lock is held and the transaction has begun."""

    def before_commit(self, batch: WriteBatch) -> None:
        """Called before COMMIT when all requests are done, if `batch.claims`; may write with `batch.connection`."""

    def after_commit(self, batch: WriteBatch) -> None:
        """Called while the write lock is still held, before the channels of the batch are notified."""

    def more_expected(self, requests: int) -> bool:  # noqa: ARG002  # a hook
        """Return whether more requests than these will arrive in a moment, so that one commit serves them all."""
        return False

    def idle(self) -> float:
        """Called without requests and every 20 ms under load, on the writer's thread; returns the seconds until due."""
        return IDLE_S

    def closing(self) -> None:
        """Called on the writer's thread after the last request, before the database is closed."""


class Writer:
    """The writer of one database in one process. Starts its thread when made; `close` ends it."""

    def __init__(
        self, paths: BrokerPaths, database: Database, lock: WriteLock, hooks: WriterHooks, poller: Poller | None = None
    ) -> None:
        self._channels = str(paths.channels)
        self._database = database
        self._lock = lock
        self._hooks = hooks
        self._poller = poller or Poller(paths.channels)
        self._requests: deque[WriteRequest[Any]] = deque()
        self._closing = False
        self.closed = False
        self._idle_due_s = 0.0
        self._thread = threading.Thread(target=self._run, name="broker-writer", daemon=True)
        self._thread.start()

    # Called by other threads.

    def call(self, work: Callable[[WriteBatch], T]) -> T:
        """Have work committed and return its result.

        Raises:
            DatabaseUnavailable: nothing was written; the cause lies in the file or the disk.
            NotJoined: this thread holds the write lock and has a transaction of its own, which it did not join.
        """
        request = WriteRequest(work)
        self.submit(request)
        return request.wait()

    def submit(self, request: WriteRequest[T]) -> None:
        """Submit a request without waiting for it. Submitting it twice does no harm."""
        if sys.is_finalizing():
            raise BrokerClosed("the interpreter is shutting down")
        if request.completed:
            return
        if self._lock.held:  # the writer's thread would wait for this one
            self._commit_alone(request, timeout_s=0.0)
            return
        self.submit_unblocked(request)
        if self.closed:
            self._refuse_requests()

    def submit_unblocked(self, request: WriteRequest[T]) -> None:
        """Submit a request without doing anything else. Safe in a finalizer, which runs at any instruction."""
        self._requests.append(request)
        self._poller.wake()

    def commit_inline(self, work: Callable[[WriteBatch], object]) -> bool:
        """Commit on this thread if the write lock is free, which spares two changes of threads.

        Saves 60 us of a commit of 100 us (measured with synchronous=NORMAL). Requests that arrive together are better
        committed together, and not by a worker's thread: dramatiq raises exceptions into those.

        Returns:
            False: nothing was written, because the lock is held, this is a worker's thread, or an error occurred that
            the writer's thread will meet, too, and report.
        """
        alone = (
            self._database.is_open  # the first to open it makes the directory of the lock file, too
            and not self._lock.held
            and not isinstance(threading.current_thread(), WorkerThread)
            and self._lock.acquire(blocking=False)
        )
        if not alone:
            return False
        try:
            if self._closing or sys.is_finalizing():
                return False
            batch, _ = self._commit((work,), claims=False)
        except (sqlite3.Error, OSError):
            return False
        finally:
            self._lock.release_leaked()  # all levels of the lock, also after an exception of a signal handler
        self._notify(batch)
        return True

    def wake(self) -> None:
        """Have the writer's thread call `idle` before it commits another group, or now if it sleeps."""
        self._idle_due_s = 0.0
        self._poller.wake()

    def close(self) -> None:
        """Commit the submitted requests, end the thread and close the database."""
        self._closing = True  # before the database is closed, which `commit_inline` must not open again
        self._poller.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def commit(self, work: Callable[[WriteBatch], object] | None = None) -> None:
        """Commit work on the writer's thread, for the hooks. None: only what `before_commit` adds, which may claim.

        Raises:
            DatabaseUnavailable, sqlite3.Error, OSError: nothing was written.
        """
        self._database.make_directory()
        with self._lock:
            batch, _ = self._commit((), claims=True) if work is None else self._commit((work,), claims=False)
        self._notify(batch)

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
                # The edge of the thread. Foreseen errors go to the thread that waits for the request; this is a bug,
                # and a process without its writer would block for ever.
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
        while self._requests and len(requests) < BATCH_LIMIT:
            request = self._requests.popleft()
            if not request.completed:
                requests[request] = None  # submitted twice, it is still one
        return list(requests)

    def _refuse_requests(self) -> None:
        for request in self._taken_requests():
            request.set_error(BrokerClosed("the broker was closed"))

    def _commit_group(self, requests: list[WriteRequest[Any]]) -> None:
        """Commit these requests together, with what can be claimed; one by one if that fails."""
        try:
            self._database.make_directory()
            with self._lock:
                batch, results = self._commit([request.work for request in requests], claims=True)
        except Exception:  # noqa: BLE001  # the cause may be one of them, or the claims
            for request in requests:
                self._commit_alone(request)
        else:
            self._notify(batch)
            for request, result in zip(requests, results, strict=True):
                request.set_result(result)

    def _commit_alone(self, request: WriteRequest[Any], timeout_s: float | None = None) -> None:
        try:
            self._database.make_directory()
            with self._lock:
                batch, [result] = self._commit((request.work,), claims=False, timeout_s=timeout_s)
        except Exception as error:  # noqa: BLE001  # every error goes to the thread that waits for the request
            if self._lock.held and isinstance(error, sqlite3.OperationalError) and is_locked(error):
                error = NotJoined(f"this thread holds the write lock and a transaction; join it ({error})")
            request.set_error(translated(error))
        else:
            self._notify(batch)
            request.set_result(result)

    def _commit(
        self, works: Sequence[Callable[[WriteBatch], Any]], *, claims: bool, timeout_s: float | None = None
    ) -> tuple[WriteBatch, list[Any]]:
        """Do all work in one transaction, in its order; returns the batch and the results.

        Any thread that holds the write lock. The channels of the batch are to be notified after the lock's release.

        Args:
            works: of the requests.
            claims: whether the hooks may claim messages in this transaction.
            timeout_s: as in `Database.writer`.

        Raises:
            Exception: of one of them, or of the file; nothing was written.
        """
        connection = self._database.writer(timeout_s)
        try:
            begin(connection, timeout_s)
            self._hooks.after_begin()
            batch = WriteBatch(connection, now_ms(), claims)
            results = []
            for work in works:
                results.append(work(batch))  # noqa: PERF401  # a comprehension would be one call deeper
            if claims:
                self._hooks.before_commit(batch)
            connection.execute("COMMIT")
        except BaseException as error:
            self._database.roll_back(connection, error)
            raise
        self._hooks.after_commit(batch)
        return batch, results

    def _notify(self, batch: WriteBatch) -> None:
        for channel in batch.channels:
            try:
                notify(self._channels, channel)
            except OSError as error:  # other processes read the tables at poll_interval_s
                logger.debug("Channel %s: notification failed: %s", channel, error)

    def _close(self) -> None:
        try:
            self._hooks.closing()
            self._database.close()
        except (sqlite3.Error, OSError, DatabaseUnavailable) as error:
            logger.warning(
                "Closing %s failed (%s); other processes will find the lease free.", self._database.path, error
            )
        self._poller.close()
