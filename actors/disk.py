"""The disk of the data directory: how much room it has, and a ballast file that is released when it is full.

A full disk needs room to become free again: to cancel or delete a job is a commit, and the commit needs pages of the
write-ahead log. So a ballast file occupies 32 MiB. `Disk.release_ballast_if_full` deletes it, and is called before each
transaction of the store and of the broker (`actors.wiring`): whichever process writes first finds room. The scheduler
and the start of the API make the file again (`Disk.make_ballast`).

    free bytes    an upload may begin if it leaves 64 MiB        `Sizes.headroom_bytes`
                  uploads and renderings in progress end at 16   `Sizes.floor_bytes`
                  the ballast is released at 8                   `Sizes.release_bytes`

While the ballast is released, its size counts as used for uploads and renderings, so that they do not take the room
that commits and deletions need.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

BALLAST_NAME = "ballast"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of the errors of a full disk, or of a user whose quota is used up."""


@dataclass(frozen=True)
class Sizes:
    """The thresholds of a disk, in bytes; tests take smaller ones."""

    ballast_bytes: int = 32 * 2**20
    headroom_bytes: int = 64 * 2**20
    floor_bytes: int = 16 * 2**20
    release_bytes: int = 8 * 2**20  # a commit of 180 parts and their publications takes 1 MiB of log


class Disk:
    """The disk of one directory, and its ballast file. All methods may be called by any thread and process."""

    def __init__(
        self,
        directory: Path,
        sizes: Sizes | None = None,
        measure: Callable[[str], os.statvfs_result] = os.statvfs,
    ) -> None:
        """Prepare; nothing is written.

        Args:
            directory: the data directory.
            sizes: the thresholds.
            measure: `os.statvfs`; tests pass another.
        """
        self.sizes = sizes or Sizes()
        self._path = str(directory)
        self._measure = measure
        self._ballast = directory / BALLAST_NAME

    @property
    def free_bytes(self) -> int:
        """Return the bytes that this user can still write.

        Raises:
            OSError: the directory is missing.
        """
        found = self._measure(self._path)
        return found.f_bavail * found.f_frsize

    @property
    def room_bytes(self) -> int:
        """Return the bytes that a new upload may take, before reservations; negative if the disk is nearly full."""
        return self.free_bytes - self.sizes.headroom_bytes - self._missing_bytes()

    @property
    def capacity_bytes(self) -> int:
        """Return the bytes that an upload could take if the disk had no other files."""
        found = self._measure(self._path)
        total = (found.f_blocks - found.f_bfree + found.f_bavail) * found.f_frsize
        return total - self.sizes.headroom_bytes - self.sizes.ballast_bytes

    def has_room(self, needed_bytes: int = 0) -> bool:
        """Return whether work that is accepted already may write so many bytes more."""
        return self.free_bytes - needed_bytes >= self.sizes.floor_bytes + self._missing_bytes()

    def has_ballast(self) -> bool:
        """Return whether the ballast file is there and really occupies its blocks."""
        try:
            found = self._ballast.stat()
        except OSError:
            return False
        # File systems count their own blocks for the file, too, and some compress it: half of the size is enough.
        return found.st_size >= self.sizes.ballast_bytes and found.st_blocks * 512 >= self.sizes.ballast_bytes // 2

    def make_ballast(self) -> bool:
        """Make the ballast file if it is missing and the disk has room for it; return whether it is there."""
        if self.has_ballast():
            return True
        draft = self._ballast.with_name(f".{BALLAST_NAME}.{os.getpid()}")
        try:
            if self.free_bytes < self.sizes.ballast_bytes + self.sizes.floor_bytes:
                return False
            self._allocate(draft)
        except OSError as error:
            logger.warning("Disk: no ballast file: {}", error)
            return False
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        logger.info("Disk: ballast file of {} bytes made", self.sizes.ballast_bytes)
        return True

    def release_ballast_if_full(self) -> None:
        """Delete the ballast file if the disk is full. 2 us if it is not; never raises."""
        try:
            found = self._measure(self._path)
            if found.f_bavail * found.f_frsize >= self.sizes.release_bytes:
                return
            self._ballast.unlink()
        except OSError:
            return  # released already, or there is no data directory yet
        logger.warning("Disk: full, the ballast file was released; delete jobs, or give the disk more room")

    def _missing_bytes(self) -> int:
        return 0 if self.has_ballast() else self.sizes.ballast_bytes

    def _allocate(self, draft: Path) -> None:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, self.sizes.ballast_bytes)  # blocks, not a hole
        finally:
            os.close(fd)
        draft.rename(self._ballast)


def is_full(error: BaseException) -> bool:
    """Return whether an error of the operating system says that the disk is full."""
    return isinstance(error, OSError) and error.errno in FULL
