"""Records the effect of an error on a publication: it is retried, waits, begins again, or ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from loguru import logger
from sqlalchemy import Connection

from actors.flow import outages, platform_limits, tokens
from actors.flow import publishing_retries as retries
from actors.flow.completion import after_publication
from actors.flow.publication_history import StepRecord
from actors.flow.retrying import GivenUp
from actors.machine import Machine
from platforms import errors
from store import accounts, platform_states, steps
from store.publications import Publication
from store.states import AccountStatus, PublicationStatus


@dataclass(frozen=True, kw_only=True)
class FailedStep:
    """A claimed step of a publication that raised an error.

    Attributes:
        machine: for its store and clock.
        publication: as it was before the claim.
        holder: of the claim.
        step: the step's name; None before the first one.
        may_stop: nothing can be public if no further step is taken.
        is_unclear: the step may have been carried out, by this run or an earlier one.
        tokens: the encrypted tokens that the step used; None if it used none.
        step_record: the requests that it sent.
    """

    machine: Machine
    publication: Publication
    holder: str
    step: str | None
    may_stop: bool
    is_unclear: bool
    tokens: bytes | None = field(repr=False)
    step_record: StepRecord

    def record(self, error: errors.PlatformError) -> None:
        """Record the effect of an error, unless the claim is no longer current.

        Raises:
            GivenUp: no retry is left; the publication has failed.
        """
        with self.machine.store.writing(job=self.publication.job_id) as connection:
            self.step_record.append_error(connection, error)
            given_up = self._record(connection, error)
        if given_up is not None:
            logger.error("{}", given_up)
            raise given_up

    def _record(self, connection: Connection, error: errors.PlatformError) -> GivenUp | None:
        match error:
            case errors.RateLimited() | errors.OperatorNeeded():
                self._pause(connection, error)
                self._wait(connection, error, error.retry_after_s)
            case errors.TryLater() | errors.Unclear():
                return self._retry(connection, error, error.cause, error.retry_after_s)
            case errors.StartOver():
                self._start_over(connection, error)
            case errors.Reconnect() | errors.AccountRefused():
                self._leave_to_owner(connection, error)
            case errors.OutcomeUnknown():
                self._end(connection, PublicationStatus.OUTCOME_UNKNOWN, error)
            case errors.PostFailed():
                self._end(connection, PublicationStatus.FAILED, error)
            case _ if self.may_stop:
                self._end(connection, PublicationStatus.FAILED, error)
            case _:  # the question was refused, which says nothing about the post
                return self._retry(connection, error, "post", 0.0)
        return None

    def _retry(
        self, connection: Connection, error: errors.PlatformError, cause: errors.Cause, after_s: float
    ) -> GivenUp | None:
        """Let the step be run again later, or give the publication up."""
        now = self.machine.now()
        tries, since = self.publication.tries, self.publication.failing_since(now) or now
        is_outage = cause in {"platform", "network"} and self._is_outage(connection, error)
        counts = cause in {"post", "platform"} and not is_outage
        is_last = self.may_stop and counts and tries >= self.machine.settings.publish_retries
        if is_last or now - since > retries.GIVE_UP_AFTER:
            return self._give_up(connection, error)
        if not self.may_stop:
            delay_s = retries.question_delay_s(self.machine, tries, error)
        elif counts:
            delay_s = retries.retry_delay_s(self.machine, tries, after_s)
        else:
            delay_s = retries.waiting_delay_s(self.machine, since, after_s)
        self._record_failed(connection, error, delay_s, tries=tries + (counts or not self.may_stop), since=since)
        return None

    def _is_outage(self, connection: Connection, error: errors.PlatformError) -> bool:
        return outages.record_failure(self.machine, connection, self.publication.platform, error).is_out

    def _wait(self, connection: Connection, error: errors.PlatformError, after_s: float | None) -> None:
        """Run the step again after a time that the platform named; None: after a person has acted."""
        self._record_failed(connection, error, after_s, tries=self.publication.tries, since=None)

    def _record_failed(
        self,
        connection: Connection,
        error: errors.PlatformError,
        after_s: float | None,
        *,
        tries: int,
        since: datetime | None,
    ) -> None:
        now = self.machine.now()
        next_at = now + timedelta(seconds=after_s or 0.0)
        paused_until = platform_states.get(connection, self.publication.platform).paused_until
        next_at = max(next_at, paused_until or next_at)
        is_recorded = steps.record_failed_step(
            connection,
            self.publication.id,
            self.holder,
            tries=tries,
            attempts=self._attempts(error),
            troubled_since=since,
            unclear=self.is_unclear or isinstance(error, errors.Unclear),
            next_at=next_at,
            code=error.code,
            reason=error.reason,
        )
        if is_recorded and after_s is not None:
            self._send_next((next_at - now).total_seconds())

    def _give_up(self, connection: Connection, error: errors.PlatformError) -> GivenUp | None:
        if not self.may_stop:
            self._end(connection, PublicationStatus.OUTCOME_UNKNOWN, error)
            return None
        if not self._end(connection, PublicationStatus.FAILED, error, keeps_holder=True):
            return None
        return retries.given_up(self.publication, self._attempts(error))

    def _start_over(self, connection: Connection, error: errors.StartOver) -> None:
        """Store the first handle of a new job at the platform."""
        until = self.machine.now() + timedelta(seconds=error.retry_after_s)
        if not steps.start_over(
            connection,
            self.publication.id,
            self.holder,
            step=error.handle.step,
            handle=self.machine.sealer.seal(dict(error.handle.facts)),
            attempts=self._attempts(error),
            next_at=until,
            code=error.code,
            reason=error.reason,
        ):
            return
        if error.scope == "account":
            accounts.pause(connection, self.publication.account_id, until, error.reason)
        self._send_next(error.retry_after_s)

    def _pause(self, connection: Connection, error: errors.RateLimited | errors.OperatorNeeded) -> None:
        """Pause what may make no call before the error's time: the account, the app's accounts, or the platform."""
        if isinstance(error, errors.OperatorNeeded):
            outages.pause_for_operator(self.machine, connection, self.publication.platform, error)
            return
        if error.quota is not None:
            platform_limits.record(connection, self.publication.account_id, error.quota, self.machine.now())
        until = self.machine.now() + timedelta(seconds=error.retry_after_s)
        for account in accounts.list_all(connection):
            is_limited = account.platform == self.publication.platform and error.scope == "app"
            if is_limited or account.id == self.publication.account_id:
                accounts.pause(connection, account.id, until, error.reason)

    def _leave_to_owner(self, connection: Connection, error: errors.Reconnect | errors.AccountRefused) -> None:
        """Mark the account; the publication goes on when the account is connected again.

        If the account is refused, the publication fails, unless its post may be public.
        """
        is_refused = isinstance(error, errors.AccountRefused)
        tokens.mark_unusable(
            self.machine, connection, self.publication.account_id, error.reason, self.tokens, refused=is_refused
        )
        account = accounts.get(connection, self.publication.account_id)
        if is_refused and self.may_stop:
            self._end(connection, PublicationStatus.FAILED, error)
        elif account is not None and account.status is AccountStatus.CONNECTED:
            self._wait(connection, error, 0.0)  # it has been connected again while the step was run
        else:
            self._wait(connection, error, None)

    def _end(
        self,
        connection: Connection,
        status: PublicationStatus,
        error: errors.PlatformError,
        *,
        keeps_holder: bool = False,
    ) -> bool:
        """End the publication with an error; False if the claim is no longer current."""
        is_current = steps.end(
            connection,
            self.publication.id,
            self.holder,
            status,
            now=self.machine.now(),
            code=error.code,
            reason=error.reason,
            attempts=self._attempts(error),
            keeps_holder=keeps_holder,
        )
        if is_current:
            after_publication(self.machine, connection, self.publication.id, f"publication.{status}")
        return is_current

    def _attempts(self, error: errors.PlatformError) -> list[dict[str, Any]]:  # Any: JSON
        return retries.attempts_after(self.machine, self.publication, self.step, error)

    def _send_next(self, delay_s: float) -> None:
        self.machine.send(f"publish_{self.publication.platform}", self.publication.id, delay_s=delay_s)
