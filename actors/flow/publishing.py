"""Publishes one part on one account: a state machine of short steps, one step a message.

Each step is recorded before and after it uses the network:

    claim     holder := this message              (one transaction; a holder found there was interrupted in its step)
    advance   the publisher carries out one step  (no transaction open)
    record    handle, next step, next message     (one transaction; compare-and-set on the holder)

So a process may end between any two instructions: the broker delivers the message again, the holder found is this
message, with the fact that this step was begun before. After an unclear answer the same happens, by
the flag `unclear`. The publisher then asks the platform for the outcome and does not repeat the step.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from dramatiq.middleware import CurrentMessage
from loguru import logger
from sqlalchemy import Connection

from actors.flow import link_polling, tokens
from actors.flow.completion import close_finished
from actors.flow.events import emit_for_publication
from actors.flow.posts import create_post
from actors.flow.scheduling import start_due
from actors.machine import Machine
from actors.recovery import publishing_notes
from actors.recovery.missing_files import FILE_MISSING, PART_GONE, part_is_gone
from platforms import errors
from platforms.contract import ActionNeeded, Advanced, AuthorizedAccount, Handle, Outcome, Post, Published, Publisher
from store import accounts, jobs, publications, segments, steps
from store.jobs import Job
from store.publications import Publication
from store.sealing import WrongKey
from store.segments import Segment
from store.states import JobStatus, PublicationStatus

STEP_DEADLINE = timedelta(minutes=15)  # 60 MB over a slow line; no step takes longer
EARLY_TOLERANCE = timedelta(seconds=2)  # a message that is earlier than its step's time by more is a duplicate
GIVE_UP_AFTER = timedelta(hours=24)  # of failed attempts at one step; containers and sessions live no longer
MAX_RETRY_DELAY_S = 3600.0  # between two attempts at a step, unless the platform asks for more
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
    """
    nonce = secrets.token_hex(4)
    before = _claim(machine, publication_id, message_id, nonce)
    if before is None:
        link_polling.poll(machine, publication_id)
        return
    _StepRun(machine, before, f"{message_id}/{nonce}").run()


def current_message_id() -> str:
    """Return the id of the message that this worker thread processes."""
    message = CurrentMessage.get_current_message()
    assert message is not None  # actors run in a worker; tests pass ids of their own to `run_step`
    return message.message_id


def _claim(machine: Machine, publication_id: str, message_id: str, nonce: str) -> Publication | None:
    now = machine.now()
    with machine.store.writing() as connection:
        found = publications.get(connection, publication_id)
        if found is None or _is_early(found, now):
            return None
        if found.holder is None and not found.unclear and _postpone_if_paused(machine, connection, found, now):
            return None
        until = now + STEP_DEADLINE
        return steps.claim(connection, publication_id, message_id, nonce, now=now, until=until)


def _is_early(found: Publication, now: datetime) -> bool:
    return found.holder is None and found.next_at is not None and found.next_at > now + EARLY_TOLERANCE


def _postpone_if_paused(machine: Machine, connection: Connection, found: Publication, now: datetime) -> bool:
    """Postpone a step while its account is paused, because the platform asked for no requests at all."""
    account = accounts.get(connection, found.account_id)
    job = jobs.get(connection, found.job_id)
    if account is None or account.paused_until is None or account.paused_until <= now + EARLY_TOLERANCE:
        return False
    if job is None or job.status is JobStatus.CANCELLED:
        return False  # ending the publication needs no request
    if steps.schedule(connection, found.id, account.paused_until):
        delay_s = (account.paused_until - now).total_seconds()
        machine.send(f"publish_{found.platform}", found.id, delay_s=delay_s)
    return True


class _StepRun:
    """One step of one publication, from its claim to the record of its outcome."""

    def __init__(self, machine: Machine, before: Publication, holder: str) -> None:
        self.machine = machine
        self.publication = before
        self.holder = holder
        self.interrupted = before.holder is not None or before.unclear
        self.publisher: Publisher = machine.publisher(before.platform)
        self.handle: Handle | None = None
        self.tokens: bytes | None = None  # encrypted; those that this step uses

    def run(self) -> None:
        job, segment = self._read()
        try:
            self.handle = self._stored_handle()
            if job.status is JobStatus.CANCELLED and self._may_stop():
                self._end(PublicationStatus.CANCELLED, "cancelled", "the job was cancelled", None)
                return
            access = tokens.get_access(self.machine, self.publication.account_id)
            self.tokens = access.tokens
            post = create_post(self.machine, self.publication, segment, job)
            if self.handle is None and not self._begin(post, access.account):
                return  # the claim is no longer current
            self._record(self._advance(post, access.account))
        except errors.PlatformError as error:
            self._handle_error(error)
        except FileNotFoundError:
            if not part_is_gone(self.machine, segment):
                raise
            never_begun = self.publication.handle is None  # so not one byte was ever sent
            gone = errors.Rejected if never_begun or self._may_stop() else errors.OutcomeUnknown
            self._handle_error(gone(FILE_MISSING, PART_GONE))

    def _read(self) -> tuple[Job, Segment]:
        with self.machine.store.reading() as connection:
            segment = segments.get(connection, self.publication.segment_id)
            job = jobs.get(connection, self.publication.job_id)
        assert segment is not None
        assert job is not None  # foreign keys guarantee both
        return job, segment

    def _stored_handle(self) -> Handle | None:
        stored = self.publication
        if stored.handle is None or stored.step is None:
            return None
        try:
            return Handle(stored.step, self.machine.sealer.open(stored.handle))
        except WrongKey as wrong:
            detail = "what identifies the post was encrypted with another SECRET_KEY"
            raise errors.OutcomeUnknown("wrong_key", detail) from wrong

    def _may_stop(self) -> bool:
        """Return whether nothing can be public if no further step is taken."""
        return self.handle is None or (not self.interrupted and self.publisher.may_stop(self.handle))

    def _begin(self, post: Post, account: AuthorizedAccount) -> bool:
        """Store the first handle before the first step is carried out."""
        self.handle = self.publisher.begin(post, account)
        if not publishing_notes.add(self.machine, self.publication) and not self.interrupted:
            raise errors.OutcomeUnknown("database_older", DATABASE_OLDER)
        self.interrupted = False  # nothing has ever been sent
        sealed = self.machine.sealer.seal(dict(self.handle.facts))
        with self.machine.store.writing() as connection:
            return steps.record_first_step(
                connection, self.publication.id, self.holder, step=self.handle.step, handle=sealed
            )

    def _advance(self, post: Post, account: AuthorizedAccount) -> Outcome:
        assert self.handle is not None
        try:
            return self.publisher.advance(post, account, self.handle, interrupted=self.interrupted)
        except errors.Reconnect as expired:
            if not expired.refreshable:
                raise
        # The platform refused the token before it did anything: repeat the same step once with a refreshed token.
        with self.machine.store.reading() as connection:
            stale = accounts.get(connection, account.id)
        if stale is None:
            raise errors.Reconnect("not_connected", "the account is not connected")
        access = tokens.refresh(self.machine, replace(stale, tokens=self.tokens))
        self.tokens = access.tokens
        return self.publisher.advance(post, access.account, self.handle, interrupted=self.interrupted)

    def _record(self, outcome: Outcome) -> None:
        sealed = self.machine.sealer.seal(dict(outcome.handle.facts))
        now = self.machine.now()
        with self.machine.store.writing() as connection:
            if not isinstance(outcome, Advanced):
                self._record_success(connection, outcome, sealed)
            elif steps.advance(
                connection,
                self.publication.id,
                self.holder,
                step=outcome.handle.step,
                handle=sealed,
                next_at=now + timedelta(seconds=outcome.again_after_s),
            ):
                self._send_next(outcome.again_after_s)

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
        if again_s is not None:
            self._send_next(again_s)
        self._after_end(connection, "publication.published" if note is None else "publication.action_needed")

    def _handle_error(self, error: errors.PlatformError) -> None:
        logger.warning("Publication {}: step failed on {}: {}", self.publication.id, self.publication.platform, error)
        match error:
            case errors.RateLimited():
                self._pause_accounts(error)
                self._retry_later(error, error.retry_after_s, unclear=self.interrupted, no_limit=True)
            case errors.TryLater():
                self._retry_later(error, error.retry_after_s, unclear=self.interrupted)
            case errors.Unclear():
                self._retry_later(error, error.retry_after_s, unclear=True)
            case errors.Reconnect():
                self._mark_account_unusable(error)
                self._retry_later(error, 0.0, unclear=self.interrupted, no_limit=True, send=False)
            case errors.OutcomeUnknown():
                self._end(PublicationStatus.OUTCOME_UNKNOWN, error.code, error.detail, "publication.outcome_unknown")
            case errors.AccountRefused():
                self._end(
                    PublicationStatus.FAILED, error.code, error.detail, "publication.failed", account_refused=True
                )
            case _:
                self._end(PublicationStatus.FAILED, error.code, error.detail, "publication.failed")

    def _retry_later(
        self, error: errors.PlatformError, after_s: float, *, unclear: bool, no_limit: bool = False, send: bool = True
    ) -> None:
        """Record a failed attempt, and let the same step be repeated later.

        Args:
            error: of the attempt.
            after_s: what the platform or its module asks for; the delay doubles with each attempt.
            unclear: the outcome of the step is not known.
            no_limit: retry beyond GIVE_UP_AFTER: the platform named a time, or a person has to act.
            send: send the next message; False if a person's action sends it.
        """
        now = self.machine.now()
        since = None if no_limit else self.publication.troubled_since or now
        if since is not None:
            if now - since > GIVE_UP_AFTER:
                self._give_up(error, unclear=unclear)
                return
            after_s = max(after_s, min(MAX_RETRY_DELAY_S, after_s * 2 ** min(self.publication.tries, 12)))
        with self.machine.store.writing() as connection:
            if steps.record_failed_step(
                connection,
                self.publication.id,
                self.holder,
                tries=self.publication.tries + 1,
                troubled_since=since,
                unclear=unclear,
                next_at=now + timedelta(seconds=after_s),
                code=error.code,
                reason=error.detail,
            ) and send:  # fmt: skip
                self._send_next(after_s)

    def _give_up(self, error: errors.PlatformError, *, unclear: bool) -> None:
        if not unclear and self._may_stop():
            self._end(PublicationStatus.FAILED, error.code, error.detail, "publication.failed")
        else:
            self._end(PublicationStatus.OUTCOME_UNKNOWN, error.code, error.detail, "publication.outcome_unknown")

    def _pause_accounts(self, limit: errors.RateLimited) -> None:
        until = self.machine.now() + timedelta(seconds=limit.retry_after_s)
        with self.machine.store.writing() as connection:
            for account in accounts.list_all(connection):
                is_limited = account.platform == self.publication.platform and limit.scope == "app"
                if is_limited or account.id == self.publication.account_id:
                    accounts.pause(connection, account.id, until, limit.detail)

    def _mark_account_unusable(self, error: errors.Reconnect) -> None:
        with self.machine.store.writing() as connection:
            tokens.mark_unusable(self.machine, connection, self.publication.account_id, error.detail, self.tokens)

    def _end(
        self, status: PublicationStatus, code: str, reason: str, event: str | None, *, account_refused: bool = False
    ) -> None:
        with self.machine.store.writing() as connection:
            if not steps.end(
                connection, self.publication.id, self.holder, status, now=self.machine.now(), code=code, reason=reason
            ):
                return
            if account_refused:
                tokens.mark_unusable(
                    self.machine, connection, self.publication.account_id, reason, self.tokens, refused=True
                )
            self._after_end(connection, event)

    def _after_end(self, connection: Connection, event: str | None) -> None:
        publication = publications.get(connection, self.publication.id)
        job = jobs.get(connection, self.publication.job_id)
        if publication is None or job is None:
            return
        if event is not None:
            emit_for_publication(self.machine, connection, event, publication, job)
        close_finished(self.machine, connection, job.id)
        start_due(self.machine, connection)

    def _send_next(self, delay_s: float) -> None:
        self.machine.send(f"publish_{self.publication.platform}", self.publication.id, delay_s=delay_s)
