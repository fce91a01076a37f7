"""Owners: each has jobs, accounts, schedules, webhook endpoints, notices and API keys of its own.

An owner is a name and has no table: it exists as soon as it has a key. The default owner is the operator of the
installation; it has everything that was made before there were others, and all keys outside of the database.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from store.tables import DEFAULT_OWNER, accounts, api_keys, endpoints, jobs, publications, push_subscriptions

__all__ = ["DEFAULT_OWNER", "NAME", "of_row"]

NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"
"""Pattern of the names of owners."""

# Built once: each request with an id executes one of them.
_OWNER_BY_ID = {
    "job": select(jobs.c.owner_id).where(jobs.c.id == bindparam("id")),
    "publication": select(jobs.c.owner_id)
    .join(publications, publications.c.job_id == jobs.c.id)
    .where(publications.c.id == bindparam("id")),
} | {
    kind: select(table.c.owner_id).where(table.c.id == bindparam("id"))
    for kind, table in (
        ("account", accounts),
        ("endpoint", endpoints),
        ("key", api_keys),
        ("subscription", push_subscriptions),
    )
}


def of_row(connection: Connection, kind: str, row_id: str) -> str | None:
    """Return the owner of a row; None if there is no such row.

    Args:
        connection: to the store.
        kind: "job", "publication", "account", "endpoint", "key" or "subscription".
        row_id: its id.
    """
    found: str | None = connection.scalar(_OWNER_BY_ID[kind], {"id": row_id})
    return found
