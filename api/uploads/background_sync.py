"""Syncs the file of an upload while it arrives, so that little is left to sync after the last byte."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor

SYNC_EVERY_BYTES = 8 * 2**20
"""Interval of syncs during an upload. Disks of small machines write 16 MiB/s."""

_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sync")


class BackgroundSync:
    """The syncs of one file, over all requests that append to it: each of them may be shorter than the interval.

    The kernel reports a failed write to one sync only, and drops the bytes. So the result of each sync is read, and the
    file is cut off after a failure: everything that it holds can be read again. Bytes of an earlier process, which may
    have been killed before its sync, are synced with the first new ones.
    """

    def __init__(self) -> None:
        self._safe_bytes = 0  # of the last sync that has succeeded
        self._syncing_bytes = 0  # of the last sync that has begun
        self._sync: Future[None] | None = None

    def after_write(self, fd: int, size_bytes: int) -> None:
        """Begin a sync if enough was written since the last one.

        Raises:
            OSError: the last sync has failed; the file is cut off.
        """
        if size_bytes - self._syncing_bytes >= SYNC_EVERY_BYTES and (self._sync is None or self._sync.done()):
            self._finish(fd)
            self._syncing_bytes = size_bytes
            self._sync = _executor.submit(os.fdatasync, fd)

    def sync_all(self, fd: int) -> None:
        """Sync the whole file.

        Raises:
            OSError: this sync or the last one has failed; the file is cut off.
        """
        self._finish(fd)
        try:
            os.fsync(fd)
        except OSError:
            self.cut_off(fd, self._safe_bytes)
            raise

    def cut_off(self, fd: int, size_bytes: int) -> None:
        """Truncate the file."""
        self._safe_bytes = min(self._safe_bytes, size_bytes)
        self._syncing_bytes = min(self._syncing_bytes, size_bytes)
        os.ftruncate(fd, size_bytes)

    def close(self, fd: int) -> None:
        """Close the file, without waiting for a sync in progress."""
        if self._sync is not None and not self._sync.done():
            # It uses the descriptor, whose number another file would get next. Closing waits on the executor's thread,
            # because the server's loop must not wait.
            _executor.submit(os.close, fd)
        else:
            os.close(fd)

    def _finish(self, fd: int) -> None:
        """Wait for the sync in progress, and read its result."""
        sync, self._sync = self._sync, None
        if sync is None:
            return
        try:
            sync.result()
        except OSError:
            self.cut_off(fd, self._safe_bytes)
            raise
        self._safe_bytes = self._syncing_bytes


def wait_for_all() -> None:
    """Wait until all syncs that have begun have ended."""
    _executor.submit(int).result()
