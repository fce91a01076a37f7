"""Writes an upload to disk under a temporary name, then syncs and renames it.

The file is locked (flock) from its first byte until `keep` or `discard`, so that `actors.recovery.lost_found` does not
move it. The kernel releases the lock if this process dies.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from loguru import logger

from actors.recovery.lost_found import INCOMING, SOURCE
from actors.recovery.upload_record import NAME as RECORD
from api.http.problems import Problem
from api.uploads import sniff

# After the last byte only what came since the last sync is left to sync. Disks of small machines take 16 MiB/s.
SYNC_EVERY_BYTES = 8 * 2**20
# Room for the parts, which together are about as large as the video, and for everybody else's work.
ROOM_FACTOR = 2
ROOM_SPARE_BYTES = 64 * 2**20

RECORD_INCOMING = f".{RECORD}"

_syncer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sync")


def make_room(directory: Path, size_bytes: int) -> None:
    """Make the uploads' directory; refuse an upload for which its disk has no room.

    Raises:
        Problem: 503.
    """
    with disk_problems():
        directory.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(directory).free < size_bytes * ROOM_FACTOR + ROOM_SPARE_BYTES:
            raise _disk_full()


@contextmanager
def disk_problems() -> Iterator[None]:
    """Raise a 503 for whatever the disk refuses: no room for bytes or for names, read-only, broken."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EMLINK}:
            raise _disk_full() from error
        logger.error("an upload cannot be stored: {}", error)
        detail = "the disk here cannot store this video at the moment; try again later"
        raise Problem(503, "disk_error", detail, headers={"Retry-After": "600"}) from error


class Landing:
    """The file of one upload. `write` the bytes as they come, then `land` or `discard`."""

    def __init__(self, directory: Path, *, limit_bytes: int) -> None:
        """Open the temporary file.

        Args:
            directory: the upload's own, made here.
            limit_bytes: the most that is taken.

        Raises:
            Problem: 503 when the disk refuses; nothing is left then.
        """
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._head = b""
        self._sniffed = False
        self._unsynced = 0
        self._sync: Future[None] | None = None
        self.size_bytes = 0
        self._fd = -1
        with disk_problems():
            directory.mkdir(parents=True)
            try:
                self._fd = os.open(directory / INCOMING, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                fcntl.flock(self._fd, fcntl.LOCK_EX)
            except OSError:
                self.discard()
                raise

    def write(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            Problem: 413 above the limit, 415 for what is not a video, 503 when the disk refuses.
        """
        self.size_bytes += len(piece)
        if self.size_bytes > self._limit_bytes:
            raise too_large(self._limit_bytes)
        if not self._sniffed:
            self._head += piece[: sniff.HEAD_BYTES]
            if len(self._head) >= sniff.HEAD_BYTES:
                self._check_head()
        with disk_problems():
            _write_all(self._fd, piece)
        self._unsynced += len(piece)
        if self._unsynced >= SYNC_EVERY_BYTES and (self._sync is None or self._sync.done()):
            with disk_problems():
                self._finish_sync()  # the kernel reports a failed write to one sync only: it must not pass unread
            self._unsynced = 0
            self._sync = _syncer.submit(os.fdatasync, self._fd)

    def land(self, record: bytes | None = None) -> Path:
        """Sync the file and rename it to its final name; return its path. It stays locked.

        Args:
            record: written beside the file before the rename, so that every complete file has one.

        Raises:
            Problem: as `write`; 400 for an empty file.
        """
        if self.size_bytes == 0:
            raise Problem(400, "empty_file", "file: the file is empty", field="file")
        if not self._sniffed:
            self._check_head()
        target = self._directory / SOURCE
        with disk_problems():
            self._finish_sync()
            os.fsync(self._fd)
            if record is not None:
                self._write_record(record)
            (self._directory / INCOMING).rename(target)
            for directory in (self._directory, self._directory.parent):
                _sync_directory(directory)
        return target

    def keep(self) -> None:
        """Unlock the file and leave it in place."""
        self._close()

    def discard(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._close()

    def _write_record(self, record: bytes) -> None:
        incoming = self._directory / RECORD_INCOMING
        fd = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write_all(fd, record)
            os.fsync(fd)
        finally:
            os.close(fd)
        incoming.rename(self._directory / RECORD)

    def _check_head(self) -> None:
        self._sniffed = True
        try:
            sniff.check(self._head[: sniff.HEAD_BYTES])
        except sniff.NotAVideo as exc:
            raise Problem(415, "not_a_video", f"file: {exc}", field="file") from exc

    def _finish_sync(self) -> None:
        if self._sync is not None:
            try:
                self._sync.result()
            finally:
                self._sync = None

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        if self._sync is not None and not self._sync.done():
            # The sync under way uses the number, which another file would get next; and the loop must not wait for it.
            _syncer.submit(os.close, fd)
        else:
            os.close(fd)


def delete_half_received(directory: Path) -> bool:
    """Delete an incomplete upload of a process that ended; False if it is complete, in progress, or not an upload.

    Only files that an upload creates are deleted; a directory with any other file is left alone.
    """
    names = set(os.listdir(directory))  # noqa: PTH208 (names, no paths)
    if SOURCE in names or not names <= {INCOMING, RECORD, RECORD_INCOMING}:
        return False
    with contextlib.ExitStack() as stack:
        if INCOMING in names:
            fd = os.open(directory / INCOMING, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False  # another process receives uploads in this data directory
        for name in names:
            (directory / name).unlink(missing_ok=True)
        directory.rmdir()
    return True


def too_large(limit_bytes: int) -> Problem:
    """Return the 413 that names the limit."""
    limit = f"{limit_bytes:,}".replace(",", " ")
    detail = f"the video is larger than {limit} bytes, which is the limit here"
    return Problem(413, "too_large", detail, field="file", limit_bytes=limit_bytes)


def _write_all(fd: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]


def _disk_full() -> Problem:
    detail = "the disk here has no room for this video at the moment; try again later"
    return Problem(503, "disk_full", detail, headers={"Retry-After": "600"})


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
