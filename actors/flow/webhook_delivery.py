"""Delivers webhooks: one event to one endpoint, signed; retried for two days."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

from loguru import logger

from actors.flow.events import emit
from actors.machine import Machine
from platforms import webhook
from platforms.errors import PlatformError
from store import webhooks
from store.sealing import WrongKey
from store.states import DeliveryStatus, EndpointState
from store.webhooks import Attempt, Delivery, Endpoint, Event

# Seconds after each failed attempt; with the jitter below about 52 hours in all. Standard Webhooks 1.0.0 advises
# several days, exponential, with jitter.
RETRY_DELAYS_S = (5, 60, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000)
JITTER = 0.2  # of each delay, up or down
MISCONFIGURED_ATTEMPTS = 3  # a 3xx or 4xx is the receiver's mistake and seldom ends by itself
MAX_RETRY_DELAY_S = 86_400.0
DISABLE_AFTER = timedelta(days=5)  # without one success
GONE = 410
EARLY_TOLERANCE = timedelta(seconds=2)  # a message that is earlier than its attempt's time by more is a duplicate


@dataclass(frozen=True)
class _Outcome:
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


def attempt(machine: Machine, delivery_id: str) -> None:
    """Make the next attempt at a delivery, if it is due. Receivers recognise a repeated one by its webhook-id."""
    with machine.store.reading() as connection:
        found = webhooks.get_delivery(connection, delivery_id)
    if found is None or found[0].status is not DeliveryStatus.WAITING or _is_early(machine, found[0]):
        return
    delivery, event, endpoint = found
    if endpoint.state is EndpointState.DISABLED:
        outcome = _Outcome(succeeded=False, final=True, error="the endpoint is disabled")
    else:
        outcome = _send(machine, event, endpoint, delivery.tries + 1)
    _record(machine, delivery, event, endpoint, outcome)


def _is_early(machine: Machine, delivery: Delivery) -> bool:
    return delivery.next_at is not None and delivery.next_at > machine.now() + EARLY_TOLERANCE


def _send(machine: Machine, event: Event, endpoint: Endpoint, tries: int) -> _Outcome:
    now = machine.now()
    signing = [endpoint.secret]
    if endpoint.previous_secret is not None and endpoint.previous_until is not None and now < endpoint.previous_until:
        signing.append(endpoint.previous_secret)
    try:
        answer = webhook.deliver(
            endpoint.url,
            message_id=event.id,
            timestamp=int(now.timestamp()),
            body=event.body.encode(),
            secrets=[machine.sealer.open(sealed) for sealed in signing],
            allow_private=machine.settings.webhook_allow_private,
            own_hosts=machine.settings.own_hosts,
        )
    except (PlatformError, WrongKey) as error:
        return _Outcome(succeeded=False, final=tries > len(RETRY_DELAYS_S), error=str(error))
    succeeded = 200 <= answer.status < 300
    is_misconfigured = 300 <= answer.status < 500 and answer.status not in {408, 425, 429}
    attempts = MISCONFIGURED_ATTEMPTS if is_misconfigured else len(RETRY_DELAYS_S) + 1
    return _Outcome(
        succeeded=succeeded,
        final=succeeded or answer.status == GONE or tries >= attempts,
        http_status=answer.status,
        duration_ms=round(answer.duration_ms),
        retry_after_s=answer.retry_after_s or 0.0,
        error=None if succeeded else f"HTTP {answer.status}",
        excerpt=answer.excerpt,
    )


def _record(machine: Machine, delivery: Delivery, event: Event, endpoint: Endpoint, outcome: _Outcome) -> None:
    tries = delivery.tries + 1
    now = machine.now()
    delay_s = 0.0 if outcome.final else _retry_delay_s(tries, outcome.retry_after_s)
    attempt = Attempt(
        delivery_id=delivery.id,
        at=now,
        duration_ms=outcome.duration_ms,
        http_status=outcome.http_status,
        error=outcome.error,
        excerpt=outcome.excerpt,
    )
    with machine.store.writing() as connection:
        next_at = None if outcome.final else now + timedelta(seconds=delay_s)
        status = _delivery_status(outcome)
        if not webhooks.record_attempt(connection, attempt, status=status, next_at=next_at, tries=tries):
            return
        if not outcome.final:
            machine.send("dispatch_webhook", delivery.id, delay_s=delay_s)
        failing_since = webhooks.record_health(connection, endpoint.id, succeeded=outcome.succeeded, now=now)
        is_dead = failing_since is not None and now - failing_since > DISABLE_AFTER
        if (is_dead or outcome.http_status == GONE) and webhooks.set_state(
            connection, endpoint.id, EndpointState.DISABLED
        ):
            emit(
                machine, connection, "endpoint.disabled", endpoint_id=endpoint.id, url=endpoint.url,
                code="gone" if outcome.http_status == GONE else "failing", reason=outcome.error,
                failing_since=failing_since, missed=0,
            )  # fmt: skip
    if not outcome.succeeded:
        logger.warning(
            "Webhook {} ({}) to endpoint {}: attempt {} failed: {}",
            event.id, event.type, endpoint.id, tries, outcome.error,
        )  # fmt: skip


def _delivery_status(outcome: _Outcome) -> DeliveryStatus:
    if outcome.succeeded:
        return DeliveryStatus.DELIVERED
    return DeliveryStatus.FAILED if outcome.final else DeliveryStatus.WAITING


def _retry_delay_s(tries: int, asked_s: float) -> float:
    planned_s = RETRY_DELAYS_S[min(tries, len(RETRY_DELAYS_S)) - 1]
    with_jitter_s = planned_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (no secret)
    return min(MAX_RETRY_DELAY_S, max(with_jitter_s, asked_s))
