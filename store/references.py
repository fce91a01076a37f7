"""The job, part, platform and account to which the id of a part, a publication or an account belongs."""

from __future__ import annotations

from sqlalchemy import Connection, Select, select

from store.tables import accounts, job_segments, publications

Reference = dict[str, str | int]


def of_segment(connection: Connection, segment_id: str) -> Reference:
    """Return the job and the number of a part; nothing if there is no such part."""
    columns = select(job_segments.c.job_id, job_segments.c.segment_number.label("part"))
    return _fetch(connection, columns.where(job_segments.c.id == segment_id))


def of_publication(connection: Connection, publication_id: str) -> Reference:
    """Return the job, the part, the platform and the account of a publication; nothing if it does not exist."""
    its = publications.c
    columns = select(its.job_id, its.segment_number.label("part"), its.platform, its.account_id)
    return _fetch(connection, columns.where(its.id == publication_id))


def of_account(connection: Connection, account_id: str) -> Reference:
    """Return the platform of an account; nothing if it does not exist."""
    return _fetch(connection, select(accounts.c.platform).where(accounts.c.id == account_id))


def _fetch(connection: Connection, query: Select[tuple[str | int, ...]]) -> Reference:
    row = connection.execute(query).one_or_none()
    return {} if row is None else dict(row._mapping)  # noqa: SLF001 (SQLAlchemy's public name for it)
