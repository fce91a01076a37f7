"""Holds: parts that wait because an earlier part of their job was not published on the account."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, or_, select, update

from store import rows
from store.accounts import Account
from store.partial_indexes import HELD, is_held, is_open, is_unpublished
from store.publications import Publication
from store.states import PublicationStatus
from store.tables import accounts, publications


def list_accounts(connection: Connection, job_id: str) -> list[Account]:
    """Return the accounts on which a part of a job was not published, or is held."""
    mine = select(publications.c.id).where(publications.c.account_id == accounts.c.id, publications.c.job_id == job_id)
    concerned = or_(mine.where(is_unpublished(publications)).exists(), mine.where(is_held(publications)).exists())
    return rows.fetch_all(connection, select(accounts).where(concerned).order_by(accounts.c.id), Account)


def find_cause(connection: Connection, job_id: str, account_id: str) -> Publication | None:
    """Return the first part of a job that was not published on an account, or None."""
    query = select(publications).where(
        publications.c.account_id == account_id, publications.c.job_id == job_id, is_unpublished(publications)
    )
    return rows.fetch_one(connection, query.order_by(publications.c.segment_number).limit(1), Publication)


def first_after(connection: Connection, cause: Publication) -> Publication | None:
    """Return the first part that a cause holds, or will hold; None if none waits after it."""
    query = select(publications).where(*_after(cause)).order_by(publications.c.segment_number).limit(1)
    return rows.fetch_one(connection, query, Publication)


def hold_after(connection: Connection, cause: Publication, *, reason: str) -> None:
    """Hold the parts that wait after a cause. Parts that wait for another reason keep their code."""
    change = update(publications).where(*_after(cause), publications.c.reason.is_distinct_from(reason))
    connection.execute(change.values(code=HELD, reason=reason))


def clear(connection: Connection, job_id: str, account_id: str, *, before: int | None = None) -> None:
    """End the holds of a job on an account: all, or only those of parts before a number."""
    change = update(publications).where(
        publications.c.account_id == account_id, publications.c.job_id == job_id, is_held(publications)
    )
    if before is not None:
        change = change.where(publications.c.segment_number < before)
    connection.execute(change.values(code=None, reason=None))


def _after(cause: Publication) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the parts that a cause holds, or will hold."""
    job_order = select(publications.c.job_order).where(publications.c.id == cause.id).scalar_subquery()
    return (
        publications.c.account_id == cause.account_id,
        publications.c.job_order == job_order,
        publications.c.segment_number > cause.segment_number,
        is_open(publications),  # for the index
        publications.c.status == PublicationStatus.WAITING,
        or_(publications.c.code.is_(None), publications.c.code == HELD),
    )
