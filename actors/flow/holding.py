"""Holds the later parts of a job on an account after a part that was not published.

`store.publication_queue` starts no part that is held; here the waiting parts get the code and reason that tell so. They
go on when the part is retried or skipped, or when the account is set to continue.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from sqlalchemy import Connection

from actors.flow.events import emit_for_publication
from actors.machine import Machine
from store import accounts, jobs, publications
from store.publications import Publication
from store.states import PUBLICATION_UNPUBLISHED, AfterFailure, PublicationStatus

HELD = "held"


def update(machine: Machine, connection: Connection, job_id: str) -> None:
    """Set or clear the code "held" of the waiting parts of a job; emit an event for each new hold."""
    found = sorted(publications.of_job(connection, job_id), key=lambda one: (one.account_id, one.segment_number))
    for account_id, parts in groupby(found, key=lambda one: one.account_id):
        account = accounts.get(connection, account_id)
        holds = account is None or account.after_failure is AfterFailure.HOLD
        _update_account(machine, connection, list(parts), holds=holds)


def update_account(machine: Machine, connection: Connection, account_id: str) -> None:
    """Do the same for all jobs in which a part was not published on an account, or is held."""
    for job_id in publications.jobs_with_unpublished(connection, account_id):
        update(machine, connection, job_id)


def _update_account(machine: Machine, connection: Connection, parts: Iterable[Publication], *, holds: bool) -> None:
    """Update the parts of one job on one account, in order."""
    cause: Publication | None = None
    is_announced = False
    for part in parts:
        if holds and cause is None and part.status in PUBLICATION_UNPUBLISHED:
            cause = part
        if part.status is not PublicationStatus.WAITING or part.code not in {None, HELD}:
            continue  # another reason, such as an account that must be connected again, comes first
        reason = None if cause is None else _reason(cause)
        if part.reason != reason:
            publications.set_reason(connection, part.id, code=None if cause is None else HELD, reason=reason)
        if cause is not None and part.code is None and not is_announced:
            _announce(machine, connection, part.id)
        is_announced = is_announced or cause is not None


def _reason(cause: Publication) -> str:
    return f"part {cause.segment_number} was not published: {cause.reason or cause.code}. Retry or skip it"


def _announce(machine: Machine, connection: Connection, publication_id: str) -> None:
    """Emit the event of a hold, for the first part that is held."""
    publication = publications.get(connection, publication_id)
    job = None if publication is None else jobs.get(connection, publication.job_id)
    if publication is not None and job is not None:
        emit_for_publication(machine, connection, "publication.held", publication, job)
