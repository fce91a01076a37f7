"""The limit of posts that a platform itself sets: counted, stored as the platform answers, and kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from actors.flow import platform_limits, scheduling
from actors.flow.turns import Pauses, PostingLimits, PostLimit
from actors.flow.upload_windows import DAY, StartTime
from platforms.contract import QuotaAnswer
from platforms.http.client import Response
from store import Store, accounts, jobs, post_quotas, publications, segments
from store.accounts import Account
from store.schedules import Schedule
from store.states import JobStatus, PublicationStatus, SegmentStatus, WaitsFor
from tests.actors.simulation import Faults, Simulation, TimedAnswer
from tests.store import rows

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PACIFIC = ZoneInfo("America/Los_Angeles")
FREE = Schedule(platform="instagram", time_zone="UTC", windows=[], max_per_day=1_000, min_gap_s=0.0)


def _ago(*hours: float) -> list[datetime]:
    return [NOON - timedelta(hours=one) for one in hours]


@pytest.mark.parametrize(
    ("limit", "recent", "expected_h"),
    [
        (PostLimit(2), _ago(23), 0),
        (PostLimit(2), _ago(24, 1), 0),  # the first is exactly 24 hours old
        (PostLimit(2), _ago(23, 1), 1),
        (PostLimit(2), _ago(23, 20, 1), 4),  # more than the limit, which was lowered
        (PostLimit(2, others=1, others_until=NOON + timedelta(hours=3)), _ago(1), 3),
        (PostLimit(2, others=1, others_until=NOON + timedelta(hours=3)), _ago(23), 1),
        (PostLimit(2, others=5, others_until=NOON + timedelta(hours=3)), [], 3),
        (PostLimit(2, others=5, others_until=NOON), [], 0),  # the answer is a day old
        (PostLimit(2, zone=PACIFIC), _ago(4.5, 1), 0),  # 07:30 in UTC is 23:30 of the day before
        (PostLimit(1, zone=PACIFIC), _ago(4.5), 0),
        (PostLimit(1, zone=PACIFIC), _ago(4), 20),
        (PostLimit(3, others=2, others_until=NOON + timedelta(hours=20), zone=PACIFIC), _ago(1), 20),
    ],
)
def test_the_platform_takes_the_next_post(limit: PostLimit, recent: list[datetime], expected_h: float) -> None:
    assert limit.free_at(recent, NOON) == NOON + timedelta(hours=expected_h)


def test_schedule_and_platform_both_allow_a_post() -> None:
    evening = replace(FREE, windows=[["18:00", "20:00"]])
    limits = PostingLimits(evening, _ago(17.5, 1), Pauses(), NOON, PostLimit(2))
    assert limits.next_slot == StartTime(NOON + timedelta(hours=6.5), WaitsFor.PLATFORM_LIMIT)
    assert limits.slot(NOON + timedelta(hours=7)) == StartTime(NOON + timedelta(hours=7), WaitsFor.OWN_TIME)


@given(
    posts=st.integers(1, 5),
    others=st.integers(0, 6),
    until_h=st.integers(0, 24),
    recent=st.lists(st.integers(-30, 0), max_size=8).map(sorted),
    gap_h=st.integers(0, 9),
)
def test_no_24_hours_have_more_posts_than_the_platform_takes(
    posts: int, others: int, until_h: int, recent: list[int], gap_h: int
) -> None:
    """And each post has the first whole hour that is allowed."""
    until = NOON + timedelta(hours=until_h)
    limit = PostLimit(posts, others, until)
    went = [NOON + timedelta(hours=one) for one in recent]
    asked = NOON
    for _ in range(6):
        hour = asked
        while sum(one > hour - DAY for one in went) + (others if hour < until else 0) >= posts:
            hour += timedelta(hours=1)
        asked = limit.free_at(went, asked)
        assert asked == hour
        went.append(asked)
        asked += timedelta(hours=gap_h)


def _account(connection: Connection, name: str, platform: str) -> Account:
    made = rows.account(name, platform)
    accounts.connect(connection, made)
    return made


def _published(connection: Connection, owner: Account, name: str, began_at: datetime) -> None:
    jobs.create(connection, rows.job(name, status=JobStatus.PUBLISHING, parts=1))
    part = rows.segment(1, job_id=name, status=SegmentStatus.READY)
    segments.create(connection, [part])
    post = rows.publication(part, owner, status=PublicationStatus.PUBLISHED)
    publications.create(connection, [replace(post, started_at=began_at, ended_at=began_at + timedelta(minutes=2))])


def test_posts_that_are_not_ours_count_until_the_answer_is_a_day_old(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        owner = _account(connection, "instagram-1", "instagram")
        for number, began_at in enumerate(_ago(30, 3, 2)):
            _published(connection, owner, f"job{number}", began_at)
        documented = platform_limits.of(connection, owner, NOON)
        platform_limits.record(connection, owner.id, QuotaAnswer(25, 7), NOON)
        read = platform_limits.of(connection, owner, NOON)
        platform_limits.record(connection, owner.id, QuotaAnswer(reason="(#10) not allowed"), NOON + DAY)
        refused = platform_limits.of(connection, owner, NOON + DAY)
    assert documented is not None
    assert (documented.limit, documented.answer) == (PostLimit(50), None)
    assert read is not None
    assert read.limit == PostLimit(25, 5, NOON + DAY)
    assert refused is not None
    assert refused.answer is not None
    assert (refused.limit.posts, refused.limit.others, refused.answer.reason) == (50, 0, "(#10) not allowed")


def test_the_uploads_of_all_channels_of_a_day_in_california_count_together(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        first = _account(connection, "youtube-1", "youtube")
        second = _account(connection, "youtube-2", "youtube")
        other = _account(connection, "tiktok-1", "tiktok")
        for number, (owner, hours) in enumerate(((second, 3.9), (second, 4.1), (first, 1), (other, 1))):
            _published(connection, owner, f"job{number}", *_ago(hours))
        known = platform_limits.of(connection, first, NOON)
        assert platform_limits.of(connection, other, NOON) is None
    assert known is not None
    assert known.limit == PostLimit(100, 1, NOON + timedelta(hours=20), PACIFIC)


@pytest.fixture
def simulation(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Simulation]:
    del store
    made = Simulation(monkeypatch, tmp_path, seed=1, faults=Faults())
    yield made
    made.close()


def _answer(simulation: Simulation, response: Response) -> None:
    since = simulation.clock()
    timed = TimedAnswer("content_publishing_limit", since, since + timedelta(days=9), response)
    simulation.faults.answers.append(timed)


def test_what_instagram_answers_is_stored_and_delays_the_next_post(simulation: Simulation) -> None:
    """The real publisher and the mock over HTTP; four posts of other apps leave one for us today."""
    simulation.prepare(2, platforms=("instagram",))
    _answer(simulation, Response(200, {}, b'{"data": [{"quota_usage": 4, "config": {"quota_total": 5}}]}'))
    began_at = simulation.clock()
    with simulation.machine.store.writing(scope="everything") as connection:
        scheduling.start_due(simulation.machine, connection)

    simulation.run(until=lambda: simulation.publications()[0].status is PublicationStatus.PUBLISHED)

    with simulation.machine.store.reading() as connection:
        stored = post_quotas.get(connection, "instagram-1")
    assert stored is not None
    assert (stored.total, stored.others, stored.reason) == (5, 4, None)
    second = simulation.publications()[1]
    assert second.status is PublicationStatus.WAITING
    assert second.due_at == stored.read_at + DAY >= began_at + DAY


def test_a_refused_question_is_recorded_and_delays_nothing(simulation: Simulation) -> None:
    simulation.prepare(2, platforms=("instagram",))
    refusal = b'{"error": {"code": 10, "type": "OAuthException", "message": "no permission"}}'
    _answer(simulation, Response(403, {}, refusal))

    simulation.run()

    with simulation.machine.store.reading() as connection:
        stored = post_quotas.get(connection, "instagram-1")
    assert stored is not None
    assert (stored.total, stored.others) == (None, 0)
    assert "no permission" in (stored.reason or "")
    assert len(simulation.posts()) == 2
