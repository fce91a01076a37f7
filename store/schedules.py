"""When and how much may go out on each platform, and signs of life."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from store import rows
from store.tables import marks, schedules


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A platform's upload windows and limits."""

    platform: str
    time_zone: str
    windows: list[
        list[str]
    ]  # [["08:00", "22:30"], ...]; one that ends before it begins goes over midnight; empty: always
    max_per_day: int  # in any 24 hours, for each account
    min_gap_s: float  # between two posts of one account


def every(connection: Connection) -> list[Schedule]:
    """Return the schedules that were set."""
    return rows.every(connection, select(schedules).order_by(schedules.c.platform), Schedule)


def put(connection: Connection, schedule: Schedule) -> None:
    """Set a platform's schedule."""
    connection.execute(schedules.delete().where(schedules.c.platform == schedule.platform))
    connection.execute(schedules.insert().values(**asdict(schedule)))


def mark(connection: Connection, name: str, now: datetime) -> None:
    """Leave a sign of life."""
    if connection.execute(update(marks).where(marks.c.name == name).values(at=now)).rowcount == 0:
        connection.execute(marks.insert().values(name=name, at=now))


def marked(connection: Connection, name: str) -> datetime | None:
    """Return the last sign of life of that name, or None."""
    return connection.scalar(select(marks.c.at).where(marks.c.name == name))
