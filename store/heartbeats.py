"""Heartbeats: when periodic work last ran. "scheduler" is written by each tick, "lost_found" by each clean-up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from store import rows
from store.boot_clock import BootTime
from store.locks import is_shared
from store.tables import marks


def record(connection: Connection, name: str, now: datetime, boot_time: BootTime) -> None:
    """Record that the named work runs now."""
    values = {"name": name, "at": now, "boot": boot_time.boot, "boot_s": boot_time.seconds}
    rows.upsert(connection, marks, values)


@dataclass(frozen=True)
class Heartbeat:
    """A moment at which named work ran, on both clocks."""

    at: datetime
    boot: str
    boot_s: float


def read(connection: Connection, name: str) -> Heartbeat | None:
    """Return the last heartbeat of the named work; None if there was none."""
    found = connection.execute(select(marks.c.at, marks.c.boot, marks.c.boot_s).where(marks.c.name == name)).first()
    return None if found is None else Heartbeat(found.at, found.boot, found.boot_s)


def last(connection: Connection, name: str) -> datetime | None:
    """Return when the named work last ran, by the wall clock of that time; None if it never has."""
    return connection.scalar(select(marks.c.at).where(marks.c.name == name))


def names_since(connection: Connection, prefix: str, moment: datetime) -> list[str]:
    """Return the names with this prefix of what has run since a moment of the wall clock."""
    named = marks.c.name.startswith(prefix, autoescape=True)
    return list(connection.scalars(select(marks.c.name).where(named, marks.c.at > moment)))


def age_s(connection: Connection, name: str, now: datetime, boot_time: BootTime) -> float | None:
    """Return how many seconds ago the named work last ran, unaffected by a set wall clock; None if it never has.

    If that was in another boot, only the wall clock is known. With a file it was before this machine booted, so the
    result is at least the time since the boot. With a server it may have been on another machine, and the clocks of
    machines differ a little; the result is at least 0.
    """
    found = read(connection, name)
    if found is None:
        return None
    if found.boot == boot_time.boot:
        return float(boot_time.seconds - found.boot_s)
    wall_s: float = (now - found.at).total_seconds()
    return max(wall_s, 0.0 if is_shared(connection) else boot_time.seconds)


def set_back_s(connection: Connection, name: str, now: datetime, boot_time: BootTime) -> float:
    """Return by how many seconds the wall clock was set back since the named work last ran; at least 0.

    After a boot, only what is certain counts: that the last run is in the future.
    """
    found = read(connection, name)
    if found is None:
        return 0.0
    passed_s = boot_time.seconds - found.boot_s if found.boot == boot_time.boot else 0.0
    return max(0.0, float(passed_s - (now - found.at).total_seconds()))
