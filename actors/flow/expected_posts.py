"""The posts that are expected of videos which are not planned yet, but whose duration is stated.

They take part in the forecast like the posts of planned videos, so that it is known at the upload when all will be out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from actors.flow.post_words import is_chosen
from media.limits import MAX_SECONDS
from store import jobs
from store.accounts import Account
from store.forecast_rows import OpenPost
from store.jobs import Job
from store.states import AccountStatus, PublicationStatus, SegmentStatus

MAX_JOBS = 100  # that are not planned; the forecast leaves out later ones
PART_SHARE = 5 / 6  # of the longest part: cuts are searched in its last third (`media.cutting.cuts`)
PLANNING_PACE = 0.1  # seconds a second of video: examining full HD takes 0.07 (`actors.flow.planning`)
PREFIX = "expected "  # of ids, which real publications and parts do not have


@dataclass(frozen=True)
class ExpectedJob:
    """The expected posts of one job.

    Attributes:
        posts: their number on all accounts.
        is_stopped: one of its accounts must be connected again.
    """

    posts: int
    is_stopped: bool


@dataclass(frozen=True)
class ExpectedPosts:
    """The expected posts of all jobs.

    Attributes:
        jobs: that are not planned, and whose duration is stated.
        rendered_at: estimated end of the rendering of their parts, by id of a part.
    """

    jobs: Sequence[Job]
    rendered_at: Mapping[str, datetime]

    def on(self, account: Account) -> Iterator[OpenPost]:
        """Yield the expected posts on an account, in order."""
        return (_post(job, number, account) for job in self.jobs if _uses(job, account) for number in _numbers(job))

    def by_job(self, accounts: Sequence[Account]) -> dict[str, ExpectedJob]:
        """Return how many posts are expected of each job."""
        return {job.id: _expected(job, [one for one in accounts if _uses(job, one)]) for job in self.jobs}


def read(connection: Connection, now: datetime, *, pace: float, new_job: Job | None = None) -> ExpectedPosts:
    """Return the expected posts.

    Args:
        connection: to the store.
        now: when the rendering of their parts can begin.
        pace: seconds of rendering for a second of video.
        new_job: that is not stored yet, after all others.
    """
    known = jobs.list_unplanned(connection, MAX_JOBS) + ([] if new_job is None else [new_job])
    found = [job for job in known if job.stated_duration_s is not None]
    at, rendered_at = now, {}
    for job in found:
        at += timedelta(seconds=PLANNING_PACE * _duration_s(job))
        for number in _numbers(job):
            at += timedelta(seconds=pace * _duration_s(job) / len(_numbers(job)))
            rendered_at[_part_id(job, number)] = at
    return ExpectedPosts(found, rendered_at)


def is_expected(publication_id: str) -> bool:
    """Return whether an id is one of an expected post, instead of a publication's."""
    return publication_id.startswith(PREFIX)


def _uses(job: Job, account: Account) -> bool:
    return account.status in {AccountStatus.CONNECTED, AccountStatus.RECONNECT} and is_chosen(job, account)


def _expected(job: Job, accounts: Sequence[Account]) -> ExpectedJob:
    is_stopped = any(account.status is not AccountStatus.CONNECTED for account in accounts)
    return ExpectedJob(len(accounts) * len(_numbers(job)), is_stopped)


def _duration_s(job: Job) -> float:
    return min(job.stated_duration_s or 0.0, MAX_SECONDS)  # a longer video is refused when it is examined


def _numbers(job: Job) -> range:
    duration_s = _duration_s(job)
    is_one_part = duration_s <= job.segment_seconds
    return range(1, 2 if is_one_part else 1 + math.ceil(duration_s / (PART_SHARE * job.segment_seconds)))


def _part_id(job: Job, number: int) -> str:
    return f"{PREFIX}{job.id} {number}"


def _post(job: Job, number: int, account: Account) -> OpenPost:
    return OpenPost(
        id=f"{_part_id(job, number)} {account.id}",
        job_id=job.id,
        segment_id=_part_id(job, number),
        segment_number=number,
        status=PublicationStatus.WAITING,
        created_at=job.created_at,
        segment_status=SegmentStatus.PENDING,
        needs_approval=bool(job.review_reasons) and job.approved_at is None,
        held=job.held,
        job_publish_after=job.publish_after,
    )
