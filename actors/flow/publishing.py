"""Publishes one part on one account: a state machine of short steps, one step a message.

Each step is recorded before and after it uses the network:

    claim     holder := this message              (one transaction; a holder found there was interrupted in its step)
    advance   the publisher carries out one step  (no transaction open)
    record    handle, next step, next message     (one transaction; compare-and-set on the holder)

So a process may end between any two instructions: the broker delivers the message again, the holder found is this
message, with the fact that this step was begun before. After an unclear answer the same happens, by
the flag `unclear`. The publisher then asks the platform for the outcome and does not repeat the step.

Two rules hold here for all platforms, whatever their modules raise:

- Once an irreversible step has been run, every error of it is unclear. No list of answers decides about that.
- A publication ends as failed only if nothing can be public (`_StepRun._may_stop`), or by the platform's own word
  about the post (`PostFailed`). Any other refusal is that of a question, which is asked again (`failed_steps`).
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from dramatiq.middleware import CurrentMessage
from loguru import logger
from sqlalchemy import Connection

from actors.flow import link_polling, outages, platform_limits, post_words, publication_history, tokens
from actors.flow import publishing_retries as retries
from actors.flow.completion import after_publication
from actors.flow.failed_steps import FailedStep
from actors.flow.posts import create_post, part_file, storage_unavailable
from actors.flow.publication_history import StepRecord
from actors.machine import Machine
from actors.recovery import publishing_notes
from actors.recovery.missing_files import FILE_MISSING, PART_GONE, part_is_gone
from files.errors import FilesError
from platforms import errors
from platforms.contract import ActionNeeded, Advanced, AuthorizedAccount, Handle, Outcome, Post, Published, Publisher
from platforms.http.recording import Exchange, recorded
from store import accounts, jobs, platform_states, publications, segments, stage_durations, steps
from store.jobs import Job
from store.publications import Publication
from store.sealing import WrongKey
from store.segments import Segment
from store.states import JobStatus, PublicationStatus

STEP_DEADLINE = timedelta(minutes=15)  # 60 MB over a slow line; no step takes longer
EARLY_TOLERANCE = timedelta(seconds=2)  # a message that is earlier than its step's time by more is a duplicate
FRESH_TOKEN_TRIES, FRESH_TOKEN_PAUSE_S = 2, 30.0
DATABASE_OLDER = (
    "publishing had begun before, as a note beside the upload shows; the database is older, as after a backup was "
    "restored"
)


def run_step(machine: Machine, publication_id: str, message_id: str) -> None:
    """Carry out the next step of a publication; nothing if it is not due, or another message has claimed it.

    A publication that is over is polled for its link (`link_polling`).

    Args:
        machine: for its store, clock and publishers.
        publication_id: of the publication.
        message_id: of the message that asks for the step; a redelivered message has the same id.

    Raises:
        GivenUp: no retry is left; the message is to be dead-lettered.
    """
    nonce = secrets.token_hex(4)
    before = _claim(machine, publication_id, message_id, nonce)
    if before is None:
        _raise_if_given_up(machine, publication_id, message_id)
        link_polling.poll(machine, publication_id)
        return
    _StepRun(machine, before, f"{message_id}/{nonce}").run()


def _raise_if_given_up(machine: Machine, publication_id: str, message_id: str) -> None:
    """Raise again for a message whose failure is recorded, but whose worker ended before it was dead-lettered."""
    with machine.store.reading() as connection:
        found = publications.get(connection, publication_id)
    is_failed = found is not None and found.status is PublicationStatus.FAILED
    if found is not None and is_failed and found.holder is not None and found.holder.startswith(f"{message_id}/"):
        raise retries.given_up(found, found.attempts)


def may_be_public(machine: Machine, publication: Publication) -> bool:
    """Return whether the post of a publication that has not ended may be public. Without network."""
    if publication.handle is None or publication.step is None:
        return False
    publisher = machine.publisher(publication.platform)
    try:
        handle = Handle(publication.step, machine.sealer.open(publication.handle))
    except WrongKey:
        return True
    was_begun = publication.holder is not None or publication.unclear
    return (was_begun and handle.step in publisher.irreversible_steps) or not publisher.may_stop(handle)


def current_message_id() -> str:
    """Return the id of the message that this worker thread processes."""
    message = CurrentMessage.get_current_message()
    assert message is not None  # actors run in a worker; tests pass ids of their own to `run_step`
    return message.message_id


def _claim(machine: Machine, publication_id: str, message_id: str, nonce: str) -> Publication | None:
    now = machine.now()
    with machine.store.writing(publication=publication_id) as connection:
        found = publications.get(connection, publication_id)
        if found is None or _is_early(found, now):
            return None
        if found.holder is None and _postpone_if_paused(machine, connection, found, now):
            return None
        until = now + STEP_DEADLINE
        claimed = steps.claim(connection, publication_id, message_id, nonce, now=now, until=until)
        if claimed is None:
            return None
        publication_history.record_claim(machine, connection, claimed)
        return post_words.freeze(connection, claimed)


def _is_early(found: Publication, now: datetime) -> bool:
    return found.holder is None and found.next_at is not None and found.next_at > now + EARLY_TOLERANCE


def _postpone_if_paused(machine: Machine, connection: Connection, found: Publication, now: datetime) -> bool:
    """Postpone a step while its account or platform is paused: no request is to be made at all."""
    account = accounts.get(connection, found.account_id)
    job = jobs.get(connection, found.job_id)
    pauses = [platform_states.get(connection, found.platform).paused_until, account.paused_until if account else None]
    until = max((pause for pause in pauses if pause is not None), default=now)
    if until <= now + EARLY_TOLERANCE:
        return False
    if job is None or job.status is JobStatus.CANCELLED:
        return False  # ending the publication needs no request
    if steps.postpone(connection, found, until, now):
        machine.send(f"publish_{found.platform}", found.id, delay_s=(until - now).total_seconds())
    return True


class _ClaimLost(Exception):
    """The claim of a step is no longer current."""


class _StepRun:
    """One step of one publication, from its claim to the record of its outcome."""

    def __init__(self, machine: Machine, before: Publication, holder: str) -> None:
        self.machine = machine
        self.publication = before
        self.holder = holder
        self.interrupted = before.holder is not None or before.unclear
        self.has_acted = False  # an irreversible step has been run here
        self.publisher: Publisher = machine.publisher(before.platform)
        self.handle: Handle | None = None
        self.tokens: bytes | None = None  # encrypted; those that this step uses
        self.exchanges: list[Exchange] = []  # of the calls of the publisher

    def run(self) -> None:
        job, segment = self._read()
        try:
            self.handle = self._stored_handle(job)
            self._check_database()
            if job.status is JobStatus.CANCELLED and self._may_stop():
                self._cancel()
                return
            access = tokens.get_access(self.machine, self.publication.account_id)
            self.tokens = access.tokens
            with part_file(self.machine, segment) as video:
                post = create_post(self.machine, self.publication, segment, job, video)
                if self.handle is None and not self._begin(post, access.account):
                    return  # the claim is no longer current
                outcome = self._advance(post, access.account)
            self._record(outcome)
        except _ClaimLost:
            logger.warning("Publication {}: another attempt has its step; nothing is sent", self.publication.id)
        except errors.PlatformError as error:
            self._handle_error(error)
        except FileNotFoundError:
            try:
                is_gone = part_is_gone(self.machine, segment)
            except FilesError as error:
                self._handle_error(storage_unavailable(error))
                return
            if not is_gone:
                raise
            gone = errors.PostFailed if self._may_stop() else errors.OutcomeUnknown
            self._handle_error(gone(FILE_MISSING, PART_GONE))

    def _check_database(self) -> None:
        """Check that the file beside the upload does not tell more than the database.

        Raises:
            OutcomeUnknown: it does, so the database is an older one, and the post may be public.
        """
        if self._is_irreversible() or not self._may_stop():
            return  # the publisher asks the platform
        is_begun = self.handle is not None or self.interrupted
        notes = publishing_notes.is_sent if is_begun else publishing_notes.has_begun
        if notes(self.machine, self.publication):
            raise errors.OutcomeUnknown("database_older", DATABASE_OLDER)

    def _cancel(self) -> None:
        with self.machine.store.writing(job=self.publication.job_id) as connection:
            if steps.end(
                connection,
                self.publication.id,
                self.holder,
                PublicationStatus.CANCELLED,
                now=self.machine.now(),
                code="cancelled",
                reason="the job was cancelled",
            ):
                after_publication(self.machine, connection, self.publication.id, "publication.cancelled")

    def _read(self) -> tuple[Job, Segment]:
        with self.machine.store.reading() as connection:
            segment = segments.get(connection, self.publication.segment_id)
            job = jobs.get(connection, self.publication.job_id)
        assert segment is not None
        assert job is not None  # foreign keys guarantee both
        return job, segment

    def _stored_handle(self, job: Job) -> Handle | None:
        """Return what identifies the post at the platform; None before the first step.

        Raises:
            SealedWithOtherKey: it cannot be read with this SECRET_KEY, and neither can the account's tokens.
            OutcomeUnknown: it cannot be read, but the account was connected again, or the job was cancelled: nobody
                waits for the other SECRET_KEY.
        """
        stored = self.publication
        if stored.handle is None or stored.step is None:
            return None
        try:
            return Handle(stored.step, self.machine.sealer.open(stored.handle))
        except WrongKey as wrong:
            detail = "what identifies the post was encrypted with another SECRET_KEY"
            if job.status is not JobStatus.CANCELLED and tokens.is_sealed_with_other_key(
                self.machine, stored.account_id
            ):
                raise tokens.SealedWithOtherKey(detail) from wrong
            raise errors.OutcomeUnknown("wrong_key", detail) from wrong

    def _may_stop(self) -> bool:
        """Return whether nothing can be public if no further step is taken."""
        if self.handle is None:
            return True
        is_open = self._is_irreversible() and (self.interrupted or self.has_acted)
        return not is_open and self.publisher.may_stop(self.handle)

    def _is_irreversible(self) -> bool:
        return self.handle is not None and self.handle.step in self.publisher.irreversible_steps

    def _begin(self, post: Post, account: AuthorizedAccount) -> bool:
        """Store the first handle before the first step is carried out."""
        self.handle = self.publisher.begin(post, account)
        publishing_notes.add(self.machine, self.publication)
        self.interrupted = False  # nothing has ever been sent
        sealed = self.machine.sealer.seal(dict(self.handle.facts))
        with self.machine.store.writing(scope="rows") as connection:
            return steps.record_first_step(
                connection, self.publication.id, self.holder, step=self.handle.step, handle=sealed
            )

    def _advance(self, post: Post, account: AuthorizedAccount) -> Outcome:
        try:
            return self._call_publisher(post, account)
        except errors.Reconnect as expired:
            if not expired.refreshable:
                raise
        # Repeat the step once with a refreshed token. An irreversible step then counts as interrupted.
        with self.machine.store.reading() as connection:
            stale = accounts.get(connection, account.id)
        if stale is None:
            raise errors.Reconnect("not_connected", "the account is not connected")
        access = tokens.refresh(self.machine, replace(stale, tokens=self.tokens))
        self.tokens = access.tokens
        try:
            return self._call_publisher(post, access.account)
        except errors.Reconnect as refused:
            if not refused.refreshable or self.publication.tries >= self._fresh_token_tries():
                raise
            # The platform's servers may not all know a token that it has just issued.
            raise errors.TryLater(
                refused.code, refused.detail, retry_after_s=FRESH_TOKEN_PAUSE_S, cause="post"
            ) from refused

    def _fresh_token_tries(self) -> int:
        """Return how often a step is tried again with another fresh token before the owner has to connect again."""
        return min(FRESH_TOKEN_TRIES, self.machine.settings.publish_retries)

    def _call_publisher(self, post: Post, account: AuthorizedAccount) -> Outcome:
        assert self.handle is not None
        has_acted_before = self.has_acted
        if self._is_irreversible():
            self._check_claim()
        self.has_acted = self._is_irreversible()
        interrupted = self.interrupted or has_acted_before
        if self.has_acted:
            publishing_notes.add_sent(self.machine, self.publication)
        with recorded(self.machine.now) as exchanges:
            try:
                return self.publisher.advance(post, account, self.handle, interrupted=interrupted)
            except FileNotFoundError:
                self.has_acted = has_acted_before  # a publisher opens the part's file before it sends anything
                raise
            finally:
                self.exchanges += exchanges

    def _check_claim(self) -> None:
        """Check that no other attempt has the step by now: a virtual machine that was paused sees that in no clock.

        Raises:
            _ClaimLost: one has.
        """
        with self.machine.store.reading() as connection:
            stored = publications.get(connection, self.publication.id)
        if stored is None or stored.holder != self.holder:
            raise _ClaimLost

    def _record(self, outcome: Outcome) -> None:
        assert self.handle is not None
        sealed = self.machine.sealer.seal(dict(outcome.handle.facts))
        # An interrupted run that leads back to its step has only asked, so the failures of the step still count.
        is_progress = (
            not isinstance(outcome, Advanced) or not self.interrupted or outcome.handle.step != self.handle.step
        )
        if isinstance(outcome, Advanced) and self._is_over(outcome.handle):
            publishing_notes.add_ended(self.machine, self.publication)
        with self.machine.store.writing(job=self.publication.job_id) as connection:
            self._step_record().append_outcome(connection, outcome)
            if isinstance(outcome, Advanced) and outcome.quota is not None:
                platform_limits.record(connection, self.publication.account_id, outcome.quota, self.machine.now())
            if not isinstance(outcome, Advanced):
                self._record_success(connection, outcome, sealed)
            elif steps.advance(
                connection,
                self.publication.id,
                self.holder,
                step=outcome.handle.step,
                handle=sealed,
                next_at=self.machine.now() + timedelta(seconds=outcome.again_after_s),
                keeps_failures=not is_progress,
            ):
                self._send_next(outcome.again_after_s)
            if is_progress:
                outages.end(self.machine, connection, self.publication.platform)

    def _is_over(self, after: Handle) -> bool:
        """Return whether the job at the platform has ended without a post, and another one follows."""
        return after.step not in self.publisher.irreversible_steps and self.publisher.may_stop(after)

    def _record_success(self, connection: Connection, outcome: Published | ActionNeeded, sealed: bytes) -> None:
        note = outcome.note if isinstance(outcome, ActionNeeded) else None
        again_s = outcome.again_after_s
        ended = steps.end(
            connection,
            self.publication.id,
            self.holder,
            PublicationStatus.ACTION_NEEDED if note is not None else PublicationStatus.PUBLISHED,
            now=self.machine.now(),
            remote_id=outcome.remote_id,
            link=outcome.link if isinstance(outcome, Published) else None,
            reason=note,
            code=note,
            step=outcome.handle.step,
            handle=sealed,
            next_at=None if again_s is None else self.machine.now() + timedelta(seconds=again_s),
        )
        if not ended:
            return
        stage = stage_durations.publishing(self.publication.platform)
        stage_durations.observe_since(connection, stage, self.publication.started_at, self.machine.now())
        if again_s is not None:
            self._send_next(again_s)
        event = "publication.published" if note is None else "publication.action_needed"
        after_publication(self.machine, connection, self.publication.id, event)

    def _handle_error(self, error: errors.PlatformError) -> None:
        logger.warning("Publication {}: step failed on {}: {}", self.publication.id, self.publication.platform, error)
        if isinstance(error, errors.StartOver):
            publishing_notes.add_ended(self.machine, self.publication)
        FailedStep(
            machine=self.machine,
            publication=self.publication,
            holder=self.holder,
            step=None if self.handle is None else self.handle.step,
            may_stop=self._may_stop(),
            is_unclear=self.interrupted or self.has_acted,
            tokens=self.tokens,
            step_record=self._step_record(),
        ).record(error)

    def _step_record(self) -> StepRecord:
        return StepRecord(self.machine, self.publication, self.handle, self.exchanges)

    def _send_next(self, delay_s: float) -> None:
        self.machine.send(f"publish_{self.publication.platform}", self.publication.id, delay_s=delay_s)
