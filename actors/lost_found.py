"""Files without a record in the database: moved to lost+found, kept for a while, and made jobs of again.

    uploads/<job id>/  ─▶ lost+found/<job id>/          the file as it was sent, `upload.json` beside it
    jobs/<job id>/     ─▶ lost+found/<job id>/parts/    rendered parts with their reports

A missing record proves nothing: the database may be another one, or yesterday's. So nothing is deleted for want of a
record, only moved, by renaming. An upload that is just being accepted has no record yet, either; its process holds a
lock (flock) on the file from its first byte until the record is committed, and nobody moves a file that is locked.
"""

from __future__ import annotations

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

from actors import upload_record, wiring
from store import jobs

NAMES = ("lost+found", "lost+found-vidprod")
"""Where lost files go, below the data directory. The root of an ext4 volume has a `lost+found` of its own, which only
root may write; then the second name is taken."""

SOURCE, INCOMING = "source", ".incoming"
PARTS = "parts"
PUBLISHING = "publishing-began"
ADOPTING = "being-adopted"

_JOB_ID = re.compile(r"job_[0-9a-f]{32}")
_LIKE_A_JOB_ID = re.compile(r"job_[0-9A-Za-z_-]{1,64}")
_ENTRY = re.compile(r"(job_[0-9A-Za-z_-]{1,64})(?:\.\d+)?")
_PART = re.compile(r"part-\d{3,}\..+")


@dataclass(frozen=True)
class Lost:
    """One entry of lost+found.

    Attributes:
        directory: where it is; its name is the job's id, with a number behind it if that was taken.
        file_name: as its sender called it; empty if that is not known.
        size_bytes: of everything in it.
        has_upload: whether a job can be made of it; else it holds rendered parts only.
        parts: how many rendered parts it holds.
        publishing_began: whether something of it may be public already.
        lost_at: when it was moved here.
        kept_until: when it is deleted.
    """

    directory: Path
    job_id: str
    file_name: str
    size_bytes: int
    has_upload: bool
    parts: int
    publishing_began: bool
    lost_at: datetime
    kept_until: datetime


def directory() -> Path:
    """Return the directory of lost files, made if it is missing.

    Raises:
        OSError: it cannot be made.
    """
    for name in NAMES:
        found = wiring.settings.data_dir / name
        try:
            found.mkdir(parents=True, exist_ok=True)
        except PermissionError:
            continue
        if os.access(found, os.W_OK | os.X_OK):
            return found
    raise PermissionError(errno.EACCES, "neither may be written", " and ".join(NAMES))


def entries() -> list[Lost]:
    """Return what is in lost+found, longest lost first; what has no job's name is not ours."""
    found = []
    for name in NAMES:
        root = wiring.settings.data_dir / name
        if root.is_dir() and os.access(root, os.R_OK | os.X_OK):
            found += [_entry(path) for path in root.iterdir() if _is_entry(path)]
    return sorted(found, key=lambda entry: entry.lost_at)


def move_unrecorded() -> list[Path]:
    """Move whole files and rendered parts whose job the database does not know; return where they are now.

    Half-received uploads, files that are just being accepted, and directories of no job's shape stay.

    Raises:
        DatabaseUnavailable: the database cannot be asked; nothing was moved.
    """
    found = [*_unrecorded_uploads(), *_unrecorded_parts()]
    for target in found:
        kept = f"{wiring.settings.lost_found_days:g}"
        logger.warning("{}: the database has no record of it; kept for {} days", target, kept)
    return found


def move_cut_off_adoptions() -> None:
    """Move back what an adoption has renamed to the uploads and then, cut off, made no job of.

    Raises:
        DatabaseUnavailable: the database cannot be asked.
    """
    for path in _subdirectories(wiring.settings.uploads_dir):
        if (path / ADOPTING).exists():
            with locked(path / SOURCE) as ours:
                if ours and _is_recorded(path.name):
                    (path / ADOPTING).unlink(missing_ok=True)
                elif ours:
                    _move(path)


def _unrecorded_uploads() -> Iterator[Path]:
    for path in _subdirectories(wiring.settings.uploads_dir):
        if _is_whole_upload(path):
            with locked(path / SOURCE) as ours:
                if ours and not _is_recorded(path.name) and (target := _move(path)) is not None:
                    yield target


def _unrecorded_parts() -> Iterator[Path]:
    for path in _subdirectories(wiring.settings.jobs_dir):
        if _is_parts(path) and not _is_recorded(path.name) and (target := _move(path, PARTS)) is not None:
            yield target


def delete_expired() -> int:
    """Delete what has been in lost+found for long enough; return how many."""
    return sum(delete(entry) for entry in entries() if wiring.now() >= entry.kept_until)


def delete(entry: Lost) -> bool:
    """Delete an entry for good; False if somebody is making a job of it."""
    with locked(entry.directory / SOURCE) as ours:
        if not ours:
            return False
        shutil.rmtree(entry.directory)
    logger.warning(
        "lost+found: {} ({!r}, {} bytes, lost since {:%Y-%m-%d}) is deleted",
        entry.directory.name, entry.file_name, entry.size_bytes, entry.lost_at,
    )  # fmt: skip
    return True


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock of an upload's file for the length of a block; False if another process has it.

    A file that is not there has no lock, and needs none. The lock is the file's, whatever its name becomes.
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


def mark_publishing(job_id: str) -> None:
    """Note beside the upload that something of it may be public: nobody is to publish it twice by mistake."""
    try:
        (wiring.settings.uploads_dir / job_id / PUBLISHING).touch()
    except OSError as error:  # the note is for a lost database only
        logger.warning("job {}: cannot note that publishing began: {}", job_id, error)


def restore(path: Path, job_id: str) -> Path | None:
    """Rename an entry back to the uploads; None if something is there already.

    It carries a mark until the caller removes it, when the job is committed.
    """
    target = wiring.settings.uploads_dir / job_id
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):
        return None
    (path / ADOPTING).touch()
    path.rename(target)
    return target


def _is_entry(path: Path) -> bool:
    name = _ENTRY.fullmatch(path.name)
    if name is None or not _is_directory(path):
        return False
    return bool(_JOB_ID.fullmatch(name[1])) or (path / SOURCE).is_file() or (path / PARTS).is_dir()


def _entry(path: Path) -> Lost:
    name = _ENTRY.fullmatch(path.name)
    assert name is not None  # `entries` asks for it
    lost_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    parts = path / PARTS
    return Lost(
        directory=path,
        job_id=name[1],
        file_name=upload_record.shown_name(path),
        size_bytes=sum(found.lstat().st_size for found in path.rglob("*") if found.is_file()),
        has_upload=(path / SOURCE).is_file(),
        parts=len(list(parts.glob("part-*.mp4"))) if parts.is_dir() else 0,
        publishing_began=(path / PUBLISHING).exists(),
        lost_at=lost_at,
        kept_until=lost_at + timedelta(days=wiring.settings.lost_found_days),
    )


def _move(path: Path, below: str | None = None) -> Path | None:
    """Rename a directory to a free place in lost+found; None if somebody else has moved it.

    The time of the move is the entry's modification time, which is set before the move: a crash in between leaves a
    directory that is merely touched.
    """
    root = directory()
    for number in itertools.count(1):
        entry = root / (path.name if number == 1 else f"{path.name}.{number}")
        target = entry if below is None else entry / below
        if os.path.lexists(target):
            continue
        try:
            os.utime(path)
            if below is not None:
                entry.mkdir(exist_ok=True)
            path.rename(target)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                continue
            if error.errno == errno.EXDEV:
                logger.warning("{} lies on another volume than {}, so it stays where it is", path, root)
                return None
            raise
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
    return bool(_JOB_ID.fullmatch(path.name)) or (bool(_LIKE_A_JOB_ID.fullmatch(path.name)) and SOURCE in names)


def _is_parts(path: Path) -> bool:
    names = os.listdir(path)  # noqa: PTH208 (as above)
    if not names:
        return False
    return bool(_JOB_ID.fullmatch(path.name)) or (
        bool(_LIKE_A_JOB_ID.fullmatch(path.name)) and any(_PART.fullmatch(name) for name in names)
    )


def _is_recorded(job_id: str) -> bool:
    with wiring.store.reading() as connection:
        return jobs.get(connection, job_id) is not None
