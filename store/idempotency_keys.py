"""Stores the answers to requests with an idempotency key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from store import rows
from store.tables import idempotency_keys


@dataclass(frozen=True, kw_only=True)
class StoredAnswer:
    """The answer to a keyed request. Columns are explained in `store.tables`."""

    key_hash: str
    fingerprint: str
    job_id: str
    status: int
    headers: dict[str, str]
    body: str
    expires_at: datetime


def get(connection: Connection, key_hash: str, now: datetime) -> StoredAnswer | None:
    """Return the unexpired answer of a key, or None."""
    query = select(idempotency_keys).where(idempotency_keys.c.key_hash == key_hash, idempotency_keys.c.expires_at > now)
    return rows.fetch_one(connection, query, StoredAnswer)


def add(connection: Connection, answer: StoredAnswer) -> None:
    """Store an answer; replace an expired one of the same key.

    Call `get` first, in the same transaction.
    """
    connection.execute(delete(idempotency_keys).where(idempotency_keys.c.key_hash == answer.key_hash))
    values = {name: getattr(answer, name) for name in StoredAnswer.__dataclass_fields__}
    connection.execute(idempotency_keys.insert().values(**values))


def purge(connection: Connection, now: datetime) -> int:
    """Delete the expired answers; return how many."""
    return connection.execute(delete(idempotency_keys).where(idempotency_keys.c.expires_at <= now)).rowcount
