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

# Seconds after each failed try; with the spread below about 52 hours in all. Standard Webhooks 1.0.0 advises several
# days, exponential, with jitter.
RETRY_DELAYS_S = (5, 60, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000)
JITTER = 0.2
MISCONFIGURED_ATTEMPTS = 3  # a 3xx or 4xx is the receiver's mistake and seldom mends itself
MAX_RETRY_DELAY_S = 86_400.0
DISABLE_AFTER = timedelta(days=5)  # of nothing but failure
GONE = 410
EARLY_TOLERANCE = timedelta(seconds=2)


@dataclass(frozen=True)
class _Outcome:
    """How one try went."""

    well: bool
    final: bool  # further tries are of no use
    http_status: int | None
    duration_ms: int
    retry_after_s: float
    error: str | None
    excerpt: str | None


def attempt(machine: Machine, delivery_id: str) -> None:
    """Make the next attempt at a delivery, if it is due. Receivers recognise a repeated one by its webhook-id."""
    with machine.store.reading() as connection:
        found = webhooks.get_delivery(connection, delivery_id)
    if found is None or found[0].status is not DeliveryStatus.WAITING or _is_early(machine, found[0]):
        return
    delivery, event, endpoint = found
    if endpoint.state is EndpointState.DISABLED:
        outcome = _Outcome(False, True, None, 0, 0.0, "the endpoint is disabled", None)
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
        return _Outcome(False, tries > len(RETRY_DELAYS_S), None, 0, 0.0, str(error), None)
    well = 200 <= answer.status < 300
    misconfigured = 300 <= answer.status < 500 and answer.status not in {408, 425, 429}
    final = answer.status == GONE or tries > len(RETRY_DELAYS_S) or (misconfigured and tries >= MISCONFIGURED_ATTEMPTS)
    error_text = None if well else f"HTTP {answer.status}"
    return _Outcome(
        well,
        well or final,
        answer.status,
        round(answer.duration_ms),
        answer.retry_after_s or 0.0,
        error_text,
        answer.excerpt,
    )


def _record(machine: Machine, delivery: Delivery, event: Event, endpoint: Endpoint, outcome: _Outcome) -> None:
    tries = delivery.tries + 1
    wait_s = 0.0 if outcome.final else _retry_delay_s(tries, outcome.retry_after_s)
    status = (
        DeliveryStatus.DELIVERED if outcome.well else DeliveryStatus.FAILED if outcome.final else DeliveryStatus.WAITING
    )
    now = machine.now()
    attempt = Attempt(
        delivery_id=delivery.id,
        at=now,
        duration_ms=outcome.duration_ms,
        http_status=outcome.http_status,
        error=outcome.error,
        excerpt=outcome.excerpt,
    )
    with machine.store.writing() as connection:
        next_at = None if outcome.final else now + timedelta(seconds=wait_s)
        if not webhooks.record_attempt(connection, attempt, status=status, next_at=next_at, tries=tries):
            return
        if not outcome.final:
            machine.send("dispatch_webhook", delivery.id, delay_s=wait_s)
        failing_since = webhooks.record_health(connection, endpoint.id, well=outcome.well, now=now)
        dead = failing_since is not None and now - failing_since > DISABLE_AFTER
        if (dead or outcome.http_status == GONE) and webhooks.set_state(
            connection, endpoint.id, EndpointState.DISABLED
        ):
            emit(machine, connection, "endpoint.disabled", endpoint_id=endpoint.id, url=endpoint.url)
    if not outcome.well:
        logger.warning("webhook {} ({}) to {}: try {}: {}", event.id, event.type, endpoint.id, tries, outcome.error)


def _retry_delay_s(tries: int, asked_s: float) -> float:
    planned = RETRY_DELAYS_S[min(tries, len(RETRY_DELAYS_S)) - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (no secret)
    return min(MAX_RETRY_DELAY_S, max(planned, asked_s))
