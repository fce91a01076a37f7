"""The commands of the API: create, cancel, retry, approve and delete jobs, and others.

Each is one transaction, in which the change and its messages commit together.
"""

from __future__ import annotations

from datetime import datetime

from loguru import logger
from sqlalchemy import Connection

from actors.flow import planning, rendering
from actors.flow.completion import close_finished
from actors.flow.endpoint_commands import new_signing_secret
from actors.flow.events import emit, emit_for_publication
from actors.flow.scheduling import start_due
from actors.machine import Machine
from actors.recovery import publishing_notes
from broker import DeadLetter
from store import accounts, endpoints, idempotency_keys, jobs, publications, segments, steps, webhooks
from store.idempotency_keys import StoredAnswer
from store.jobs import Job
from store.states import EndpointState, JobStatus, PublicationStatus

MAX_DEAD_LETTERS = 1000  # the newest; they are purged after a month


def accept(machine: Machine, job: Job, answer: StoredAnswer | None = None) -> StoredAnswer | None:
    """Create a job, whose video is at its path, complete and synced.

    Args:
        machine: for its store.
        job: to be created.
        answer: to the request, if it has an idempotency key; stored with the job.

    Returns:
        None if the job was created. If the key has a stored answer, that answer, and no job was created.
    """
    with machine.store.writing() as connection:
        if answer is not None:
            stored = idempotency_keys.get(connection, answer.key_hash, job.created_at)  # expiry as of the request
            if stored is not None:
                return stored
            idempotency_keys.add(connection, answer)
        if job.webhook_url is not None:
            add_endpoint(machine, connection, job.webhook_url, scope="named", events=[])
        jobs.create(connection, job)
        emit(machine, connection, "job.created", job)
        planning.send(machine, job.id)
        return None


def add_endpoint(
    machine: Machine, connection: Connection, url: str, *, scope: str, events: list[str]
) -> webhooks.Endpoint:
    """Add a webhook endpoint with a new signing secret; a known address keeps its secret and is enabled again."""
    new = webhooks.Endpoint(
        id=machine.new_id("ep_"),
        url=url,
        scope=scope,
        events=events,
        state=EndpointState.ENABLED,
        secret=machine.sealer.seal(new_signing_secret()),
        created_at=machine.now(),
    )
    known = webhooks.add_endpoint(connection, new)
    if scope == "all" and known.scope != "all":
        webhooks.set_scope_all(connection, known.id)
    endpoints.enable(connection, known.id)
    return known


def cancel(machine: Machine, job_id: str) -> bool:
    """Cancel a job: planning and rendering end at once, and what can still be held back is not published.

    Returns:
        False if there is no such job, or it is over.
    """
    with machine.store.writing() as connection:
        now = machine.now()
        job = jobs.get(connection, job_id)
        if job is None or not jobs.cancel(connection, job_id, now):
            return False
        segments.fail_all(connection, job_id, reason="cancelled", now=now)
        publications.end_waiting(
            connection, job_id, PublicationStatus.CANCELLED, reason="the job was cancelled", now=now
        )
        for publication in publications.in_progress(connection, job_id):
            # It ends at its next step, which is sent now.
            steps.schedule(connection, publication.id, now)
            machine.send(f"publish_{publication.platform}", publication.id)
        emit(machine, connection, "job.failed", job, code="cancelled", reason="the job was cancelled")
        machine.send("delete_files", job_id)
        start_due(machine, connection)
        parts = segments.of_job(connection, job_id)
    # After the commit: a message that is delivered before it is cancelled finds that its job is over.
    media_messages = [planning.message_id(job_id), *(rendering.message_id(part.id) for part in parts)]
    machine.broker.admin.cancel(*media_messages, abort=True)
    logger.info("Job {}: cancelled", job_id)
    return True


def retry(machine: Machine, job_id: str) -> bool:
    """Retry the failed work of a job, and delete the dead letters about it.

    Returns:
        False if nothing of the job has failed, or its files are deleted.
    """
    with machine.store.writing() as connection:
        now = machine.now()
        job = jobs.get(connection, job_id)
        is_unplanned = job is not None and job.segment_count is None
        again = JobStatus.PENDING if is_unplanned else JobStatus.PROCESSING
        if job is None or not jobs.reopen(connection, job_id, again, now):
            return False
        retried = {("split", job_id)}
        if is_unplanned:
            planning.send(machine, job_id)
        else:
            retried |= {("gaze", part_id) for part_id in _retry_parts(machine, connection, job_id, now)}
    _delete_dead_letters(machine, retried)
    return True


def _retry_parts(machine: Machine, connection: Connection, job_id: str, now: datetime) -> list[str]:
    failed = segments.retry_failed(connection, job_id, now)
    for segment in failed:
        rendering.send(machine, segment)
    publishing_notes.remove(machine, publications.retry_failed(connection, job_id, now))
    segments.reopen(connection, job_id)
    close_finished(machine, connection, job_id)
    start_due(machine, connection)
    return [segment.id for segment in failed]


def _delete_dead_letters(machine: Machine, retried: set[tuple[str, str]]) -> None:
    """Delete the dead letters about retried work.

    After a crash one may stay; it is older than the retry, so `stuck_work` ignores it.
    """
    for letter in machine.broker.admin.dead_letters("media", limit=MAX_DEAD_LETTERS):
        if letter.args and (letter.actor, letter.args[0]) in retried:
            machine.broker.admin.delete_dead_letter(letter.id)


def approve(machine: Machine, job_id: str) -> bool:
    """Approve the publications of a job in review.

    Returns:
        False if there is no such job, or it needs no approval.
    """
    with machine.store.writing() as connection:
        if not jobs.approve(connection, job_id, machine.now()):
            return False
        close_finished(machine, connection, job_id)
        start_due(machine, connection)
    logger.info("Job {}: approved", job_id)
    return True


def retry_dead_letter(machine: Machine, letter: DeadLetter) -> bool:
    """Send a dead-lettered message again; for media work, retry its job.

    Returns:
        False if there is nothing to retry.
    """
    if letter.actor in {"split", "gaze"} and letter.args and isinstance(letter.args[0], str):
        with machine.store.reading() as connection:
            segment = segments.get(connection, letter.args[0]) if letter.actor == "gaze" else None
        return retry(machine, segment.job_id if segment is not None else letter.args[0])
    return machine.broker.admin.retry_dead_letter(letter.id)


def delete(machine: Machine, job_id: str) -> bool:
    """Cancel a job if it is not over, and delete its files now. Its record stays.

    Returns:
        False if there is no such job.
    """
    cancel(machine, job_id)
    with machine.store.writing() as connection:
        if jobs.get(connection, job_id) is None:
            return False
        machine.send("delete_files", job_id, "now")
        return True


def disconnect(machine: Machine, account_id: str) -> bool:
    """Delete an account's tokens, and end its publications.

    Returns:
        False if there is no such account, or it is disconnected already.
    """
    with machine.store.writing() as connection:
        if not accounts.disconnect(connection, account_id):
            return False
        ended = publications.end_all_of_account(connection, account_id, now=machine.now())
        for before in ended:
            job, publication = jobs.get(connection, before.job_id), publications.get(connection, before.id)
            if job is not None and publication is not None:
                is_unknown = publication.status is PublicationStatus.OUTCOME_UNKNOWN
                kind = "publication.outcome_unknown" if is_unknown else "publication.failed"
                emit_for_publication(machine, connection, kind, publication, job)
        for job_id in {publication.job_id for publication in ended}:
            close_finished(machine, connection, job_id)
        start_due(machine, connection)
        return True


def resolve(machine: Machine, publication_id: str, *, published: bool, link: str | None) -> bool:
    """Resolve a publication whose outcome is unknown, with what a person has found out.

    Returns:
        False if there is no such publication, or its outcome is known.
    """
    status = PublicationStatus.PUBLISHED if published else PublicationStatus.FAILED
    with machine.store.writing() as connection:
        if not publications.resolve(connection, publication_id, status, link=link, now=machine.now()):
            return False
        publication = publications.get(connection, publication_id)
        job = jobs.get(connection, publication.job_id) if publication else None
        if publication is not None and job is not None:
            emit_for_publication(machine, connection, f"publication.{status}", publication, job)
            close_finished(machine, connection, job.id)
            start_due(machine, connection)
        return True
