"""The commands about accounts: connect."""

from __future__ import annotations

from collections.abc import Iterable

from loguru import logger

from actors.flow import holding
from actors.flow.scheduling import start_due
from actors.machine import Machine
from store import accounts, publication_queue, steps
from store.accounts import Account


def connect(machine: Machine, connected: Iterable[Account]) -> None:
    """Store accounts with their tokens, and let all publications that waited for them go on at once.

    Args:
        machine: for its store and clock.
        connected: the accounts of one login; a known one keeps its id and its settings.
    """
    with machine.store.writing() as connection:
        for account in connected:
            account_id = accounts.connect(connection, account)
            publication_queue.clear_waiting_reason(connection, account_id)
            holding.update_account(machine, connection, account_id)
            for publication in steps.wake(connection, account_id, machine.now()):
                machine.send(f"publish_{publication.platform}", publication.id)
            logger.info("Account {}: connected on {}", account_id, account.platform)
        start_due(machine, connection)
