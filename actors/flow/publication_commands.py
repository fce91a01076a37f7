"""The commands about single publications: retry, skip, resolve, and the effect of failures on an account's later parts.

Each is one transaction, in which the change and its messages commit together.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from loguru import logger
from sqlalchemy import Connection

from actors.flow import holding, publication_history
from actors.flow.completion import after_publication
from actors.flow.scheduling import start_due
from actors.machine import Machine
from actors.recovery import publishing_notes
from store import accounts, jobs, publications, reviews, segments
from store.jobs import Job
from store.publications import Publication
from store.states import (
    JOB_OVER,
    PUBLICATION_UNPUBLISHED,
    AccountStatus,
    AfterFailure,
    JobStatus,
    PublicationStatus,
    SegmentStatus,
)

MAX_DEAD_LETTERS = 1000  # the newest; they are purged after a month
SKIPPED = "skipped"
_SKIPPABLE = PUBLICATION_UNPUBLISHED | {PublicationStatus.WAITING}


class NotPossible(Exception):
    """The command does not fit the state of the publication.

    Attributes:
        code: stable, for programs: "unknown" (no such publication), "not_failed", "not_waiting", "out_of_order",
            "job_over", "files_deleted", "part_failed", "account_disconnected", and those of `timing` and
            `word_commands`.
        detail: a sentence for a person.
        facts: for programs: the number of the part and the time that the sentence names.
    """

    def __init__(self, code: str, detail: str, **facts: int | datetime) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.facts = facts


def retry_publication(machine: Machine, publication_id: str, *, out_of_order: bool = False) -> None:
    """Let a publication that failed, expired or was skipped wait again, from its first step.

    Args:
        machine: for its store.
        publication_id: of the publication.
        out_of_order: also if a later part of the job has been published on the account, or may have been.

    Raises:
        NotPossible: see there.
    """
    with machine.store.writing(publication=publication_id) as connection:
        publication, job = _find(connection, publication_id)
        _check_retry(connection, publication, job, out_of_order=out_of_order)
        if job.status in JOB_OVER:
            jobs.reopen(connection, job.id, JobStatus.PUBLISHING, machine.now())
        restart(machine, connection, job.id, [publication])
        start_due(machine, connection)
    delete_dead_letters(machine, {publication_id})
    logger.info("Publication {}: retried", publication_id)


def _find(connection: Connection, publication_id: str) -> tuple[Publication, Job]:
    publication = publications.get(connection, publication_id)
    job = None if publication is None else jobs.get(connection, publication.job_id)
    if publication is None or job is None:
        raise NotPossible("unknown", "there is no such publication")
    return publication, job


def _check_retry(connection: Connection, publication: Publication, job: Job, *, out_of_order: bool) -> None:
    was_skipped = publication.status is PublicationStatus.CANCELLED and publication.code == SKIPPED
    if publication.status not in PUBLICATION_UNPUBLISHED and not was_skipped:
        raise NotPossible("not_failed", f"the publication has not failed: it is {publication.status}")
    if job.files_deleted_at is not None:
        raise NotPossible("files_deleted", "the files of the job were deleted")
    if job.status is JobStatus.CANCELLED:
        raise NotPossible("job_over", "the job was cancelled")
    segment = segments.get(connection, publication.segment_id)
    if segment is None or segment.status is SegmentStatus.FAILED:
        raise NotPossible("part_failed", "the part was not rendered; retry the job")
    account = accounts.get(connection, publication.account_id)
    is_mine = account is not None and account.owner_id == job.owner_id
    if account is None or account.status is AccountStatus.DISCONNECTED or not is_mine:
        raise NotPossible("account_disconnected", "the account is disconnected")
    later = publications.later_published(connection, publication)
    if later and not out_of_order:
        raise NotPossible(
            "out_of_order", f"part {later[0].segment_number} was published before; out_of_order=true retries anyway"
        )


def restart(machine: Machine, connection: Connection, job_id: str, failed: Sequence[Publication]) -> None:
    """Let publications wait again, and the parts after them go on. The caller starts what is due.

    Args:
        machine: for its clock.
        connection: inside `store.writing()`.
        job_id: of their job, which is not over.
        failed: the publications, as they are.
    """
    ids = [publication.id for publication in failed]
    publications.restart(connection, ids, machine.now())
    reviews.update_status(connection, job_id)
    publication_history.record_person(machine, connection, ids, "A person retries the post")
    publishing_notes.remove(machine, failed)
    segments.reopen(connection, job_id)
    holding.update(machine, connection, job_id)


def skip_publication(machine: Machine, publication_id: str) -> None:
    """Cancel a publication that waits or was not published; the parts after it go on.

    Raises:
        NotPossible: see there.
    """
    with machine.store.writing(publication=publication_id) as connection:
        publication, job = _find(connection, publication_id)
        if publication.status not in _SKIPPABLE:
            raise NotPossible("not_waiting", f"the publication is {publication.status}")
        if job.status in JOB_OVER:
            raise NotPossible("job_over", "the job is over")
        publications.cancel(connection, publication_id, code=SKIPPED, reason="skipped", now=machine.now())
        publication_history.record_person(machine, connection, [publication_id], "A person skips the post")
        holding.update(machine, connection, job.id)
        after_publication(machine, connection, publication_id, "publication.cancelled")
    delete_dead_letters(machine, {publication_id})
    logger.info("Publication {}: skipped", publication_id)


def set_after_failure(machine: Machine, account_id: str, after_failure: AfterFailure) -> bool:
    """Set whether a part that was not published holds the parts after it on an account.

    Returns:
        False if there is no such account, or it is disconnected.
    """
    with machine.store.writing(accounts=[account_id]) as connection:
        if not accounts.set_after_failure(connection, account_id, after_failure):
            return False
        holding.update_account(machine, connection, account_id)
        start_due(machine, connection)
        return True


def resolve(machine: Machine, publication_id: str, *, published: bool, link: str | None) -> bool:
    """Resolve a publication whose outcome is unknown, with what a person has found out.

    Returns:
        False if there is no such publication, its outcome is known, or a step of it is still being run.
    """
    status = PublicationStatus.PUBLISHED if published else PublicationStatus.FAILED
    with machine.store.writing(publication=publication_id) as connection:
        if not publications.resolve(connection, publication_id, status, link=link, now=machine.now()):
            return False
        found_out = "is online" if published else "is not online"
        text = f"A person says that the post {found_out}{f': {link}' if link else ''}"
        publication_history.record_person(machine, connection, [publication_id], text)
        after_publication(machine, connection, publication_id, f"publication.{status}")
        return True


def delete_dead_letters(machine: Machine, publication_ids: set[str]) -> None:
    """Delete the dead letters about publications that are retried or skipped.

    After a crash one may stay. A retry of it does nothing, or is refused, since its publication has not failed.
    """
    for letter in machine.broker.admin.dead_letters("network", limit=MAX_DEAD_LETTERS):
        if letter.actor.startswith("publish_") and letter.args and letter.args[0] in publication_ids:
            machine.broker.admin.delete_dead_letter(letter.id)
