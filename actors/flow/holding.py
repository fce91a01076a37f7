"""Holds the later parts of a job on an account after a part that was not published.

`store.publication_queue` starts no part that is held; here the waiting parts get the code and reason that tell so. They
go on when the part is retried or skipped, or when the account is set to continue.
"""

from __future__ import annotations

from sqlalchemy import Connection

from actors.flow.events import emit_for_publication
from actors.machine import Machine
from store import holds, jobs, publication_queue, publications
from store.accounts import Account
from store.publications import Publication
from store.states import UNUSABLE_CODES, AfterFailure


def update(machine: Machine, connection: Connection, job_id: str) -> None:
    """Set or clear the code "held" of the waiting parts of a job; emit an event for each new hold."""
    for account in holds.list_accounts(connection, job_id):
        _update_on(machine, connection, job_id, account)


def update_account(machine: Machine, connection: Connection, account_id: str) -> None:
    """Do the same for all jobs in which a part was not published on an account."""
    for job_id in publications.jobs_with_unpublished(connection, account_id):
        update(machine, connection, job_id)


def _update_on(machine: Machine, connection: Connection, job_id: str, account: Account) -> None:
    cause = None
    if account.after_failure is AfterFailure.HOLD:
        cause = holds.find_cause(connection, job_id, account.id)
    holds.clear(connection, job_id, account.id, before=None if cause is None else cause.segment_number)
    if account.status in UNUSABLE_CODES:  # what is no longer held waits for the account
        code = UNUSABLE_CODES[account.status]
        publication_queue.set_waiting_reason(connection, account.id, code=code, reason=account.reason or code)
    if cause is None:
        return
    first = holds.first_after(connection, cause)
    holds.hold_after(connection, cause, reason=_reason(cause))
    if first is not None and first.code is None:
        _announce(machine, connection, first.id)


def _reason(cause: Publication) -> str:
    return f"part {cause.segment_number} was not published: {cause.reason or cause.code}. Retry or skip it"


def _announce(machine: Machine, connection: Connection, publication_id: str) -> None:
    """Emit the event of a hold, for the first part that is held."""
    publication = publications.get(connection, publication_id)
    job = None if publication is None else jobs.get(connection, publication.job_id)
    if publication is not None and job is not None:
        emit_for_publication(machine, connection, "publication.held", publication, job)
