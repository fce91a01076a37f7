"""The commands of the API: create, cancel, retry, approve and delete jobs, and others.

Each is one transaction, in which the change and its messages commit together.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from loguru import logger
from sqlalchemy import Connection

from actors.flow import cut_plan, planning, publication_commands, publication_history, rendering
from actors.flow.completion import close_finished
from actors.flow.cut_plan import Outdated
from actors.flow.endpoint_commands import new_signing_secret
from actors.flow.events import emit, emit_for_publication
from actors.flow.publication_commands import MAX_DEAD_LETTERS, NotPossible
from actors.flow.scheduling import start_due
from actors.machine import Machine
from broker import DeadLetter
from store import accounts, endpoints, idempotency_keys, jobs, publications, reviews, segments, steps, webhooks
from store.idempotency_keys import StoredAnswer
from store.jobs import Job
from store.publications import Publication
from store.states import JOB_OVER, EndpointState, JobStatus, PublicationStatus, SegmentStatus

JOBS_AT_A_TIME = 100
"""Number of restored jobs that are approved in one transaction; others wait for the write lock."""


def accept(machine: Machine, job: Job, answer: StoredAnswer | None = None) -> StoredAnswer | None:
    """Create a job, whose video is at its path, complete and synced.

    Args:
        machine: for its store.
        job: to be created.
        answer: to the request, if it has an idempotency key; stored with the job.

    Returns:
        None if the job was created. If the key has a stored answer, that answer, and no job was created.
    """
    with machine.store.writing(job=job.id) as connection:
        if answer is not None:
            # The expiry as of the request.
            stored = idempotency_keys.get_locked(connection, answer.key_hash, job.created_at)
            if stored is not None:
                return stored
            idempotency_keys.add(connection, answer)
        if job.webhook_url is not None:
            add_endpoint(machine, connection, job.owner_id, job.webhook_url, scope="named", events=[])
        jobs.create(connection, job)
        emit(machine, connection, "job.created", job)
        planning.send(machine, job.id)
        return None


def add_endpoint(
    machine: Machine, connection: Connection, owner_id: str, url: str, *, scope: str, events: list[str]
) -> webhooks.Endpoint:
    """Add a webhook endpoint with a new signing secret; a known address keeps its secret and is enabled again."""
    new = webhooks.Endpoint(
        id=machine.new_id("ep_"),
        owner_id=owner_id,
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
    with machine.store.writing(job=job_id) as connection:
        now = machine.now()
        job = jobs.get(connection, job_id)
        if job is None or not jobs.cancel(connection, job_id, now):
            return False
        segments.fail_all(connection, job_id, reason="cancelled", now=now)
        # Without events of their own: "job.failed" tells it, and hundreds of events take seconds.
        ended = publications.end_waiting(
            connection, job_id, PublicationStatus.CANCELLED, reason="the job was cancelled", now=now
        )
        ids = [publication.id for publication in ended]
        publication_history.record_person(machine, connection, ids, "A person cancels the video")
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


@dataclass(frozen=True)
class JobRetry:
    """The effect of a retry of a job.

    Attributes:
        retried: whether anything is retried.
        out_of_order: ids of failed publications that were left, because a later part has been published on their
            account; `publication_commands.retry_publication` retries them if a person says so.
    """

    retried: bool
    out_of_order: list[str]

    def __bool__(self) -> bool:
        return self.retried


def retry(machine: Machine, job_id: str) -> JobRetry:
    """Retry the failed work of a job, and delete the dead letters about it.

    Nothing is retried if nothing of the job has failed, only what is out of order, or its files are deleted.
    """
    with machine.store.writing(job=job_id) as connection:
        now = machine.now()
        job = jobs.get(connection, job_id)
        if job is None:
            return JobRetry(retried=False, out_of_order=[])
        failed, out_of_order = _failed_publications(connection, job_id)
        has_failed_part = any(part.status is SegmentStatus.FAILED for part in segments.of_job(connection, job_id))
        if out_of_order and not failed and not has_failed_part:
            return JobRetry(retried=False, out_of_order=out_of_order)
        is_unplanned = job.segment_count is None
        again = JobStatus.PENDING if is_unplanned else JobStatus.PROCESSING
        retried = {("split", job_id)}
        if not jobs.reopen(connection, job_id, again, now) and not (failed and _is_open(job)):
            return JobRetry(retried=False, out_of_order=out_of_order)
        if is_unplanned:
            planning.send(machine, job_id)
        else:
            retried |= {("gaze", part_id) for part_id in _retry_parts(machine, connection, job_id, failed)}
    delete_media_dead_letters(machine, retried)
    publication_commands.delete_dead_letters(machine, {publication.id for publication in failed})
    return JobRetry(retried=True, out_of_order=out_of_order)


def _is_open(job: Job) -> bool:
    return job.status not in JOB_OVER and job.files_deleted_at is None


def _failed_publications(connection: Connection, job_id: str) -> tuple[list[Publication], list[str]]:
    """Return the publications of a job that can be retried in order, and the ids of the others."""
    failed = publications.unpublished(connection, job_id)
    late = [one.id for one in failed if publications.later_published(connection, one)]
    return [one for one in failed if one.id not in late], late


def _retry_parts(
    machine: Machine, connection: Connection, job_id: str, failed_publications: list[Publication]
) -> list[str]:
    failed = segments.retry_failed(connection, job_id, machine.now())
    for segment in failed:
        rendering.send(machine, segment)
    publication_commands.restart(machine, connection, job_id, failed_publications)
    close_finished(machine, connection, job_id)
    start_due(machine, connection)
    return [segment.id for segment in failed]


def delete_media_dead_letters(machine: Machine, retried: set[tuple[str, str]]) -> None:
    """Delete the dead letters about work that is retried, or no longer wanted.

    After a crash one may stay; it is older than the retry, so `stuck_work` ignores it.
    """
    for letter in machine.broker.admin.dead_letters("media", limit=MAX_DEAD_LETTERS):
        if letter.args and (letter.actor, letter.args[0]) in retried:
            machine.broker.admin.delete_dead_letter(letter.id)


def approve(machine: Machine, job_id: str, parts: Collection[int] | None = None, version: str | None = None) -> bool:
    """Approve a job, or some of its parts. What is approved already stays so.

    Args:
        machine: for its store.
        job_id: of the job.
        parts: their numbers; None: the whole job.
        version: of the plan that was seen; None: whatever the parts are now.

    Returns:
        False if there is no such job, it never needed approval, or it ended without one.

    Raises:
        NotPossible: "no_such_part".
        Outdated: the plan has changed since; not if the whole job is approved already.
    """
    with machine.store.writing(job=job_id) as connection:
        job = jobs.get(connection, job_id)
        if job is None or not job.review_reasons or (job.approved_at is None and job.status in JOB_OVER):
            return False
        if job.approved_at is None and version is not None:
            _check_version(machine, connection, job_id, version)
        _check_numbers(job, parts or ())
        if job.approved_at is not None:
            return True
        _record_approval(machine, connection, job_id, parts)
        if parts is None:
            reviews.approve(connection, job_id, machine.now())
        else:
            reviews.approve_parts(connection, job_id, parts, machine.now())
        close_finished(machine, connection, job_id)
        start_due(machine, connection)
    logger.info("Job {}: approved{}", job_id, "" if parts is None else f" ({len(parts)} of {job.segment_count} parts)")
    return True


def _record_approval(machine: Machine, connection: Connection, job_id: str, parts: Collection[int] | None) -> None:
    waiting = [one for one in publications.of_job(connection, job_id) if one.status is PublicationStatus.WAITING]
    ids = [one.id for one in waiting if parts is None or one.segment_number in parts]
    text = "A person approves the video" if parts is None else "A person approves the part"
    publication_history.record_person(machine, connection, ids, text)


def _check_version(machine: Machine, connection: Connection, job_id: str, version: str) -> None:
    plan = cut_plan.read(machine, connection, job_id)
    if plan is not None and plan.version != version:
        raise Outdated(plan.version)


def _check_numbers(job: Job, parts: Collection[int]) -> None:
    for number in parts:
        if number > (job.segment_count or 0):
            raise NotPossible(
                "no_such_part", f"the video has {job.segment_count or 0} parts; there is no part {number}"
            )


def approve_restored(machine: Machine, owner_id: str) -> tuple[int, int]:
    """Approve all jobs of an owner that need approval for no other reason than that they are restored from a backup.

    Returns:
        The number of jobs that are approved, and of those that still need approval for another reason.
    """
    approved = left = 0
    while True:
        with machine.store.writing(scope="everything") as connection:
            found = reviews.list_restored(connection, owner_id, JOBS_AT_A_TIME)
            for job in found:
                _record_approval(machine, connection, job.id, None)
                is_approved = reviews.answer_restored(connection, job, machine.now())
                approved, left = approved + is_approved, left + (not is_approved)
                if job.status not in JOB_OVER:
                    close_finished(machine, connection, job.id)
            start_due(machine, connection)
        if len(found) < JOBS_AT_A_TIME:
            break
    logger.info("{} restored jobs approved; {} need approval for another reason", approved, left)
    return approved, left


def retry_dead_letter(machine: Machine, letter: DeadLetter) -> bool:
    """Send a dead-lettered message again; for media work, retry its job, and for a failed publication, retry that.

    Returns:
        False if there is nothing to retry.

    Raises:
        NotPossible: the publication cannot be retried.
    """
    subject = letter.args[0] if letter.args and isinstance(letter.args[0], str) else None
    if subject is not None and letter.actor in {"split", "gaze"}:
        with machine.store.reading() as connection:
            segment = segments.get(connection, subject) if letter.actor == "gaze" else None
        return bool(retry(machine, segment.job_id if segment is not None else subject))
    if subject is not None and letter.actor.startswith("publish_"):
        publication_commands.retry_publication(machine, subject)
        return True
    return machine.broker.admin.retry_dead_letter(letter.id)


def retry_dead_letters(machine: Machine, actor: str | None = None) -> tuple[list[int], list[int]]:
    """Retry all dead letters, or those of an actor; return the ids of those that were retried, and of the others."""
    retried: list[int] = []
    left: list[int] = []
    for letter in reversed(machine.broker.admin.dead_letters(limit=MAX_DEAD_LETTERS)):  # the oldest first
        if actor is not None and letter.actor != actor:
            continue
        try:
            is_retried = retry_dead_letter(machine, letter)
        except NotPossible:
            is_retried = False
        (retried if is_retried else left).append(letter.id)
    return retried, left


def delete(machine: Machine, job_id: str) -> bool:
    """Cancel a job if it is not over, and delete its files now. Its record stays.

    Returns:
        False if there is no such job.
    """
    cancel(machine, job_id)
    with machine.store.writing(job=job_id) as connection:
        if jobs.get(connection, job_id) is None:
            return False
        machine.send("delete_files", job_id, "now")
        return True


def disconnect(machine: Machine, account_id: str) -> bool:
    """Delete an account's tokens, and end its publications; those that had begun have an event each.

    Returns:
        False if there is no such account, or it is disconnected already.
    """
    with machine.store.writing(scope="everything") as connection:
        if not accounts.disconnect(connection, account_id):
            return False
        ended = publications.end_all_of_account(connection, account_id, now=machine.now())
        ids = [publication.id for publication in ended]
        publication_history.record_person(machine, connection, ids, "A person disconnects the account")
        for before in (one for one in ended if one.status is PublicationStatus.PUBLISHING):
            job, publication = jobs.get(connection, before.job_id), publications.get(connection, before.id)
            if job is not None and publication is not None:
                emit_for_publication(machine, connection, f"publication.{publication.status}", publication, job)
        for job_id in {publication.job_id for publication in ended}:
            close_finished(machine, connection, job_id)
        start_due(machine, connection)
        return True
