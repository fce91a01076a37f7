"""Syncs the file of an upload while it arrives, so that little is left to sync after the last byte."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from files.local import InPlace
from files.storage import Transfer

SYNC_EVERY_BYTES = 8 * 2**20
"""Interval of syncs during an upload. Disks of small machines write 16 MiB/s."""

_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sync")


class BackgroundSync:
    """The syncs of one file, over all requests that append to it: each of them may be shorter than the interval.

    The kernel reports a failed write to one sync only, and drops the bytes. So the result of each sync is read, and the
    file is cut off after a failure: everything that it holds can be read again. Bytes of an earlier process, which may
    have been killed before its sync, are synced with the first new ones. What is synced may go to the storage.
    """

    def __init__(self, transfer: Transfer | None = None) -> None:
        self._transfer = transfer or InPlace()
        self._safe_bytes = 0  # of the last sync that has succeeded
        self._syncing_bytes = 0  # of the last sync that has begun
        self._sync: Future[None] | None = None
        self._verified_bytes: int | None = None

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
        self._transfer.cut_off(size_bytes)

    def transfer_only(self, verified_bytes: int | None) -> None:
        """Let only the bytes before an offset go to the storage; None: all that are synced.

        Another machine would go on after bytes whose checksum is still to come.
        """
        self._verified_bytes = verified_bytes

    def keep_record(self, record: bytes) -> None:
        """Store what another machine needs to go on with the upload, beside its bytes."""
        self._transfer.keep_record(record)

    def store(self, path: Path, size_bytes: int) -> None:
        """Store the complete file, which has been synced.

        Raises:
            files.errors.FilesError: the storage has not taken it.
        """
        self._transfer.finish(path, size_bytes)

    def abandon(self) -> None:
        """Delete what was stored of a file that will not be completed."""
        self._transfer.abandon()

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
        verified = self._verified_bytes
        self._transfer.advance(self._safe_bytes if verified is None else min(self._safe_bytes, verified))


def wait_for_all() -> None:
    """Wait until all syncs that have begun have ended."""
    _executor.submit(int).result()
