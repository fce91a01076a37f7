"""The lease of a consuming process: a file it keeps locked, with the time until which it answers for its messages.

The kernel drops the lock when the process dies, however it dies: others find out at once. The time in the file is for
a process that lives but does nothing (SIGSTOP, a swamped machine). Which messages go with a lease is in the tables.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

__all__ = ["Lease", "Pulse", "feel"]

_TIME_CHARS = 21
_LINE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Pulse:
    """What can be seen of another process's lease."""

    alive: bool  # the lock is held
    expires_s: float  # on this machine's monotonic clock; 0 while it holds no message
    line: str = ""  # what the process shows

    def expired(self, now_s: float) -> bool:
        """Tell whether a living process has let its time pass."""
        return self.alive and 0 < self.expires_s <= now_s


class Lease:
    """Our own lease. Take it under the gate, before its row can be seen."""

    def __init__(self, leases: Path) -> None:
        leases.mkdir(parents=True, exist_ok=True)
        self.path = leases / uuid4().hex
        # O_CLOEXEC: a program started by an actor must not keep a dead worker's lease alive.
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.expires_s = 0.0
        self.extend(0.0)

    def extend(self, until_s: float) -> None:
        """Answer for our messages until then (monotonic clock); 0 when there are none."""
        self.expires_s = until_s
        os.pwrite(self._fd, f"{until_s:0{_TIME_CHARS - 1}.3f}\n".encode(), 0)

    def publish(self, line: str) -> None:
        """Show a line to whoever asks for it; it never gets shorter."""
        os.pwrite(self._fd, f"{line}\n".encode(), _TIME_CHARS)

    def release(self) -> None:
        """Let go, and remove the file."""
        self.path.unlink(missing_ok=True)
        os.close(self._fd)

    def forget(self) -> None:
        """Close a forked child's copy, so that it does not keep a dead parent's lease alive."""
        with contextlib.suppress(OSError):
            os.close(self._fd)


def feel(path: Path) -> Pulse:
    """Look at a lease without disturbing it: a shared lock, tried without waiting."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Pulse(alive=False, expires_s=0.0)
    try:
        # Shared, so that two who look at the same time do not take each other for the owner.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        expires, _, line = os.pread(fd, _LINE_BYTES, 0).decode().partition("\n")
        return Pulse(alive=True, expires_s=float(expires or 0), line=line.rstrip("\n"))
    else:
        return Pulse(alive=False, expires_s=0.0)
    finally:
        os.close(fd)
