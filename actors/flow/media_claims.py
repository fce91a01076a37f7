"""Claims on media work: a worker claims a job or a part, runs one attempt, and records how the attempt ended.

    acquire   claim token := this attempt         (one transaction; a token found there is an interrupted attempt's)
    (child)   planning or rendering               (no transaction open)
    outcome   the caller records the result, or calls `requeue` or `record_failure` (compare-and-set on the token)

A message that is delivered twice does no harm: the second attempt replaces the token, and the first one's outcome is
dropped. `retrying` decides about delays and settings.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from dramatiq.errors import Retry
from sqlalchemy import Connection

from actors.flow import retrying
from actors.flow.retrying import GivenUp, MediaSettings
from actors.machine import Machine
from store.attempts import MediaAttempt, decode_attempts
from store.connection import Writing
from store.jobs import Job
from store.segments import Segment


class MediaWork(ABC):
    """A job to plan or a part to render, as read in the transaction that claims it."""

    machine: Machine
    job: Job

    @property
    @abstractmethod
    def name(self) -> str:
        """Job and part, for logs and errors."""

    @property
    @abstractmethod
    def row(self) -> Job | Segment:
        """The row with the columns `attempt`, `attempts` and `retry_at`."""

    @property
    @abstractmethod
    def is_failed(self) -> bool:
        """The row's status is "failed"."""

    @property
    @abstractmethod
    def is_claimed(self) -> bool:
        """The row has the token of an attempt that has not ended."""

    @property
    def gaze_intensity(self) -> float:
        """The strength of the gaze correction, 0 to 1."""
        return self.job.gaze_intensity

    @abstractmethod
    def start(self, connection: Connection) -> bool:
        """Prepare the claim; return False if the work is no longer wanted."""

    @abstractmethod
    def claimed_at(self, attempts: Sequence[MediaAttempt]) -> datetime | None:
        """Return when the attempt that has not ended began, as far as is known."""

    @abstractmethod
    def claim(self, connection: Connection, token: str, attempts: Sequence[MediaAttempt]) -> bool:
        """Store a claim and the earlier attempts; return False if the work has ended."""

    @abstractmethod
    def release(self, connection: Connection, token: str) -> bool:
        """Delete a claim; return False if it is no longer current."""

    @abstractmethod
    def put_back(
        self, connection: Connection, token: str, attempts: Sequence[MediaAttempt], retry_at: datetime | None
    ) -> bool:
        """Delete a claim and store the failed attempts; return False if it is no longer current."""

    @abstractmethod
    def fail(self, connection: Connection, attempts: Sequence[MediaAttempt]) -> None:
        """Fail the job or the part after its last attempt."""

    @abstractmethod
    def send(self) -> None:
        """Send the work's message again."""


Work = TypeVar("Work", bound=MediaWork)


@dataclass(frozen=True)
class MediaClaim(Generic[Work]):
    """A worker's claim for one attempt.

    Attributes:
        work: the job or part.
        token: of this attempt.
        attempts: the failed ones before it, oldest first.
        settings: of this attempt's child.
    """

    work: Work
    token: str
    attempts: list[MediaAttempt]
    settings: MediaSettings


def acquire(
    machine: Machine, transaction: Writing, load: Callable[[Connection], Work | None]
) -> MediaClaim[Work] | None:
    """Claim work for an attempt; return None if there is nothing to do.

    Args:
        machine: for its clock.
        transaction: from `Store.writing`, about the job or the part.
        load: reads the work in the given transaction; None if there is nothing to do.

    Raises:
        Retry: the work waits for its next attempt.
        GivenUp: no attempt is left.
    """
    with transaction as connection:
        work = load(connection)
        if work is None:
            return None
        attempts = decode_attempts(work.row.attempts)
        if work.is_failed and retrying.are_exhausted(attempts):
            raise _given_up(work, attempts)  # recorded, but its worker ended before the message was dead-lettered
        if not work.start(connection):
            return None
        if work.row.retry_at is not None and work.row.retry_at > machine.now():
            raise retrying.retry_exception(machine, work.row.retry_at)  # likewise, before the message was delayed
        if work.is_claimed:
            interrupted = _next_settings(work, attempts)
            attempts.append(retrying.interrupted_attempt(machine, work.claimed_at(attempts), interrupted))
        token = secrets.token_hex(8)
        if not work.claim(connection, token, attempts):
            return None
        claim = MediaClaim(work, token, attempts, _next_settings(work, attempts))
        if not retrying.are_exhausted(attempts):
            return claim
        error = _put_back(connection, claim, attempts)
    retrying.log_given_up(work.name, attempts)
    raise error or _given_up(work, attempts)


def requeue(claim: MediaClaim[Work]) -> None:
    """Release a claim and send its message again: this worker is stopping."""
    with claim.work.machine.store.writing(job=claim.work.job.id) as connection:
        if claim.work.release(connection, claim.token):
            claim.work.send()


def record_failure(claim: MediaClaim[Work], attempt: MediaAttempt) -> None:
    """Record a failed attempt, unless its claim is no longer current.

    Raises:
        Retry: the message is delivered again for the next attempt.
        GivenUp: this was the last attempt.
    """
    work, attempts = claim.work, retrying.appended(claim.attempts, attempt)
    with work.machine.store.writing(job=work.job.id) as connection:
        error = _put_back(connection, claim, attempts)
    if error is not None:
        retrying.log_failure(work.machine, work.name, attempts, error, with_gaze=work.gaze_intensity > 0)
        raise error


def _put_back(connection: Connection, claim: MediaClaim[Work], attempts: list[MediaAttempt]) -> Retry | GivenUp | None:
    """Record the attempts so far; the work waits for the next one, or fails.

    Returns:
        The exception to raise for the message; None if the work has ended, or another worker has claimed it.
    """
    work = claim.work
    retry_at = None if retrying.are_exhausted(attempts) else retrying.next_attempt_at(work.machine, attempts)
    if not work.put_back(connection, claim.token, attempts, retry_at):
        return None
    if retry_at is not None:
        return retrying.retry_exception(work.machine, retry_at)
    work.fail(connection, attempts)
    return _given_up(work, attempts)


def _next_settings(work: MediaWork, attempts: Sequence[MediaAttempt]) -> MediaSettings:
    return retrying.settings_after(attempts, with_gaze=work.gaze_intensity > 0)


def _given_up(work: MediaWork, attempts: list[MediaAttempt]) -> GivenUp:
    return retrying.given_up(work.name, attempts, work.job)
