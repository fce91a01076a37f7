"""refresh_tokens: exchange the tokens of accounts before they end, also of those that nobody publishes on just now."""

from __future__ import annotations

import dramatiq
from loguru import logger
from periodiq import cron

from actors import wiring
from actors.flow import tokens
from platforms.errors import PlatformError, Reconnect
from store import accounts


@dramatiq.actor(queue_name="ticks", periodic=cron("*/10 * * * *"), max_retries=0)
def refresh_tokens() -> None:
    """Ask for every exchange whose time has come; the next tick asks again for what failed."""
    with wiring.machine.store.writing() as connection:
        for account in accounts.to_refresh(connection, wiring.machine.now()):
            wiring.machine.send("refresh_token", account.id)


@dramatiq.actor(queue_name="network", max_retries=0)
def refresh_token(account_id: str) -> None:
    """Exchange one account's tokens, unless that has happened meanwhile."""
    try:
        tokens.usable(wiring.machine, account_id)
    except Reconnect:
        return  # recorded and announced there
    except PlatformError as error:
        logger.warning("account {}: its tokens could not be exchanged: {}", account_id, error)
