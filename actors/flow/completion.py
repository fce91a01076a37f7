"""Ends parts, publications and jobs, with the events and messages that follow from it.

All functions run inside the caller's open transaction.
"""

from __future__ import annotations

from loguru import logger
from sqlalchemy import Connection

from actors.flow import holding, notices
from actors.flow.events import emit, emit_for_publication
from actors.flow.scheduling import start_due
from actors.machine import Machine
from actors.recovery.missing_files import failed_for_files
from store import jobs, publications, reviews, segments, steps
from store.scope import require_job
from store.states import JOB_OVER, PUBLICATION_UNPUBLISHED, JobStatus, NoticeKind, PublicationStatus

MIN_RETENTION_H = 24.0  # unless all went well: failed work can be retried, and unpublished parts be fetched, for a day


def close_finished(machine: Machine, connection: Connection, job_id: str) -> None:
    """Close those parts of a job, and then the job, that have nothing open left; emit the events of the job."""
    require_job(connection, job_id)
    if (moved_to := jobs.close_parts(connection, job_id)) is not None:
        job = jobs.get(connection, job_id)
        emit(machine, connection, "job.processed", job, parts=job.segment_count if job else None)
        if moved_to is JobStatus.REVIEW and job is not None and job.review_reasons:
            logger.info("Job {}: waits for approval ({})", job_id, ", ".join(job.review_reasons))
            emit(machine, connection, "job.review_needed", job, code=job.review_reasons[0], reasons=job.review_reasons)
    reviews.update_status(connection, job_id)
    if segments.close(connection, job_id):
        machine.send("delete_files", job_id, "parts", delay_s=3600 * machine.settings.retention_hours)
    if not machine.settings.keep_source and jobs.mark_source_deleted(connection, job_id, machine.now()):
        machine.send("delete_files", job_id, "source")
    outcome = jobs.close(connection, job_id, machine.now())
    if outcome is None:
        return
    job = jobs.get(connection, job_id)
    logger.info("Job {}: {}", job_id, outcome)
    emit(machine, connection, "job.failed" if outcome is JobStatus.FAILED else "job.completed", job, status=outcome)
    machine.send("delete_files", job_id, delay_s=retention_s(machine, connection, job_id, outcome))


def retention_s(machine: Machine, connection: Connection, job_id: str, outcome: JobStatus) -> float:
    """Return for how many seconds the files of a job are kept after it has ended with an outcome."""
    kept_h = machine.settings.retention_hours
    if outcome is JobStatus.COMPLETED and publications.has_any(connection, job_id):
        return 3600 * kept_h
    job = jobs.get(connection, job_id)
    if job is not None and failed_for_files(connection, job):
        kept_h = max(kept_h, 24 * machine.settings.lost_found_days)  # as long as its files may be in lost+found
    return 3600 * max(kept_h, MIN_RETENTION_H)


def fail_job(machine: Machine, connection: Connection, job_id: str, *, code: str, error: str, retryable: bool) -> None:
    """Fail a job that has no parts yet; nothing if it is over.

    Args:
        machine: for its clock.
        connection: inside `store.writing()`.
        job_id: of the job.
        code: stable error code, for programs.
        error: a sentence for the creator.
        retryable: a retry may succeed; otherwise the file is deleted at once.
    """
    require_job(connection, job_id)
    if not jobs.fail(connection, job_id, code=code, error=error, now=machine.now()):
        return
    logger.warning("Job {}: failed ({}): {}", job_id, code, error)
    emit(machine, connection, "job.failed", jobs.get(connection, job_id), code=code, reason=error)
    if retryable:
        machine.send("delete_files", job_id, delay_s=retention_s(machine, connection, job_id, JobStatus.FAILED))
    else:
        machine.send("delete_files", job_id, "now")


def fail_crashed_publication(machine: Machine, connection: Connection, publication_id: str, *, reason: str) -> None:
    """End a publication whose steps raise errors of our own code; if a step was begun, its outcome is unknown."""
    if not steps.fail_crashed(connection, publication_id, reason=reason, now=machine.now()):
        return
    publication = publications.get(connection, publication_id)
    assert publication is not None
    after_publication(machine, connection, publication_id, f"publication.{publication.status}")


def after_publication(machine: Machine, connection: Connection, publication_id: str, event: str) -> None:
    """Emit the event of a publication that has just ended, close what is over with it, and start what may follow."""
    publication = publications.get(connection, publication_id)
    job = None if publication is None else jobs.get(connection, publication.job_id)
    if publication is None or job is None:
        return
    emit_for_publication(machine, connection, event, publication, job)
    if publication.status in PUBLICATION_UNPUBLISHED:
        holding.update(machine, connection, job.id)
    close_finished(machine, connection, job.id)
    if job.status is JobStatus.CANCELLED and not publications.in_progress(connection, job.id):
        machine.send("delete_files", job.id)  # what was sent with the cancellation may have come too early
    start_due(machine, connection)


def fail_part(machine: Machine, connection: Connection, segment_id: str, *, reason: str) -> None:
    """Fail a part and its publications; the other parts of the job continue. Nothing if the part has ended."""
    segment = segments.get(connection, segment_id)
    if segment is None or not segments.fail(connection, segment_id, reason=reason, now=machine.now()):
        return
    job = jobs.get(connection, segment.job_id)
    if job is None or job.status in JOB_OVER:
        return
    publications.end_waiting_of_segment(
        connection, segment_id, PublicationStatus.FAILED, code="part_failed", reason=reason, now=machine.now()
    )
    notices.record(machine, connection, job.owner_id, f"job:{job.id}", NoticeKind.NEEDS_YOU)
    holding.update(machine, connection, segment.job_id)
    close_finished(machine, connection, segment.job_id)
    start_due(machine, connection)
