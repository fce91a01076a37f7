"""Sends the messages that wake the sender of webhooks: one at a time for each endpoint.

Deliveries wait in the store. A message names an endpoint, not a delivery: so nothing that waits for an endpoint holds a
thread or is looked at again and again, however much it is and however long the endpoint does not answer. The time of
an endpoint's next message is in its record, and in the message; a message with another time is outdated. The endpoint
is also the message's concurrency key: never are two of its deliveries in flight.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from loguru import logger
from sqlalchemy import Connection

from actors.machine import Machine
from store import endpoints, webhooks
from store.locks import LockClass, try_lock
from store.webhooks import Endpoint

WAKE = "wake"  # in place of a token: the message only calls `wake`, in a transaction of its own
QUICK, SLOW = "dispatch_webhook", "dispatch_slow_webhook"  # actors; each has a queue and threads of its own
SLOW_MS = 2000  # an endpoint whose last attempt took longer is served by the few threads for slow ones
GRACE_PERIOD = timedelta(minutes=5)  # messages may wait behind others
MAX_AHEAD = timedelta(hours=30)  # more than the longest delay between two attempts
MAX_WAITING = 10_000  # deliveries for one endpoint
MAX_WAIT = timedelta(days=7)


def wake(machine: Machine, connection: Connection, endpoint_id: str) -> None:
    """Send the message for an endpoint's next attempt, unless one that is early enough is on its way.

    Args:
        machine: for its clock.
        connection: inside `store.writing()`.
        endpoint_id: of the endpoint.
    """
    if not try_lock(connection, LockClass.ENDPOINT, endpoint_id):
        # Another transaction decides about the endpoint, and cannot see what is not committed. To wait for it could be
        # a deadlock.
        machine.send(QUICK, endpoint_id, WAKE)
        return
    now = machine.now()
    endpoint = webhooks.get_endpoint(connection, endpoint_id)
    if endpoint is None or (endpoint.wake_at is not None and endpoint.wake_at <= now):
        return
    due = endpoints.next_attempt_at(connection, endpoint)
    if due is None:
        return
    at = max(due, now)
    if endpoint.wake_at is not None and endpoint.wake_at <= at:
        return
    endpoints.set_wake_at(connection, endpoint_id, at)
    machine.send(
        _actor(endpoint), endpoint_id, token(at), delay_s=(at - now).total_seconds(), concurrency_key=endpoint_id
    )


def wake_again(machine: Machine, connection: Connection, endpoint_id: str) -> None:
    """Replace the endpoint's message, which has been carried out or may be lost, by that for the next attempt."""
    endpoints.set_wake_at(connection, endpoint_id, None)
    wake(machine, connection, endpoint_id)


def token(wake_at: datetime | None) -> str:
    """Return what a message carries to prove that it is the endpoint's current one."""
    return "" if wake_at is None else wake_at.isoformat()


def recover(machine: Machine, *, was_set_back: bool = False) -> None:
    """Send lost messages again, and give up what has waited for too long. Without the write lock if all is well.

    Args:
        machine: for its store and clock.
        was_set_back: the clock was; no attempt may be due later than now.
    """
    now = machine.now()
    latest = now if was_set_back else now + MAX_AHEAD
    limits: dict[str, Any] = {"keep": MAX_WAITING, "before": now - MAX_WAIT}  # Any: an integer and a time
    with machine.store.reading() as connection:
        crowded = endpoints.crowded(connection, **limits)
        stalled = endpoints.stalled(connection, before=now - GRACE_PERIOD, latest=latest)
    for endpoint_id in crowded:
        with machine.store.writing(endpoint=endpoint_id) as connection:
            count = endpoints.drop_backlog(connection, endpoint_id, **limits)
        logger.warning("Endpoint {}: {} deliveries given up: too many, or older than 7 days", endpoint_id, count)
    for endpoint in stalled:
        with machine.store.writing(endpoint=endpoint.id) as connection:
            endpoints.make_due(connection, endpoint.id, after=latest, now=now)  # the clock was set back
            wake_again(machine, connection, endpoint.id)
        logger.warning("Endpoint {}: its next delivery was overdue, sent again", endpoint.id)


def _actor(endpoint: Endpoint) -> str:
    return SLOW if (endpoint.last_duration_ms or 0) > SLOW_MS else QUICK
