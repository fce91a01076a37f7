"""Upload schedules: the windows and limits of platforms, and of accounts that have their own."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select

from store import rows
from store.tables import account_schedules, accounts, schedules


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Upload windows and limits of each account of a platform, or of one account."""

    platform: str
    time_zone: str
    windows: list[list[str]]  # [["08:00", "22:30"], ...]; ["22:00", "02:00"] spans midnight; empty: always
    max_per_day: int  # from midnight to midnight in the time zone
    min_gap_s: float  # between two posts of one account


def of_owners(connection: Connection) -> dict[tuple[str, str], Schedule]:
    """Return the schedules of the platforms that have one, by owner and platform."""
    return {(row.owner_id, row.platform): rows.build(row, Schedule) for row in connection.execute(select(schedules))}


def put(connection: Connection, owner_id: str, schedule: Schedule) -> None:
    """Set an owner's schedule of a platform."""
    rows.upsert(connection, schedules, {"owner_id": owner_id, **asdict(schedule)})


def of_accounts(connection: Connection) -> dict[str, Schedule]:
    """Return the schedules of the accounts that have their own, by id."""
    query = select(account_schedules, accounts.c.platform).join(
        accounts, accounts.c.id == account_schedules.c.account_id
    )
    return {row.account_id: rows.build(row, Schedule) for row in connection.execute(query)}


def put_of_account(connection: Connection, account_id: str, schedule: Schedule) -> None:
    """Set the schedule of an account."""
    values = asdict(schedule)
    del values["platform"]
    rows.upsert(connection, account_schedules, {"account_id": account_id, **values})


def delete_of_account(connection: Connection, account_id: str) -> None:
    """Delete the schedule of an account, so that it has its platform's again."""
    connection.execute(account_schedules.delete().where(account_schedules.c.account_id == account_id))
