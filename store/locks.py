"""Locks of a transaction on names, until its end. On SQLite they do nothing: its writers exclude each other.

`Store.writing` takes the locks of its scope first, always in the order everything, job, accounts or endpoint. The
locks below are taken later, so a transaction that waits for one must hold no other of them.
"""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import Connection, bindparam, text

from store.tables import Text


class LockClass(IntEnum):
    """First key of the advisory locks on the names of a kind; the broker uses others."""

    EVERYTHING = 8201  # shared by all transactions that write, exclusive for one about everything
    JOB = 8202
    ACCOUNT = 8203
    ENDPOINT = 8204
    PLATFORM = 8205
    IDEMPOTENCY_KEY = 8206
    ENDPOINT_URL = 8207


# Of the type of stored texts: a name may come from a request, and PostgreSQL takes no NUL.
_NAME = bindparam("name", type_=Text())
_LOCK = text("SELECT pg_advisory_xact_lock(:kind, hashtext(:name))").bindparams(_NAME)
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:kind, hashtext(:name))").bindparams(_NAME)


def is_shared(connection: Connection) -> bool:
    """Return whether the engine has concurrent writers."""
    return connection.dialect.name == "postgresql"


def lock(connection: Connection, kind: LockClass, name: str) -> None:
    """Acquire the lock on a name; wait while another transaction has it."""
    if is_shared(connection):
        connection.execute(_LOCK, {"kind": kind, "name": name})


def try_lock(connection: Connection, kind: LockClass, name: str) -> bool:
    """Acquire the lock on a name without waiting; False if another transaction has it."""
    return not is_shared(connection) or bool(connection.scalar(_TRY_LOCK, {"kind": kind, "name": name}))
