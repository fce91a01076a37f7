"""Computes when a platform's schedule allows the next post. Pure functions of times: no store, no clock."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from platforms import registry
from store.schedules import Schedule
from store.states import WaitsFor

Window = tuple[time, time]

DAY = timedelta(hours=24)
DAYS_AHEAD = 3  # a clock change may skip a window, and even a day (Samoa, 30 December 2011)

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


@dataclass(frozen=True)
class StartTime:
    """A time at which a post may start, and what it waits for until then; None if it does not wait."""

    at: datetime
    waits_for: WaitsFor | None = None


def earliest_start(schedule: Schedule, recent: Sequence[datetime], now: datetime) -> datetime:
    """Return the time of `next_slot`."""
    return next_slot(schedule, recent, now).at


def next_slot(schedule: Schedule, recent: Sequence[datetime], now: datetime) -> StartTime:
    """Return the first time, not before `now`, at which the schedule allows another post of an account.

    Args:
        schedule: windows, posts a day, gap between posts.
        recent: when the account's posts of the last 24 hours began, oldest first; earlier ones change nothing.
        now: an aware time.
    """
    slot = StartTime(now)
    if len(recent) - bisect_right(recent, now - DAY) >= schedule.max_per_day:
        slot = StartTime(recent[-schedule.max_per_day] + DAY, WaitsFor.DAY_LIMIT)
    if recent:
        after_gap = recent[-1] + timedelta(seconds=schedule.min_gap_s)
        slot = StartTime(after_gap, WaitsFor.GAP) if after_gap > slot.at else slot
    opening = next_opening(schedule, slot.at)
    return StartTime(opening, WaitsFor.WINDOW) if opening > slot.at else slot


def next_opening(schedule: Schedule, moment: datetime) -> datetime:
    """Return the first time, not before the given one, at which a local clock shows a time in one of the windows.

    When clocks go forward, what a window has in the skipped hour is left out; when they go back, what it has in the
    repeated hour comes twice.
    """
    if not schedule.windows:
        return moment
    zone = ZoneInfo(schedule.time_zone)
    windows = [(time.fromisoformat(opens), time.fromisoformat(closes)) for opens, closes in schedule.windows]
    if _is_open(windows, moment, zone):
        return moment
    return min(opening for opening in _openings(windows, moment, zone) if _is_open(windows, opening, zone))


def _is_open(windows: Sequence[Window], moment: datetime, zone: ZoneInfo) -> bool:
    local = moment.astimezone(zone).time()
    return any(
        opens <= local < closes if opens < closes else local >= opens or local < closes for opens, closes in windows
    )


def _openings(windows: Sequence[Window], moment: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the times after a moment at which a window may open: at its beginning, or with a clock change."""
    today = moment.astimezone(zone).date()
    for ahead, (opens, _), fold in product(range(DAYS_AHEAD + 1), windows, (0, 1)):
        opening = datetime.combine(today + timedelta(days=ahead), opens.replace(fold=fold), zone).astimezone(UTC)
        if opening > moment:
            yield opening
    for ahead in range(DAYS_AHEAD):
        begin = moment.astimezone(UTC) + timedelta(days=ahead)
        if begin.astimezone(zone).utcoffset() != (begin + DAY).astimezone(zone).utcoffset():
            yield _clock_change(begin, begin + DAY, zone)


def _clock_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the time (UTC, whole seconds) at which a zone's offset changes between two others."""
    offset = before.astimezone(zone).utcoffset()
    start, low, high = before.replace(microsecond=0), 0, math.ceil((after - before).total_seconds()) + 1
    while high - low > 1:
        middle = (low + high) // 2
        is_before = (start + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset
        low, high = (middle, high) if is_before else (low, middle)
    return start + timedelta(seconds=high)
