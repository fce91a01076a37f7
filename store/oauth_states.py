"""States of OAuth logins that have come back, so that each is used once."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, bindparam, delete, text

from store.tables import used_oauth_states

_USE = text(
    "INSERT INTO used_oauth_states (state_hash, expires_at) VALUES (:state_hash, :expires_at) ON CONFLICT DO NOTHING"
).bindparams(bindparam("expires_at", type_=used_oauth_states.c.expires_at.type))


def use(connection: Connection, state: str, *, expires_at: datetime) -> bool:
    """Record that a state is used; return False if it was used before.

    Args:
        connection: inside `Store.writing`.
        state: the state, which the caller has verified.
        expires_at: end of its validity; afterwards the record is not needed.
    """
    values = {"state_hash": sha256(state.encode()).hexdigest(), "expires_at": expires_at}
    return connection.execute(_USE, values).rowcount == 1


def purge(connection: Connection, now: datetime) -> int:
    """Delete the records of expired states; return how many."""
    return connection.execute(delete(used_oauth_states).where(used_oauth_states.c.expires_at <= now)).rowcount
