"""The time that a part may take: until it is needed, as the forecast says, shared with those before it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import wiring
from actors.flow import media_child
from actors.flow.part_deadlines import PATIENCE, SHORTEST_S, QueuedPart, deadline_s
from actors.gaze import gaze
from store import Store, accounts, jobs, publications, schedules, segments
from store.owners import DEFAULT_OWNER
from store.schedules import Schedule
from tests.actors.queues import change_settings
from tests.actors.test_rendering import RENDERED
from tests.store.rows import NOON, account, job, publication, segment

LONGEST_S = 2880.0
HOUR = timedelta(hours=1)
SECONDS = st.floats(1, 60)
NEEDS = st.none() | st.floats(-1e5, 1e6).map(lambda seconds: NOON + timedelta(seconds=seconds))
PARTS = st.lists(st.builds(QueuedPart, SECONDS, NEEDS), min_size=1, max_size=20)


def _allowed(*parts: tuple[float, datetime | None], workers: int = 1) -> float:
    return deadline_s(NOON, [QueuedPart(*part) for part in parts], LONGEST_S, workers=workers)


def test_a_part_that_nobody_waits_for_may_take_as_long_as_an_attempt() -> None:
    assert LONGEST_S == _allowed((60, None), (60, None)) == _allowed((60, NOON + 20 * HOUR))


def test_a_part_that_could_go_out_at_once_still_gets_half_an_hour() -> None:
    assert PATIENCE * 60 == _allowed((60, NOON)) == _allowed((60, NOON - HOUR))
    assert SHORTEST_S == _allowed((4, NOON))


def test_the_time_until_a_part_is_needed_is_shared_with_the_parts_before_it() -> None:
    """Three minutes of video in two hours: 40 minutes for each; with two workers each may take 80, an attempt 48."""
    parts = [(60.0, None), (60.0, None), (60.0, NOON + 2 * HOUR)]
    assert pytest.approx(2400) == _allowed(*parts)
    assert LONGEST_S == _allowed(*parts, workers=2)


def test_several_workers_give_one_part_no_more_than_the_time_until_it_is_needed() -> None:
    assert pytest.approx(2700) == _allowed((60, NOON + timedelta(minutes=45)), workers=4)


@given(PARTS, st.floats(1, 1e5), st.integers(1, 4))
def test_it_is_never_more_than_an_attempt_may_take_nor_less_than_patience(
    parts: list[QueuedPart], longest_s: float, workers: int
) -> None:
    found = deadline_s(NOON, parts, longest_s, workers=workers)
    assert min(longest_s, PATIENCE * parts[0].duration_s) <= found <= longest_s


@given(PARTS, st.builds(QueuedPart, SECONDS, NEEDS), st.floats(0, 1e6))
def test_more_to_do_gives_no_more_time_and_a_later_need_no_less(
    parts: list[QueuedPart], another: QueuedPart, later_s: float
) -> None:
    found = deadline_s(NOON, parts, LONGEST_S)
    assert deadline_s(NOON, [*parts, another], LONGEST_S) <= found
    later = timedelta(seconds=later_s)
    moved = [QueuedPart(part.duration_s, part.needed_at and part.needed_at + later) for part in parts]
    assert deadline_s(NOON, moved, LONGEST_S) >= found


@pytest.fixture
def deadlines(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[float]]:
    """Return what renders both parts of a job, and returns the deadlines that their children were given."""

    def render() -> list[float]:
        given: list[float] = []

        def run(_: object, __: str, arguments: list[str], **___: object) -> dict[str, Any]:  # Any: JSON
            given.append(float(arguments[arguments.index("--deadline") + 1]))
            return RENDERED

        monkeypatch.setattr(media_child, "run", run)
        for number in (1, 2):
            gaze.fn(f"job-{number}")
        return given

    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(parts=2))
        segments.create(connection, [segment(1), segment(2)])
    return render


def _connect(store: Store, **changes: object) -> None:
    usual: dict[str, Any] = {"time_zone": "UTC", "windows": [], "max_per_day": 10, "min_gap_s": 1800.0}
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, account())
        publications.create(connection, [publication(segment(number), account()) for number in (1, 2)])
        schedules.put(connection, DEFAULT_OWNER, Schedule(platform="tiktok", **(usual | changes)))


def test_without_a_publication_there_is_all_the_time(deadlines: Callable[[], list[float]]) -> None:
    assert [LONGEST_S, LONGEST_S] == deadlines()


def test_a_part_that_is_due_gets_less_time_than_one_for_tomorrow(
    store: Store, deadlines: Callable[[], list[float]]
) -> None:
    """Both last 20 seconds; the first may go out now, the second after a gap of half an hour."""
    _connect(store)
    first, second = deadlines()
    assert PATIENCE * 20 == first
    assert pytest.approx(1800, abs=60) == second


def test_a_window_tomorrow_gives_all_the_time(store: Store, deadlines: Callable[[], list[float]]) -> None:
    opens = wiring.machine.now() + 20 * HOUR
    _connect(store, windows=[[f"{opens:%H:%M}", f"{opens + HOUR:%H:%M}"]])
    assert [LONGEST_S, LONGEST_S] == deadlines()


def test_the_setting_bounds_it(
    store: Store, deadlines: Callable[[], list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    change_settings(monkeypatch, processing_deadline=100)
    _connect(store)
    assert [80, 80] == deadlines()
