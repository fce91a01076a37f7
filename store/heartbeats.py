"""Heartbeats: when periodic work last ran. "scheduler" is written by each tick, "lost_found" by each clean-up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from store.tables import marks


def record(connection: Connection, name: str, now: datetime) -> None:
    """Record that the named work runs now."""
    if connection.execute(update(marks).where(marks.c.name == name).values(at=now)).rowcount == 0:
        connection.execute(marks.insert().values(name=name, at=now))


def last(connection: Connection, name: str) -> datetime | None:
    """Return when the named work last ran; None if it never has."""
    return connection.scalar(select(marks.c.at).where(marks.c.name == name))
