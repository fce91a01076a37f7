"""dispatch_webhook and dispatch_slow_webhook: deliver the next event to an endpoint."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.flow import webhook_delivery


@dramatiq.actor(queue_name="webhooks", max_retries=5)
def dispatch_webhook(endpoint_id: str, token: str = "") -> None:
    """Make the next attempt at an endpoint."""
    webhook_delivery.attempt(wiring.machine, endpoint_id, token)


@dramatiq.actor(queue_name="webhooks_slow", max_retries=5)
def dispatch_slow_webhook(endpoint_id: str, token: str = "") -> None:
    """Make the next attempt at an endpoint that was slow the last time."""
    webhook_delivery.attempt(wiring.machine, endpoint_id, token)
