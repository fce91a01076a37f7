"""Jobs, publications and accounts that wait for a person, with the names of what they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from store import rows
from store.accounts import Account
from store.jobs import Job
from store.partial_indexes import is_open, is_unpublished
from store.states import (
    JOB_OVER,
    AccountStatus,
    JobStatus,
    PublicationStatus,
    ReviewReason,
    SegmentStatus,
)
from store.tables import accounts, job_segments, jobs, publications

_UNUSABLE = (AccountStatus.RECONNECT, AccountStatus.REFUSED)
_NOT_CANCELLED = jobs.c.status != JobStatus.CANCELLED


@dataclass(frozen=True, kw_only=True)
class StuckPost:
    """A publication that waits for a person, with the names of its job and its account."""

    id: str
    job_id: str
    title: str
    original_name: str
    caption: str
    segment_number: int
    segment_count: int | None
    platform: str
    account_id: str
    account: str
    status: PublicationStatus
    code: str | None
    reason: str | None
    ended_at: datetime | None
    words: dict[str, Any] | None  # Any: JSON, see `actors.flow.post_words`

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", PublicationStatus(self.status))


@dataclass(frozen=True, kw_only=True)
class FailedJob:
    """A job with parts that could not be made, or that failed as a whole."""

    id: str
    title: str
    original_name: str
    status: JobStatus
    error: str | None
    error_code: str | None
    parts: int
    ended_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", JobStatus(self.status))


def posts(connection: Connection, owner_id: str, *, drafts_since: datetime, limit: int) -> list[StuckPost]:
    """Return publications that only a person can bring on, those of the oldest jobs first.

    Args:
        connection: to read from.
        owner_id: whose they are.
        drafts_since: drafts from before are left out: no platform says when a draft was deleted unpublished.
        limit: the maximum number.
    """
    status, no_files = publications.c.status, jobs.c.files_deleted_at
    unknown = and_(is_open(publications), status == PublicationStatus.OUTCOME_UNKNOWN)
    failed = and_(is_unpublished(publications), no_files.is_(None), _NOT_CANCELLED)
    drafts = and_(status == PublicationStatus.ACTION_NEEDED, publications.c.ended_at >= drafts_since)
    found = [post for condition in (unknown, failed, drafts) for post in _posts(connection, owner_id, condition, limit)]
    return [post for _, post in sorted(found, key=lambda pair: pair[0])[:limit]]


def _posts(
    connection: Connection, owner_id: str, condition: ColumnElement[bool], limit: int
) -> list[tuple[tuple[datetime, str, int, str], StuckPost]]:
    """Return the publications of one condition, each with its place in the order."""
    query = (
        select(
            publications, jobs.c.title, jobs.c.original_name, jobs.c.caption, jobs.c.segment_count,
            jobs.c.created_at.label("job_created_at"), accounts.c.name.label("account"),
        )
        .join(jobs, jobs.c.id == publications.c.job_id)
        .join(accounts, accounts.c.id == publications.c.account_id)
        .where(condition, jobs.c.owner_id == owner_id)
        .order_by(jobs.c.created_at, jobs.c.id, publications.c.segment_number, publications.c.id)
        .limit(limit)
    )  # fmt: skip
    return [
        ((row.job_created_at, row.job_id, row.segment_number, row.id), rows.build(row, StuckPost))
        for row in connection.execute(query)
    ]


def reviews(connection: Connection, owner_id: str, *, limit: int) -> list[Job]:
    """Return the jobs of an owner whose approval decides what happens next, the oldest first.

    One that its owner wants to look at is among them when all of its parts are there.
    """
    query = select(jobs).where(
        jobs.c.review_reasons.is_not(None), jobs.c.approved_at.is_(None), jobs.c.status.not_in(JOB_OVER),
        jobs.c.owner_id == owner_id,
    )  # fmt: skip
    found = rows.fetch_all(connection, query.order_by(jobs.c.created_at, jobs.c.id), Job)
    asking = [one for one in found if one.status is JobStatus.REVIEW or one.review_reasons != [ReviewReason.REQUESTED]]
    return asking[:limit]


def failed_jobs(connection: Connection, owner_id: str, *, limit: int) -> list[FailedJob]:
    """Return the jobs of an owner of which something can be made again, the oldest first."""
    failed = (job_segments.c.job_id == jobs.c.id) & (job_segments.c.status == SegmentStatus.FAILED)
    count = select(func.count()).select_from(job_segments).where(failed).scalar_subquery()
    query = (
        select(
            jobs.c.id, jobs.c.title, jobs.c.original_name, jobs.c.status, jobs.c.error, jobs.c.error_code,
            count.label("parts"), jobs.c.completed_at.label("ended_at"),
        )
        .where(
            jobs.c.owner_id == owner_id,
            _NOT_CANCELLED,
            jobs.c.files_deleted_at.is_(None),
            or_(jobs.c.status == JobStatus.FAILED, count > 0),
        )
        .order_by(jobs.c.created_at, jobs.c.id)
        .limit(limit)
    )  # fmt: skip
    return rows.fetch_all(connection, query, FailedJob)


def unusable_accounts(connection: Connection, owner_id: str) -> list[Account]:
    """Return the accounts of an owner that have to be connected again, or that their platform refuses."""
    query = select(accounts).where(accounts.c.status.in_(_UNUSABLE), accounts.c.owner_id == owner_id)
    return rows.fetch_all(connection, query.order_by(accounts.c.platform, accounts.c.created_at), Account)
