"""The publications that a calendar shows: those that have started in a time, and those that wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from store.jobs import part_not_approved
from store.partial_indexes import is_open, is_started
from store.predicted_posts import COLUMNS, PredictedPost
from store.states import PublicationStatus
from store.tables import accounts, job_segments, jobs, publications

IDS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class CalendarPost(PredictedPost):
    """A publication with the facts of its job, its part and its account that a calendar shows."""

    account_status: str  # store.states.AccountStatus
    account_reason: str | None
    status: str  # store.states.PublicationStatus
    code: str | None
    reason: str | None
    link: str | None
    started_at: datetime | None
    segment_status: str  # store.states.SegmentStatus
    needs_approval: bool
    held: bool


def started(connection: Connection, owner_id: str, begin: datetime, end: datetime, limit: int) -> list[CalendarPost]:
    """Return an owner's first publications that have started in a time, also on accounts that are disconnected."""
    on_accounts = publications.c.account_id.in_(
        select(accounts.c.id)
    )  # so that the index of starts, by account, is used
    query = _facts().where(
        on_accounts, is_started(publications), publications.c.started_at >= begin, publications.c.started_at < end,
        jobs.c.owner_id == owner_id,
    )  # fmt: skip
    query = query.order_by(publications.c.started_at, publications.c.id).limit(limit)
    return [CalendarPost(*row) for row in connection.execute(query)]


def waiting_ids(connection: Connection, owner_id: str, limit: int) -> list[str]:
    """Return the ids of an owner's first publications that wait, by account and in their order."""
    query = (
        select(publications.c.id)
        .join(jobs, jobs.c.id == publications.c.job_id)
        .where(
            jobs.c.owner_id == owner_id,
            is_open(publications),
            publications.c.status == PublicationStatus.WAITING,
            publications.c.started_at.is_(None),
        )
    )
    ordered = query.order_by(publications.c.account_id, publications.c.job_order, publications.c.segment_number)
    return list(connection.scalars(ordered.limit(limit)))


def waiting(connection: Connection, owner_id: str, publication_ids: Sequence[str]) -> dict[str, CalendarPost]:
    """Return those of some publications that wait and are an owner's, by id."""
    found: dict[str, CalendarPost] = {}
    for first in range(0, len(publication_ids), IDS_PER_QUERY):
        some = publication_ids[first : first + IDS_PER_QUERY]
        query = _facts().where(
            jobs.c.owner_id == owner_id,
            publications.c.id.in_(some),
            publications.c.status == PublicationStatus.WAITING,
        )
        found |= {row[0]: CalendarPost(*row) for row in connection.execute(query)}
    return found


def _facts() -> Select[Any]:  # Any: columns of several types
    own = ("status", "code", "reason", "link", "started_at")
    return (
        select(
            *COLUMNS,
            accounts.c.status,
            accounts.c.reason,
            *(publications.c[name] for name in own),
            job_segments.c.status,
            part_not_approved(),
            publications.c.held,
        )
        .select_from(publications)
        .join(jobs, jobs.c.id == publications.c.job_id)
        .join(job_segments, job_segments.c.id == publications.c.segment_id)
        .join(accounts, accounts.c.id == publications.c.account_id)
    )
