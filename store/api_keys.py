"""API keys with a name; only their hashes are stored.

A key is 256 random bits, so one SHA-256 is enough: there is no list of likely keys to try, and a slow hash would cost
each request its time. Keys in the environment (`API_KEYS`) are not stored here.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, select, update

from store import rows, sessions
from store.owners import DEFAULT_OWNER
from store.tables import api_keys

PREFIX = "vidprod_"
"""Start of each key, by which programs that search for published secrets can recognize it."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9._ @'’-]{0,63}$"
"""Pattern of the names of keys."""

UNSTORED_PREFIX = "env_"
"""Start of the ids of keys that are not stored here: those of the environment, and of the generated file."""


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key without its secret. Columns are explained in `store.tables`."""

    id: str
    owner_id: str
    name: str
    key_hash: str
    created_at: datetime
    revoked_at: datetime | None = None

    @property
    def full_name(self) -> str:
        """Return its name, with its owner unless that is the default one."""
        return self.name if self.owner_id == DEFAULT_OWNER else f"{self.name} (owner {self.owner_id})"


class NameTaken(Exception):
    """A key of its owner with this name exists: choose another name, or revoke that key first."""


def new_key() -> str:
    """Return a new key: the prefix and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """Return the hash under which a key is stored."""
    return sha256(b"api-key:" + key.encode("utf-8", "surrogateescape")).hexdigest()


def add(connection: Connection, key: ApiKey) -> None:
    """Store a key.

    Raises:
        NameTaken: a valid key of its owner has this name.
    """
    if named(connection, key.owner_id, key.name) is not None:
        raise NameTaken(key.name)
    values = {name: getattr(key, name) for name in ApiKey.__dataclass_fields__}
    connection.execute(api_keys.insert().values(**values))


def named(connection: Connection, owner_id: str, name: str) -> ApiKey | None:
    """Return the key of an owner with this name that is not revoked, or None."""
    query = select(api_keys).where(
        api_keys.c.owner_id == owner_id, api_keys.c.name == name, api_keys.c.revoked_at.is_(None)
    )
    return rows.fetch_one(connection, query, ApiKey)


def is_valid(connection: Connection, key_id: str) -> bool:
    """Return whether a key exists and is not revoked."""
    query = select(api_keys.c.id).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    return connection.scalar(query) is not None


def list_all(connection: Connection) -> list[ApiKey]:
    """Return all keys, also revoked ones, oldest first."""
    return rows.fetch_all(connection, select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id), ApiKey)


def list_of(connection: Connection, owner_id: str) -> list[ApiKey]:
    """Return the keys of an owner that are not revoked."""
    query = select(api_keys).where(api_keys.c.revoked_at.is_(None), api_keys.c.owner_id == owner_id)
    return rows.fetch_all(connection, query, ApiKey)


def list_valid(connection: Connection) -> list[ApiKey]:
    """Return the keys of all owners that are not revoked."""
    return rows.fetch_all(connection, select(api_keys).where(api_keys.c.revoked_at.is_(None)), ApiKey)


def revoke(connection: Connection, key_id: str, now: datetime) -> int:
    """Revoke a key and end its sessions; return the number of sessions."""
    connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=now))
    return sessions.end_all(connection, key_id)
