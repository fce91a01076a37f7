"""Computes when a platform's schedule allows the next post. Pure functions of times: no store, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from platforms import registry
from store.schedules import Schedule

DAY = timedelta(hours=24)

DEFAULTS = {
    platform.name: Schedule(
        platform=platform.name,
        time_zone="UTC",
        windows=[],
        max_per_day=platform.max_posts_per_day,
        min_gap_s=platform.min_gap_s,
    )
    for platform in registry.PLATFORMS.values()
}


def earliest_start(schedule: Schedule, recent: Sequence[datetime], now: datetime) -> datetime:
    """Return the first time, not before `now`, at which the schedule allows another post of an account.

    Args:
        schedule: windows, posts a day, gap between posts.
        recent: when the account's posts of the last 24 hours began, oldest first.
        now: an aware time.
    """
    moment = now
    within_a_day = [began for began in recent if began > now - DAY]
    if len(within_a_day) >= schedule.max_per_day:
        moment = max(moment, within_a_day[-schedule.max_per_day] + DAY)
    if recent:
        moment = max(moment, recent[-1] + timedelta(seconds=schedule.min_gap_s))
    return next_opening(schedule, moment)


def next_opening(schedule: Schedule, moment: datetime) -> datetime:
    """Return the first time, not before the given one, that lies in one of the schedule's windows."""
    if not schedule.windows:
        return moment
    zone = ZoneInfo(schedule.time_zone)
    today = moment.astimezone(zone).date()
    # Yesterday's windows may cross midnight; a clock change may skip a window, hence two days ahead.
    spans = [
        _span(today + timedelta(days=ahead), time.fromisoformat(opens), time.fromisoformat(closes), zone)
        for ahead in (-1, 0, 1, 2)
        for opens, closes in schedule.windows
    ]
    return min(max(moment, opens) for opens, closes in spans if closes > moment)


def _span(day: date, opens: time, closes: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    ends_on = day if closes > opens else day + timedelta(days=1)
    return datetime.combine(day, opens, zone), datetime.combine(ends_on, closes, zone)
