"""start_publications: start the publication of an account whose time has come."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.flow import scheduling


@dramatiq.actor(queue_name="ticks", max_retries=0)
def start_publications(account_id: str) -> None:
    """Start the publication that is due on an account; nothing if its time was moved or it has started."""
    scheduling.start_due_on(wiring.machine, account_id)
