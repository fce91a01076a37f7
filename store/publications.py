"""Publications: one part on one account. Their order is in `store.publication_queue`, their steps in `store.steps`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Text, and_, case, cast, exists, or_, select, update

from store import row_counts, rows
from store.partial_indexes import has_own_time, is_open
from store.states import PUBLICATION_SUCCEEDED, PUBLICATION_UNPUBLISHED, AccountStatus, PublicationStatus
from store.tables import accounts, jobs, publications


@dataclass(frozen=True, kw_only=True)
class Publication:
    """One part on one account. Columns are explained in `store.tables`."""

    id: str
    job_id: str
    segment_id: str
    segment_number: int
    platform: str
    account_id: str
    status: PublicationStatus
    created_at: datetime
    due_at: datetime | None = None
    step: str | None = None
    handle: bytes | None = None
    holder: str | None = None
    holder_until: datetime | None = None
    next_at: datetime | None = None
    unclear: bool = False
    tries: int = 0
    attempts: list[dict[str, Any]] | None = None  # Any: JSON, see `store.attempts.PublishingAttempt`
    troubled_since: datetime | None = None
    remote_id: str | None = None
    link: str | None = None
    reason: str | None = None
    code: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    words: dict[str, Any] | None = None  # Any: JSON, see `actors.flow.post_words`
    held: bool = False
    publish_after: datetime | None = None
    publish_now_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", PublicationStatus(self.status))

    def failing_since(self, now: datetime) -> datetime | None:
        """Return `troubled_since`, later by the time for which the step has been overdue; None without failures.

        While the machine is off, the step is not run, so that time is none of its failures.
        """
        if self.troubled_since is None or self.next_at is None:
            return self.troubled_since
        return self.troubled_since + max(now - self.next_at, timedelta(0))


RESOLVED = "resolved"  # code of a publication whose outcome a person found out
_NOT_ENDED = (PublicationStatus.WAITING, PublicationStatus.PUBLISHING)


def create(connection: Connection, items: Iterable[Publication]) -> None:
    """Store publications of parts, waiting."""
    for item in items:
        values = {name: getattr(item, name) for name in Publication.__dataclass_fields__}
        order = select(cast(jobs.c.created_at, Text) + " " + jobs.c.id).where(jobs.c.id == item.job_id)
        connection.execute(publications.insert().values(**values, job_order=order.scalar_subquery()))


def get(connection: Connection, publication_id: str) -> Publication | None:
    """Return a publication, or None."""
    return rows.fetch_one(connection, select(publications).where(publications.c.id == publication_id), Publication)


def of_job(connection: Connection, job_id: str) -> list[Publication]:
    """Return a job's publications, by part and platform."""
    query = select(publications).where(publications.c.job_id == job_id)
    return rows.fetch_all(
        connection, query.order_by(publications.c.segment_number, publications.c.platform), Publication
    )


def set_words(connection: Connection, publication_id: str, words: dict[str, Any]) -> None:  # Any: JSON
    """Store what is sent, in the transaction in which its first step begins."""
    connection.execute(update(publications).where(publications.c.id == publication_id).values(words=words))


def move(connection: Connection, publication_id: str, segment_id: str, number: int) -> None:
    """Move a publication to another part of its job. Its due time is computed anew."""
    change = update(publications).where(publications.c.id == publication_id)
    connection.execute(change.values(segment_id=segment_id, segment_number=number, due_at=None))


def has_any(connection: Connection, job_id: str) -> bool:
    """Return whether a job has publications."""
    return bool(connection.scalar(select(publications.c.id).where(publications.c.job_id == job_id).limit(1)))


def end_waiting(
    connection: Connection, job_id: str, status: PublicationStatus, *, reason: str, now: datetime
) -> list[Publication]:
    """End the waiting publications of a job; return them as they were."""
    mine = (publications.c.job_id == job_id, publications.c.status == PublicationStatus.WAITING)
    found = rows.fetch_all(connection, select(publications).where(*mine), Publication)
    connection.execute(update(publications).where(*mine).values(status=status, code=None, reason=reason, ended_at=now))
    return found


def end_all_of_account(connection: Connection, account_id: str, *, now: datetime) -> list[Publication]:
    """End the open publications of an account without tokens; return them as they were.

    What has not begun is cancelled. What has begun can no longer be asked about: its outcome is unknown, unless who
    carries out a step at this moment still learns it; therefore the holder stays.
    """
    mine = (publications.c.account_id == account_id, publications.c.status.in_(_NOT_ENDED))
    found = rows.fetch_all(connection, select(publications).where(*mine), Publication)
    begun = and_(publications.c.status == PublicationStatus.PUBLISHING, publications.c.step.is_not(None))
    change = update(publications).where(*mine)
    connection.execute(
        change.values(
            status=case((begun, PublicationStatus.OUTCOME_UNKNOWN), else_=PublicationStatus.CANCELLED),
            code="account_disconnected", reason="the account was disconnected", ended_at=now,
        )
    )  # fmt: skip
    return found


def end_waiting_of_segment(
    connection: Connection, segment_id: str, status: PublicationStatus, *, code: str, reason: str, now: datetime
) -> None:
    """End the waiting publications of a part that failed."""
    change = update(publications).where(
        publications.c.segment_id == segment_id, publications.c.status == PublicationStatus.WAITING
    )
    connection.execute(change.values(status=status, code=code, reason=reason, ended_at=now))


def expire(
    connection: Connection, found: Publication, status: PublicationStatus, *, reason: str, now: datetime
) -> bool:
    """End a publication at the hard maximum, whatever it waits for; False if it has changed, or a step is running.

    Args:
        connection: inside `Store.writing`.
        found: the publication, as it was when the status was chosen.
        status: EXPIRED; OUTCOME_UNKNOWN if its post may be public.
        reason: for its owner.
        now: when it ends.
    """
    idle = or_(publications.c.holder.is_(None), publications.c.holder_until < now)
    unchanged = and_(publications.c.status == found.status, publications.c.handle.is_not_distinct_from(found.handle))
    change = update(publications).where(
        publications.c.id == found.id, publications.c.status.in_(_NOT_ENDED), unchanged, idle
    )
    values = {"status": status, "reason": reason, "code": "expired", "ended_at": now}
    return connection.execute(change.values(**values)).rowcount == 1


def unpublished(connection: Connection, job_id: str) -> list[Publication]:
    """Return the publications of a job that failed or expired, where its owner still has the account, in order."""
    owner_id = select(jobs.c.owner_id).where(jobs.c.id == job_id).scalar_subquery()
    gone = select(accounts.c.id).where(
        or_(accounts.c.status == AccountStatus.DISCONNECTED, accounts.c.owner_id != owner_id)
    )
    query = select(publications).where(
        publications.c.job_id == job_id,
        publications.c.status.in_(PUBLICATION_UNPUBLISHED),
        publications.c.account_id.not_in(gone),
    )
    return rows.fetch_all(connection, query.order_by(publications.c.segment_number), Publication)


def jobs_with_unpublished(connection: Connection, account_id: str) -> list[str]:
    """Return the ids of the jobs in which a publication on an account failed or expired."""
    query = select(publications.c.job_id).where(
        publications.c.account_id == account_id, publications.c.status.in_(PUBLICATION_UNPUBLISHED)
    )
    return list(connection.scalars(query.distinct()))


def later_published(connection: Connection, publication: Publication) -> list[Publication]:
    """Return the later parts of the same job and account that are public, or may be, or are being published."""
    statuses = {PublicationStatus.PUBLISHING, PublicationStatus.OUTCOME_UNKNOWN, *PUBLICATION_SUCCEEDED}
    query = select(publications).where(
        publications.c.job_id == publication.job_id,
        publications.c.account_id == publication.account_id,
        publications.c.segment_number > publication.segment_number,
        publications.c.status.in_(statuses),
    )
    return rows.fetch_all(connection, query.order_by(publications.c.segment_number), Publication)


def restart(connection: Connection, publication_ids: Collection[str], now: datetime) -> None:
    """Reset publications to waiting, before the first step.

    Their time for the hard maximum begins anew, or an expired one would expire again at once.
    """
    values = {
        "status": PublicationStatus.WAITING, "step": None, "handle": None, "tries": 0, "unclear": False,
        "reason": None, "code": None, "ended_at": None, "started_at": None, "troubled_since": None,
        "holder": None, "holder_until": None, "next_at": None, "created_at": now, "attempts": None, "words": None,
        "publish_now_at": None,
    }  # fmt: skip
    connection.execute(update(publications).where(publications.c.id.in_(publication_ids)).values(**values))


def cancel(connection: Connection, publication_id: str, *, code: str, reason: str, now: datetime) -> None:
    """End a publication that waits, failed or expired as cancelled."""
    change = update(publications).where(publications.c.id == publication_id)
    values = {
        "status": PublicationStatus.CANCELLED, "code": code, "reason": reason, "ended_at": now,
        "holder": None, "holder_until": None,
    }  # fmt: skip
    connection.execute(change.values(**values))


def in_progress(connection: Connection, job_id: str) -> list[Publication]:
    """Return the publications of a job whose steps are being carried out."""
    query = select(publications).where(
        publications.c.job_id == job_id, publications.c.status == PublicationStatus.PUBLISHING
    )
    return rows.fetch_all(connection, query, Publication)


def make_unknown(connection: Connection, *, code: str, reason: str, now: datetime) -> list[Publication]:
    """End all publications that have begun, with an unknown outcome; return them as they were. No step is running."""
    mine = publications.c.status == PublicationStatus.PUBLISHING
    found = rows.fetch_all(connection, select(publications).where(mine), Publication)
    values = {
        "status": PublicationStatus.OUTCOME_UNKNOWN, "code": code, "reason": reason, "ended_at": now,
        "holder": None, "holder_until": None, "next_at": None,
    }  # fmt: skip
    connection.execute(update(publications).where(mine).values(**values))
    return found


def resolve(
    connection: Connection, publication_id: str, status: PublicationStatus, *, link: str | None, now: datetime
) -> bool:
    """Store what a person found out about an unknown outcome; False if it is not unknown, or a step is being run.

    That step may be the one that makes the post public, and its worker records it.
    """
    idle = or_(publications.c.holder.is_(None), publications.c.holder_until < now)
    change = update(publications).where(
        publications.c.id == publication_id, publications.c.status == PublicationStatus.OUTCOME_UNKNOWN, idle
    )
    values = {"status": status, "link": link, "ended_at": now, "code": RESOLVED, "reason": "resolved by a person"}
    return connection.execute(change.values(**values)).rowcount == 1


def open_created_before(connection: Connection, before: datetime) -> list[Publication]:
    """Return publications that were made before the given moment and are still open.

    Those of videos with a time of their own are returned only if that was before the moment, too; likewise those with
    a time of their own, and the parts after them.
    """
    is_for_later = exists().where(jobs.c.id == publications.c.job_id, jobs.c.publish_after >= before)
    earlier = publications.alias("earlier")
    follows_later = exists().where(*own_time_up_to(earlier), earlier.c.publish_after >= before)
    query = select(publications).where(
        is_open(publications), publications.c.created_at < before, ~is_for_later, ~follows_later
    )
    return rows.fetch_all(connection, query, Publication)


def own_time_up_to(earlier: FromClause) -> tuple[ColumnElement[bool], ...]:
    """Return the SQL conditions that a publication has a time of its own, and is another one or a part after it."""
    return (
        earlier.c.account_id == publications.c.account_id,
        earlier.c.job_id == publications.c.job_id,
        earlier.c.segment_number <= publications.c.segment_number,
        has_own_time(earlier),
    )


def count_by_status(connection: Connection) -> dict[tuple[str, str], int]:
    """Return how many publications each platform has in each state."""
    return row_counts.by_platform_and_status(connection, publications)
