"""Creates jobs for uploads in lost+found: moves the files back, then commits the job, its event and its message.

    lock the file ─▶ rename lost+found/<id> to uploads/<id> ─▶ one transaction ─▶ unlock

After a crash between the rename and the commit, the upload is a complete file without a record. The next start or
clean-up moves it to lost+found, and it can be adopted again. Works while the machine runs and while it is stopped.

The record beside an upload has its options, but not what a person decided later: holds, times, words, cuts, approvals.
So a job that is created needs approval, as all jobs of a restored database do (`restored`).
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from loguru import logger

from actors.flow import job_commands
from actors.machine import Machine
from actors.recovery import lost_found, upload_record
from actors.recovery.lost_found import LostEntry
from actors.recovery.missing_files import failed_for_files
from actors.recovery.upload_record import Defaults, RestoredJob
from store import accounts, idempotency_keys, jobs, segments
from store.idempotency_keys import StoredAnswer
from store.jobs import Job
from store.states import ReviewReason


class Outcome(Enum):
    """The outcome of an adoption, as printed by `scripts/adopt`."""

    ADOPTED = "adopted; a job was created"
    RETURNED = "its job exists; missing files of the job were restored"
    KNOWN = "its job exists and has all of its files"
    OVER = "its job has ended and its files were deleted; the entry can be deleted, too"
    NO_UPLOAD = "contains only rendered parts, from which no job can be created"
    REPEATED = "the video was uploaded again and has a job; the entry can be deleted"
    BUSY = "in use by another process"


def adopt(machine: Machine, entry: LostEntry) -> tuple[Outcome, RestoredJob | None]:
    """Create a job for an entry, as the API does for an upload, that needs approval. Idempotent.

    Returns:
        The outcome, and the new job with a description of what could not be restored; None without a new job.

    Raises:
        DatabaseUnavailable: nothing was committed; the entry stays.
    """
    with lost_found.locked(entry.directory / lost_found.SOURCE) as acquired:
        if not acquired or not entry.directory.exists():
            return Outcome.BUSY, None
        with machine.store.reading() as connection:
            job = jobs.get(connection, entry.job_id)
        if job is not None:
            return _return_files(machine, entry, job), None
        return _create_job(machine, entry) if entry.has_upload else (Outcome.NO_UPLOAD, None)


def platforms_without_account(machine: Machine, job: Job) -> list[str]:
    """Return the job's platforms without a connected account; ["any"] if it is for all platforms and none has one.

    Of a job for chosen accounts, the ids of those that are not connected.
    """
    with machine.store.reading() as connection:
        connected = accounts.connected(connection, job.owner_id)
    usable = {account.platform for account in connected}
    if job.accounts is not None:
        return sorted(set(job.accounts) - {account.id for account in connected})
    if job.platforms is None:
        return [] if usable else ["any"]
    return [platform for platform in job.platforms if platform not in usable]


def _create_job(machine: Machine, entry: LostEntry) -> tuple[Outcome, RestoredJob | None]:
    defaults = Defaults(machine.settings.gaze_intensity, machine.settings.segment_seconds, machine.now())
    video = Path("uploads") / entry.job_id / lost_found.SOURCE
    stored = machine.files.stat(str(video)) if machine.settings.is_remote else None
    size_bytes = None if stored is None else stored.size_bytes
    restored = _held(
        upload_record.restore_job(entry.directory, entry.job_id, video, machine.sealer, defaults, size_bytes=size_bytes)
    )
    target = lost_found.restore(machine, entry.directory, entry.job_id)
    if target is None:
        return Outcome.BUSY, None
    try:
        repeated = job_commands.accept(machine, restored.job, _usable_answer(machine, restored.answer))
    except BaseException:
        if not _is_job(machine, entry.job_id):
            target.rename(entry.directory)
        raise
    if repeated is not None:
        (target / lost_found.ADOPTING_MARK).unlink(missing_ok=True)
        target.rename(entry.directory)
        return Outcome.REPEATED, None
    lost_found.mark_accepted(machine, entry.job_id)
    (target / lost_found.ADOPTING_MARK).unlink(missing_ok=True)
    logger.info("Job {}: adopted from lost+found", entry.job_id)
    return Outcome.ADOPTED, restored


def _held(restored: RestoredJob) -> RestoredJob:
    """Return the same with a job that needs approval, since nobody knows what was decided about it."""
    reasons = [*(restored.job.review_reasons or []), ReviewReason.RESTORED]
    return replace(restored, job=replace(restored.job, review_reasons=reasons))


def _usable_answer(machine: Machine, answer: StoredAnswer | None) -> StoredAnswer | None:
    """Return the stored answer to an upload's request; None if its key has been used for another upload."""
    if answer is None:
        return None
    with machine.store.reading() as connection:
        stored = idempotency_keys.get(connection, answer.key_hash, datetime.min.replace(tzinfo=UTC))
    return answer if stored is None or stored.fingerprint == answer.fingerprint else None


def _is_job(machine: Machine, job_id: str) -> bool:
    """Return whether the job was committed; True also if the database cannot be read, so that the file stays."""
    try:
        with machine.store.reading() as connection:
            return jobs.get(connection, job_id) is not None
    except Exception:  # noqa: BLE001 (the caller raises the original error)
        return True


def _return_files(machine: Machine, entry: LostEntry, job: Job) -> Outcome:
    if job.files_deleted_at is not None:
        return Outcome.OVER
    returned = _return_parts(machine, entry.directory / lost_found.PARTS, job)
    if _is_upload_needed(machine, entry, job):
        target = lost_found.restore(machine, entry.directory, entry.job_id)
        if target is None:
            return Outcome.BUSY
        (target / lost_found.ADOPTING_MARK).unlink(missing_ok=True)
        if job.source_deleted_at is not None:
            machine.send("delete_files", job.id, "source")
        returned = True
    if not returned:
        return Outcome.KNOWN
    with machine.store.reading() as connection:
        failed = failed_for_files(connection, job)
    if failed:
        job_commands.retry(machine, job.id)
    logger.info("Job {}: files returned from lost+found", job.id)
    return Outcome.RETURNED


def _is_upload_needed(machine: Machine, entry: LostEntry, job: Job) -> bool:
    """Return whether a job lacks the directory of its upload, or the uploaded file and may still need it.

    Without the file, which is deleted early, the directory has the record of what has been published.
    """
    video = machine.in_data(job.video_path)
    if not video.parent.exists():
        return entry.has_upload or (entry.directory / upload_record.NAME).exists()
    return entry.has_upload and job.source_deleted_at is None and machine.files.stat(job.video_path) is None


def _return_parts(machine: Machine, lost: Path, job: Job) -> bool:
    """Move missing rendered parts and their reports back to the job's folder; return whether any was moved."""
    returned = False
    with machine.store.reading() as connection:
        parts = segments.of_job(connection, job.id)
    for part in parts:
        place = machine.in_data(part.file_path)
        found = lost / place.name
        if (
            part.files_deleted_at is not None
            or place.exists()
            or not found.is_file()
            or found.stat().st_size != part.size_bytes
        ):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        for beside in sorted(lost.glob(f"{place.stem}.*"), key=lambda path: path == found):  # the part itself last
            beside.rename(place.with_name(beside.name))
        returned = True
    for directory in (lost, lost.parent):
        with contextlib.suppress(OSError):
            directory.rmdir()  # fails if it is not empty
    return returned
