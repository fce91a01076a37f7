"""send_notice and deliver_notice: notices to the creator, by web push and the addresses of NOTICE_URLS."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.flow import notice_delivery, notices


@dramatiq.actor(queue_name="webhooks_slow", max_retries=3)
def send_notice(notice_id: str) -> None:
    """Compose a notice whose time has come, and send it to its receivers."""
    notices.send(wiring.machine, notice_id)


@dramatiq.actor(queue_name="webhooks_slow", max_retries=3)
def deliver_notice(delivery_id: str, token: str) -> None:
    """Make the next attempt to deliver a notice to one receiver."""
    notice_delivery.attempt(wiring.machine, delivery_id, token)
