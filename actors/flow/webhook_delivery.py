"""Delivers webhooks: one event to one endpoint, signed; retried for two days."""

from __future__ import annotations

import contextlib
import random
import time
from datetime import datetime, timedelta

from loguru import logger
from sqlalchemy import Connection

from actors.flow import endpoint_health, webhook_queue
from actors.flow.endpoint_health import GONE, DeliveryOutcome
from actors.flow.events import emit
from actors.machine import Machine
from platforms import webhook
from platforms.errors import PlatformError
from store import endpoints, stage_durations, webhooks
from store.sealing import WrongKey
from store.states import DeliveryStatus
from store.webhooks import PING, Attempt, Delivery, Endpoint, Event

# Seconds after each failed attempt; with the jitter below about 52 hours in all. Standard Webhooks 1.0.0 advises
# several days, exponential, with jitter. Whatever the answer is: a receiver that answers 404 or redirects is usually
# being deployed or edited. Only 410 ends a delivery early.
RETRY_DELAYS_S = (5, 60, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000)
JITTER = 0.2  # of each delay, up or down
MAX_RETRY_DELAY_S = 86_400.0
WRONG_KEY = "the endpoint's secret was encrypted with another SECRET_KEY"
WRONG_KEY_PAUSE = timedelta(minutes=5)  # also the time until deliveries go on after the key was put back
EARLY_TOLERANCE = timedelta(seconds=1)  # messages are exact to milliseconds; a clock may be set by a little


def attempt(machine: Machine, endpoint_id: str, token: str) -> None:
    """Make the next attempt at an endpoint, if one is due; send the message for the one after it.

    Receivers recognise a repeated event by its webhook-id.

    Args:
        machine: for its store, clock and settings.
        endpoint_id: of the endpoint.
        token: of the message; nothing is done if the endpoint has another message by now.
    """
    if token == webhook_queue.WAKE:
        with machine.store.writing(endpoint=endpoint_id) as connection:
            webhook_queue.wake(machine, connection, endpoint_id)
        return
    with machine.store.reading() as connection:
        endpoint = webhooks.get_endpoint(connection, endpoint_id)
        if endpoint is None or webhook_queue.token(endpoint.wake_at) != token:
            return
        due = endpoints.next_due(connection, endpoint, machine.now() + EARLY_TOLERANCE)
    if due is None:
        with machine.store.writing(endpoint=endpoint_id) as connection:
            webhook_queue.wake_again(machine, connection, endpoint_id)
        return
    delivery, event = due
    if event.type != PING and not machine.sealer.can_open(endpoint.secret):
        _wait_for_key(machine, endpoint)
        return
    _record(machine, delivery, event, endpoint, _send(machine, event, endpoint, delivery.tries + 1))


def _wait_for_key(machine: Machine, endpoint: Endpoint) -> None:
    """Postpone all deliveries to an endpoint whose secret cannot be read with this SECRET_KEY; nothing has failed."""
    with machine.store.writing(endpoint=endpoint.id) as connection:
        endpoints.pause(connection, endpoint.id, machine.now() + WRONG_KEY_PAUSE, WRONG_KEY)
        webhook_queue.wake_again(machine, connection, endpoint.id)
    logger.warning("Endpoint {}: {}, deliveries wait", endpoint.id, WRONG_KEY)


def _send(machine: Machine, event: Event, endpoint: Endpoint, tries: int) -> DeliveryOutcome:
    now = machine.now()
    started = time.monotonic()
    is_last = tries > len(RETRY_DELAYS_S) or event.type == PING
    try:
        answer = webhook.deliver(
            endpoint.url,
            message_id=event.id,
            timestamp=int(now.timestamp()),
            body=event.body.encode(),
            secrets=_signing(machine, endpoint, now),
            allow_private=machine.settings.webhook_allow_private,
            own_hosts=machine.settings.own_hosts,
        )
    except (PlatformError, WrongKey) as error:
        duration_ms = round((time.monotonic() - started) * 1000)
        return DeliveryOutcome(succeeded=False, final=is_last, duration_ms=duration_ms, error=str(error))
    return DeliveryOutcome(
        succeeded=answer.accepted,
        final=is_last or answer.accepted or answer.status == GONE,
        http_status=answer.status,
        duration_ms=answer.duration_ms,
        retry_after_s=answer.retry_after_s or 0.0,
        error=None if answer.accepted else f"HTTP {answer.status}",
        excerpt=answer.excerpt,
    )


def _signing(machine: Machine, endpoint: Endpoint, now: datetime) -> list[str]:
    """Return the secrets that sign now: two while one replaces the other, unless the previous one cannot be read.

    Raises:
        WrongKey: the present one cannot be read.
    """
    signing: list[str] = [machine.sealer.open(endpoint.secret)]
    if endpoint.previous_secret is not None and endpoint.previous_until is not None and now < endpoint.previous_until:
        with contextlib.suppress(WrongKey):
            signing.append(machine.sealer.open(endpoint.previous_secret))
    return signing


def _record(machine: Machine, delivery: Delivery, event: Event, endpoint: Endpoint, outcome: DeliveryOutcome) -> None:
    now = machine.now()
    tries = delivery.tries + 1
    attempt = Attempt(
        delivery_id=delivery.id,
        at=now,
        duration_ms=outcome.duration_ms,
        http_status=outcome.http_status,
        error=outcome.error,
        excerpt=outcome.excerpt,
    )
    next_at = None if outcome.final else now + timedelta(seconds=_retry_delay_s(tries, outcome.retry_after_s))
    with machine.store.writing(endpoint=endpoint.id) as connection:
        recorded = webhooks.record_attempt(
            connection, attempt, status=_delivery_status(outcome), next_at=next_at, tries=tries
        )
        if recorded:
            stage_durations.observe(connection, stage_durations.WEBHOOK_ATTEMPT, outcome.duration_ms / 1000)
        if recorded and (outcome.succeeded or event.type != PING):
            _record_health(machine, connection, endpoints.reread(connection, endpoint), outcome)
        webhook_queue.wake_again(machine, connection, endpoint.id)
    if not outcome.succeeded:
        logger.warning(
            "Webhook {} ({}) to endpoint {}: attempt {} failed: {}",
            event.id, event.type, endpoint.id, tries, outcome.error,
        )  # fmt: skip


def _record_health(machine: Machine, connection: Connection, before: Endpoint, outcome: DeliveryOutcome) -> None:
    now = machine.now()
    after = endpoint_health.after_attempt(before, outcome, now)
    endpoints.save_health(connection, after)
    if endpoint_health.is_recovered(before, after):
        endpoints.make_due(connection, after.id, after=now, now=now)
    code = endpoint_health.disabling_code(after, outcome)
    if code is None or not endpoints.disable(connection, after.id, code=code, now=now):
        return
    logger.warning("Endpoint {}: disabled ({}): {}", after.id, code, outcome.error)
    emit(
        machine, connection, "endpoint.disabled", endpoint_id=after.id, url=after.url, code=code,
        reason=outcome.error, failing_since=after.failing_since,
        missed=endpoints.backlog(connection, after.id).missed,
    )  # fmt: skip


def _delivery_status(outcome: DeliveryOutcome) -> DeliveryStatus:
    if outcome.succeeded:
        return DeliveryStatus.DELIVERED
    return DeliveryStatus.FAILED if outcome.final else DeliveryStatus.WAITING


def _retry_delay_s(tries: int, asked_s: float) -> float:
    planned_s = RETRY_DELAYS_S[min(tries, len(RETRY_DELAYS_S)) - 1]
    with_jitter_s = planned_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (no secret)
    return min(MAX_RETRY_DELAY_S, max(with_jitter_s, asked_s))
