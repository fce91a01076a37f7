"""Upload windows and limits: pure functions of times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.flow.upload_windows import Day, StartTime, earliest_start, local_day, next_opening, next_slot
from store.schedules import Schedule
from store.states import WaitsFor

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def _schedule(*windows: tuple[str, str], zone: str = "UTC", max_per_day: int = 6, min_gap_s: float = 0.0) -> Schedule:
    listed = [list(window) for window in windows]
    return Schedule(platform="tiktok", time_zone=zone, windows=listed, max_per_day=max_per_day, min_gap_s=min_gap_s)


def test_without_windows_it_is_always_open() -> None:
    assert next_opening(_schedule(), NOON) == NOON


@pytest.mark.parametrize(
    ("window", "moment", "expected"),
    [
        (("11:00", "13:00"), "2026-11-22T12:00", "2026-11-22T12:00"),
        (("13:00", "14:00"), "2026-11-22T12:00", "2026-11-22T13:00"),
        (("08:00", "09:00"), "2026-11-22T12:00", "2026-11-23T08:00"),
        (("22:00", "02:00"), "2026-11-22T01:00", "2026-11-22T01:00"),  # yesterday's, over midnight
        (("22:00", "02:00"), "2026-11-22T02:00", "2026-11-22T22:00"),  # a window's end is outside
        (("00:00", "00:00"), "2026-11-22T12:00", "2026-11-22T12:00"),  # stored by earlier versions: the whole day
    ],
)
def test_the_next_opening(window: tuple[str, str], moment: str, expected: str) -> None:
    asked = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert next_opening(_schedule(window), asked) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_windows_are_read_in_the_schedules_zone() -> None:
    berlin = _schedule(("13:00", "14:00"), zone="Europe/Berlin")
    assert next_opening(berlin, datetime(2026, 11, 22, 11, 0, tzinfo=UTC)) == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_a_window_keeps_its_local_time_over_a_clock_change() -> None:
    berlin = _schedule(("08:00", "09:00"), zone="Europe/Berlin")
    before = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)  # the clocks go back in the night
    assert next_opening(berlin, before).astimezone(ZoneInfo("Europe/Berlin")).hour == 8
    assert next_opening(berlin, before) == datetime(2026, 10, 25, 7, 0, tzinfo=UTC)


BERLIN_CHANGES = [
    # Forward at 2026-03-29T01:00Z: after 01:59 comes 03:00.
    (("02:10", "02:40"), "2026-03-28T23:00", "2026-03-30T00:10"),  # skipped on that day
    (("02:30", "04:00"), "2026-03-28T23:00", "2026-03-29T01:00"),  # open from the change on
    (("22:00", "02:30"), "2026-03-29T01:00", "2026-03-29T20:00"),  # closed by the change
    # Back at 2026-10-25T01:00Z: after 02:59 comes 02:00.
    (("02:10", "02:40"), "2026-10-25T00:40", "2026-10-25T01:10"),  # a second time
    (("01:30", "02:30"), "2026-10-25T00:45", "2026-10-25T01:00"),  # open again from the change on
    (("02:00", "02:30"), "2026-10-25T01:30", "2026-10-26T01:00"),
]


@pytest.mark.parametrize(("window", "moment", "expected"), BERLIN_CHANGES)
def test_windows_around_a_clock_change(window: tuple[str, str], moment: str, expected: str) -> None:
    asked = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    berlin = _schedule(window, zone="Europe/Berlin")
    assert next_opening(berlin, asked) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def _is_open(schedule: Schedule, moment: datetime) -> bool:
    local = f"{moment.astimezone(ZoneInfo(schedule.time_zone)):%H:%M}"
    return any(
        opens <= local < closes if opens < closes else local >= opens or local < closes
        for opens, closes in schedule.windows
    )


CLOCK_TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
# Changes of an hour, half an hour (Lord Howe), at midnight (Beirut), of a whole day (Apia), and around Ramadan.
CHANGES = {
    "Europe/Berlin": ["2026-03-29T01:00", "2026-10-25T01:00"],
    "America/New_York": ["2026-03-08T07:00", "2026-11-01T06:00"],
    "Australia/Lord_Howe": ["2026-04-04T15:00", "2026-10-03T15:30"],
    "Asia/Beirut": ["2026-03-28T22:00", "2026-10-24T21:00"],
    "Pacific/Apia": ["2011-12-30T10:00"],
    "Africa/Casablanca": ["2026-02-15T02:00", "2026-03-22T02:00"],
    "Asia/Kathmandu": ["2026-06-01T00:00"],
}


@given(
    change=st.sampled_from([(zone, moment) for zone, moments in CHANGES.items() for moment in moments]),
    minutes=st.integers(-3000, 1500),
    windows=st.lists(
        st.tuples(CLOCK_TIMES, CLOCK_TIMES).filter(lambda window: window[0] != window[1]), min_size=1, max_size=3
    ),
)
def test_the_next_opening_is_the_first_minute_in_a_window_by_the_local_clock(
    change: tuple[str, str], minutes: int, windows: list[tuple[str, str]]
) -> None:
    zone, moment = change
    schedule = _schedule(*windows, zone=zone)
    asked = datetime.fromisoformat(moment).replace(tzinfo=UTC) + timedelta(minutes=minutes)
    each_minute = (asked + timedelta(minutes=ahead) for ahead in range(4 * 24 * 60))
    assert next_opening(schedule, asked) == next(minute for minute in each_minute if _is_open(schedule, minute))


@given(zone=st.sampled_from(sorted(available_timezones())), window=st.tuples(CLOCK_TIMES, CLOCK_TIMES), day=st.dates())
def test_every_window_opens_within_three_days_in_every_zone(zone: str, window: tuple[str, str], day: date) -> None:
    day = min(max(day, date(1, 1, 3)), date(9999, 12, 26))
    asked = datetime.combine(day, datetime.min.time(), UTC)
    assert asked <= next_opening(_schedule(window, zone=zone), asked) < asked + timedelta(days=3)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


DAYS = [
    # (zone, a moment, when its day begins, when it ends), all in UTC
    ("UTC", "2026-11-22T12:00", "2026-11-22T00:00", "2026-11-23T00:00"),
    ("America/Los_Angeles", "2026-11-22T07:59", "2026-11-21T08:00", "2026-11-22T08:00"),
    ("Pacific/Kiritimati", "2026-11-22T10:00", "2026-11-22T10:00", "2026-11-23T10:00"),
    ("Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),  # 23 hours
    ("Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),  # 25 hours
    ("Asia/Beirut", "2026-03-28T22:00", "2026-03-28T22:00", "2026-03-29T21:00"),  # begins at 01:00
    ("Africa/Cairo", "2026-04-23T22:00", "2026-04-23T22:00", "2026-04-24T21:00"),  # likewise
    ("Pacific/Apia", "2011-12-30T09:59", "2011-12-29T10:00", "2011-12-30T10:00"),  # the 30th is left out
    ("America/St_Johns", "2006-10-29T02:40", "2006-10-29T02:30", "2006-10-30T03:30"),  # 23:11 again, after 00:01
]


@pytest.mark.parametrize(("zone", "moment", "begin", "end"), DAYS)
def test_a_day_is_one_of_the_zones_calendar(zone: str, moment: str, begin: str, end: str) -> None:
    assert local_day(_instant(moment), ZoneInfo(zone)) == Day(_instant(begin), _instant(end))


@pytest.mark.parametrize(("zone", "moment", "begin", "end"), DAYS)
def test_the_limit_of_a_day_is_counted_by_the_schedules_calendar(zone: str, moment: str, begin: str, end: str) -> None:
    schedule, asked = _schedule(zone=zone, max_per_day=2), _instant(moment)
    before, today = _instant(begin) - timedelta(minutes=1), _instant(begin)
    assert earliest_start(schedule, [before, before, today], asked) == asked
    assert next_slot(schedule, [before, today, asked], asked) == StartTime(_instant(end), WaitsFor.DAY_LIMIT)


def test_the_limit_of_a_day_is_named_rather_than_the_window_after_it() -> None:
    schedule = _schedule(("08:00", "20:00"), zone="Europe/Berlin", max_per_day=1)
    tomorrow = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
    assert next_slot(schedule, [NOON - timedelta(hours=2)], NOON) == StartTime(tomorrow, WaitsFor.DAY_LIMIT)
    night = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
    assert next_slot(schedule, [NOON], night) == StartTime(tomorrow, WaitsFor.WINDOW)


@pytest.mark.logs_errors
def test_a_time_zone_that_the_machine_has_lost_is_read_as_utc() -> None:
    """A schedule that was restored on another machine does not stop those of other accounts."""
    lost = _schedule(("13:00", "14:00"), zone="Mars/Base", max_per_day=1)
    assert next_slot(lost, [], NOON) == StartTime(NOON + timedelta(hours=1), WaitsFor.WINDOW)


def test_posts_keep_their_distance() -> None:
    schedule = _schedule(min_gap_s=1800)
    assert earliest_start(schedule, [NOON - timedelta(minutes=10)], NOON) == NOON + timedelta(minutes=20)


@given(
    change=st.sampled_from([(zone, moment) for zone, moments in CHANGES.items() for moment in moments]),
    minutes=st.integers(-3000, 1500),
    posts=st.integers(1, 8),
    per_day=st.integers(1, 3),
    gap_min=st.sampled_from([0, 10, 120, 1500]),
    windows=st.lists(st.tuples(CLOCK_TIMES, CLOCK_TIMES).filter(lambda window: window[0] != window[1]), max_size=2),
)
def test_each_post_of_a_series_has_the_first_minute_that_breaks_no_rule(
    change: tuple[str, str], minutes: int, posts: int, per_day: int, gap_min: int, windows: list[tuple[str, str]]
) -> None:
    zone, moment = ZoneInfo(change[0]), change[1]
    schedule = _schedule(*windows, zone=change[0], max_per_day=per_day, min_gap_s=60.0 * gap_min)
    went: list[datetime] = []
    asked = _instant(moment) + timedelta(minutes=minutes)
    for _ in range(posts):
        minute = asked
        while (
            (windows and not _is_open(schedule, minute))
            or (went and minute < went[-1] + timedelta(minutes=gap_min))
            or sum(one.astimezone(zone).date() == minute.astimezone(zone).date() for one in went) >= per_day
        ):
            minute += timedelta(minutes=1)
        asked = earliest_start(schedule, went, asked)
        assert asked == minute
        went.append(asked)
