"""The queue of publications of each account: their order, starts and reasons for waiting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    update,
)

from store import rows
from store.accounts import Account
from store.jobs import part_not_approved
from store.partial_indexes import HELD, is_open, is_unpublished, is_wanted_now
from store.states import AccountStatus, AfterFailure, PublicationStatus, SegmentStatus
from store.tables import accounts, job_segments, jobs, publications

JOBS_PER_QUERY = 10  # usually the first job has a part that may go


@dataclass(frozen=True)
class QueuedPublication:
    """A waiting publication, with the facts that decide when it starts."""

    id: str
    job_id: str
    account_id: str
    platform: str
    segment_number: int
    publish_after: datetime | None
    due_at: datetime | None
    publish_now_at: datetime | None

    @property
    def publish_now(self) -> bool:
        """Return whether it is to start at once, without window, gap and time of its own."""
        return self.publish_now_at is not None


def idle_accounts(connection: Connection, account_id: str | None = None) -> list[Account]:
    """Return the connected accounts on which nothing is under way; with an id, at most that one."""
    under_way = select(publications.c.id).where(
        publications.c.account_id == accounts.c.id, publications.c.status == PublicationStatus.PUBLISHING
    )
    query = select(accounts).where(accounts.c.status == AccountStatus.CONNECTED, ~under_way.exists())
    if account_id is not None:
        query = query.where(accounts.c.id == account_id)
    return rows.fetch_all(connection, query.order_by(accounts.c.id), Account)


def next_in_order(connection: Connection, account_id: str) -> Iterator[QueuedPublication]:
    """Yield the publications that the order allows to go next on an account: at most one a job, oldest job first.

    The order within a job is the part's number: part n + 1 waits until part n is over on that account. A part whose
    outcome is unknown is not over: it waits for a person, since posts out of order cannot be put right, and late ones
    can. A part that was not published holds those after it, unless the account's `after_failure` is "continue". A job
    that may not go (not rendered, not approved, held) does not hold other jobs up. Those that a person wants now come
    before all others, in the order of these decisions.

    The cost grows with the jobs that are read, not with the parts that wait: see `_walk`.
    """
    for row in connection.execute(_WANTED_NOW, {"account": account_id}).all():
        yield _queued(row)
    last = ""
    while True:
        found = connection.execute(_FIRST_PARTS, {"account": account_id, "after": last}).all()
        for row in found:
            if row.may_go and row.publish_now_at is None:
                yield _queued(row)
        if len(found) < JOBS_PER_QUERY:
            return
        last = found[-1].job_order


def _queued(row: Row[Any]) -> QueuedPublication:  # Any: columns of several types
    return QueuedPublication(**{field.name: getattr(row, field.name) for field in fields(QueuedPublication)})


def _first_parts() -> Select[Any]:  # Any: columns of several types
    """Return the query for the first open parts of the next jobs, in order, with whether each may go."""
    walk = _walk()
    facts = select(*_facts(), publications.c.job_order, _may_go().label("may_go"))
    query = facts.select_from(walk).join(publications, publications.c.id == walk.c.id)
    return _with_owners(query).order_by(walk.c.number)


def _wanted_now() -> Select[Any]:  # Any: as above
    """Return the query for the publications that are to start at once, and may."""
    earlier = publications.alias("earlier")
    before = select(earlier.c.id).where(
        earlier.c.account_id == publications.c.account_id,
        earlier.c.job_order == publications.c.job_order,
        earlier.c.segment_number < publications.c.segment_number,
        is_open(earlier),
    )
    query = _with_owners(select(*_facts()).select_from(publications)).where(
        publications.c.account_id == bindparam("account"),
        is_wanted_now(publications),
        _may_go(),
        ~before.correlate(publications).exists(),
    )
    return query.order_by(publications.c.publish_now_at, publications.c.job_order)


def _facts() -> tuple[ColumnElement[Any], ...]:  # Any: as above
    """Return the columns of a `QueuedPublication`."""
    own = ("id", "job_id", "account_id", "platform", "segment_number", "due_at", "publish_now_at")
    publish_after = func.coalesce(publications.c.publish_after, jobs.c.publish_after)
    return (*(publications.c[name] for name in own), publish_after.label("publish_after"))


def _with_owners(query: Select[Any]) -> Select[Any]:  # Any: as above
    query = query.join(jobs, jobs.c.id == publications.c.job_id)
    query = query.join(job_segments, job_segments.c.id == publications.c.segment_id)
    return query.join(accounts, accounts.c.id == publications.c.account_id)


def _may_go() -> ColumnElement[bool]:
    """Return the SQL condition that the first open part of a job on an account may start."""
    return and_(
        publications.c.status == PublicationStatus.WAITING,
        publications.c.held.is_(False),
        job_segments.c.status == SegmentStatus.READY,
        ~part_not_approved(),
        jobs.c.owner_id == accounts.c.owner_id,  # who may have taken over the account
        or_(accounts.c.after_failure == AfterFailure.CONTINUE, ~_has_hold()),
    )


def _walk() -> CTE:
    """Return the ids of the first open parts of the next jobs.

    Each is found from the one before it by one search of the index `publications_in_order`; a plain query would read
    all parts that wait, or for each of them whether an earlier one is open.
    """
    first = _first_open(publications.alias("first"), bindparam("after", type_=publications.c.job_order.type))
    walk = select(literal(1).label("number"), first.label("id")).cte("walk", recursive=True)
    last = publications.alias("last")
    following = _first_open(publications.alias("following"), last.c.job_order)
    step = select(walk.c.number + 1, following).join(last, last.c.id == walk.c.id)
    return walk.union_all(step.where(walk.c.number < JOBS_PER_QUERY))


def _first_open(found: FromClause, after: ColumnElement[str]) -> ScalarSelect[str]:
    """Return the subquery for the first open part, in order, of the jobs after one."""
    query = select(found.c.id).where(
        found.c.account_id == bindparam("account"), is_open(found), found.c.job_order > after
    )
    query = query.order_by(found.c.job_order, found.c.segment_number).limit(1)
    return query.correlate_except(found).scalar_subquery()


def _has_hold() -> ColumnElement[bool]:
    """Return the SQL condition that an earlier part of the same job was not published on the same account."""
    earlier = publications.alias("earlier")
    return (
        select(earlier.c.id)
        .where(
            earlier.c.account_id == publications.c.account_id,
            earlier.c.job_id == publications.c.job_id,
            earlier.c.segment_number < publications.c.segment_number,
            is_unpublished(earlier),
        )
        .correlate(publications)
        .exists()
    )


# Built once: that takes longer than their execution.
_FIRST_PARTS = _first_parts()
_WANTED_NOW = _wanted_now()


def recent_starts(connection: Connection, account_id: str, since: datetime) -> list[datetime]:
    """Return the start times of publications of an account that may be public, oldest first."""
    query = select(publications.c.started_at).where(
        publications.c.account_id == account_id,
        publications.c.started_at > since,
        publications.c.status.not_in({PublicationStatus.FAILED, PublicationStatus.WAITING}),
    )
    return [moment for (moment,) in connection.execute(query.order_by(publications.c.started_at))]


def correct_starts(connection: Connection, now: datetime) -> None:
    """Let publications that began in the future have begun now: the clock was ahead, and the limits count from then."""
    connection.execute(update(publications).where(publications.c.started_at > now).values(started_at=now))


def start(connection: Connection, publication_id: str, now: datetime) -> bool:
    """Start a waiting publication; False if it was not waiting, is held, or its part needs approval.

    False also if another owner has taken over its account.
    """
    mine = select(jobs.c.id).where(
        jobs.c.id == publications.c.job_id,
        accounts.c.id == publications.c.account_id,
        accounts.c.owner_id == jobs.c.owner_id,
    )
    unapproved = select(jobs.c.id).where(
        jobs.c.id == publications.c.job_id, job_segments.c.id == publications.c.segment_id, part_not_approved()
    )
    change = update(publications).where(
        publications.c.id == publication_id,
        publications.c.status == PublicationStatus.WAITING,
        publications.c.held.is_(False),
        ~unapproved.exists(),
        mine.exists(),
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
    """Store when a waiting publication may start; False if that was stored."""
    change = update(publications).where(
        publications.c.id == publication_id,
        publications.c.status == PublicationStatus.WAITING,
        or_(publications.c.due_at.is_(None), publications.c.due_at != due_at),
    )
    return connection.execute(change.values(due_at=due_at)).rowcount == 1


def set_waiting_reason(connection: Connection, account_id: str, *, code: str, reason: str) -> None:
    """Set the reason of all waiting publications of an account; those that are held keep theirs."""
    change = update(publications).where(*_waiting_unheld(account_id))
    connection.execute(change.values(code=code, reason=reason))


def clear_waiting_reason(connection: Connection, account_id: str) -> None:
    """Clear the reason of all waiting publications of an account; those that are held keep theirs."""
    change = update(publications).where(*_waiting_unheld(account_id), publications.c.code.is_not(None))
    connection.execute(change.values(code=None, reason=None))


def _waiting_unheld(account_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        publications.c.account_id == account_id,
        publications.c.status == PublicationStatus.WAITING,
        publications.c.code.is_distinct_from(HELD),
    )
