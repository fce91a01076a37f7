"""The rows of which a forecast is made: the open publications, what holds them, and how long posts and parts take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from store.jobs import part_not_approved
from store.partial_indexes import is_not_ended, is_open, is_under_way, is_unpublished, is_wanted_now
from store.publications import own_time_up_to
from store.states import PublicationStatus, SegmentStatus
from store.tables import job_segments, jobs, publications

POSTS_MEASURED = 20  # of an account, the newest
PARTS_ESTIMATED = 1_000  # whose rendering is estimated
ROWS_AT_A_TIME = 200


@dataclass(frozen=True, slots=True)
class OpenPost:
    """A publication that waits, is under way, or whose outcome is unknown, with what holds it up."""

    id: str
    job_id: str
    segment_id: str
    segment_number: int
    status: str  # store.states.PublicationStatus
    created_at: datetime
    segment_status: str  # store.states.SegmentStatus
    needs_approval: bool
    held: bool
    publish_now_at: datetime | None = None
    job_publish_after: datetime | None = None
    own_publish_after: datetime | None = None
    last_own_time: datetime | None = None  # the latest of it and the parts before it

    @property
    def publish_after(self) -> datetime | None:
        """Return the time before which it does not start."""
        return self.job_publish_after if self.own_publish_after is None else self.own_publish_after

    @property
    def open_since(self) -> datetime:
        """Return the time from which the maximum of an open publication counts: see `open_created_before`."""
        times = (self.created_at, self.job_publish_after, self.last_own_time)
        return max(moment for moment in times if moment is not None)

    @property
    def is_rendered(self) -> bool:
        """Return whether the part can be published as far as rendering is concerned."""
        return self.segment_status not in {SegmentStatus.PENDING, SegmentStatus.RENDERING}


@dataclass(frozen=True, slots=True)
class UnrenderedPart:
    """A part that waits to be rendered, or is being rendered."""

    id: str
    job_id: str
    segment_number: int
    duration: float | None
    progress: float
    retry_at: datetime | None


def open_posts(connection: Connection, account_id: str) -> Iterator[OpenPost]:
    """Yield the open publications of an account in their order, as they are read from the database."""
    options = {"yield_per": ROWS_AT_A_TIME}
    # Closed also if the caller needs no more: PostgreSQL keeps the cursor of a query that is not read to its end.
    with connection.execute(_OPEN_POSTS, {"account": account_id}, execution_options=options) as found:
        for row in found:
            yield OpenPost(*row)


def posts_wanted_now(connection: Connection, account_id: str) -> list[OpenPost]:
    """Return the open publications of those jobs on an account of which one is to start at once, in their order."""
    return [OpenPost(*row) for row in connection.execute(_WANTED_NOW, {"account": account_id})]


def _open_posts() -> Select[Any]:  # Any: columns of several types
    """Return the query for the open publications of an account."""
    own = ("id", "job_id", "segment_id", "segment_number", "status", "created_at")
    decided = (publications.c.held, publications.c.publish_now_at, jobs.c.publish_after, publications.c.publish_after)
    earlier = publications.alias("earlier")
    last_own_time = select(func.max(earlier.c.publish_after)).where(*own_time_up_to(earlier)).correlate(publications)
    query = select(
        *(publications.c[name] for name in own), job_segments.c.status, part_not_approved(), *decided,
        last_own_time.scalar_subquery(),
    )  # fmt: skip
    query = query.join_from(publications, job_segments, job_segments.c.id == publications.c.segment_id)
    query = query.join(jobs, jobs.c.id == publications.c.job_id)
    mine = (is_open(publications), publications.c.account_id == bindparam("account"))
    return query.where(*mine).order_by(publications.c.job_order, publications.c.segment_number)


def _wanted_now() -> Select[Any]:  # Any: columns of several types
    """Return the query for the open publications of jobs of which one is to start at once."""
    wanted = publications.alias("wanted")
    mine = (wanted.c.account_id == bindparam("account"), is_wanted_now(wanted))
    return _open_posts().where(publications.c.job_order.in_(select(wanted.c.job_order).where(*mine)))


# Built once: that takes longer than to read a few rows.
_OPEN_POSTS = _open_posts()
_WANTED_NOW = _wanted_now()


def under_way_until(connection: Connection, account_id: str) -> list[datetime]:
    """Return the times of the next steps of an account's posts that are under way."""
    query = select(publications.c.next_at).where(is_under_way(publications), publications.c.account_id == account_id)
    return [moment for moment in connection.scalars(query) if moment is not None]


def first_unpublished(connection: Connection, account_id: str) -> dict[str, int]:
    """Return the number of the first part that was not published on an account, by job."""
    query = select(publications.c.job_id, func.min(publications.c.segment_number)).where(
        publications.c.account_id == account_id, is_unpublished(publications)
    )
    return {job_id: number for job_id, number in connection.execute(query.group_by(publications.c.job_id))}  # noqa: C416 (rows are no pairs to mypy)


def unrendered_parts(connection: Connection) -> list[UnrenderedPart]:
    """Return the next parts to be rendered, in their order: part n of every job first."""
    columns = [job_segments.c[field.name] for field in fields(UnrenderedPart)]
    query = select(*columns).join(jobs, jobs.c.id == job_segments.c.job_id).where(is_not_ended(job_segments))
    ordered = query.order_by(job_segments.c.segment_number, jobs.c.created_at, jobs.c.id)
    ordered = ordered.limit(PARTS_ESTIMATED)
    return [UnrenderedPart(*row) for row in connection.execute(ordered)]


def rendering_pace(connection: Connection, job_id: str) -> float | None:
    """Return how many seconds the rendering of a second of a job took so far; None if no part is rendered."""
    rendered = (SegmentStatus.READY, SegmentStatus.DONE)
    query = select(job_segments.c.started_at, job_segments.c.ended_at, job_segments.c.duration).where(
        job_segments.c.job_id == job_id, job_segments.c.status.in_(rendered), job_segments.c.duration > 0
    )
    paces = [
        (ended - began).total_seconds() / duration
        for began, ended, duration in connection.execute(query)
        if began is not None and ended is not None
    ]
    return _middle(paces)


def post_duration_s(connection: Connection, account_id: str) -> float | None:
    """Return how long a post of an account takes: the median of the newest; None if there is none."""
    query = select(publications.c.started_at, publications.c.ended_at).where(
        publications.c.account_id == account_id,
        publications.c.started_at.is_not(None),
        publications.c.status == PublicationStatus.PUBLISHED,
    )
    newest = query.order_by(publications.c.started_at.desc()).limit(POSTS_MEASURED)
    durations = [(ended - began).total_seconds() for began, ended in connection.execute(newest) if ended is not None]
    return _middle(durations)


def _middle(numbers: list[float]) -> float | None:
    """Return the median, the higher one of two, at least 0; None without numbers."""
    return max(sorted(numbers)[len(numbers) // 2], 0.0) if numbers else None
