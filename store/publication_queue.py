"""Whose turn it is on each account, and the beginning of a publication."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, or_, select, update

from store import rows
from store.jobs import not_approved
from store.states import (
    PUBLICATION_OVER,
    PUBLICATION_UNPUBLISHED,
    AccountStatus,
    AfterFailure,
    PublicationStatus,
    SegmentStatus,
)
from store.tables import accounts, job_segments, jobs, publications


@dataclass(frozen=True)
class QueuedPublication:
    """A publication that waits, with what decides its turn."""

    id: str
    job_id: str
    account_id: str
    platform: str
    segment_number: int
    created_at: datetime
    publish_after: datetime | None
    due_at: datetime | None


def next_in_order(connection: Connection) -> list[QueuedPublication]:
    """Return, for each usable account with nothing under way, the publications that order allows to go next.

    The turn within a job is the part's number: part n + 1 waits until part n is over on that account. A part whose
    outcome is unknown is not over: what follows it waits for a person, since out of order cannot be mended and late
    can. A part that was not published holds those after it, unless the account's `after_failure` is "continue". At
    most one a job and account; the older job comes first, but does not hold the others up when it has nothing that may
    go. Of a job that needs approval nothing may go.
    """
    holds = accounts.c.after_failure == AfterFailure.HOLD
    earlier = publications.alias()
    busy = publications.alias()
    blocked = (
        select(earlier.c.id)
        .where(
            earlier.c.job_id == publications.c.job_id,
            earlier.c.account_id == publications.c.account_id,
            earlier.c.segment_number < publications.c.segment_number,
            or_(earlier.c.status.not_in(PUBLICATION_OVER), and_(holds, earlier.c.status.in_(PUBLICATION_UNPUBLISHED))),
        )
        .exists()
    )
    under_way = (
        select(busy.c.id)
        .where(busy.c.account_id == publications.c.account_id, busy.c.status == PublicationStatus.PUBLISHING)
        .exists()
    )
    query = (
        select(
            publications.c.id,
            publications.c.job_id,
            publications.c.account_id,
            publications.c.platform,
            publications.c.segment_number,
            jobs.c.created_at,
            jobs.c.publish_after,
            publications.c.due_at,
        )
        .join(jobs, jobs.c.id == publications.c.job_id)
        .join(job_segments, job_segments.c.id == publications.c.segment_id)
        .join(accounts, accounts.c.id == publications.c.account_id)
        .where(publications.c.status == PublicationStatus.WAITING, ~blocked, ~under_way)
        .where(job_segments.c.status == SegmentStatus.READY)
        .where(accounts.c.status == AccountStatus.CONNECTED)
        .where(~not_approved())
        .order_by(jobs.c.created_at, jobs.c.id, publications.c.segment_number)
    )
    return rows.fetch_all(connection, query, QueuedPublication)


def recent_starts(connection: Connection, account_id: str, since: datetime) -> list[datetime]:
    """Return when publications of an account that may have gone out began, oldest first."""
    query = select(publications.c.started_at).where(
        publications.c.account_id == account_id,
        publications.c.started_at > since,
        publications.c.status.not_in({PublicationStatus.FAILED, PublicationStatus.WAITING}),
    )
    return [moment for (moment,) in connection.execute(query.order_by(publications.c.started_at))]


def start(connection: Connection, publication_id: str, now: datetime) -> bool:
    """Let a waiting publication go; False if it was not waiting, or its job needs approval."""
    held_back = select(jobs.c.id).where(jobs.c.id == publications.c.job_id, not_approved())
    change = update(publications).where(
        publications.c.id == publication_id, publications.c.status == PublicationStatus.WAITING, ~held_back.exists()
    )
    values = {
        "status": PublicationStatus.PUBLISHING,
        "started_at": now,
        "due_at": now,
        "next_at": now,
        "reason": None,
        "code": None,
    }
    return connection.execute(change.values(**values)).rowcount == 1


def set_due(connection: Connection, publication_id: str, due_at: datetime) -> bool:
    """Note when a waiting publication may go; False if that was known."""
    change = update(publications).where(
        publications.c.id == publication_id,
        publications.c.status == PublicationStatus.WAITING,
        or_(publications.c.due_at.is_(None), publications.c.due_at != due_at),
    )
    return connection.execute(change.values(due_at=due_at)).rowcount == 1


def set_waiting_reason(connection: Connection, account_id: str, *, code: str, reason: str) -> None:
    """Note on everything that waits for an account why it does."""
    change = update(publications).where(
        publications.c.account_id == account_id, publications.c.status == PublicationStatus.WAITING
    )
    connection.execute(change.values(code=code, reason=reason))


def clear_waiting_reason(connection: Connection, account_id: str) -> None:
    """Clear the reason of everything that waits for an account, which can be used again."""
    change = update(publications).where(
        publications.c.account_id == account_id, publications.c.status == PublicationStatus.WAITING
    )
    connection.execute(change.where(publications.c.code.is_not(None)).values(code=None, reason=None))
