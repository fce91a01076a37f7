"""The commands about accounts: connect."""

from __future__ import annotations

from collections.abc import Iterable

from loguru import logger

from actors.flow import holding
from actors.flow.scheduling import start_due
from actors.machine import Machine
from store import accounts, publication_queue, steps
from store.accounts import Account, OtherOwners


def connect(machine: Machine, connected: Iterable[Account]) -> int:
    """Store accounts with their tokens, and let all publications that waited for them go on at once.

    Args:
        machine: for its store and clock.
        connected: the accounts of one login; a known one keeps its id and its settings.

    Returns:
        The number of those that another owner has connected, and that stay with it.
    """
    refused = 0
    with machine.store.writing(scope="everything") as connection:
        for account in connected:
            try:
                account_id = accounts.connect(connection, account)
            except OtherOwners as other:
                logger.warning("Account {}: another owner has connected it, so {} cannot", other, account.owner_id)
                refused += 1
                continue
            publication_queue.clear_waiting_reason(connection, account_id)
            holding.update_account(machine, connection, account_id)
            for publication in steps.wake(connection, account_id, machine.now()):
                machine.send(f"publish_{publication.platform}", publication.id)
            logger.info("Account {}: connected on {}", account_id, account.platform)
        start_due(machine, connection)
    return refused
