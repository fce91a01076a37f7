"""Reviews: the reasons for which a job needs a person's approval, and the approval of jobs and of single parts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Text, case, cast, select, update

from store import rows
from store.jobs import Job, get, has_unapproved, not_approved
from store.states import JOB_OVER, JobStatus, PublicationStatus, ReviewReason
from store.tables import job_segments, jobs, publications


def require(connection: Connection, job_id: str, reason: ReviewReason) -> bool:
    """Add a reason for approval; False if it was known. An earlier approval no longer counts, also of single parts."""
    job = get(connection, job_id)
    known = (job.review_reasons if job else None) or []
    if job is None or reason in known:
        return False
    change = update(jobs).where(jobs.c.id == job_id, jobs.c.status.not_in(JOB_OVER))
    values = {"review_reasons": [*known, reason], "approved_at": None}
    if connection.execute(change.values(**values)).rowcount == 0:
        return False
    _withdraw_parts(connection, job_id)
    return True


def require_of_all(connection: Connection, reason: ReviewReason) -> list[Job]:
    """Add a reason for approval to all jobs of which something may still be published; return them as they are now.

    Failed ones are among them: a retry would publish. An earlier approval no longer counts; but the reasons that it
    answered are dropped, so that `approve_restored` brings it back.
    """
    may_publish = jobs.c.status.not_in({JobStatus.COMPLETED, JobStatus.CANCELLED})
    query = select(jobs).where(may_publish, jobs.c.files_deleted_at.is_(None))
    changed = []
    for job in rows.fetch_all(connection, query, Job):
        open_reasons = (job.review_reasons or []) if job.approved_at is None else []
        reasons = [*(known for known in open_reasons if known != reason), reason]
        change = update(jobs).where(jobs.c.id == job.id)
        connection.execute(change.values(review_reasons=reasons, approved_at=None))
        _withdraw_parts(connection, job.id)
        waiting = select(publications.c.id).where(
            publications.c.job_id == job.id, publications.c.status == PublicationStatus.WAITING
        )
        change = change.where(jobs.c.status == JobStatus.PUBLISHING, waiting.exists())
        moved = connection.execute(change.values(status=JobStatus.REVIEW)).rowcount == 1
        status = JobStatus.REVIEW if moved else job.status
        changed.append(replace(job, status=status, review_reasons=reasons, approved_at=None))
    return changed


def _withdraw_parts(connection: Connection, job_id: str) -> None:
    connection.execute(update(job_segments).where(job_segments.c.job_id == job_id).values(approved_at=None))


def approve(connection: Connection, job_id: str, now: datetime) -> bool:
    """Approve a job; False if it needs no approval. A job in review moves on to publishing."""
    change = update(jobs).where(jobs.c.id == job_id, jobs.c.status.not_in(JOB_OVER), not_approved())
    status = case((jobs.c.status == JobStatus.REVIEW, JobStatus.PUBLISHING), else_=jobs.c.status)
    return connection.execute(change.values(approved_at=now, status=status)).rowcount == 1


def approve_parts(connection: Connection, job_id: str, numbers: Collection[int], now: datetime) -> int:
    """Approve parts of a job that needs approval; return how many. The last one approves the job."""
    mine = (job_segments.c.job_id == job_id, job_segments.c.approved_at.is_(None))
    change = update(job_segments).where(*mine, job_segments.c.segment_number.in_(numbers))
    count = connection.execute(change.values(approved_at=now)).rowcount
    if connection.scalar(select(job_segments.c.id).where(*mine).limit(1)) is None:
        approve(connection, job_id, now)
    return count


def keep_for_parts(connection: Connection, job: Job, unseen: Collection[str], now: datetime) -> None:
    """Turn the approval of a job into one of its parts, without those that nobody has seen.

    Args:
        connection: inside `Store.writing`.
        job: as it was before the parts changed.
        unseen: ids of parts.
        now: the time of an approval that follows, since the last part without one is gone.
    """
    if not job.review_reasons:
        return
    mine = (job_segments.c.job_id == job.id, job_segments.c.approved_at.is_(None))
    if job.approved_at is not None and unseen:
        change = update(job_segments).where(*mine, job_segments.c.id.not_in(unseen))
        connection.execute(change.values(approved_at=job.approved_at))
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(approved_at=None))
    if connection.scalar(select(job_segments.c.id).where(*mine).limit(1)) is None:
        approve(connection, job.id, now)
    update_status(connection, job.id)


def update_status(connection: Connection, job_id: str) -> None:
    """Move a job between review and publishing, by whether a waiting publication needs approval."""
    needed = has_unapproved(job_id)
    for before, after, condition in (
        (JobStatus.REVIEW, JobStatus.PUBLISHING, ~needed),
        (JobStatus.PUBLISHING, JobStatus.REVIEW, needed),
    ):
        change = update(jobs).where(jobs.c.id == job_id, jobs.c.status == before, condition)
        connection.execute(change.values(status=after))


def list_restored(connection: Connection, owner_id: str, limit: int) -> list[Job]:
    """Return jobs of an owner that need approval because they are restored, among other reasons."""
    is_restored = cast(jobs.c.review_reasons, Text).like(f'%"{ReviewReason.RESTORED}"%')
    query = select(jobs).where(not_approved(), is_restored, jobs.c.owner_id == owner_id)
    query = query.order_by(jobs.c.created_at, jobs.c.id).limit(limit)
    return rows.fetch_all(connection, query, Job)


def answer_restored(connection: Connection, job: Job, now: datetime) -> bool:
    """Take the reason "restored" from a job; True if that approves it, False if it has other reasons."""
    others = [reason for reason in job.review_reasons or [] if reason != ReviewReason.RESTORED]
    status = JobStatus.PUBLISHING if job.status is JobStatus.REVIEW else job.status
    answered = {"approved_at": now, "status": status} if not others else {"review_reasons": others}
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(**answered))
    return not others
