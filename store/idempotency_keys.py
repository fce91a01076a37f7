"""Stores the answers to requests with an idempotency key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from store import rows
from store.locks import LockClass, lock
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


def get_locked(connection: Connection, key_hash: str, now: datetime) -> StoredAnswer | None:
    """Return the unexpired answer of a key, or None; no other transaction stores one before the end of this one."""
    lock(connection, LockClass.IDEMPOTENCY_KEY, key_hash)
    return get(connection, key_hash, now)


def get(connection: Connection, key_hash: str, now: datetime) -> StoredAnswer | None:
    """Return the unexpired answer of a key, or None."""
    query = select(idempotency_keys).where(idempotency_keys.c.key_hash == key_hash, idempotency_keys.c.expires_at > now)
    return rows.fetch_one(connection, query, StoredAnswer)


def add(connection: Connection, answer: StoredAnswer) -> None:
    """Store an answer; replace an expired one of the same key.

    Call `get_locked` first, in the same transaction.
    """
    values = {name: getattr(answer, name) for name in StoredAnswer.__dataclass_fields__}
    rows.upsert(connection, idempotency_keys, values)


def purge(connection: Connection, now: datetime) -> int:
    """Delete the expired answers; return how many."""
    return connection.execute(delete(idempotency_keys).where(idempotency_keys.c.expires_at <= now)).rowcount
