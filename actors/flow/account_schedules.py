"""Finds the schedule of an account: its own, else its platform's, else the default of the platform.

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
        platforms: of every platform, by name.
        accounts: of the accounts that have their own, by id.
    """

    platforms: Mapping[str, Schedule]
    accounts: Mapping[str, Schedule]

    def of(self, account: Account) -> Schedule:
        """Return the schedule that counts for an account."""
        return self.accounts.get(account.id) or self.platforms[account.platform]


def read(connection: Connection) -> Schedules:
    """Return the schedules as they are stored."""
    stored = {schedule.platform: schedule for schedule in schedules.list_all(connection)}
    return Schedules(DEFAULTS | stored, schedules.of_accounts(connection))
