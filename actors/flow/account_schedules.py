"""Finds the schedule of an account: its own, else its owner's of the platform, else the default of the platform.

The scheduler, the forecast, the metrics and the API use it, so they agree on when an account may post.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from actors.flow.upload_windows import DEFAULTS
from store import schedules
from store.accounts import Account
from store.schedules import Schedule


@dataclass(frozen=True)
class Schedules:
    """All schedules.

    Attributes:
        owners: of the owners and platforms that have one.
        accounts: of the accounts that have their own, by id.
    """

    owners: Mapping[tuple[str, str], Schedule]
    accounts: Mapping[str, Schedule]

    def of(self, account: Account) -> Schedule:
        """Return the schedule that counts for an account."""
        own = self.accounts.get(account.id) or self.owners.get((account.owner_id, account.platform))
        return own or DEFAULTS[account.platform]

    def platforms(self, owner_id: str) -> dict[str, Schedule]:
        """Return an owner's schedule of every platform, by name."""
        return {platform: self.owners.get((owner_id, platform), default) for platform, default in DEFAULTS.items()}


def read(connection: Connection) -> Schedules:
    """Return the schedules as they are stored."""
    return Schedules(schedules.of_owners(connection), schedules.of_accounts(connection))
