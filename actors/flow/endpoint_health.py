"""The health of a webhook endpoint: computed after each attempt, from the attempt and what was known before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from store.webhooks import Endpoint

PROBE_AFTER = 5  # failed attempts in a row; from then on one attempt each
PROBE_INTERVAL = timedelta(minutes=5)
MAX_PAUSE = timedelta(hours=1)  # that an endpoint can ask for (Retry-After) for all that waits for it
DISABLE_AFTER_S = 5 * 86_400
MAX_GAP = timedelta(hours=26)  # more than the longest delay between two attempts at one delivery
SLOW_DOWN = {429, 502, 503, 504}  # Standard Webhooks 1.0.0: 429, 502, 504 ask for a slower pace; 503 likewise
GONE = 410


@dataclass(frozen=True)
class DeliveryOutcome:
    """The outcome of one attempt.

    Attributes:
        succeeded: the receiver answered 2xx.
        final: there is no further attempt.
        http_status: of the answer; None if none came.
        duration_ms: of the request.
        retry_after_s: what the receiver asks for; 0 is nothing.
        error: text for the operator; None if it succeeded.
        excerpt: beginning of the answer's body.
    """

    succeeded: bool
    final: bool
    http_status: int | None = None
    duration_ms: int = 0
    retry_after_s: float = 0.0
    error: str | None = None
    excerpt: str | None = None


def after_attempt(endpoint: Endpoint, outcome: DeliveryOutcome, now: datetime) -> Endpoint:
    """Return the endpoint with its health after an attempt that has just ended."""
    endpoint = replace(endpoint, last_duration_ms=outcome.duration_ms, last_error=outcome.error)
    if outcome.succeeded:
        return replace(
            endpoint, attempted_at=now, failures=0, failing_since=None, failing_s=0, exhausted=0, paused_until=None
        )
    failures = endpoint.failures + 1
    return replace(
        endpoint,
        attempted_at=now,
        failures=failures,
        failing_since=endpoint.failing_since or now,
        failing_s=endpoint.failing_s + _seconds_of_failure(endpoint, now),
        exhausted=endpoint.exhausted + outcome.final,
        paused_until=now + max(_pause(failures), _requested_pause(outcome)),
    )


def is_recovered(before: Endpoint, after: Endpoint) -> bool:
    """Return whether an endpoint that failed repeatedly has answered."""
    return before.failures >= PROBE_AFTER and after.failures == 0


def disabling_code(endpoint: Endpoint, outcome: DeliveryOutcome) -> str | None:
    """Return why an endpoint is to be disabled; None if it is not.

    Five days count in which attempts were made and all failed: a week without events, between two failures, says
    nothing of the endpoint. And at least one delivery has run through its schedule.
    """
    if outcome.http_status == GONE:
        return "gone"
    return "failing" if endpoint.failing_s >= DISABLE_AFTER_S and endpoint.exhausted else None


def _seconds_of_failure(endpoint: Endpoint, now: datetime) -> int:
    if endpoint.failures == 0 or endpoint.attempted_at is None:
        return 0
    gap = now - endpoint.attempted_at
    return round(gap.total_seconds()) if timedelta(0) < gap <= MAX_GAP else 0


def _pause(failures: int) -> timedelta:
    return PROBE_INTERVAL if failures >= PROBE_AFTER else timedelta(0)


def _requested_pause(outcome: DeliveryOutcome) -> timedelta:
    if outcome.http_status not in SLOW_DOWN:
        return timedelta(0)
    return min(MAX_PAUSE, timedelta(seconds=outcome.retry_after_s))
