"""Computes when a schedule allows the next post of an account. Pure functions of times: no store, no clock."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import product
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from loguru import logger

from platforms import registry
from store.schedules import Schedule
from store.states import WaitsFor

Window = tuple[time, time]

DAY = timedelta(hours=24)
LONGEST_DAY = timedelta(hours=49)  # a calendar day whose date comes twice, as on Kwajalein in 1969
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
        recent: when the account's posts of the last `LONGEST_DAY` began, oldest first; earlier ones change nothing.
        now: an aware time.
    """
    slot = StartTime(now)
    if recent:
        after_gap = recent[-1] + timedelta(seconds=schedule.min_gap_s)
        slot = StartTime(after_gap, WaitsFor.GAP) if after_gap > slot.at else slot
    opening = next_opening(schedule, slot.at)
    slot = StartTime(opening, WaitsFor.WINDOW) if opening > slot.at else slot
    zone = known_zone(schedule.time_zone)
    while recent and (day := local_day(slot.at, zone)).count(recent) >= schedule.max_per_day:
        slot = StartTime(next_opening(schedule, day.end), WaitsFor.DAY_LIMIT)
    return slot


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day of a time zone, of 23 to 25 hours as a rule."""

    begin: datetime
    end: datetime

    def count(self, moments: Sequence[datetime]) -> int:
        """Return how many of these times, oldest first, are on this day."""
        return bisect_left(moments, self.end) - bisect_left(moments, self.begin)


def local_day(moment: datetime, zone: ZoneInfo) -> Day:
    """Return the day of a zone's calendar that contains a moment.

    A day ends at the first midnight: where clocks go back at 00:01, the hour that is repeated is part of the next day.
    """
    date = moment.astimezone(zone).date()
    end = midnight(date + timedelta(days=1), zone)
    if moment >= end:
        return Day(end, midnight(date + timedelta(days=2), zone))
    return Day(midnight(date, zone), end)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the time (UTC) at which a day begins; where clocks skip midnight, the first time after it."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


@cache
def known_zone(name: str) -> ZoneInfo:
    """Return a time zone; UTC if this machine does not know it any more, so that other accounts go on posting."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        logger.error("Time zone {}: unknown on this machine; schedules in it are read in UTC", name)
        return ZoneInfo("UTC")


def next_opening(schedule: Schedule, moment: datetime) -> datetime:
    """Return the first time, not before the given one, at which a local clock shows a time in one of the windows.

    When clocks go forward, what a window has in the skipped hour is left out; when they go back, what it has in the
    repeated hour comes twice.
    """
    if not schedule.windows:
        return moment
    zone = known_zone(schedule.time_zone)
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
