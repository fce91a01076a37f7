"""The files of a restore: the backup is copied beside the database, made ready there, and renamed into its place.

vidprod.sqlite3.restoring                     the copy; a restore that was killed leaves it, the next one deletes it
vidprod.sqlite3.before-restore-20261129T…Z    the previous database, kept
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from scripts.machine.private_files import SIDE_FILES
from store import DatabaseUnavailable, backup

FREE_BYTES = 64 * 2**20  # left beside the copy: the migration and the log of the database need some
BLOCK_BYTES = 2**20
LOGS = ("-wal", "-journal")  # a copy of the files of a stopped machine may have one, without which it is not whole


class Unusable(Exception):
    """The file cannot be restored; the message says why."""


@contextmanager
def opened(file: Path) -> Iterator[dict[str, int]]:
    """Open a backup, and its logs if it has any, before the change of user; yield descriptors by the ends of names.

    Raises:
        OSError: it cannot be read.
    """
    with ExitStack() as stack:
        found = {}
        for suffix in ("", *LOGS):
            path = file.with_name(file.name + suffix)
            if suffix == "" or path.exists():
                found[suffix] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, found[suffix])
        yield found


class RestoredFile:
    """The copy of a backup beside the database that it will replace."""

    def __init__(self, database: Path) -> None:
        """Name the files; nothing is written.

        Args:
            database: absolute; need not exist.
        """
        self.database = database
        self.path = database.with_name(f"{database.name}.restoring")

    def copy(self, files: Mapping[str, int]) -> None:
        """Copy the opened files of a backup, and check them.

        Raises:
            Unusable: it is damaged, no database of VidProd, or there is no room.
            DatabaseUnavailable: it is no database.
            OSError: it cannot be read, or the copy not be written.
        """
        self.clear()
        size_bytes = sum(os.fstat(descriptor).st_size for descriptor in files.values())
        if (free := shutil.disk_usage(self.path.parent).free) < size_bytes + FREE_BYTES:
            raise Unusable(f"{self.path.parent} has no room: {size_bytes + FREE_BYTES} bytes are needed, {free} left")
        for suffix, descriptor in files.items():
            _copy(descriptor, self.path.with_name(self.path.name + suffix))
        try:
            wrong = backup.damage(self.path, thorough=True)
        except DatabaseUnavailable as error:
            raise Unusable(f"the file is no usable backup: {error.sentence}") from error
        if wrong is not None:
            raise Unusable(f"the backup is damaged ({' '.join(wrong.split())}); take an earlier one")
        if not backup.is_of_vidprod(self.path):
            raise Unusable("the file is a database, but none of VidProd")

    def put_in_place(self) -> Path | None:
        """Rename the copy to the database's name; return the name of the previous database, None if there was none.

        A crash leaves the previous database or the new one, and never one with the other's log.
        """
        kept = None
        if self.database.exists() and self.database.stat().st_size:
            backup.checkpoint(self.database)  # its log is deleted, unless it is damaged
            kept = self.database.with_name(f"{self.database.name}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
            _keep(self.database, kept)
        for suffix in LOGS:  # of a damaged or missing database: SQLite would apply it to the new one
            log = self.database.with_name(self.database.name + suffix)
            if log.exists():
                log.rename(f"{kept}{suffix}" if kept else f"{log}.before-restore")
        self.database.with_name(f"{self.database.name}-shm").unlink(missing_ok=True)
        backup.sync(self.path)
        self.path.rename(self.database)
        backup.sync(self.database.parent)
        return kept

    def clear(self) -> None:
        """Delete the copy and its side files."""
        for suffix in SIDE_FILES:
            path = self.path.with_name(self.path.name + suffix)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _copy(descriptor: int, target: Path) -> None:
    written = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        while block := os.read(descriptor, BLOCK_BYTES):
            view = memoryview(block)
            while view:
                view = view[os.write(written, view) :]
    finally:
        os.close(written)


def _keep(database: Path, kept: Path) -> None:
    try:
        os.link(database, kept)
    except OSError:  # a file system without hard links
        database.rename(kept)
