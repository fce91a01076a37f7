"""Deletes expired files and records, and ends publications that have been open for too long. Jobs stay."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

from loguru import logger
from sqlalchemy import Connection

from actors.flow.completion import close_finished, retention_s
from actors.flow.events import emit, publication_data
from actors.flow.scheduling import start_due
from actors.machine import Machine
from actors.recovery import lost_found
from store import heartbeats, idempotency_keys, jobs, publications, webhooks
from store.jobs import Job
from store.states import JobStatus

MAX_OPEN = timedelta(days=60)  # three hours of talk are 180 parts; at six a day that takes thirty days
RECORDS_KEPT_FOR = timedelta(days=30)  # events that were told, and messages that gave up
MAX_RUN_INTERVAL = timedelta(hours=1)  # longer between two looks: the machine was off, or its clock was set
HEARTBEAT = "lost_found"  # the mark of the last look


def clean_up(machine: Machine) -> None:
    """Delete what has expired; also what an earlier run has missed."""
    _expire_publications(machine)
    with machine.store.reading() as connection:
        due = [
            job
            for job in jobs.with_undeleted_files(connection, over_before=machine.now())
            if _is_due(machine, connection, job)
        ]
    for job in due:
        machine.send("delete_files", job.id)
    _delete_leftovers(machine)
    with machine.store.writing() as connection:
        webhooks.purge(connection, machine.now() - RECORDS_KEPT_FOR)
        # As long as an upload with the same key may be in lost+found, where the second copy of one is left.
        idempotency_keys.purge(connection, machine.now() - timedelta(days=machine.settings.lost_found_days))
    machine.broker.admin.purge_dead_letters(RECORDS_KEPT_FOR.total_seconds())


def delete_files(machine: Machine, job_id: str, when: str = "due") -> None:
    """Delete the files of a job that is over and whose time has come; a part that is being sent stays until it is out.

    Args:
        job_id: which one.
        when: "due", or "now": whatever the retention says.
    """
    with machine.store.writing() as connection:
        job = jobs.get(connection, job_id)
        if (
            job is None
            or (when == "due" and not _is_due(machine, connection, job))
            or publications.in_progress(connection, job_id)
        ):
            return  # `cleanup` comes back to it
        if not jobs.mark_files_deleted(connection, job_id, machine.now()):
            return
    for directory in _directories(machine, job_id):
        _remove(directory)
    logger.info("job {}: files deleted", job_id)


def _directories(machine: Machine, job_id: str) -> tuple[Path, Path]:
    return machine.settings.uploads_dir / job_id, machine.settings.jobs_dir / job_id


def _is_due(machine: Machine, connection: Connection, job: Job) -> bool:
    if job.status is JobStatus.CANCELLED:
        return True
    kept = timedelta(seconds=retention_s(machine, connection, job.id, job.status))
    return job.completed_at is not None and machine.now() >= job.completed_at + kept


def _expire_publications(machine: Machine) -> None:
    with machine.store.writing() as connection:
        for publication in publications.open_created_before(connection, machine.now() - MAX_OPEN):
            reason = f"not published within {MAX_OPEN.days} days"
            job = jobs.get(connection, publication.job_id)
            if job is not None and publications.expire(connection, publication.id, reason=reason, now=machine.now()):
                emit(
                    machine,
                    connection,
                    "publication.failed",
                    job,
                    code="expired",
                    reason=reason,
                    **publication_data(publication, job),
                )
                close_finished(machine, connection, publication.job_id)
        start_due(machine, connection)


def _delete_leftovers(machine: Machine) -> None:
    """Finish deletions that were cut off, move what has no record to lost+found, and empty that of what is too old."""
    for root in (machine.settings.uploads_dir, machine.settings.jobs_dir):
        for directory in root.iterdir() if root.exists() else ():
            with lost_found.errors_logged(directory):
                if directory.is_dir() and not directory.is_symlink() and _are_files_deleted(machine, directory.name):
                    _remove(directory)
                    logger.info("deleted {}, whose job has given its files up", directory)
    _extend_lost_entries(machine)
    lost_found.move_unrecorded(machine)
    lost_found.delete_expired(machine)


def _extend_lost_entries(machine: Machine) -> None:
    """Extend the entries of lost+found by the time in which the machine did not run.

    A clock without a battery starts in the past and jumps ahead when the network is available. And after a month
    without power, lost files are still there.
    """
    now = machine.now()
    with machine.store.reading() as connection:
        before = heartbeats.last(connection, HEARTBEAT)
    if before is None:  # a new database: nobody knows for how long
        lost_found.extend(machine, None)
    elif now - before > MAX_RUN_INTERVAL:
        lost_found.extend(machine, now - before)
    with machine.store.writing() as connection:
        heartbeats.record(connection, HEARTBEAT, now)


def _are_files_deleted(machine: Machine, job_id: str) -> bool:
    with machine.store.reading() as connection:
        job = jobs.get(connection, job_id)
    return job is not None and job.files_deleted_at is not None


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)
