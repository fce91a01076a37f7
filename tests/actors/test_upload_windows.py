"""Upload windows and limits: pure functions of times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.flow.upload_windows import DAY, earliest_start, next_opening
from store.schedules import Schedule

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


def test_the_daily_limit_counts_any_24_hours() -> None:
    schedule = _schedule(max_per_day=2)
    recent = [NOON - timedelta(hours=23), NOON - timedelta(hours=1)]
    assert earliest_start(schedule, recent, NOON) == NOON + timedelta(hours=1)
    assert earliest_start(schedule, recent[1:], NOON) == NOON


def test_posts_keep_their_distance() -> None:
    schedule = _schedule(min_gap_s=1800)
    assert earliest_start(schedule, [NOON - timedelta(minutes=10)], NOON) == NOON + timedelta(minutes=20)


@given(
    posts=st.integers(1, 20),
    per_day=st.integers(1, 5),
    gap_s=st.sampled_from([0.0, 600.0, 7200.0]),
    opens=st.integers(0, 23),
    hours=st.integers(1, 12),
)
def test_a_series_of_posts_never_breaks_a_rule(posts: int, per_day: int, gap_s: float, opens: int, hours: int) -> None:
    window = (f"{opens:02}:00", f"{(opens + hours) % 24:02}:00")
    schedule = _schedule(window, max_per_day=per_day, min_gap_s=gap_s)
    went: list[datetime] = []
    now = NOON
    for _ in range(posts):
        now = earliest_start(schedule, went, now)
        assert next_opening(schedule, now) == now
        assert not went or (now - went[-1]).total_seconds() >= gap_s
        assert sum(1 for moment in went if moment > now - DAY) < per_day
        went.append(now)
