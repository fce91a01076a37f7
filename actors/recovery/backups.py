"""Makes backups of the database: a copy, checked, under its own name only when it is whole; and deletes old ones.

    BACKUP_DIR/.vidprod-20261129T031500Z.sqlite3.part   while it is written
    BACKUP_DIR/vidprod-20261129T031500Z.sqlite3         afterwards, readable by its owner only

A backup has what the database has: jobs, accounts, encrypted tokens; no videos and no SECRET_KEY.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from loguru import logger

from actors.flow import disk_demand
from actors.machine import Machine
from actors.recovery import resumable
from store import DatabaseUnavailable, backup, heartbeats
from store.sqlite import SqliteStore

HEARTBEAT, REQUESTED = "backup", "backup_requested"  # names of heartbeats
RETRY_AFTER = timedelta(hours=1)
OTHER_DISK_FLOOR_BYTES = 16 * 2**20  # left free on a disk that is not that of the data
LOCK_NAME = ".vidprod-backup.lock"

_NAME = re.compile(r"vidprod-\d{8}T\d{6}Z\.sqlite3")
_DRAFT = re.compile(r"\.vidprod-\d{8}T\d{6}Z\.sqlite3\.part(-journal)?")


class BackupFailed(Exception):
    """No backup was made; the message says why."""


@dataclass(frozen=True)
class BackupFile:
    """A finished backup."""

    path: Path
    size_bytes: int


def send_if_due(machine: Machine) -> None:
    """Send a message for a backup if the last one is older than BACKUP_HOURS.

    A request that led to no backup is repeated after an hour.
    """
    settings = machine.settings
    if settings.backup_dir is None:
        return
    interval = timedelta(hours=settings.backup_hours)
    with machine.store.writing(scope="everything") as connection:
        ages = {
            name: heartbeats.age_s(connection, name, machine.now(), machine.boot_time())
            for name in (HEARTBEAT, REQUESTED)
        }
        limits = {HEARTBEAT: interval, REQUESTED: min(interval, RETRY_AFTER)}
        if all(age_s is None or age_s >= limits[name].total_seconds() for name, age_s in ages.items()):
            heartbeats.record(connection, REQUESTED, machine.now(), machine.boot_time())
            machine.send("back_up")


def make_scheduled(machine: Machine) -> None:
    """Make a backup in BACKUP_DIR, and delete the oldest ones. Errors are logged: the next request follows."""
    directory = machine.settings.backup_dir
    if directory is None:
        return  # the setting was removed while the message waited
    try:
        made = make(machine, directory)
    except (BackupFailed, backup.CopyCancelled, DatabaseUnavailable, OSError) as error:
        logger.error("Backup: not made in {}: {}", directory, str(error) or type(error).__name__)
        return
    logger.info("Backup: {} made, {} bytes", made.path, made.size_bytes)


def make(machine: Machine, directory: Path) -> BackupFile:
    """Make a backup in a directory, and delete its oldest ones but for BACKUP_KEEP.

    Raises:
        BackupFailed: there is no room, the copy is damaged, or another process makes one.
        CopyCancelled: this process stops.
        DatabaseUnavailable: the database cannot be read, or the disk became full.
        OSError: the directory cannot be written.
    """
    directory = Path(os.path.abspath(directory))  # noqa: PTH100 (a URI in VACUUM INTO begins without a slash)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(directory):
        for path in directory.iterdir():
            if _DRAFT.fullmatch(path.name):
                path.unlink(missing_ok=True)
        made = _write(machine, directory / f"vidprod-{machine.now():%Y%m%dT%H%M%SZ}.sqlite3")
        _delete_oldest(directory, made.path, machine.settings.backup_keep)
    _record(machine)
    return made


def make_file(machine: Machine, target: Path) -> BackupFile:
    """Make a backup under a name of its own, which must be free.

    Raises:
        BackupFailed: also if there is such a file.
        DatabaseUnavailable: see `make`.
        OSError: likewise.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100 (as above)
    if os.path.lexists(target):
        raise BackupFailed(f"{target} exists; a backup overwrites nothing")
    made = _write(machine, target)
    _record(machine)
    return made


def list_files(directory: Path) -> list[Path]:
    """Return the backups of a directory, the oldest first.

    Raises:
        OSError: it cannot be read.
    """
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))


def age_s(machine: Machine) -> float | None:
    """Return how many seconds ago the last backup was made; None if none was."""
    with machine.store.reading() as connection:
        return heartbeats.age_s(connection, HEARTBEAT, machine.now(), machine.boot_time())


def _file(machine: Machine) -> Path:
    if not isinstance(machine.store, SqliteStore):
        raise BackupFailed("the database is on a PostgreSQL server: make backups there, such as with pg_dump")
    return machine.store.path


def _write(machine: Machine, target: Path) -> BackupFile:
    database = _file(machine)
    needed = backup.expected_bytes(database)
    _require_room(machine, target.parent, needed)
    draft = target.with_name(f".{target.name}.part")
    draft.unlink(missing_ok=True)  # of a process that was killed
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        backup.copy(database, draft, is_cancelled=machine.stopping.is_set)
        wrong = backup.damage(draft)
        if wrong is not None:
            raise BackupFailed(f"the copy is damaged, and so may be the database: {' '.join(wrong.split())}")
        size_bytes = draft.stat().st_size
        draft.rename(target)
    finally:
        for path in (draft, draft.with_name(f"{draft.name}-journal")):
            path.unlink(missing_ok=True)
    backup.sync(target.parent)
    return BackupFile(target, size_bytes)


def _require_room(machine: Machine, directory: Path, needed: int) -> None:
    """Check the disk: on that of the data, what uploads and accepted jobs will still write is not taken.

    Raises:
        BackupFailed: there is no room.
    """
    if directory.stat().st_dev == machine.settings.data_dir.stat().st_dev:
        with machine.store.reading() as connection:
            promised = disk_demand.unrendered_bytes(connection)
        room = machine.disk.room_bytes - promised - resumable.unreceived_bytes(machine)
    else:
        room = shutil.disk_usage(directory).free - OTHER_DISK_FLOOR_BYTES
    if needed > room:
        raise BackupFailed(
            f"{directory} has no room: the backup may need {needed} bytes, and {max(0, room)} are left beside what "
            "uploads and videos in progress need"
        )


def _delete_oldest(directory: Path, made: Path, keep: int) -> None:
    """Delete all but the newest backups, never the new one.

    Backups with a later name than the new one are of a clock that was ahead: they count as the oldest, or they would
    stay until that time, and recent ones would be deleted instead.
    """
    others = sorted((path for path in list_files(directory) if path != made), key=lambda path: (path < made, path))
    for path in others[: max(0, len(others) - (keep - 1))]:
        path.unlink(missing_ok=True)
        logger.info("Backup: {} deleted, {} are kept", path, keep)


def _record(machine: Machine) -> None:
    with machine.store.writing(scope="rows") as connection:
        heartbeats.record(connection, HEARTBEAT, machine.now(), machine.boot_time())


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory of backups; without one where its file system has no locks.

    Raises:
        BackupFailed: another process makes a backup there.
    """
    descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupFailed(f"another process makes a backup in {directory}") from None
        except OSError as error:
            logger.warning("Backup: {} has no locks ({})", directory, error.strerror)
        yield
    finally:
        os.close(descriptor)
