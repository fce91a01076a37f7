"""Makes a restored database safe: nothing that may have been published since the backup is published by itself.

The database says "waiting" of a part that may be public by now. The record beside its upload (`publishing_notes`)
knows, but may be gone with the upload, or was restored together with the database. So a person decides:

    has begun      the outcome is unknown        `POST /publications/{id}/resolve`
    waits          its job needs approval        `POST /jobs/{id}/approve`, `POST /jobs/approve-restored` for all

Sessions end: a browser that was signed out since the backup would be signed in again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from actors.flow.completion import after_publication
from actors.flow.events import emit
from actors.machine import Machine
from store import api_keys, heartbeats, publications, reviews, sessions
from store.states import JOB_OVER, JobStatus, ReviewReason

CODE = "database_older"
REASON = "publishing had begun before the backup from which the database was restored; please look at the platform"


@dataclass(frozen=True)
class Restored:
    """The state of a restored database.

    Attributes:
        last_run_at: the last time at which the machine ran, according to the database.
        jobs: the number of open jobs, which need approval.
        unknown: the number of publications whose outcome is unknown now.
        key_names: the names of the API keys that are valid.
    """

    last_run_at: datetime | None
    jobs: int
    unknown: int
    key_names: tuple[str, ...]


def hold_publications(machine: Machine) -> tuple[int, int]:
    """Require approval of all open jobs, and end publications that have begun as unknown.

    Returns:
        The number of open jobs, and of those publications.
    """
    now = machine.now()
    with machine.store.writing(scope="everything") as connection:
        held = [
            job
            for job in reviews.require_of_all(connection, ReviewReason.RESTORED)
            if job.status not in JOB_OVER  # a retry of those would ask
        ]
        for job in held:
            if job.status is not JobStatus.REVIEW:
                continue  # its event follows when its parts are ready
            reasons = job.review_reasons or []
            emit(machine, connection, "job.review_needed", job, code=reasons[0], reasons=reasons)
        begun = publications.make_unknown(connection, code=CODE, reason=REASON, now=now)
        for publication in begun:
            after_publication(machine, connection, publication.id, "publication.outcome_unknown")
    return len(held), len(begun)


def secure(machine: Machine, *, hold: bool) -> Restored:
    """End the sessions of a restored database, and hold its publications.

    Args:
        machine: with the restored database, before it is put in place.
        hold: False only if nothing was published since the backup.
    """
    held, begun = hold_publications(machine) if hold else (0, 0)
    with machine.store.writing(scope="everything") as connection:
        sessions.end_all(connection)
        names = tuple(key.full_name for key in api_keys.list_all(connection) if key.revoked_at is None)
        last_run_at = heartbeats.last(connection, "scheduler")
    return Restored(last_run_at, held, begun, names)
