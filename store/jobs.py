"""Jobs: one for each video, from upload to the deletion of its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Update, and_, func, or_, select, update

from store import row_counts, rows
from store.attempts import MediaAttempt, encode_attempts
from store.states import (
    JOB_OVER,
    PUBLICATION_OVER,
    PUBLICATION_SUCCEEDED,
    SEGMENT_ENDED,
    JobStatus,
    PublicationStatus,
    ReviewReason,
    SegmentStatus,
)
from store.tables import job_segments, jobs, publications


@dataclass(frozen=True, kw_only=True)
class Job:
    """A video and its options. Columns are explained in `store.tables`."""

    id: str
    owner_id: str
    status: JobStatus
    video_path: str
    created_at: datetime
    platforms: list[str] | None
    gaze_intensity: float
    segment_seconds: float
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None
    error_code: str | None = None
    metadata: dict[str, Any] | None = None  # Any: the creator's own JSON
    webhook_url: str | None = None
    title: str = ""
    caption: str = ""
    original_name: str = ""
    size_bytes: int = 0
    publish_after: datetime | None = None
    facts: dict[str, Any] | None = None  # Any: `media.probe`'s JSON
    gaze_zero: Any = None  # Any: opaque JSON
    asked_at: datetime | None = None
    attempt: str | None = None
    attempts: list[dict[str, Any]] | None = None  # Any: `store.attempts`' JSON
    retry_at: datetime | None = None
    review_reasons: list[str] | None = None
    approved_at: datetime | None = None
    segment_count: int | None = None
    files_deleted_at: datetime | None = None
    pictures_until: datetime | None = None
    source_deleted_at: datetime | None = None
    accounts: list[str] | None = None
    post_options: dict[str, dict[str, Any]] | None = None  # Any: JSON of the platforms' models
    stated_duration_s: float | None = None
    held: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", JobStatus(self.status))

    @property
    def is_dry_run(self) -> bool:
        """Return whether the posts are only shown: a dry run that nobody has approved."""
        return ReviewReason.DRY_RUN in (self.review_reasons or ()) and self.approved_at is None


def create(connection: Connection, job: Job) -> None:
    """Insert a new job."""
    values = {name: getattr(job, name) for name in Job.__dataclass_fields__}
    connection.execute(jobs.insert().values(**values))


def get(connection: Connection, job_id: str) -> Job | None:
    """Return a job, or None."""
    return rows.fetch_one(connection, select(jobs).where(jobs.c.id == job_id), Job)


def set_words(connection: Connection, job_id: str, *, title: str, caption: str) -> None:
    """Store other words of a job's posts."""
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(title=title, caption=caption))


def set_held(connection: Connection, job_id: str, *, held: bool) -> None:
    """Store whether publications that are created later are held."""
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(held=held))


def set_publish_after(connection: Connection, job_id: str, moment: datetime | None) -> None:
    """Store the time before which nothing of a job is published; publications may have a time of their own."""
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(publish_after=moment))


def page(connection: Connection, owner_id: str, *, limit: int, before: tuple[datetime, str] | None = None) -> list[Job]:
    """Return jobs of an owner, newest first; `before` is the (created_at, id) of the previous page's last job."""
    query = select(jobs).where(jobs.c.owner_id == owner_id)
    query = query.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)
    if before is not None:
        older = or_(jobs.c.created_at < before[0], and_(jobs.c.created_at == before[0], jobs.c.id < before[1]))
        query = query.where(older)
    return rows.fetch_all(connection, query, Job)


def list_unplanned(connection: Connection, limit: int) -> list[Job]:
    """Return the oldest jobs that have no plan yet."""
    open_statuses = (JobStatus.PENDING, JobStatus.PROCESSING)
    query = select(jobs).where(jobs.c.status.in_(open_statuses), jobs.c.segment_count.is_(None))
    return rows.fetch_all(connection, query.order_by(jobs.c.created_at, jobs.c.id).limit(limit), Job)


def start(connection: Connection, job_id: str, now: datetime) -> bool:
    """Move a pending job to processing; False if it was not pending."""
    change = update(jobs).where(jobs.c.id == job_id, jobs.c.status == JobStatus.PENDING)
    return connection.execute(change.values(status=JobStatus.PROCESSING, started_at=now)).rowcount == 1


def claim(connection: Connection, job_id: str, attempt: str, *, attempts: Sequence[MediaAttempt] = ()) -> bool:
    """Claim a job for planning; False if it has a plan or is over. Parameters as in `segments.claim`."""
    change = update(jobs).where(
        jobs.c.id == job_id, jobs.c.status == JobStatus.PROCESSING, jobs.c.segment_count.is_(None)
    )
    values = {"attempt": attempt, "attempts": encode_attempts(attempts), "retry_at": None}
    return connection.execute(change.values(**values)).rowcount == 1


def release(connection: Connection, job_id: str, attempt: str) -> bool:
    """Release a claim without recording an attempt; False if the claim is no longer current."""
    return connection.execute(_current(job_id, attempt).values(attempt=None)).rowcount == 1


def record_failed_attempt(
    connection: Connection, job_id: str, attempt: str, *, attempts: Sequence[MediaAttempt], retry_at: datetime | None
) -> bool:
    """Record a failed attempt, after which the job waits; False if the claim is no longer current."""
    values = {"attempt": None, "attempts": encode_attempts(attempts), "retry_at": retry_at}
    return connection.execute(_current(job_id, attempt).values(**values)).rowcount == 1


def clear_retries_after(connection: Connection, moment: datetime) -> list[Job]:
    """Clear the `retry_at` of jobs whose planning is retried after a moment; return them."""
    mine = (jobs.c.status == JobStatus.PROCESSING, jobs.c.segment_count.is_(None), jobs.c.retry_at > moment)
    found = rows.fetch_all(connection, select(jobs).where(*mine), Job)
    connection.execute(update(jobs).where(*mine).values(retry_at=None))
    return found


def _current(job_id: str, attempt: str) -> Update:
    return update(jobs).where(
        jobs.c.id == job_id,
        jobs.c.attempt == attempt,
        jobs.c.status == JobStatus.PROCESSING,
        jobs.c.segment_count.is_(None),
    )


def set_plan(
    connection: Connection,
    job_id: str,
    *,
    facts: Any,
    gaze_zero: Any,
    segment_count: int,
) -> bool:
    """Store the plan of a job, once; False if the job has a plan already or is over."""
    change = update(jobs).where(
        jobs.c.id == job_id, jobs.c.status == JobStatus.PROCESSING, jobs.c.segment_count.is_(None)
    )
    values = {
        "facts": facts, "gaze_zero": gaze_zero, "segment_count": segment_count, "attempt": None, "retry_at": None,
    }  # fmt: skip
    return connection.execute(change.values(**values)).rowcount == 1


def set_parts(connection: Connection, job_id: str, segment_count: int, *, is_rendering: bool) -> None:
    """Store how many parts a job has after its cuts were changed.

    Args:
        connection: inside `Store.writing`.
        job_id: of a job that is not over.
        segment_count: the number.
        is_rendering: a part has to be rendered, so the job is in processing again.
    """
    values: dict[str, Any] = {"segment_count": segment_count}  # Any: as many types as columns
    if is_rendering:
        values["status"] = JobStatus.PROCESSING
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values))


def fail(connection: Connection, job_id: str, *, code: str, error: str, now: datetime) -> bool:
    """End a job with an error; False if it is over already."""
    change = update(jobs).where(jobs.c.id == job_id, jobs.c.status.not_in(JOB_OVER))
    values = {"status": JobStatus.FAILED, "error_code": code, "error": error, "completed_at": now}
    return connection.execute(change.values(**values)).rowcount == 1


def cancel(connection: Connection, job_id: str, now: datetime) -> bool:
    """End a job as cancelled; False if it is over already."""
    change = update(jobs).where(jobs.c.id == job_id, jobs.c.status.not_in(JOB_OVER))
    return connection.execute(change.values(status=JobStatus.CANCELLED, completed_at=now)).rowcount == 1


def reopen(connection: Connection, job_id: str, status: JobStatus, now: datetime) -> bool:
    """Return a job with failures to an earlier state; False if there is nothing to retry.

    A job that is not over can be reopened for a failed part while other parts continue.
    """
    badly = {JobStatus.FAILED, JobStatus.COMPLETED_WITH_ERRORS}
    under_way = {JobStatus.PROCESSING, JobStatus.REVIEW, JobStatus.PUBLISHING}
    failed_part = select(job_segments.c.id).where(
        job_segments.c.job_id == job_id, job_segments.c.status == SegmentStatus.FAILED
    )
    reopenable = or_(jobs.c.status.in_(badly), and_(jobs.c.status.in_(under_way), failed_part.exists()))
    change = update(jobs).where(jobs.c.id == job_id, reopenable, jobs.c.files_deleted_at.is_(None))
    values: dict[str, Any] = {  # Any: as many types as columns
        "status": status, "error": None, "error_code": None, "completed_at": None, "asked_at": now,
    }  # fmt: skip
    if status is JobStatus.PENDING:
        values |= {"attempt": None, "attempts": None, "retry_at": None}
    return connection.execute(change.values(**values)).rowcount == 1


def close_parts(connection: Connection, job_id: str) -> JobStatus | None:
    """Move a job to its next state if all its parts have ended; return the state, None if nothing changed.

    It runs in the transaction that ends a part. So of two parts that end at the same time exactly one finds no open
    part, and moves the job. A job that needs approval and has something to publish is moved to `review`.
    """
    open_parts = select(job_segments.c.id).where(
        job_segments.c.job_id == job_id, job_segments.c.status.not_in(SEGMENT_ENDED)
    )
    change = update(jobs).where(
        jobs.c.id == job_id,
        jobs.c.status == JobStatus.PROCESSING,
        jobs.c.segment_count.is_not(None),
        ~open_parts.exists(),
    )
    needs_review = has_unapproved(job_id)
    for status, needed in ((JobStatus.REVIEW, needs_review), (JobStatus.PUBLISHING, ~needs_review)):
        if connection.execute(change.where(needed).values(status=status)).rowcount == 1:
            return status
    return None


def not_approved() -> ColumnElement[bool]:
    """Return the SQL condition that a job needs approval and has none as a whole."""
    return and_(jobs.c.review_reasons.is_not(None), jobs.c.approved_at.is_(None))


def part_not_approved() -> ColumnElement[bool]:
    """Return the SQL condition that a part needs approval: neither it nor its job has any."""
    return and_(not_approved(), job_segments.c.approved_at.is_(None))


def has_unapproved(job_id: str) -> ColumnElement[bool]:
    """Return the SQL condition that a publication of a job waits, and its part needs approval."""
    waiting = select(publications.c.id).join(job_segments, job_segments.c.id == publications.c.segment_id)
    waiting = waiting.where(
        publications.c.job_id == job_id,
        publications.c.status == PublicationStatus.WAITING,
        job_segments.c.approved_at.is_(None),
    )
    return and_(not_approved(), waiting.exists())


def close(connection: Connection, job_id: str, now: datetime) -> JobStatus | None:
    """End a job if all its publications have ended; return its new state, None if nothing changed."""
    mine = publications.c.job_id == job_id
    open_ones = select(publications.c.id).where(mine, publications.c.status.not_in(PUBLICATION_OVER))
    if connection.scalar(open_ones.limit(1)) is not None:
        return None
    well = connection.scalar(
        select(func.count()).select_from(publications).where(mine, publications.c.status.in_(PUBLICATION_SUCCEEDED))
    )
    badly = connection.scalar(
        select(func.count()).select_from(publications).where(mine, publications.c.status.not_in(PUBLICATION_SUCCEEDED))
    )
    parts = select(func.count()).select_from(job_segments).where(job_segments.c.job_id == job_id)
    failed_parts = connection.scalar(parts.where(job_segments.c.status == SegmentStatus.FAILED))
    all_parts_failed = failed_parts and failed_parts == connection.scalar(parts)
    if all_parts_failed or (badly and not well):
        status = JobStatus.FAILED
    elif badly or failed_parts:
        status = JobStatus.COMPLETED_WITH_ERRORS
    else:
        status = JobStatus.COMPLETED
    # Also in review: its publications may have expired, or their accounts may be disconnected.
    ending = {JobStatus.REVIEW, JobStatus.PUBLISHING}
    change = update(jobs).where(jobs.c.id == job_id, jobs.c.status.in_(ending))
    if connection.execute(change.values(status=status, completed_at=now)).rowcount == 0:
        return None
    return status


def next_sequence(connection: Connection, job_id: str) -> int:
    """Increment the number of the job's events and return it: receivers order events by it."""
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(sequence=jobs.c.sequence + 1))
    return int(connection.scalar(select(jobs.c.sequence).where(jobs.c.id == job_id)) or 0)


def with_undeleted_files(connection: Connection, *, over_before: datetime) -> list[Job]:
    """Return jobs that ended before a moment, and whose files are not marked as deleted."""
    query = select(jobs).where(
        jobs.c.status.in_(JOB_OVER), jobs.c.files_deleted_at.is_(None), jobs.c.completed_at <= over_before
    )
    return rows.fetch_all(connection, query, Job)


def mark_files_deleted(
    connection: Connection, job_id: str, now: datetime, *, pictures_until: datetime | None = None
) -> bool:
    """Mark a job's files as deleted; False if the job is not over, or was marked before.

    Call it before the files are deleted: a marked job cannot be reopened.
    """
    change = update(jobs).where(jobs.c.id == job_id, jobs.c.status.in_(JOB_OVER), jobs.c.files_deleted_at.is_(None))
    return connection.execute(change.values(files_deleted_at=now, pictures_until=pictures_until)).rowcount == 1


def mark_pictures_deleted(connection: Connection, job_id: str) -> bool:
    """Decide to delete the small pictures of a job; False if none are kept."""
    change = update(jobs).where(jobs.c.id == job_id, jobs.c.pictures_until.is_not(None))
    return connection.execute(change.values(pictures_until=None)).rowcount == 1


def mark_source_deleted(connection: Connection, job_id: str, now: datetime) -> bool:
    """Decide to delete a job's uploaded file; False if it is needed, or that was decided before.

    It is needed until all parts are rendered: a failed part may be retried. And until the job is approved, since a
    person may decide otherwise.
    """
    unrendered = select(job_segments.c.id).where(
        job_segments.c.job_id == job_id, job_segments.c.status.not_in({SegmentStatus.READY, SegmentStatus.DONE})
    )
    change = update(jobs).where(
        jobs.c.id == job_id,
        jobs.c.source_deleted_at.is_(None),
        jobs.c.files_deleted_at.is_(None),
        jobs.c.segment_count > 0,
        jobs.c.status.not_in({JobStatus.PENDING, JobStatus.PROCESSING, JobStatus.REVIEW}),
        ~not_approved(),
        ~unrendered.exists(),
    )
    return connection.execute(change.values(source_deleted_at=now)).rowcount == 1


def unplanned(connection: Connection) -> tuple[int, int]:
    """Return the number of jobs that are not planned yet, and the size of all their uploaded files in bytes."""
    open_ones = jobs.c.status.in_({JobStatus.PENDING, JobStatus.PROCESSING})
    query = select(func.count(), rows.total(jobs.c.size_bytes)).where(open_ones, jobs.c.segment_count.is_(None))
    count, size_bytes = connection.execute(query).one()
    return count, size_bytes


def newest_created_at(connection: Connection) -> datetime | None:
    """Return when the newest job was created; None if there is none."""
    return connection.scalar(select(jobs.c.created_at).order_by(jobs.c.created_at.desc()).limit(1))


def count_by_status(connection: Connection) -> dict[str, int]:
    """Return the number of jobs in each state."""
    return row_counts.by_status(connection, jobs)
