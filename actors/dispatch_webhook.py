"""dispatch_webhook: deliver one event to one endpoint."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.flow import webhook_delivery


@dramatiq.actor(queue_name="network", max_retries=5)
def dispatch_webhook(delivery_id: str) -> None:
    """Make the next attempt at a webhook delivery."""
    webhook_delivery.attempt(wiring.machine, delivery_id)
