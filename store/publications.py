"""Publications: one part on one account.

Whatever identifies the remote operation is written here before the next byte goes out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, case, func, or_, select, update

from store import rows
from store.states import PUBLICATION_OVER, PUBLICATION_WELL, AccountStatus, PublicationStatus, SegmentStatus
from store.tables import accounts, job_segments, jobs, publications


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
    troubled_since: datetime | None = None
    remote_id: str | None = None
    link: str | None = None
    reason: str | None = None
    code: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", PublicationStatus(self.status))


@dataclass(frozen=True)
class Queued:
    """A publication that waits, with what decides its turn."""

    id: str
    job_id: str
    account_id: str
    platform: str
    segment_number: int
    created_at: datetime
    publish_after: datetime | None
    due_at: datetime | None


_BEFORE_THE_END = (PublicationStatus.WAITING, PublicationStatus.PUBLISHING)
OPEN = (PublicationStatus.WAITING, PublicationStatus.PUBLISHING, PublicationStatus.OUTCOME_UNKNOWN)


def create(connection: Connection, items: Iterable[Publication]) -> None:
    """Remember that parts shall be published."""
    for item in items:
        values = {name: getattr(item, name) for name in Publication.__dataclass_fields__}
        connection.execute(publications.insert().values(**values))


def get(connection: Connection, publication_id: str) -> Publication | None:
    """Return a publication, or None."""
    return rows.one(connection, select(publications).where(publications.c.id == publication_id), Publication)


def of_job(connection: Connection, job_id: str) -> list[Publication]:
    """Return a job's publications, by part and platform."""
    query = select(publications).where(publications.c.job_id == job_id)
    return rows.every(connection, query.order_by(publications.c.segment_number, publications.c.platform), Publication)


def heads(connection: Connection) -> list[Queued]:
    """Return, for each usable account with nothing under way, the publications that order allows to go next.

    The turn within a job is the part's number: part n + 1 waits until part n is over on that account. A part whose
    outcome is unknown is not over: what follows it waits for a person, since out of order cannot be mended and late
    can. At most one a job and account; the older job comes first, but does not hold the others up when it has
    nothing that may go.
    """
    earlier = publications.alias()
    busy = publications.alias()
    blocked = (
        select(earlier.c.id)
        .where(
            earlier.c.job_id == publications.c.job_id,
            earlier.c.account_id == publications.c.account_id,
            earlier.c.segment_number < publications.c.segment_number,
            earlier.c.status.not_in(PUBLICATION_OVER),
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
        .order_by(jobs.c.created_at, jobs.c.id, publications.c.segment_number)
    )
    return rows.every(connection, query, Queued)


def recent_starts(connection: Connection, account_id: str, since: datetime) -> list[datetime]:
    """Return when publications of an account that may have gone out began, oldest first."""
    query = select(publications.c.started_at).where(
        publications.c.account_id == account_id,
        publications.c.started_at > since,
        publications.c.status.not_in({PublicationStatus.FAILED, PublicationStatus.WAITING}),
    )
    return [moment for (moment,) in connection.execute(query.order_by(publications.c.started_at))]


def begin(connection: Connection, publication_id: str, now: datetime) -> bool:
    """Let a waiting publication go; False if it was not waiting."""
    change = update(publications).where(
        publications.c.id == publication_id, publications.c.status == PublicationStatus.WAITING
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


def take(
    connection: Connection, publication_id: str, message_id: str, nonce: str, *, now: datetime, until: datetime
) -> Publication | None:
    """Take the right to carry out the present step; None if the publication is over or somebody else has the right.

    The holder is called "message id/nonce". The broker hands a message out again only when the process that had it is
    gone or frozen, so a holder with the same message id is a predecessor and not a rival. The nonce tells the two
    apart: a predecessor that wakes up again records nothing.

    Returns:
        The publication as it was before: a `holder` in it, or `unclear`, says that this very step was begun and its
        answer is not known.
    """
    holder = f"{message_id}/{nonce}"
    found = get(connection, publication_id)
    if found is None or found.status is not PublicationStatus.PUBLISHING:
        return None
    expired = found.holder_until is not None and found.holder_until < now
    if found.holder is not None and not expired and not found.holder.startswith(f"{message_id}/"):
        return None
    change = update(publications).where(publications.c.id == publication_id)
    connection.execute(change.values(holder=holder, holder_until=until))
    return found


def advance(
    connection: Connection, publication_id: str, holder: str, *, step: str, handle: bytes, next_at: datetime
) -> bool:
    """Store where the state machine stands and give the right back; False if it was lost meanwhile."""
    change = _held(publication_id, holder)
    values = {
        "step": step, "handle": handle, "tries": 0, "unclear": False, "holder": None, "holder_until": None,
        "next_at": next_at, "code": None, "reason": None, "troubled_since": None,
    }  # fmt: skip
    return connection.execute(change.values(**values)).rowcount == 1


def record_intent(connection: Connection, publication_id: str, holder: str, *, step: str, handle: bytes) -> bool:
    """Store the step that is about to be carried out for the first time; False if the right was lost meanwhile."""
    return connection.execute(_held(publication_id, holder).values(step=step, handle=handle)).rowcount == 1


def put_back(
    connection: Connection,
    publication_id: str,
    holder: str,
    *,
    tries: int,
    troubled_since: datetime | None,
    unclear: bool,
    next_at: datetime,
    code: str,
    reason: str,
) -> bool:
    """Give the right back with the step to be done again; False if it was lost meanwhile."""
    values = {
        "tries": tries, "troubled_since": troubled_since, "unclear": unclear,
        "holder": None, "holder_until": None, "next_at": next_at,
        "code": code, "reason": reason,
    }  # fmt: skip
    return connection.execute(_held(publication_id, holder).values(**values)).rowcount == 1


def end(
    connection: Connection,
    publication_id: str,
    holder: str,
    status: PublicationStatus,
    *,
    now: datetime,
    remote_id: str | None = None,
    link: str | None = None,
    code: str | None = None,
    reason: str | None = None,
    step: str | None = None,
    handle: bytes | None = None,
    next_at: datetime | None = None,
) -> bool:
    """End the state machine; False if the right was lost meanwhile. The handle stays as evidence."""
    values: dict[str, Any] = {  # Any: as many types as columns
        "status": status, "ended_at": now, "remote_id": remote_id, "link": link, "code": code, "reason": reason,
        "holder": None, "holder_until": None, "unclear": False,
    }  # fmt: skip
    if handle is not None:
        values |= {"step": step, "handle": handle, "next_at": next_at}
    return connection.execute(_held(publication_id, holder).values(**values)).rowcount == 1


def end_waiting(
    connection: Connection, job_id: str, status: PublicationStatus, *, reason: str, now: datetime
) -> list[Publication]:
    """End those publications of a job of which nothing has gone out, and return them as they were."""
    mine = (publications.c.job_id == job_id, publications.c.status == PublicationStatus.WAITING)
    found = rows.every(connection, select(publications).where(*mine), Publication)
    connection.execute(update(publications).where(*mine).values(status=status, reason=reason, ended_at=now))
    return found


def end_of_account(connection: Connection, account_id: str, *, now: datetime) -> list[Publication]:
    """End what is open on an account whose tokens are gone, and return it as it was.

    What has not begun is cancelled. What has begun can no longer be asked about: its outcome is unknown, unless who
    carries out a step at this moment still learns it; therefore the holder stays.
    """
    mine = (publications.c.account_id == account_id, publications.c.status.in_(_BEFORE_THE_END))
    found = rows.every(connection, select(publications).where(*mine), Publication)
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
    """End the publications of a part that will not come."""
    change = update(publications).where(
        publications.c.segment_id == segment_id, publications.c.status == PublicationStatus.WAITING
    )
    connection.execute(change.values(status=status, code=code, reason=reason, ended_at=now))


def count_of_segment(connection: Connection, segment_id: str) -> int:
    """Return how many publications a part has."""
    query = select(func.count()).select_from(publications).where(publications.c.segment_id == segment_id)
    return int(connection.scalar(query) or 0)


def give_up(connection: Connection, publication_id: str, *, reason: str, now: datetime) -> bool:
    """End a publication under way that nobody can take further; False if it is not under way."""
    begun = publications.c.step.is_not(None)
    change = update(publications).where(
        publications.c.id == publication_id, publications.c.status == PublicationStatus.PUBLISHING
    )
    status = case((begun, PublicationStatus.OUTCOME_UNKNOWN), else_=PublicationStatus.FAILED)
    values = {"status": status, "code": "gave_up", "reason": reason, "ended_at": now, "holder": None}
    return connection.execute(change.values(**values)).rowcount == 1


def expire(connection: Connection, publication_id: str, *, reason: str, now: datetime) -> bool:
    """End a publication at the hard maximum, whatever it waits for; False if it was over or is at work just now.

    One whose outcome is unknown does not expire: that would claim that it did not go out.
    """
    idle = or_(publications.c.holder.is_(None), publications.c.holder_until < now)
    change = update(publications).where(
        publications.c.id == publication_id, publications.c.status.in_(_BEFORE_THE_END), idle
    )
    values = {"status": PublicationStatus.EXPIRED, "reason": reason, "code": "expired", "ended_at": now}
    return connection.execute(change.values(**values)).rowcount == 1


def retry_failed(connection: Connection, job_id: str) -> int:
    """Let what did not go out of a job wait again, from the first step, where the account is still there."""
    gone = select(accounts.c.id).where(accounts.c.status == AccountStatus.DISCONNECTED)
    change = update(publications).where(
        publications.c.job_id == job_id,
        publications.c.status.in_({PublicationStatus.FAILED, PublicationStatus.EXPIRED}),
        publications.c.account_id.not_in(gone),
    )
    values = {
        "status": PublicationStatus.WAITING, "step": None, "handle": None, "tries": 0, "unclear": False,
        "reason": None, "code": None, "ended_at": None, "started_at": None, "troubled_since": None,
        "holder": None, "holder_until": None, "next_at": None,
    }  # fmt: skip
    return connection.execute(change.values(**values)).rowcount


def stalled(connection: Connection, *, next_before: datetime, held_before: datetime) -> list[Publication]:
    """Return publications under way on usable accounts that nobody takes further.

    Args:
        next_before: a step that should have been taken up before this moment was not.
        held_before: a step that somebody took up should have ended before this moment.
    """
    not_taken_up = and_(publications.c.holder.is_(None), publications.c.next_at < next_before)
    not_ended = and_(publications.c.holder.is_not(None), publications.c.holder_until < held_before)
    query = (
        select(publications)
        .join(accounts, accounts.c.id == publications.c.account_id)
        .where(accounts.c.status == AccountStatus.CONNECTED)
        .where(publications.c.status == PublicationStatus.PUBLISHING, or_(not_taken_up, not_ended))
    )
    return rows.every(connection, query, Publication)


def touch(connection: Connection, publication_id: str, now: datetime) -> bool:
    """Let the step be taken up now; False if there is none to take up."""
    change = update(publications).where(
        publications.c.id == publication_id, publications.c.status == PublicationStatus.PUBLISHING
    )
    return connection.execute(change.values(next_at=now)).rowcount == 1


def under_way(connection: Connection, job_id: str) -> list[Publication]:
    """Return the publications of a job whose steps are being carried out."""
    query = select(publications).where(
        publications.c.job_id == job_id, publications.c.status == PublicationStatus.PUBLISHING
    )
    return rows.every(connection, query, Publication)


def explain_waiting(connection: Connection, account_id: str, *, code: str, reason: str) -> None:
    """Note on everything that waits for an account why it does."""
    change = update(publications).where(
        publications.c.account_id == account_id, publications.c.status == PublicationStatus.WAITING
    )
    connection.execute(change.values(code=code, reason=reason))


def resolve(
    connection: Connection, publication_id: str, status: PublicationStatus, *, link: str | None, now: datetime
) -> bool:
    """Note what a person found out about an unknown outcome; False if it is not unknown."""
    change = update(publications).where(
        publications.c.id == publication_id, publications.c.status == PublicationStatus.OUTCOME_UNKNOWN
    )
    values = {"status": status, "link": link, "ended_at": now, "code": "resolved", "reason": "resolved by a person"}
    return connection.execute(change.values(**values)).rowcount == 1


def set_link(
    connection: Connection,
    publication_id: str,
    *,
    step: str | None,
    remote_id: str | None,
    link: str | None,
    handle: bytes | None,
    next_at: datetime | None,
) -> bool:
    """Note what became known of a post after it was published; False if it is not one that went out."""
    change = update(publications).where(
        publications.c.id == publication_id, publications.c.status.in_(PUBLICATION_WELL)
    )
    values = {"step": step, "remote_id": remote_id, "link": link, "handle": handle, "next_at": next_at}
    return connection.execute(change.values(**values)).rowcount == 1


def mark_published(connection: Connection, publication_id: str) -> bool:
    """Note that the person for whom a draft waited has posted it; False if it did not wait."""
    change = update(publications).where(
        publications.c.id == publication_id, publications.c.status == PublicationStatus.ACTION_NEEDED
    )
    values = {"status": PublicationStatus.PUBLISHED, "reason": None, "code": None}
    return connection.execute(change.values(**values)).rowcount == 1


def open_since(
    connection: Connection, before: datetime, statuses: Collection[PublicationStatus] = OPEN
) -> list[Publication]:
    """Return publications that were made before the given moment and are still open."""
    query = select(publications).where(publications.c.status.in_(statuses), publications.c.created_at < before)
    return rows.every(connection, query, Publication)


def count_by_status(connection: Connection) -> dict[tuple[str, str], int]:
    """Return how many publications each platform has in each state."""
    query = select(publications.c.platform, publications.c.status, func.count())
    found = connection.execute(query.group_by(publications.c.platform, publications.c.status))
    return {(platform, status): count for platform, status, count in found}


def _held(publication_id: str, holder: str):  # type: ignore[no-untyped-def]  # SQLAlchemy's Update is generic in ways that help nobody here
    return update(publications).where(
        publications.c.id == publication_id,
        publications.c.holder == holder,
        publications.c.status.in_({PublicationStatus.PUBLISHING, PublicationStatus.OUTCOME_UNKNOWN}),
    )
