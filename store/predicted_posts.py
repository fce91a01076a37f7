"""The facts about publications that a list of predicted starts shows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select

from store.tables import accounts, jobs, publications


@dataclass(frozen=True, slots=True)
class PredictedPost:
    """A publication with the names of its job and its account."""

    id: str
    job_id: str
    title: str
    segment_number: int
    segment_count: int | None
    platform: str
    account_id: str
    account: str


COLUMNS = (
    publications.c.id,
    publications.c.job_id,
    jobs.c.title,
    publications.c.segment_number,
    jobs.c.segment_count,
    publications.c.platform,
    publications.c.account_id,
    accounts.c.name,
)
"""The fields of `PredictedPost`, in their order."""


def fetch(connection: Connection, owner_id: str, publication_ids: Collection[str]) -> dict[str, PredictedPost]:
    """Return those of some publications that are an owner's, by id."""
    query = (
        select(*COLUMNS)
        .join(jobs, jobs.c.id == publications.c.job_id)
        .join(accounts, accounts.c.id == publications.c.account_id)
        .where(publications.c.id.in_(publication_ids), jobs.c.owner_id == owner_id)
    )
    return {row[0]: PredictedPost(*row) for row in connection.execute(query)}
