"""Judges the wall clock of this machine without network: by the program's age and by what the database has recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from store import heartbeats, jobs

EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)  # before the first version
AHEAD = "clock_ahead"  # name of the heartbeat with the latest time of a clock that was seen to go back
MAX_BEHIND = timedelta(hours=1)  # more than a time zone's mistake or a slow clock may leave between two ticks


@dataclass(frozen=True)
class WrongClock:
    """A wall clock that cannot be right.

    Attributes:
        reason: "clock_not_set" or "clock_behind".
        detail: a sentence for the operator.
    """

    reason: str
    detail: str


def examine(connection: Connection, now: datetime) -> WrongClock | None:
    """Return what is wrong with the wall clock; None if nothing is seen.

    If this machine saw the clock go back (`actors.recovery.stuck_work`), the new time counts as the right one, and
    records of the time before say nothing.
    """
    if now < EARLIEST:
        return WrongClock(
            "clock_not_set", f"the clock says {now:%Y-%m-%d}: set it; logins, webhooks and posts need the right time"
        )
    recorded = [heartbeats.last(connection, "scheduler"), jobs.newest_created_at(connection)]
    newest = max((moment for moment in recorded if moment is not None), default=None)
    was_ahead = heartbeats.last(connection, AHEAD)
    known = now if was_ahead is None else max(now, was_ahead)
    if newest is None or newest <= known + MAX_BEHIND:
        return None
    return WrongClock(
        "clock_behind",
        f"the clock says {now:%Y-%m-%d %H:%M} UTC, but the database has a record of {newest:%Y-%m-%d %H:%M}: set it; "
        "if it is right now, it was ahead before, and this ends at that time",
    )
