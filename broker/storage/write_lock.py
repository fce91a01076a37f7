"""The write lock: mutual exclusion of all writers of a database file, threads and processes.

SQLite's busy handler is not fair (with four writers one of them waited 1.7 s; with this lock 0.2 s), and SQLite up to
3.51.2 can corrupt a WAL that is written and checkpointed at the same instant. A kernel lock (flock) on a side file
orders the processes (`lock_file`), a thread lock the threads. Every wait ends after a timeout: a process that is
stopped while it holds the lock must not stop all others. This module does not use SQLite.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from broker.errors import WriteLockTimeout
from broker.storage.file_path import file_path
from broker.storage.fork import reset_in_children
from broker.storage.lock_file import LockFile, read_holder
from broker.storage.lock_waits import LockWaits, read_waits

__all__ = ["WriteLock"]

TIMEOUT_S = 30.0
STALL_S = 0.25  # a wait in which nobody in this process got the lock for so long is a stall


class WriteLock:
    """Mutual exclusion of all writers of one database file; re-entrant per thread.

    There is one lock object for a file in a process: making it again returns the same object. The side file
    `<database>-gate` holds no data but a record of the last holder, and may stay.

    Attributes:
        timeout_s: how long each wait lasts at most, if the caller gives no other timeout. SQLite's own lock, which
            other programs may hold, is waited for within the same time.
        process_name: of this process, for others that wait for it; the name of its program by default. Set it before
            the lock is made.
        max_waiting: how many threads of this process may wait during a stall; further ones fail at once. None: all. A
            server sets it, so that a stall leaves it threads for requests that only read.
    """

    process_name: ClassVar[str] = Path(sys.argv[0] if sys.argv else "").name or "python"

    _locks: ClassVar[dict[Path, WriteLock]] = {}  # by side file
    _locks_lock: ClassVar[threading.Lock] = threading.Lock()

    timeout_s: float
    max_waiting: int | None
    _path: Path
    _thread_lock: threading.RLock
    _owner: int | None  # the thread that holds the lock
    _depth: int
    _after_release: list[Callable[[], None]]
    _file: LockFile
    _waiting: int  # threads that wait, also for a request of theirs at the writer thread
    _waiting_lock: threading.Lock
    _waits_s: list[float]  # of this process, which the histogram in the side file does not have yet
    _progress_s: (
        float  # when a thread of this process last got the lock, or the first of the present ones began to wait
    )

    def __new__(cls, path: str | os.PathLike[str]) -> WriteLock:
        """Return the lock of a database file (not of the side file). Nothing is opened yet."""
        side_file = cls.file_of(path)
        with cls._locks_lock:
            lock = cls._locks.get(side_file)
            if lock is None:
                lock = cls._locks[side_file] = super().__new__(cls)
                lock._path = side_file
                lock.timeout_s = TIMEOUT_S
                lock.max_waiting = None
                lock._reset()
                reset_in_children(lock)
            return lock

    @staticmethod
    def file_of(path: str | os.PathLike[str]) -> Path:
        """Return the lock file of a database file."""
        database = file_path(path)
        return database.with_name(database.name + "-gate")

    @property
    def held(self) -> bool:
        """Return whether the calling thread holds the lock."""
        return self._owner == threading.get_ident()

    def acquire(self, *, blocking: bool = True, timeout_s: float | None = None) -> bool:
        """Acquire the lock; False if others have held it until the end of the timeout.

        Args:
            blocking: False: do not wait at all.
            timeout_s: how long to wait at most; None: the `timeout_s` of the lock.

        Raises:
            OSError: the lock file cannot be opened.
        """
        me = threading.get_ident()
        if self._owner == me:
            self._depth += 1
            return True
        try:
            free = self._thread_lock.acquire(blocking=False)
            if not (free and self._file.try_lock()) and not (
                blocking and self._wait(self.timeout_s if timeout_s is None else timeout_s, has_thread_lock=free)
            ):
                self._unlock()
                return False
            if self._waits_s:
                self._record_waits()
            # From here to the end no call is made, so no asynchronous exception can come in between.
            self._owner = me
            self._depth = 1
            return True  # noqa: TRY300  # an `else` would be one step further from the lock
        except BaseException:
            self._unlock()
            raise

    def release(self) -> None:
        """Release the lock, once for each time that it was acquired."""
        if self._owner != threading.get_ident():
            return  # forked with the lock held: the parent holds it, not this process
        self._depth -= 1
        if self._depth == 0:
            self.release_leaked()

    def release_leaked(self) -> bool:
        """Release the lock for good if the calling thread holds it; returns whether it did.

        An exception raised into a thread from outside can strike on the first instruction of `__exit__`, before any
        other has run. Without this, all other writers would wait for that thread for ever.
        """
        if self._owner != threading.get_ident():
            return False
        callbacks, self._after_release = self._after_release, []
        self._owner = None
        try:
            self._file.unlock()
        finally:
            self._thread_lock.release()
        for callback in callbacks:
            callback()
        return True

    def call_after_release(self, callback: Callable[[], None]) -> None:
        """Call back as soon as this thread has released the lock; at once if it does not hold it."""
        if self.held:
            self._after_release.append(callback)
        else:
            callback()

    def timeout_error(self) -> WriteLockTimeout:
        """Return the error of a wait that has ended without the lock."""
        return WriteLockTimeout(f"the write lock is held by {self.holder()}")

    def holder(self) -> str:
        """Return the name and number of the process that holds the lock, and since when, for log messages."""
        return str(read_holder(self._path) or "nobody")

    def held_s(self) -> float:
        """Return for how many seconds a process, this one or another, has held the lock; 0 if nobody does."""
        holder = read_holder(self._path)
        return 0.0 if holder is None else max(0.0, time.monotonic() - holder.since_s)

    def waits(self) -> LockWaits:
        """Return the histogram of the waits of all processes for the lock, since the side file was made."""
        return read_waits(self._path)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the calling thread among the waiting ones: it waits for a thread that waits for the lock.

        Raises:
            WriteLockTimeout: enough threads wait.
        """
        over = self._begin_waiting()
        try:
            if over and time.monotonic() >= self._progress_s + STALL_S:
                raise self.timeout_error()
            yield
        finally:
            self._end_waiting()

    def __enter__(self) -> WriteLock:
        if not self.acquire():
            raise self.timeout_error()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def reset_after_fork(self) -> None:
        """Be unlocked in a forked child.

        The copy of the descriptor was closed, which leaves the parent's lock alone; an open copy would keep the file
        locked if the parent exited with the lock held.
        """
        self._reset()

    def _reset(self) -> None:
        self._thread_lock = threading.RLock()
        self._owner = None
        self._depth = 0
        self._after_release = []
        self._file = LockFile(self._path, self.process_name)
        self._waiting = 0
        self._waiting_lock = threading.Lock()
        self._waits_s = []
        self._progress_s = 0.0

    def _wait(self, timeout_s: float, *, has_thread_lock: bool) -> bool:
        """Wait for both locks; returns whether this thread has them. One too many waits until there is a stall."""
        began_s = time.monotonic()
        deadline_s = began_s + timeout_s
        over = self._begin_waiting()
        try:
            while True:
                until_s = min(deadline_s, self._progress_s + STALL_S) if over else deadline_s
                has_thread_lock = has_thread_lock or self._thread_lock.acquire(timeout=_left_s(until_s))
                if has_thread_lock and self._file.lock(_left_s(until_s)):
                    self._progress_s = time.monotonic()
                    return True
                now_s = time.monotonic()
                if now_s >= deadline_s or (over and now_s >= self._progress_s + STALL_S):
                    return False
        finally:
            self._end_waiting()
            self._waits_s.append(time.monotonic() - began_s)

    def _record_waits(self) -> None:
        """Add the waits of this process to the histogram; the calling thread has both locks."""
        waits_s, self._waits_s = self._waits_s, []
        self._file.add_waits(waits_s)

    def _begin_waiting(self) -> bool:
        """Count this thread; returns whether it is one more than may wait."""
        with self._waiting_lock:
            if self._waiting == 0:
                self._progress_s = time.monotonic()
            self._waiting += 1
            return self.max_waiting is not None and self._waiting > self.max_waiting

    def _end_waiting(self) -> None:
        with self._waiting_lock:
            self._waiting -= 1

    def _unlock(self) -> None:
        """Undo an acquisition that was not completed."""
        # Interrupted between acquire() and the next line, only the lock itself knows whether it is ours.
        if self._thread_lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001  # CPython's RLock has it; typeshed does not say so
            try:
                self._file.unlock()
            finally:
                self._thread_lock.release()


def _left_s(deadline_s: float) -> float:
    return max(0.0, deadline_s - time.monotonic())


def _renew_class_lock() -> None:
    WriteLock._locks_lock = threading.Lock()  # noqa: SLF001  # another thread of the parent may hold it at the fork


os.register_at_fork(after_in_child=_renew_class_lock)
