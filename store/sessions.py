"""Sessions of the web page. Only hashes of their tokens are stored: a copy of the database opens no session.

A session is read without the write lock, and nothing is written when it is used.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection, bindparam, delete, func, select

from store import push_subscriptions, rows
from store.tables import api_keys, sessions

LIFETIME = timedelta(days=30)
MAX_PER_KEY = 100
"""Sessions of one key; at the next sign-in its oldest one ends."""

TOKEN_CHARS = 43


# Built once: each request of the page reads its session, and building the query takes 0.3 ms of CPU (measured
# 2026-11-29; reading takes 0.1 ms).
_UNEXPIRED = (
    select(sessions, api_keys.c.owner_id)
    .outerjoin(api_keys, api_keys.c.id == sessions.c.key_id)
    .where(sessions.c.token_hash == bindparam("hash"), sessions.c.expires_at > bindparam("now"))
)


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session without its token. Columns are explained in `store.tables`.

    Attributes:
        owner_id: of its key; None if that is not in the store.
    """

    token_hash: str
    key_id: str
    created_at: datetime
    expires_at: datetime
    owner_id: str | None


def create(connection: Connection, key_id: str, now: datetime) -> str:
    """Store a new session of a key; return its token, 256 random bits."""
    token = secrets.token_urlsafe(32)
    newest = select(sessions.c.token_hash).where(sessions.c.key_id == key_id)
    kept = newest.order_by(sessions.c.created_at.desc()).limit(MAX_PER_KEY - 1)
    connection.execute(delete(sessions).where(sessions.c.key_id == key_id, sessions.c.token_hash.not_in(kept)))
    connection.execute(
        sessions.insert().values(token_hash=_hash(token), key_id=key_id, created_at=now, expires_at=now + LIFETIME)
    )
    return token


def get(connection: Connection, token: str, now: datetime) -> Session | None:
    """Return the unexpired session with this token, or None."""
    row = connection.execute(_UNEXPIRED, {"hash": _hash(token), "now": now}).one_or_none()
    return None if row is None else rows.build(row, Session)


def end(connection: Connection, token: str) -> None:
    """End one session."""
    connection.execute(delete(sessions).where(sessions.c.token_hash == _hash(token)))


def end_all(connection: Connection, key_id: str | None = None) -> int:
    """End all sessions of a key, or of all keys; return how many. Their browsers get no more notices."""
    push_subscriptions.remove_of_key(connection, key_id)
    ended = delete(sessions) if key_id is None else delete(sessions).where(sessions.c.key_id == key_id)
    return connection.execute(ended).rowcount


def count_by_key(connection: Connection, now: datetime) -> dict[str, int]:
    """Return the number of unexpired sessions of each key that has any."""
    query = select(sessions.c.key_id, func.count()).where(sessions.c.expires_at > now).group_by(sessions.c.key_id)
    return {key_id: count for key_id, count in connection.execute(query)}  # noqa: C416 (rows are no pairs to mypy)


def purge(connection: Connection, now: datetime) -> int:
    """Delete the expired sessions; return how many."""
    return connection.execute(delete(sessions).where(sessions.c.expires_at <= now)).rowcount


def _hash(token: str) -> str:
    # Random tokens need no slow hash. A lookup by hash tells by its time nothing that helps to find a token.
    return sha256(b"session:" + token.encode("utf-8", "surrogateescape")).hexdigest()
