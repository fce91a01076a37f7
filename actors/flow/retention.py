"""Deletes expired files and records, and ends publications that have been open for too long. Jobs stay."""

from __future__ import annotations

from datetime import datetime, timedelta

from loguru import logger
from sqlalchemy import Connection

from actors.flow import publishing, rendering
from actors.flow.completion import after_publication, retention_s
from actors.flow.turns import MAX_OPEN
from actors.machine import Machine
from actors.recovery import lost_found, orphans, resumable
from files import keys
from files.errors import FilesError
from files.local import LocalFiles
from files.storage import Storage, none_kept
from store import (
    heartbeats,
    history,
    idempotency_keys,
    job_plans,
    jobs,
    notices,
    oauth_states,
    publications,
    row_counts,
    segments,
    sessions,
    stage_durations,
    webhooks,
)
from store.jobs import Job
from store.states import JobStatus, PublicationStatus

RECORDS_KEPT_FOR = timedelta(days=30)  # delivered events, and dead letters
HISTORY_KEPT_FOR = timedelta(days=90)  # entries of the histories of publications; a platform's support asks for them
HEARTBEAT = "lost_found"  # name of the clean-up's heartbeat


def clean_up(machine: Machine) -> None:
    """Delete what has expired; also what an earlier run has missed.

    Of several machines one runs this. What is on the disks of the others is left to them (`actors.local_clean_up`).
    """
    machine.disk.release_ballast_if_full()  # to mark a directory as deleted takes room, too
    _expire_publications(machine)
    with machine.store.reading() as connection:
        over = jobs.with_undeleted_files(connection, over_before=machine.now())
        due = [job for job in over if _is_due(machine, connection, job)]
    for job in due:
        machine.send("delete_files", job.id)
    _delete_leftovers(machine)
    with machine.store.writing(scope="rows") as connection:
        webhooks.purge(connection, machine.now() - RECORDS_KEPT_FOR)
        notices.purge(connection, machine.now() - RECORDS_KEPT_FOR)
        history.purge(connection, machine.now() - HISTORY_KEPT_FOR)
        row_counts.compact(connection)
        stage_durations.compact(connection)
        sessions.purge(connection, machine.now())
        oauth_states.purge(connection, machine.now())
        # An upload with the same key may be in lost+found for as long, and must not become a second job.
        idempotency_keys.purge(connection, machine.now() - timedelta(days=machine.settings.lost_found_days))
    machine.broker.admin.purge_dead_letters(RECORDS_KEPT_FOR.total_seconds())


def delete_files(machine: Machine, job_id: str, when: str = "due") -> None:
    """Delete files of a job.

    Args:
        machine: for its settings and clock.
        job_id: of the job.
        when: "due": all, if the job is over, its retention has ended, and no part of it is just being published; "now":
            whatever its retention; "source": the uploaded file, as was decided; "parts": the files of parts whose own
            retention has ended; "replaced": the files of parts that the job no longer has.
    """
    machine.disk.release_ballast_if_full()
    match when:
        case "source":
            _delete_source(machine, job_id)
        case "parts":
            _delete_parts(machine, job_id)
        case "replaced":
            _delete_replaced(machine, job_id)
        case _:
            _delete_all(machine, job_id, when)


def _delete_source(machine: Machine, job_id: str) -> None:
    with machine.store.reading() as connection:
        job = jobs.get(connection, job_id)
    if job is None or job.source_deleted_at is None:
        return
    if machine.files.stat(job.video_path) is not None:
        directory = machine.settings.uploads_dir / job_id
        if directory.exists():  # on the machine that has received it
            # First: without it, a start of the API takes the directory for an upload that was not completed.
            (directory / lost_found.SOURCE_DELETED_MARK).touch()
        machine.files.delete(job.video_path)
        logger.info("Job {}: all parts are rendered, uploaded file deleted", job_id)


def _delete_parts(machine: Machine, job_id: str) -> None:
    """Delete the files of parts; also those whose deletion was decided by an earlier run that was interrupted."""
    now = machine.now()
    kept = timedelta(hours=machine.settings.retention_hours)
    with machine.store.writing(job=job_id) as connection:
        segments.mark_files_deleted(connection, job_id, ended_before=now - kept, now=now)
        stems = {keys.stem(path) for path in segments.deleted_files(connection, job_id)}
    keeps = machine.settings.keep_pictures_days > 0
    for file in machine.files.list_files(keys.parts_folder(job_id)) if stems else ():
        if keys.stem(file.key) in stems and not (keeps and keys.is_small_picture(file.key)):
            machine.files.delete(file.key)


def _delete_replaced(machine: Machine, job_id: str) -> None:
    """Delete the files of parts that were cut differently since.

    The files are listed before the parts: of a file in the list, the part was stored before.
    """
    found = machine.files.list_files(f"{keys.parts_folder(job_id)}{keys.PART_PREFIX}")
    with machine.store.reading() as connection:
        stems = {keys.stem(part.file_path) for part in segments.of_job(connection, job_id)}
    for file in found:
        if keys.stem(file.key) not in stems:
            machine.files.delete(file.key)


def _delete_all(machine: Machine, job_id: str, when: str) -> None:
    with machine.store.writing(job=job_id) as connection:
        job = jobs.get(connection, job_id)
        if (
            job is None
            or (when == "due" and not _is_due(machine, connection, job))
            or publications.in_progress(connection, job_id)
        ):
            return  # the next clean-up sends the message again
        until = _pictures_until(machine, job, when)
        if not jobs.mark_files_deleted(connection, job_id, machine.now(), pictures_until=until) and not (
            when == "now" and jobs.mark_pictures_deleted(connection, job_id)
        ):
            return
        job_plans.delete(connection, job_id)
    for folder in (keys.upload_folder(job_id), keys.parts_folder(job_id)):
        _delete_folder(machine, machine.files, job_id, folder)
    logger.info("Job {}: files deleted", job_id)
    machine.disk.make_ballast()


def _pictures_until(machine: Machine, job: Job, when: str) -> datetime | None:
    """Return until when the small pictures of a job are kept; None: they are deleted with the other files."""
    days = machine.settings.keep_pictures_days
    if when == "now" or job.status is JobStatus.CANCELLED or days == 0:
        return None
    return machine.now() + timedelta(days=days)


def _is_due(machine: Machine, connection: Connection, job: Job) -> bool:
    if job.status is JobStatus.CANCELLED:
        return True
    kept = timedelta(seconds=retention_s(machine, connection, job.id, job.status))
    return job.completed_at is not None and machine.now() >= job.completed_at + kept


def _expire_publications(machine: Machine) -> None:
    """End what has been open for too long, each publication in a transaction of its own: a job has hundreds."""
    reason = f"not published within {MAX_OPEN.days} days"
    with machine.store.reading() as connection:
        found = publications.open_created_before(connection, machine.now() - MAX_OPEN)
    for publication in found:
        is_public = publishing.may_be_public(machine, publication)
        status = PublicationStatus.OUTCOME_UNKNOWN if is_public else PublicationStatus.EXPIRED
        with machine.store.writing(job=publication.job_id) as connection:
            if publications.expire(connection, publication, status, reason=reason, now=machine.now()):
                after_publication(machine, connection, publication.id, f"publication.{status}")


def _delete_leftovers(machine: Machine) -> None:
    """Finish interrupted deletions, move files without a record to lost+found, and delete its expired entries."""
    for root, job_id in _folders(machine.files):
        with lost_found.errors_logged(folder := f"{root}{job_id}/"):
            if not _delete_leftover(machine, machine.files, job_id, folder) and root == keys.JOBS:
                _delete_abandoned(machine, job_id)
    _extend_periods(machine)
    if machine.settings.is_remote:
        orphans.delete_expired(machine)
    if not machine.settings.is_shared:
        _delete_expired_here(machine)


def clean_up_here(machine: Machine) -> None:
    """Delete what has expired on the disk of this machine, and nothing elsewhere; for each of several machines.

    Raises:
        DatabaseUnavailable: the database cannot be read; what it is asked for stays.
    """
    _delete_expired_here(machine)
    received = LocalFiles(machine.settings.files_dir.resolve())
    for root, job_id in _folders(received):
        with lost_found.errors_logged(folder := f"{root}{job_id}/"):
            _delete_leftover(machine, received, job_id, folder)


def _delete_expired_here(machine: Machine) -> None:
    resumable.delete_expired(machine)  # first: it asks no database
    lost_found.move_unrecorded(machine)
    lost_found.delete_expired(machine)


def _delete_leftover(machine: Machine, files: Storage, job_id: str, folder: str) -> bool:
    """Delete a folder of a job whose files are deleted; return whether files were there."""
    is_deleted = _are_files_deleted(machine, job_id) and _delete_folder(machine, files, job_id, folder)
    if is_deleted:
        logger.info("Job {}: leftover {} deleted", job_id, folder)
    return is_deleted


def _folders(files: Storage) -> list[tuple[str, str]]:
    """Return the folders of jobs, each after its root; none of a root while the storage does not answer."""
    return [(root, job_id) for root in (keys.UPLOADS, keys.JOBS) for job_id in _folders_below(files, root)]


def _folders_below(files: Storage, root: str) -> list[str]:
    try:
        return files.folders(root)
    except FilesError as error:
        logger.error("Storage: {}: not cleaned up: {}", root, error)
        return []


def _delete_abandoned(machine: Machine, job_id: str) -> None:
    """Delete what killed workers have left of parts that were cut differently since, or that are ready by now.

    Complete files of such a part are left to its job's deletion: after a restore the record may be older than they are.
    """
    with machine.store.reading() as connection:
        stems = frozenset(keys.stem(part.file_path) for part in segments.of_job(connection, job_id))
    machine.files.remove_abandoned(keys.parts_folder(job_id), stems)
    rendering.delete_other_attempts(machine, job_id)


def _extend_periods(machine: Machine) -> None:
    """Extend the periods of lost files by the time in which no clean-up ran; of several machines, in the storage."""
    now = machine.now()
    with machine.store.reading() as connection:
        last_run = heartbeats.last(connection, HEARTBEAT)
    if machine.settings.is_remote and lost_found.has_paused(machine, last_run):
        orphans.restart_periods(machine)
    if not machine.settings.is_shared:
        lost_found.extend_after_pause(machine, last_run)
    with machine.store.writing(scope="rows") as connection:
        heartbeats.record(connection, HEARTBEAT, now, machine.boot_time())


def _are_files_deleted(machine: Machine, job_id: str) -> bool:
    with machine.store.reading() as connection:
        job = jobs.get(connection, job_id)
    return job is not None and job.files_deleted_at is not None


def _delete_folder(machine: Machine, files: Storage, job_id: str, folder: str) -> bool:
    """Delete a folder of a job, all but the small pictures while they are kept; return whether files were there."""
    with machine.store.reading() as connection:
        job = jobs.get(connection, job_id)
    until = None if job is None else job.pictures_until
    keeps_pictures = folder.startswith(keys.JOBS) and until is not None and machine.now() < until
    return files.delete_folder(folder, keys.is_small_picture if keeps_pictures else none_kept)
