"""Upload windows and limits: pure functions of times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

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
        (("00:00", "00:00"), "2026-11-22T12:00", "2026-11-22T12:00"),  # the whole day
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
