"""The rows that a writing transaction decides about; every caller of `Store.writing` names them.

On SQLite one write lock guards all of them. On an engine with concurrent writers the locks follow from the names: a
decision that reads rows and writes others because of them needs a lock on what it has read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

Kind = Literal["rows", "everything"]
"""The scopes without names.

rows: each statement decides by its own condition (compare-and-set), or only adds; no lock is needed.
everything: the decision is about rows of no single job or account; no other transaction runs at the same time.
"""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """One of these; `accounts` also beside a job.

    Attributes:
        job: id of the job that is decided about, with its parts, its publications, and the accounts of these.
        part: id of one of its parts, instead.
        publication: id of one of its publications, instead.
        accounts: ids of accounts, whose queues of publications are decided about.
        endpoint: id of a webhook endpoint, whose next attempt is decided about.
        scope: one without names.
    """

    job: str | None = None
    part: str | None = None
    publication: str | None = None
    accounts: Iterable[str] = ()
    endpoint: str | None = None
    scope: Kind | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "accounts", tuple(self.accounts))
        names = (self.job, self.part, self.publication, self.endpoint, self.scope)
        named = [name for name in names if name is not None]
        if len(named) > 1 or not (named or self.accounts) or (self.accounts and named and self.job is None):
            raise TypeError(f"a transaction decides about one subject, or names a scope: {self}")


class OutOfScope(Exception):
    """A transaction decides about rows that its scope does not name: an error of the calling code."""


@contextmanager
def keeping(connection: Connection, scope: Scope, accounts: frozenset[str] | None = None) -> Iterator[None]:
    """Record the scope of a connection's transaction for the checks below, in a block.

    Args:
        connection: with the open transaction.
        scope: of the transaction.
        accounts: ids of those that it has locked; None: all of them.
    """
    info = connection.info  # kept: a connection that was lost has none
    info["scope"], info["accounts"] = scope, accounts
    try:
        yield
    finally:
        info["scope"] = info["accounts"] = None


def covers_account(connection: Connection, account_id: str) -> bool:
    """Return whether the open transaction may decide about the queue of an account."""
    accounts: frozenset[str] | None = connection.info.get("accounts")
    return accounts is None or account_id in accounts


def require_job(connection: Connection, job_id: str) -> None:
    """Check that the open transaction may decide about a job.

    Raises:
        OutOfScope: its scope does not name the job.
    """
    scope: Scope | None = connection.info.get("scope")
    if scope is None or scope.scope == "everything" or scope.job == job_id:
        return
    if scope.part is None and scope.publication is None:  # whose job the engine has locked
        raise OutOfScope(f"job {job_id} in a transaction about {scope}")
