"""The numbers of jobs in a list: parts with their progress, and publications by state. Counted by the database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from store.states import PUBLICATION_OVER, PublicationStatus, SegmentStatus
from store.tables import job_segments, publications


@dataclass(frozen=True, slots=True)
class PartNumbers:
    """The facts that count for the progress of a part.

    Attributes:
        status: a `SegmentStatus`.
        duration_s: None before it is planned.
        progress: of its rendering, 0 to 1.
        posts: number of its publications.
        over: number of those that have ended.
        under_way: number of those that are under way.
    """

    status: SegmentStatus
    duration_s: float | None
    progress: float
    posts: int = 0
    over: int = 0
    under_way: int = 0


def parts_of(connection: Connection, job_ids: Collection[str]) -> dict[str, list[PartNumbers]]:
    """Return the numbers of the parts of jobs, by job."""
    over = publications.c.status.in_(PUBLICATION_OVER)
    under_way = publications.c.status == PublicationStatus.PUBLISHING
    counted = (
        select(
            publications.c.segment_id,
            func.count().label("posts"),
            func.count().filter(over).label("over"),
            func.count().filter(under_way).label("under_way"),
        )
        .where(publications.c.job_id.in_(job_ids))
        .group_by(publications.c.segment_id)
        .subquery()
    )
    query = (
        select(
            job_segments.c.job_id,
            job_segments.c.status,
            job_segments.c.duration,
            job_segments.c.progress,
            func.coalesce(counted.c.posts, 0),
            func.coalesce(counted.c.over, 0),
            func.coalesce(counted.c.under_way, 0),
        )
        .outerjoin(counted, counted.c.segment_id == job_segments.c.id)
        .where(job_segments.c.job_id.in_(job_ids))
    )
    found: dict[str, list[PartNumbers]] = defaultdict(list)
    for job_id, status, *numbers in connection.execute(query):
        found[job_id].append(PartNumbers(SegmentStatus(status), *numbers))
    return found


def posts_of(connection: Connection, job_ids: Collection[str]) -> dict[str, Counter[str]]:
    """Return how many publications of jobs are in each state, by job."""
    query = select(publications.c.job_id, publications.c.status, func.count()).where(publications.c.job_id.in_(job_ids))
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for job_id, status, count in connection.execute(query.group_by(publications.c.job_id, publications.c.status)):
        found[job_id][status] = count
    return found
