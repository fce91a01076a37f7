"""One installation: a data directory and a database, which one machine uses at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO

from scripts.machine.private_files import make_private

LOCK_NAME = "machine.lock"
MOVED = ".moved-to-postgresql"  # in the name of a database that was moved, before the time


class AlreadyRunning(Exception):
    """Another machine uses this data directory or this database."""


class DatabaseMoved(AlreadyRunning):
    """The installation goes on with a database elsewhere; with this one, parts would be published twice."""


class Installation:
    """The locks of a running machine, on its data directory and on its database; private files first.

    The lock of the database (flock) is on the file itself, so it is the same one by whatever path, link, mount or
    container the file is reached. SQLite's own locks (fcntl) are of another kind: neither hinders the other on Linux.
    """

    def __init__(self, data_dir: Path, database: Path | None) -> None:
        """Lock both until the end of this process, or `release`.

        Args:
            data_dir: the data directory.
            database: the SQLite file; None if the database is on a server, which several machines use.

        Raises:
            AlreadyRunning: another machine has locked one of them.
            DatabaseMoved: the database is on PostgreSQL now.
            NotPrivate: others can read or replace the files, and that cannot be repaired.
            OSError: the data directory cannot be written.
        """
        make_private(data_dir, database)
        if database is not None:
            _refuse_moved(database)
        self._locked: list[int] = []  # descriptors
        try:
            if not self._lock(_open(data_dir / LOCK_NAME, os.O_NOFOLLOW)):
                raise AlreadyRunning(f"VidProd is already running with the data directory {data_dir}")
            if database is None:
                return
            # A missing file is created, as the migration would do next. If that is impossible, it fails with a message
            # of its own, and the machine does not start.
            with contextlib.suppress(OSError):
                if not self._lock(_open(database)):
                    raise AlreadyRunning(
                        f"another VidProd is already running with the database {database}, but with another data "
                        "directory; set DATABASE_URL to a file of this installation alone"
                    )
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Unlock both; after all connections of this process to the database are closed.

        Closing a descriptor of a file removes SQLite's locks of this process on it (sqlite.org/howtocorrupt.html, 2.2).
        """
        while self._locked:
            os.close(self._locked.pop())

    def _lock(self, descriptor: int) -> bool:
        self._locked.append(descriptor)
        return _try_lock(descriptor, fcntl.LOCK_EX)


def _refuse_moved(database: Path) -> None:
    if database.exists() and database.stat().st_size:
        return
    moved = sorted(database.parent.glob(f"{database.name}{MOVED}-*"))
    if moved:
        raise DatabaseMoved(
            f"the database was moved to PostgreSQL: set DATABASE_URL. To go back to the state before the move, rename "
            f"{moved[-1]} to {database.name}; what was published since would be published again"
        )


def is_running(data_dir: Path) -> bool:
    """Return whether a machine uses this data directory."""
    try:
        with (data_dir / LOCK_NAME).open("rb") as lock:
            return not _try_lock(lock, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def is_used_elsewhere(data_dir: Path, database: Path | None) -> bool:
    """Return whether a machine with another data directory uses this database.

    Call it before this process connects to the database, for the reason at `Installation.release`.
    """
    if database is None or is_running(data_dir):
        return False
    try:
        with database.open("rb") as file:
            return not _try_lock(file, fcntl.LOCK_SH)
    except OSError:
        return False  # its own message follows when it is opened


def _open(path: Path, flags: int = 0) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)


def _try_lock(file: int | IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
