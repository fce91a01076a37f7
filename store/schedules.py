"""Upload schedules: the windows and limits of each platform."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select

from store import rows
from store.tables import schedules


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A platform's upload windows and limits."""

    platform: str
    time_zone: str
    windows: list[list[str]]  # [["08:00", "22:30"], ...]; ["22:00", "02:00"] spans midnight; empty: always
    max_per_day: int  # in any 24 hours, for each account
    min_gap_s: float  # between two posts of one account


def list_all(connection: Connection) -> list[Schedule]:
    """Return the schedules of the platforms that have one."""
    return rows.fetch_all(connection, select(schedules).order_by(schedules.c.platform), Schedule)


def put(connection: Connection, schedule: Schedule) -> None:
    """Set a platform's schedule."""
    connection.execute(schedules.delete().where(schedules.c.platform == schedule.platform))
    connection.execute(schedules.insert().values(**asdict(schedule)))
