"""Deletes incomplete uploads of processes that have ended, when a process starts.

An upload begins with an empty directory, which no lock protects. So every process that receives uploads holds a shared
lock on one file of the data directory, and only a process that holds it alone deletes incomplete uploads.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO

from loguru import logger

from actors.recovery import lost_found
from actors.recovery.lost_found import ACCEPTED_MARK, ADOPTING_MARK, INCOMING, RESUMABLE_RECORD, SOURCE
from actors.recovery.upload_record import NAME as RECORD
from api.context import Context
from api.uploads.file import RECORD_INCOMING, RESUMABLE_RECORD_INCOMING, VERIFIED
from store import jobs

LOCK_NAME = "receiving.lock"

_DELETED_NAMES = frozenset({INCOMING, RECORD, RECORD_INCOMING, RESUMABLE_RECORD_INCOMING, VERIFIED})
"""Files of an incomplete upload. A resumable one that was created has another file, and is kept."""


def lock_uploads(context: Context) -> IO[bytes]:
    """Take the shared lock; delete incomplete uploads first, unless another process holds it.

    Returns:
        The locked file; closing it releases the lock.

    Raises:
        DatabaseUnavailable: as `delete_incomplete`.
    """
    lock = (context.settings.data_dir / LOCK_NAME).open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.warning("another process receives uploads in this data directory: incomplete uploads are not deleted")
    else:
        deleted = delete_incomplete(context)
        if deleted:
            logger.info("{} incomplete uploads deleted", deleted)
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def delete_incomplete(context: Context) -> int:
    """Delete incomplete uploads of processes that have ended; return their number.

    Complete files without a record in the database are moved to lost+found, except resumable uploads whose client has
    got no answer yet.

    Raises:
        DatabaseUnavailable: the database cannot be read; no complete file was moved.
    """
    root = context.settings.uploads_dir
    directories = [path for path in root.glob("job_*") if path.is_dir() and not path.is_symlink()]
    deleted = 0
    for directory in directories:
        with lost_found.errors_logged(directory):  # a directory without permission must not prevent the start
            deleted += _delete_if_incomplete(directory)
            _resume_unaccepted(context, directory)
    lost_found.move_unrecorded(context)
    return deleted


def _delete_if_incomplete(directory: Path) -> bool:
    """Delete an incomplete upload; return False if it is complete, in progress, or not an upload.

    Only files that an upload creates are deleted; a directory with any other file is left alone.
    """
    names = set(os.listdir(directory))  # noqa: PTH208 (names, no paths)
    if SOURCE in names or not names <= _DELETED_NAMES:
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


def _resume_unaccepted(context: Context, directory: Path) -> None:
    """Make a complete resumable upload wait for its client again, if the process ended before its job was committed."""
    if not directory.exists():
        return
    names = set(os.listdir(directory))  # noqa: PTH208 (as above)
    if not {RESUMABLE_RECORD, SOURCE} <= names or names & {ACCEPTED_MARK, ADOPTING_MARK}:
        return
    with lost_found.locked(directory / SOURCE) as acquired, context.store.reading() as connection:
        if not acquired or jobs.get(connection, directory.name) is not None:
            return
        os.utime(directory / SOURCE)  # the client may take as long as after its last byte
        (directory / SOURCE).rename(directory / INCOMING)
        (directory / RECORD).unlink(missing_ok=True)
        logger.info("Upload {}: its job was not committed; waiting for its client", directory.name)
