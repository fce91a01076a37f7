"""Doorbells between processes: opening an empty file wakes whoever watches it through inotify.

Rung after a commit. The kernel keeps the event until it is read, so a listener that watches before it looks at the
tables cannot miss one. Measured at 0.4 ms from commit to wake-up; nothing is polled. Opening changes nothing: touching
the file instead would give every sync of the WAL an inode more to write (60 us a commit, measured with ext4).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from pathlib import Path

__all__ = ["CANCELLED", "WORKERS", "Listener", "ring"]

# Bells that are not a queue's; no queue can have these names.
WORKERS = ".workers"  # a process begins to consume
CANCELLED = ".cancelled"  # a message that somebody works on was cancelled

_IN_OPEN = 0x00000020
_IN_NONBLOCK = os.O_NONBLOCK
_IN_CLOEXEC = os.O_CLOEXEC
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows (inotify(7))


def ring(bells: Path, name: str) -> None:
    """Wake everybody who watches the bell `name`. Needs no disk space; harmless when nobody listens."""
    path = f"{bells}/{name}"
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except FileNotFoundError:
        bells.mkdir(parents=True, exist_ok=True)
        Path(path).touch()  # made just now: nobody can be watching it, whoever comes looks at the tables first


class Listener:
    """One inotify descriptor, watching any number of bells.

    Raises:
        OSError: the system has no inotify, or its limit of instances (128 a user) is reached.
    """

    def __init__(self, bells: Path) -> None:
        self._bells = bells
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._names: dict[int, str] = {}
        self.fd: int = self._checked(self._libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC))

    def watch(self, name: str) -> None:
        """Listen to a bell, too; again after its file was replaced. Idempotent."""
        path = self._bells / name
        if not path.exists():
            self._bells.mkdir(parents=True, exist_ok=True)
            path.touch()
        watch = self._checked(self._libc.inotify_add_watch(self.fd, os.fsencode(path), _IN_OPEN))
        self._names[watch] = name

    def heard(self) -> set[str]:
        """Return the bells rung since the last call, without waiting."""
        try:
            events = os.read(self.fd, 65536)
        except BlockingIOError:
            return set()
        names: set[str] = set()
        offset = 0
        while offset < len(events):
            watch, _, _, length = _EVENT.unpack_from(events, offset)
            offset += _EVENT.size + length
            if watch in self._names:
                names.add(self._names[watch])
            else:  # the kernel's list ran over (watch -1): anything may have rung
                names.update(self._names.values())
        return names

    def close(self) -> None:
        """Stop listening."""
        os.close(self.fd)

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"inotify: {os.strerror(code)} ({errno.errorcode.get(code, code)})")
        return result
