"""The write gate: whoever writes to the database file goes through here, one at a time, in turn.

SQLite's busy handler is a lottery (with four writers one of them waited 1.7 s; with the gate 0.2 s), and SQLite up to
3.51.2 can corrupt a WAL that is written and checkpointed at the same instant. A kernel lock on a side file orders the
processes, a thread lock the threads. Nothing of SQLite is in this module.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType

from broker.storage.fork import forget_in_children

__all__ = ["WriteGate"]


class _Turnstile:
    """What all gates of one file in one process share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._renew()
        forget_in_children(self)

    def forget(self) -> None:
        # Closing our copy of the inherited descriptor leaves the parent's lock alone; keeping it would keep the gate
        # shut should the parent die inside.
        if self.fd >= 0:
            os.close(self.fd)
        self._renew()

    def _renew(self) -> None:
        self.lock = threading.RLock()
        self.owner: int | None = None
        self.depth = 0
        self.fd = -1

    def enter(self, *, even_if_busy: bool = True) -> bool:
        me = threading.get_ident()
        if self.owner == me:
            self.depth += 1
            return True
        try:
            if not self.lock.acquire(blocking=even_if_busy):
                return False
            if self.fd < 0:
                self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self.fd, fcntl.LOCK_EX)
            # From here to the end no call is made, so no asynchronous exception can come in between.
            self.owner = me
            self.depth = 1
            return True  # noqa: TRY300  # an `else` would be one step further from the lock
        except BaseException:
            self._let_go()
            raise

    def leave(self) -> None:
        if self.owner != threading.get_ident():
            return  # forked inside the gate: the parent holds it, not we
        self.depth -= 1
        if self.depth == 0:
            self.owner = None
            self._let_go()

    def force_open(self) -> None:
        if self.owner == threading.get_ident():
            self.depth = 1
            self.leave()

    def _let_go(self) -> None:
        try:
            if self.fd >= 0:
                fcntl.flock(self.fd, fcntl.LOCK_UN)
        finally:
            # Interrupted between acquire() and the next line, only the lock itself knows whether it is ours.
            if self.lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001  # CPython's RLock has it; typeshed does not say so
                self.lock.release()


_turnstiles: dict[Path, _Turnstile] = {}
_turnstiles_lock = threading.Lock()


def _forget_registry_lock() -> None:
    global _turnstiles_lock  # noqa: PLW0603  # another thread of the parent may have held it at the fork
    _turnstiles_lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_registry_lock)


class WriteGate:
    """Mutual exclusion of all writers of one database file; re-entrant per thread.

    Two gates of the same file are the same gate, in one process and between processes. The side file
    `<database>-gate` holds no data and may stay.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Name the database file (not the side file). Nothing is opened yet."""
        database = Path(path).resolve()
        side = database.with_name(database.name + "-gate")
        with _turnstiles_lock:
            self._turnstile = _turnstiles.setdefault(side, _Turnstile(side))

    @property
    def held(self) -> bool:
        """Whether the calling thread is inside."""
        return self._turnstile.owner == threading.get_ident()

    def release_leaked(self) -> bool:
        """Leave for good if the calling thread is still inside although it cannot mean to be; True if it was.

        An exception raised into a thread from outside can strike on the first instruction of `__exit__`, before
        anything of ours has run. Without this, everybody would wait for that thread for ever.
        """
        leaked = self.held
        self._turnstile.force_open()
        return leaked

    def enter_unless_busy(self) -> bool:
        """Go in if no thread of this process is inside, waiting for other processes only. False: one is."""
        return self._turnstile.enter(even_if_busy=False)

    def __enter__(self) -> WriteGate:
        self._turnstile.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turnstile.leave()
