"""The kernel lock between processes (flock) with a timeout, and the record of the process that holds it.

The kernel has no flock with a timeout, and trying again and again is unfair to the one that sleeps longest. So a thread
without a timeout waits in the place of the thread that has one. It keeps its place when a wait times out, and releases
what it gets too late. It is started by the first wait.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from broker.storage.fork import close_in_children
from broker.storage.lock_waits import add_waits
from broker.storage.thread_starter import prepare_starts, start_thread

__all__ = ["Holder", "LockFile", "read_holder"]

_TIME_BYTES = 17  # seconds of the monotonic clock, which is the same in all processes
_NAME_BYTES = 46  # number and name of the process
_RECORD_BYTES = _TIME_BYTES + _NAME_BYTES + 1
_LOCKS = Path("/proc/locks")


class LockFile:
    """The lock file of one process. The caller excludes other threads, from the lock to the unlock."""

    def __init__(self, path: Path, process_name: str) -> None:
        """Prepare; the file is opened by the first lock.

        Args:
            path: of the lock file.
            process_name: of this process, in the record.
        """
        self._path = path
        self._process_name = process_name
        self._fd = -1
        self._name = b""
        # Bare locks: entering and leaving them is safe against exceptions raised into this thread. The second and the
        # third are released as a signal.
        self._state, self._requested, self._granted = threading.Lock(), threading.Lock(), threading.Lock()
        self._requested.acquire()
        self._granted.acquire()
        self._pending = False  # the waiting thread will get the lock
        self._abandoned = False  # nobody wants it any more
        self._thread: threading.Thread | None = None

    def try_lock(self) -> bool:
        """Lock the file if no other process has; returns whether it is locked.

        Raises:
            OSError: it cannot be opened or locked.
        """
        if self._fd < 0:
            self._open()
        if self._pending:
            return False
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # Written here, not by a function, and without `suppress`: in each transaction.
        try:  # noqa: SIM105
            os.pwrite(self._fd, b"%017.6f" % time.monotonic() + self._name, 0)
        except OSError:  # the disk is full; once the file has the block, this cannot happen any more
            pass
        return True

    def lock(self, timeout_s: float) -> bool:
        """Lock the file; False if another process has held it until the timeout.

        Raises:
            OSError: it cannot be opened or locked.
        """
        if self.try_lock():
            return True
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._wait, name="lock-file", daemon=True)
            start_thread(self._thread)
        with self._state:
            self._abandoned = False
            if not self._pending:
                self._granted.acquire(blocking=False)  # signalled to a wait that was interrupted
                self._pending = True
                self._requested.release()
        self._granted.acquire(timeout=timeout_s)
        with self._state:
            if self._pending:
                self._abandoned = True
                return False
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, b"%017.6f" % time.monotonic() + self._name, 0)
        return True

    def add_waits(self, waits_s: Iterable[float]) -> None:
        """Add waits to the histogram in the file, while it is locked."""
        with contextlib.suppress(OSError):  # the disk is full
            add_waits(self._fd, waits_s)

    def unlock(self) -> None:
        """Unlock the file; also after a wait that was interrupted, when it is unknown whether it is locked."""
        with self._state:
            if self._pending:
                self._abandoned = True
            elif self._fd >= 0:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _wait(self) -> None:
        while True:
            self._requested.acquire()
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            with self._state:
                self._pending = False
                if self._abandoned:
                    fcntl.flock(self._fd, fcntl.LOCK_UN)
                else:
                    self._granted.release()

    def _open(self) -> None:
        self._fd = close_in_children(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        name = f" {os.getpid()} {self._process_name}".encode()
        self._name = name[:_NAME_BYTES].ljust(_NAME_BYTES) + b"\n"
        prepare_starts()


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock file."""

    pid: int
    name: str
    since_s: float  # on the monotonic clock, which is the same in all processes

    def __str__(self) -> str:
        """Return a description for log messages."""
        return f"{self.name} (process {self.pid}) for {time.monotonic() - self.since_s:.1f} s"


def read_holder(path: Path) -> Holder | None:
    """Return the process that holds the lock file; None if nobody does.

    The record is of the last process that took the lock, so whether it is held is found out by trying. A program that
    does not use this module writes no record; then the kernel names the process. Its time is that of the record: the
    lock is held since then at the earliest.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        recorded = _parsed(os.pread(fd, _RECORD_BYTES, 0).decode(errors="replace"))
        pid = _locking_process(os.fstat(fd), recorded.pid)
        return recorded if pid in {None, recorded.pid} else Holder(pid, _program(pid), recorded.since_s)
    else:
        return None
    finally:
        os.close(fd)


def _locking_process(file: os.stat_result, expected: int) -> int | None:
    """Return the process that holds a lock (flock) on a file, by /proc/locks (proc(5)); None if that is unknown.

    Some file systems show another device there than stat(2) does, so the number of the file alone is enough for the
    process that is expected.
    """
    try:
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return None
    found = None
    for line in lines:
        fields = line.split()  # "1: FLOCK ADVISORY WRITE 4711 08:01:131090 0 EOF"; "->" marks one that waits
        if len(fields) != 8 or fields[1] != "FLOCK":
            continue
        major, minor, inode = fields[5].split(":")
        if int(inode) == file.st_ino:
            if int(fields[4]) == expected:
                return expected
            if os.makedev(int(major, 16), int(minor, 16)) == file.st_dev:
                found = int(fields[4])
    return found


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return "an unknown program"


def _parsed(record: str) -> Holder:
    try:
        since, pid, name = record.strip().split(" ", 2)
        return Holder(int(pid), name, float(since))
    except ValueError:  # an older version has no record, and a full disk may have prevented it
        return Holder(0, "an unknown program", time.monotonic())
