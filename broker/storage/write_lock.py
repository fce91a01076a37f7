"""The write lock: mutual exclusion of all writers of a database file, threads and processes.

SQLite's busy handler is not fair (with four writers one of them waited 1.7 s; with this lock 0.2 s), and SQLite up to
3.51.2 can corrupt a WAL that is written and checkpointed at the same instant. A kernel lock (flock) on a side file
orders the processes, a thread lock the threads. This module does not use SQLite.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType

from broker.storage.fork import forget_in_children

__all__ = ["WriteLock"]


class _SharedLock:
    """The state that all write locks of one file share in one process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._renew()
        forget_in_children(self)

    def forget(self) -> None:
        # Closing the inherited copy of the descriptor does not release the parent's lock; keeping the copy would keep
        # the lock held if the parent died with it.
        if self.fd >= 0:
            os.close(self.fd)
        self._renew()

    def _renew(self) -> None:
        self.lock = threading.RLock()
        self.owner: int | None = None
        self.depth = 0
        self.fd = -1

    def acquire(self, *, blocking: bool = True) -> bool:
        me = threading.get_ident()
        if self.owner == me:
            self.depth += 1
            return True
        try:
            if not self.lock.acquire(blocking=blocking):
                return False
            if self.fd < 0:
                self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self.fd, fcntl.LOCK_EX)
            # No call from here to the end, so no asynchronous exception can strike in between.
            self.owner = me
            self.depth = 1
            return True  # noqa: TRY300  # an `else` would be one step further from the lock
        except BaseException:
            self._unlock()
            raise

    def release(self) -> None:
        if self.owner != threading.get_ident():
            return  # forked while the lock was held: the parent holds it
        self.depth -= 1
        if self.depth == 0:
            self.owner = None
            self._unlock()

    def force_release(self) -> None:
        if self.owner == threading.get_ident():
            self.depth = 1
            self.release()

    def _unlock(self) -> None:
        try:
            if self.fd >= 0:
                fcntl.flock(self.fd, fcntl.LOCK_UN)
        finally:
            # Interrupted between acquire() and the next line, only the lock itself knows whether this thread owns it.
            if self.lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001  # CPython's RLock has it; typeshed does not say so
                self.lock.release()


_shared_locks: dict[Path, _SharedLock] = {}
_shared_locks_guard = threading.Lock()


def _renew_guard() -> None:
    global _shared_locks_guard  # noqa: PLW0603  # another thread of the parent may have held it at the fork
    _shared_locks_guard = threading.Lock()


os.register_at_fork(after_in_child=_renew_guard)


class WriteLock:
    """Mutual exclusion of all writers of one database file; re-entrant per thread.

    Two instances for the same file are the same lock, in one process and between processes. The side file
    `<database>-gate` holds no data and may stay.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Take the path of the database file, not of the side file. Nothing is opened yet."""
        database = Path(path).resolve()
        side = database.with_name(database.name + "-gate")
        with _shared_locks_guard:
            self._shared = _shared_locks.setdefault(side, _SharedLock(side))

    @property
    def held(self) -> bool:
        """Whether the calling thread holds the lock."""
        return self._shared.owner == threading.get_ident()

    def release_leaked(self) -> bool:
        """Release the lock if the calling thread still holds it although its block has ended; True if it did.

        An exception raised into a thread from outside can strike on the first instruction of `__exit__`, before it has
        run. Without this, all writers would wait for that thread for ever.
        """
        leaked = self.held
        self._shared.force_release()
        return leaked

    def acquire_unless_busy(self) -> bool:
        """Acquire the lock unless another thread of this process holds it (False); waits for other processes only."""
        return self._shared.acquire(blocking=False)

    def __enter__(self) -> WriteLock:
        self._shared.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shared.release()
