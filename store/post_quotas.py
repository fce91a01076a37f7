"""The limits of posts in 24 hours, as platforms answered when they were last asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from store import rows
from store.partial_indexes import is_started
from store.states import PUBLICATION_SUCCEEDED, PublicationStatus
from store.tables import accounts, post_quotas, publications

DAY = timedelta(hours=24)
LONGEST_POST = timedelta(days=2)  # from its start to its end; a longer one is not counted as ours


@dataclass(frozen=True, kw_only=True)
class PostQuota:
    """A platform's answer about one account. Columns are explained in `store.tables`."""

    account_id: str
    total: int | None
    others: int
    read_at: datetime
    reason: str | None = None


def get(connection: Connection, account_id: str) -> PostQuota | None:
    """Return the last answer about an account, or None."""
    query = select(post_quotas).where(post_quotas.c.account_id == account_id)
    return rows.fetch_one(connection, query, PostQuota)


def put(connection: Connection, quota: PostQuota) -> None:
    """Store an answer in place of the last one."""
    rows.upsert(connection, post_quotas, asdict(quota))


def count_published(connection: Connection, account_id: str, now: datetime) -> int:
    """Return how many posts of an account were published in the last 24 hours."""
    query = select(func.count()).where(
        publications.c.account_id == account_id,
        is_started(publications),
        publications.c.started_at > now - DAY - LONGEST_POST,
        publications.c.ended_at > now - DAY,
        publications.c.status.in_(PUBLICATION_SUCCEEDED),
    )
    return connection.scalar(query) or 0


def count_started_on_others(connection: Connection, platform: str, account_id: str, since: datetime) -> int:
    """Return how many posts have begun on the other accounts of a platform since a moment."""
    others = select(accounts.c.id).where(accounts.c.platform == platform, accounts.c.id != account_id)
    query = select(func.count()).where(
        publications.c.account_id.in_(others),
        is_started(publications),
        publications.c.started_at >= since,
        publications.c.status != PublicationStatus.WAITING,
    )
    return connection.scalar(query) or 0
