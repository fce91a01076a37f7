"""refresh_token: refresh the tokens of one account."""

from __future__ import annotations

import dramatiq

from actors import wiring
from actors.flow import tokens


@dramatiq.actor(queue_name="network", max_retries=0)
def refresh_token(account_id: str) -> None:
    """Refresh the tokens of one account, unless that has happened meanwhile."""
    tokens.refresh_if_due(wiring.machine, account_id)
