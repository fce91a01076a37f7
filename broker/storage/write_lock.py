"""The write lock: mutual exclusion of all writers of a database file, threads and processes.

SQLite's busy handler is not fair (with four writers one of them waited 1.7 s; with this lock 0.2 s), and SQLite up to
3.51.2 can corrupt a WAL that is written and checkpointed at the same instant. A kernel lock (flock) on a side file
orders the processes, a thread lock the threads. This module does not use SQLite.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from broker.storage.fork import close_in_children, reset_in_children

__all__ = ["WriteLock"]


class WriteLock:
    """Mutual exclusion of all writers of one database file; re-entrant per thread.

    There is one lock object for a file in a process: making it again returns the same object. The side file
    `<database>-gate` holds no data and may stay.
    """

    _locks: ClassVar[dict[Path, WriteLock]] = {}  # by side file
    _locks_lock: ClassVar[threading.Lock] = threading.Lock()

    _path: Path
    _thread_lock: threading.RLock
    _owner: int | None  # the thread that holds the lock
    _depth: int
    _after_release: list[Callable[[], None]]
    _fd: int

    def __new__(cls, path: str | os.PathLike[str]) -> WriteLock:
        """Return the lock of a database file (not of the side file). Nothing is opened yet."""
        database = Path(path).resolve()
        side_file = database.with_name(database.name + "-gate")
        with cls._locks_lock:
            lock = cls._locks.get(side_file)
            if lock is None:
                lock = cls._locks[side_file] = super().__new__(cls)
                lock._path = side_file
                lock._reset()
                reset_in_children(lock)
            return lock

    @property
    def held(self) -> bool:
        """Return whether the calling thread holds the lock."""
        return self._owner == threading.get_ident()

    def acquire(self, *, blocking: bool = True) -> bool:
        """Acquire the lock, waiting for other processes and, if `blocking`, for other threads. False: one holds it."""
        me = threading.get_ident()
        if self._owner == me:
            self._depth += 1
            return True
        try:
            if not self._thread_lock.acquire(blocking=blocking):
                return False
            if self._fd < 0:
                self._fd = close_in_children(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            fcntl.flock(self._fd, fcntl.LOCK_EX)
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
            self._free()

    def release_leaked(self) -> bool:
        """Release the lock for good if the calling thread holds it; returns whether it did.

        An exception raised into a thread from outside can strike on the first instruction of `__exit__`, before any
        other has run. Without this, all other writers would wait for that thread for ever.
        """
        leaked = self._owner == threading.get_ident()
        if leaked:
            self._free()
        return leaked

    def call_after_release(self, callback: Callable[[], None]) -> None:
        """Call back as soon as this thread has released the lock; at once if it does not hold it."""
        if self.held:
            self._after_release.append(callback)
        else:
            callback()

    def __enter__(self) -> WriteLock:
        self.acquire()
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
        self._fd = -1

    def _free(self) -> None:
        callbacks, self._after_release = self._after_release, []
        self._owner = None
        self._unlock()
        for callback in callbacks:
            callback()

    def _unlock(self) -> None:
        try:
            if self._fd >= 0:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        finally:
            # Interrupted between acquire() and the next line, only the lock itself knows whether it is ours.
            if self._thread_lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001  # CPython's RLock has it; typeshed does not say so
                self._thread_lock.release()


def _renew_class_lock() -> None:
    WriteLock._locks_lock = threading.Lock()  # noqa: SLF001  # another thread of the parent may hold it at the fork


os.register_at_fork(after_in_child=_renew_class_lock)
