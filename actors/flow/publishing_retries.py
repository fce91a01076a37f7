"""The retry policy of publishing: when a failed step is run again, and when its publication is given up.

While nothing can be public, at most PUBLISH_RETRIES retries of a step in a row are made for errors of the post or of
the platform's server; afterwards the publication has failed, and its message is dead-lettered. An error that is not
due to the post (a limit, processing, a token, the network, an outage of the whole platform) is no retry.

Once something may be public, the platform is asked for a day, with growing delays; then the outcome is unknown.

The time for which a step has been overdue, because the machine was off, does not count as part of a day.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from dramatiq.errors import Retry

from actors.flow.retrying import GivenUp
from actors.machine import Machine
from platforms import errors
from store.attempts import PublishingAttempt, append_attempt, decode_publishing_attempts
from store.publications import Publication

GIVE_UP_AFTER = timedelta(hours=24)  # of failed attempts at one step; containers and sessions live no longer
FIRST_DELAY_S = 30.0
DELAY_FACTOR = 4  # from one retry to the next: 30 s, 2 min, 8 min
QUESTION_DELAY_S = 60.0  # after a question that was refused; doubles with each further one
MAX_DELAY_S = 3600.0  # unless the platform asks for more
TROUBLE_SHARE = 0.25  # of the time since the first failure: the least delay of errors that are no retries
JITTER = 0.2
MAX_EXCEPTION_RETRIES = 5  # of errors of our own code, such as a full disk

_RANDOM = random.SystemRandom()


def should_retry(retries: int, error: BaseException) -> bool:
    """Return whether dramatiq should retry a publishing message (`retry_when`)."""
    if isinstance(error, Retry):
        return True
    return not isinstance(error, GivenUp) and retries < MAX_EXCEPTION_RETRIES


def jitter() -> float:
    """Return a random factor around 1, so that publications that failed together do not call together again."""
    return _RANDOM.uniform(1 - JITTER, 1 + JITTER)


def retry_delay_s(machine: Machine, tries: int, after_s: float) -> float:
    """Return the delay before a counted retry.

    Args:
        machine: for its settings.
        tries: counted failures of the step before this one.
        after_s: the least delay, as the platform asks for.
    """
    return max(after_s, _scaled(machine, FIRST_DELAY_S * DELAY_FACTOR ** min(tries, 6)))


def question_delay_s(machine: Machine, tries: int, error: errors.PlatformError) -> float:
    """Return the delay before the platform is asked again about a post that may be public.

    A lost answer is asked about soon; the platform knows the outcome by then.
    """
    if isinstance(error, errors.TryLater | errors.Unclear):
        return max(error.retry_after_s, _scaled(machine, FIRST_DELAY_S * 2 ** min(tries - 1, 12)) if tries else 0.0)
    return _scaled(machine, QUESTION_DELAY_S * 2 ** min(tries, 12))


def waiting_delay_s(machine: Machine, since: datetime, after_s: float) -> float:
    """Return the delay after an error that is no retry; it grows with the time since the first failure of the step."""
    return max(after_s, min(MAX_DELAY_S, TROUBLE_SHARE * (machine.now() - since).total_seconds()))


def _scaled(machine: Machine, delay_s: float) -> float:
    return min(MAX_DELAY_S, delay_s) * machine.settings.publish_pace * jitter()


def attempts_after(
    machine: Machine, publication: Publication, step: str | None, error: errors.PlatformError
) -> list[dict[str, Any]]:  # Any: JSON
    """Return the stored attempts of a publication, and one more at a step."""
    attempt = PublishingAttempt(
        at=machine.now(),
        step=step,
        code=error.code,
        detail=error.detail,
        platform_code=error.platform_code,
        log_id=error.log_id,
    )
    return append_attempt(publication.attempts, attempt)


def given_up(publication: Publication, attempts: Sequence[dict[str, Any]] | None) -> GivenUp:  # Any: JSON
    """Return the exception with which a publishing actor dead-letters its message, with the last attempts."""
    found = decode_publishing_attempts(attempts)
    ends = "; ".join(_summary(attempt) for attempt in found)
    return GivenUp(
        f"Job {publication.job_id} part {publication.segment_number} on {publication.platform}, publication "
        f"{publication.id}: given up after {len(found)} attempts. {ends}"
    )


def _summary(attempt: PublishingAttempt) -> str:
    facts = [
        f"platform code {attempt.platform_code}" if attempt.platform_code else "",
        f"log id {attempt.log_id}" if attempt.log_id else "",
    ]
    known = ", ".join(fact for fact in facts if fact)
    step = attempt.step or "first step"
    return (
        f"{attempt.at:%Y-%m-%d %H:%M:%S} UTC ({step}): {attempt.code}: {attempt.detail}{f' ({known})' if known else ''}"
    )
