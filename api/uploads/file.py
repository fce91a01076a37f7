"""The file of an upload: written under a temporary name, then synced and renamed.

The file is locked (flock) from its first byte until `keep` or `discard`, so that `actors.recovery.lost_found` does not
move it. The kernel releases the lock if this process dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loguru import logger

from actors.recovery.lost_found import INCOMING, RESUMABLE_RECORD, SOURCE
from actors.recovery.upload_record import NAME as RECORD
from api.http.problems import Problem
from api.uploads import sniff
from api.uploads.background_sync import BackgroundSync
from files.errors import FilesError

RECORD_INCOMING = f".{RECORD}"
RESUMABLE_RECORD_INCOMING = f"{RESUMABLE_RECORD}.new"

VERIFIED = ".verified"
"""File beside a resumable upload while a body with a checksum is received (`api.tus.stored`)."""

_DISK_RETRY_AFTER_S = 600

_COPY_BYTES = 8 * 2**20  # of another file, between two syncs


def make_directory(directory: Path) -> None:
    """Create the uploads' directory.

    Raises:
        Problem: 503 for a disk error.
    """
    with disk_errors_as_problems():
        directory.mkdir(parents=True, exist_ok=True)


@contextmanager
def disk_errors_as_problems() -> Iterator[None]:
    """Raise a 503 for any OSError: a full disk (space or inodes), a read-only or a broken one, a remote storage."""
    try:
        yield
    except FilesError as error:
        logger.error("upload not stored: {}", error)
        detail = "the storage of the videos does not answer at the moment; try again later"
        raise _disk_problem("storage_unavailable", detail) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EMLINK}:
            raise _disk_full() from error
        logger.error("upload not stored: {}", error)
        raise _disk_problem("disk_error", "the video cannot be stored at the moment; try again later") from error


class UploadFile:
    """The file of one upload: `write` its bytes, then `finalize` or `discard` it."""

    def __init__(
        self,
        directory: Path,
        *,
        limit_bytes: int,
        is_video: bool = True,
        resumed_at: int | None = None,
        sync: BackgroundSync | None = None,
    ) -> None:
        """Create the temporary file, or open it again to append to it.

        Args:
            directory: the upload's own; created with a new file.
            limit_bytes: maximum size.
            is_video: the first bytes are checked to be a video's; False for a piece of one.
            resumed_at: bytes of an existing file that are kept; None creates a new one.
            sync: of a file that several requests write; None makes one.

        Raises:
            Problem: 423 if another process uses the file, 503 for a disk error; a new directory is deleted then.
        """
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._head = b""
        self._head_checked = not is_video
        self._sync = sync or BackgroundSync()
        self.size_bytes = 0
        self._fd = -1
        with disk_errors_as_problems():
            if resumed_at is None:
                self._create()
            else:
                self._reopen(resumed_at)

    def _create(self) -> None:
        self._directory.mkdir(parents=True)
        try:
            self._fd = os.open(self._directory / INCOMING, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        except OSError:
            self.discard()
            raise

    def _reopen(self, size_bytes: int) -> None:
        try:
            self._fd = os.open(self._directory / INCOMING, os.O_RDWR)
        except FileNotFoundError as error:  # accepted, deleted or expired at this moment
            raise in_use() from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._is_in_place():  # the same, between the two calls
                raise BlockingIOError
            self.truncate(size_bytes)
            if not self._head_checked:
                self._head = os.pread(self._fd, sniff.HEAD_BYTES, 0)
                self._head_checked = len(self._head) == sniff.HEAD_BYTES
        except BlockingIOError as error:
            self._close()
            raise in_use() from error
        except OSError:
            self._close()
            raise

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), (self._directory / INCOMING).stat())
        except FileNotFoundError:
            return False

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            Problem: 413 above the limit, 415 if the first bytes are not a video's, 503 for a disk error.
        """
        self.size_bytes += len(data)
        if self.size_bytes > self._limit_bytes:
            raise file_too_large(self._limit_bytes)
        if not self._head_checked:
            self._head += data[: sniff.HEAD_BYTES]
            if len(self._head) >= sniff.HEAD_BYTES:
                self._check_head()
        with disk_errors_as_problems():
            _write_all(self._fd, data)
        with self._disk_errors():
            self._sync.after_write(self._fd, self.size_bytes)

    def truncate(self, size_bytes: int) -> None:
        """Drop the bytes from an offset on, and append there."""
        with disk_errors_as_problems():
            if os.fstat(self._fd).st_size > size_bytes:
                self._sync.cut_off(self._fd, size_bytes)
            self.size_bytes = os.lseek(self._fd, 0, os.SEEK_END)

    def transfer_only(self, verified_bytes: int | None) -> None:
        """Let only the bytes before an offset go to the storage; None: all."""
        self._sync.transfer_only(verified_bytes)

    def append_file(self, path: Path) -> None:
        """Append another file, in the kernel.

        Raises:
            Problem: 503 for a disk error.
        """
        with disk_errors_as_problems(), path.open("rb") as source:
            while copied := os.sendfile(self._fd, source.fileno(), None, _COPY_BYTES):
                self.size_bytes += copied
                os.fdatasync(self._fd)  # little at a time: the disk is shared
            if not self._head_checked and len(self._head) < sniff.HEAD_BYTES:
                self._head = os.pread(self._fd, sniff.HEAD_BYTES, 0)

    def finalize(self, record: bytes | None = None) -> Path:
        """Sync the file, store it and rename it to its final name; return its path. It stays locked.

        Args:
            record: written beside the file before the rename, so that every complete file has one.

        Raises:
            Problem: as `write`; 400 for an empty file.
        """
        if self.size_bytes == 0:
            raise Problem(400, "empty_file", "file: the file is empty", field="file")
        if not self._head_checked:
            self._check_head()
        target = self._directory / SOURCE
        with self._disk_errors():
            self._sync.sync_all(self._fd)
        with disk_errors_as_problems():
            self._sync.store(self._directory / INCOMING, self.size_bytes)  # first: under its name it is accepted
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
        """Delete the file and its directory, without waiting for a sync in progress."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._sync.abandon()
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
        self._head_checked = True
        try:
            sniff.check(self._head[: sniff.HEAD_BYTES])
        except sniff.NotAVideo as exc:
            raise Problem(415, "not_a_video", f"file: {exc}", field="file") from exc

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Raise a 503 for a failed sync, after which the file is shorter."""
        try:
            with disk_errors_as_problems():
                yield
        except Problem:
            self.size_bytes = os.lseek(self._fd, 0, os.SEEK_END)
            raise

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        fcntl.flock(fd, fcntl.LOCK_UN)  # now, even if closing has to wait
        self._sync.close(fd)


def file_too_large(limit_bytes: int) -> Problem:
    """Return the 413 for a file larger than the limit."""
    limit = f"{limit_bytes:,}".replace(",", " ")
    detail = f"the video is larger than the limit of {limit} bytes"
    return Problem(413, "too_large", detail, field="file", limit_bytes=limit_bytes)


def in_use() -> Problem:
    """Return the 423 for an upload that another request changes at this moment."""
    detail = "the upload is in use by another request; try again in a second"
    return Problem(423, "upload_locked", detail, headers={"Retry-After": "1"})


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _disk_full() -> Problem:
    return _disk_problem("disk_full", "there is not enough disk space for this video at the moment; try again later")


def _disk_problem(code: str, detail: str) -> Problem:
    return Problem(503, code, detail, headers={"Retry-After": str(_DISK_RETRY_AFTER_S)})


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
