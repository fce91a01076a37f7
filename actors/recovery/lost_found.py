"""Moves files without a database record to lost+found, and deletes them after a period.

    uploads/<job id>/  ─▶ lost+found/<job id>/          the file as it was sent, `upload.json` beside it
    jobs/<job id>/     ─▶ lost+found/<job id>/parts/    rendered parts with their reports

A missing record is no reason to delete a file: a restored database is older than the files. So such files are only
renamed. An upload that is being accepted has no record yet, either. Its process holds a lock (flock) on the file from
the first byte until the record is committed, and a locked file is never moved.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loguru import logger

from actors.machine import Machine
from actors.recovery import upload_record
from files import keys
from files.errors import FilesError
from store import jobs

DIRECTORY_NAMES = ("lost+found", "lost+found-vidprod")
"""Names of the folder below the data directory, in order of preference. The root of an ext4 volume has a `lost+found`
of the file system, which only root may write; then the second name is used."""

SOURCE, INCOMING = "source", ".incoming"
PARTS = "parts"
PUBLISHING_NOTES = "publishing-began"
ACCEPTED_MARK = "accepted"  # beside an upload whose job is committed, written before the answer is sent
ADOPTING_MARK = "being-adopted"
RESUMABLE_RECORD = ".tus.json"  # beside a resumable upload (`api.tus.stored`)
SOURCE_DELETED_MARK = "source-deleted"  # beside the records of an upload whose parts are all rendered

MAX_RUN_INTERVAL = timedelta(hours=1)  # between clean-ups; a longer one: the machine was off, or its clock was set

_JOB_ID = re.compile(r"job_[0-9a-f]{32}")
_LIKE_A_JOB_ID = re.compile(r"job_[0-9A-Za-z_-]{1,64}")
_ENTRY = re.compile(r"(job_[0-9A-Za-z_-]{1,64})(?:\.\d+)?")
_PART = re.compile(r"part-\d{3,}\..+")


@dataclass(frozen=True)
class LostEntry:
    """One entry of lost+found.

    Attributes:
        directory: the entry's folder: the job's id, with a number appended if that name existed.
        job_id: the id of the job that the files belong to.
        file_name: the upload's original name; empty if unknown.
        size_bytes: the size of all files.
        has_upload: the entry contains an upload, from which a job can be created; otherwise only rendered parts.
        parts: the number of rendered parts.
        publishing_began: some parts may be public already.
        was_accepted: the job was committed, so the client may have got the answer; otherwise it has probably uploaded
            the video again.
        lost_at: the time at which the files were moved to lost+found.
        kept_until: the time after which the entry is deleted.
    """

    directory: Path
    job_id: str
    file_name: str
    size_bytes: int
    has_upload: bool
    parts: int
    publishing_began: bool
    was_accepted: bool
    lost_at: datetime
    kept_until: datetime


def directory(machine: Machine) -> Path:
    """Return the lost+found directory; create it if it is missing.

    Raises:
        OSError: it cannot be created.
    """
    for found in _directories(machine):
        return found
    raise PermissionError(errno.EACCES, "neither is writable", " and ".join(DIRECTORY_NAMES))


def _directories(machine: Machine) -> Iterator[Path]:
    """Yield the writable directories, the preferred one first."""
    for name in DIRECTORY_NAMES:
        found = machine.settings.data_dir / name
        try:
            found.mkdir(parents=True, exist_ok=True)
        except (PermissionError, FileExistsError):  # FileExistsError: a file, or a broken link
            continue
        if os.access(found, os.W_OK | os.X_OK):
            yield found


def entries(machine: Machine) -> list[LostEntry]:
    """Return the entries of lost+found, the oldest first; skip folders that are not named after a job."""
    found = []
    for name in DIRECTORY_NAMES:
        root = machine.settings.data_dir / name
        if root.is_dir() and os.access(root, os.R_OK | os.X_OK):
            for path in root.iterdir():
                with contextlib.suppress(
                    FileNotFoundError, PermissionError
                ):  # adopted or deleted meanwhile; unreadable
                    found += [_entry(machine, path)] if _is_entry(path) else []
    return sorted(found, key=lambda entry: entry.lost_at)


@contextmanager
def errors_logged(path: Path | str) -> Iterator[None]:
    """Log file system errors about one path, so that the other paths are still processed."""
    try:
        yield
    except OSError as error:
        logger.error("lost+found: {}: not moved or deleted: {}", path, error)


def move_unrecorded(machine: Machine) -> list[Path]:
    """Move complete uploads and rendered parts without a job in the database; return their new folders.

    Incomplete uploads, locked uploads, folders that are not named after a job, and folders that the file system cannot
    move stay in place.

    Raises:
        DatabaseUnavailable: the database cannot be read.
    """
    found = [*_unrecorded_uploads(machine), *_unrecorded_parts(machine)]
    for target in found:
        kept = f"{machine.settings.lost_found_days:g}"
        logger.warning("lost+found: {}: moved, no record in the database; kept for {} days", target, kept)
    return found


def move_cut_off_adoptions(machine: Machine) -> None:
    """Move the uploads of interrupted adoptions back to lost+found: renamed, but without a committed job.

    Raises:
        DatabaseUnavailable: the database cannot be read.
    """
    for path in _subdirectories(machine.settings.uploads_dir):
        if (path / ADOPTING_MARK).exists():
            with locked(path / SOURCE) as acquired:
                if acquired and _is_recorded(machine, path.name):
                    (path / ADOPTING_MARK).unlink(missing_ok=True)
                elif acquired:
                    _move(machine, path)


def _unrecorded_uploads(machine: Machine) -> Iterator[Path]:
    for path in _subdirectories(machine.settings.uploads_dir):
        target = None
        with errors_logged(path):
            if _is_whole_upload(path):
                with locked(path / SOURCE) as acquired:
                    target = _move(machine, path) if acquired and not _is_recorded(machine, path.name) else None
        if target is not None:
            yield target


def _unrecorded_parts(machine: Machine) -> Iterator[Path]:
    for path in _subdirectories(machine.settings.jobs_dir):
        target = None
        with errors_logged(path):
            target = _move(machine, path, PARTS) if _has_parts(path) and not _is_recorded(machine, path.name) else None
        if target is not None:
            yield target


def has_paused(machine: Machine, last_run: datetime | None) -> bool:
    """Return whether clean-ups paused since the last one; also if its time is unknown (None), as in a new database."""
    return last_run is None or machine.now() - last_run > MAX_RUN_INTERVAL


def extend_after_pause(machine: Machine, last_run: datetime | None) -> None:
    """Extend the entries by the time in which the machine did not run.

    A clock without a battery starts in the past and is set ahead when the network is available. And lost files must
    outlast a month without power.
    """
    if has_paused(machine, last_run):
        extend(machine, None if last_run is None else machine.now() - last_run)


def extend(machine: Machine, by: timedelta | None) -> None:
    """Postpone the deletion of all entries.

    Args:
        by: the time to add; None restarts each entry's period now.
    """
    for entry in entries(machine):
        with errors_logged(entry.directory):
            moment = machine.now() if by is None else max(entry.lost_at + by, entry.lost_at)
            os.utime(entry.directory, (moment.timestamp(), moment.timestamp()))


def delete_expired(machine: Machine) -> int:
    """Delete expired entries; return their number.

    Of several machines each deletes its own, under no lease. So what the storage has of them is left to
    `orphans.delete_expired`, which asks the fence.
    """
    with_stored = not machine.settings.is_shared
    deleted = 0
    for entry in entries(machine):
        with errors_logged(entry.directory):
            deleted += machine.now() >= entry.kept_until and delete(machine, entry, with_stored=with_stored)
    return deleted


def delete(machine: Machine, entry: LostEntry, *, with_stored: bool = True) -> bool:
    """Delete an entry's files; return False if it is being adopted, was adopted, or was replaced by another entry.

    Args:
        machine: for its settings and storage.
        entry: to delete.
        with_stored: also what a remote storage has of an unknown job.

    Raises:
        OSError: the files cannot be deleted.
    """
    with locked(entry.directory / SOURCE) as acquired:
        if not acquired or not entry.directory.exists() or _entry(machine, entry.directory).lost_at != entry.lost_at:
            return False
        if with_stored and machine.settings.is_remote and not _is_recorded(machine, entry.job_id):
            for folder in (keys.upload_folder(entry.job_id), keys.parts_folder(entry.job_id)):
                machine.files.delete_folder(folder)
        shutil.rmtree(entry.directory)
    logger.warning(
        "lost+found: {}: deleted ({!r}, {} bytes, lost since {:%Y-%m-%d})",
        entry.directory.name, entry.file_name, entry.size_bytes, entry.lost_at,
    )  # fmt: skip
    return True


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the file lock of an upload during a block; yield False if another process holds the lock.

    Without the file, yield True: no lock is needed. The lock stays with the file when it is renamed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield True
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def mark_accepted(machine: Machine, job_id: str) -> None:
    """Mark an upload whose job is committed: `scripts/adopt --all` adopts only such uploads."""
    _mark(machine, job_id, ACCEPTED_MARK)


def _mark(machine: Machine, job_id: str, name: str) -> None:
    try:
        (machine.settings.uploads_dir / job_id / name).touch()
    except OSError as error:  # the mark is needed only after a loss of the database
        logger.warning("Job {}: mark {!r} not written: {}", job_id, name, error)


def restore(machine: Machine, path: Path, job_id: str) -> Path | None:
    """Move an entry back to the uploads and return its new folder; None if the job's folder exists.

    The folder is marked as being adopted. The caller removes the mark after it has committed the job.
    """
    target = machine.settings.uploads_dir / job_id
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):
        return None
    (path / ADOPTING_MARK).touch()
    path.rename(target)
    return target


def _is_entry(path: Path) -> bool:
    name = _ENTRY.fullmatch(path.name)
    if name is None or not _is_directory(path):
        return False
    return bool(_JOB_ID.fullmatch(name[1])) or (path / SOURCE).is_file() or (path / PARTS).is_dir()


def _entry(machine: Machine, path: Path) -> LostEntry:
    name = _ENTRY.fullmatch(path.name)
    assert name is not None  # `_is_entry` has matched it
    parts, stored_bytes = path / PARTS, _stored_bytes(machine, name[1])
    file_name, size_bytes = upload_record.original_name(path), _size_bytes(path) + (stored_bytes or 0)
    lost_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)  # read last: raises if the entry is gone
    return LostEntry(
        directory=path,
        job_id=name[1],
        file_name=file_name,
        size_bytes=size_bytes,
        has_upload=(path / SOURCE).is_file() or stored_bytes is not None,
        parts=len(list(parts.glob("part-*.mp4"))) if parts.is_dir() else 0,
        publishing_began=(path / PUBLISHING_NOTES).exists(),
        was_accepted=(path / ACCEPTED_MARK).exists()
        or not (path / upload_record.NAME).exists(),  # an upload from before records and marks existed
        lost_at=lost_at,
        kept_until=lost_at + timedelta(days=machine.settings.lost_found_days),
    )


def _stored_bytes(machine: Machine, job_id: str) -> int | None:
    """Return the size of an upload that a remote storage has; None if it has none, or does not answer."""
    if not machine.settings.is_remote:
        return None
    try:
        found = machine.files.stat(keys.source(job_id))
    except FilesError as error:
        logger.warning("lost+found: {}: unknown whether the storage has its upload: {}", job_id, error)
        return None
    return None if found is None else found.size_bytes


def _size_bytes(path: Path) -> int:
    return sum(found.lstat().st_size for found in path.rglob("*") if found.is_file())


def _move(machine: Machine, path: Path, below: str | None = None) -> Path | None:
    """Move a folder into lost+found; None if another process has moved it, or lost+found is on another volume.

    The entry's modification time is the time of the move. It is set before the move, so a crash between the two
    changes only the modification time.

    Raises:
        OSError: the folder cannot be moved.
    """
    directory(machine)  # raises if there is none
    for root in _directories(machine):
        try:
            return _move_into(root, path, below)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            logger.warning("lost+found: {}: not moved to {}, which is on another volume", path, root)
    return None


def _move_into(root: Path, path: Path, below: str | None) -> Path:
    for number in itertools.count(1):
        entry = root / (path.name if number == 1 else f"{path.name}.{number}")
        target = entry if below is None else entry / below
        if os.path.lexists(target):
            continue
        os.utime(path)
        if below is not None:
            entry.mkdir(exist_ok=True)
        try:
            path.rename(target)
        except OSError as error:
            if below is not None:
                with contextlib.suppress(OSError):
                    entry.rmdir()  # fails if it is not empty
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
        else:
            return entry
    raise AssertionError("there is always another number")


def _subdirectories(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if _is_directory(path)) if root.is_dir() else []


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_whole_upload(path: Path) -> bool:
    names = set(os.listdir(path))  # noqa: PTH208 (names, no paths)
    if not names or (INCOMING in names and SOURCE not in names):
        return False
    if RESUMABLE_RECORD in names and not names & {SOURCE, SOURCE_DELETED_MARK}:
        return False  # an expired resumable upload
    return bool(_JOB_ID.fullmatch(path.name)) or (bool(_LIKE_A_JOB_ID.fullmatch(path.name)) and SOURCE in names)


def _has_parts(path: Path) -> bool:
    names = os.listdir(path)  # noqa: PTH208 (as above)
    if not names:
        return False
    return bool(_JOB_ID.fullmatch(path.name)) or (
        bool(_LIKE_A_JOB_ID.fullmatch(path.name)) and any(_PART.fullmatch(name) for name in names)
    )


def _is_recorded(machine: Machine, job_id: str) -> bool:
    with machine.store.reading() as connection:
        return jobs.get(connection, job_id) is not None
