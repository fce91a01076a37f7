"""The forecast is the scheduler's decision, repeated: as a property, and against a month of the real scheduler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.flow.forecast import AccountQueue, Prediction, Snapshot, predict
from actors.flow.turns import Pauses, PostingLimits, decide
from actors.flow.upload_windows import DEFAULTS
from store.forecast_rows import OpenPost
from store.owners import DEFAULT_OWNER
from store.schedules import Schedule
from store.states import WaitsFor

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
POST_S = 60.0


def _schedule(**changes: object) -> Schedule:
    usual = Schedule(platform="tiktok", time_zone="UTC", windows=[], max_per_day=100, min_gap_s=600.0)
    return replace(usual, **changes)  # type: ignore[arg-type]  # as many types as fields


def _posts(job: str, count: int, **changes: object) -> list[OpenPost]:
    usual = OpenPost(
        id="", job_id=job, segment_id="", segment_number=0, status="waiting", created_at=NOON, segment_status="ready",
        needs_approval=False, held=False, publish_now_at=None, job_publish_after=None, own_publish_after=None,
        last_own_time=None,
    )  # fmt: skip
    return [
        replace(usual, id=f"{job}-{number}", segment_id=f"s-{job}-{number}", segment_number=number, **changes)  # type: ignore[arg-type]
        for number in range(1, count + 1)
    ]


def _queue(posts: Sequence[OpenPost], **changes: object) -> AccountQueue:
    usual = AccountQueue(
        id="tiktok-1",
        owner_id=DEFAULT_OWNER,
        is_connected=True,
        schedule=_schedule(),
        recent=[],
        pauses=Pauses(),
        post_s=POST_S,
        posts=posts,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def _predict(queue: AccountQueue, rendered_at: dict[str, datetime] | None = None) -> dict[str, Prediction]:
    return predict(Snapshot(now=NOON, max_open=timedelta(days=60), accounts=[queue], rendered_at=rendered_at or {}))


def _shown(found: dict[str, Prediction]) -> dict[str, tuple[int | None, str]]:
    """Return minutes from noon and the codes."""
    return {
        name: (None if one.at is None else round((one.at - NOON).total_seconds() / 60), one.waits_for.value)
        for name, one in found.items()
    }


def test_every_waiting_post_has_a_time_and_what_it_waits_for() -> None:
    found = _predict(_queue([*_posts("a", 3), *_posts("b", 2)]))
    assert _shown(found) == {
        "a-1": (0, "next"),
        "a-2": (10, "earlier_part"),
        "a-3": (20, "earlier_part"),
        "b-1": (30, "gap"),
        "b-2": (40, "earlier_part"),
    }


def test_the_limits_that_hold_a_post_are_named() -> None:
    begun = [NOON - timedelta(minutes=minutes) for minutes in (50, 5)]
    posts = _posts("a", 1)
    assert _shown(_predict(_queue(posts, recent=begun))) == {"a-1": (5, "gap")}
    assert _shown(_predict(_queue(posts, recent=begun, schedule=_schedule(max_per_day=2)))) == {
        "a-1": (12 * 60, "day_limit")
    }
    evening = _schedule(windows=[["18:00", "20:00"]])
    assert _shown(_predict(_queue(posts, schedule=evening))) == {"a-1": (360, "window")}
    paused = NOON + timedelta(minutes=30)
    assert _shown(_predict(_queue(posts, pauses=Pauses(account=paused)))) == {"a-1": (30, "account")}
    assert _shown(_predict(_queue(posts, pauses=Pauses(platform=paused)))) == {"a-1": (30, "platform_outage")}
    assert _shown(_predict(_queue(posts, pauses=Pauses(platform=paused), schedule=evening))) == {"a-1": (360, "window")}
    own = _posts("a", 1, job_publish_after=NOON + timedelta(minutes=90))
    assert _shown(_predict(_queue(own))) == {"a-1": (90, "own_time")}
    assert _shown(_predict(_queue(own, schedule=evening))) == {"a-1": (360, "window")}


def test_what_nobody_can_know_has_no_time() -> None:
    unapproved = _posts("a", 2, needs_approval=True)
    assert _shown(_predict(_queue(unapproved))) == {"a-1": (None, "approval"), "a-2": (None, "approval")}
    unknown = [replace(_posts("a", 1)[0], status="outcome_unknown"), *_posts("a", 3)[1:]]
    assert _shown(_predict(_queue(unknown))) == {"a-2": (None, "earlier_part"), "a-3": (None, "earlier_part")}
    held = _queue(_posts("a", 3), held_after={"a": 2})
    assert _shown(_predict(held)) == {"a-3": (None, "earlier_part"), "a-1": (0, "next"), "a-2": (10, "earlier_part")}
    unplanned = [replace(post, segment_status="pending") for post in _posts("a", 2)]
    assert _shown(_predict(_queue(unplanned))) == {"a-1": (None, "rendering"), "a-2": (None, "rendering")}
    assert _predict(_queue(_posts("a", 2), is_connected=False)) == {}


def test_a_job_that_cannot_go_does_not_delay_a_younger_one() -> None:
    rendering = [replace(post, segment_status="rendering") for post in _posts("a", 2)]
    rendered_at = {post.segment_id: NOON + timedelta(minutes=25 * post.segment_number) for post in rendering}
    queue = _queue([*rendering, *_posts("b", 4)])
    assert _shown(_predict(queue, rendered_at)) == {
        "b-1": (0, "next"),
        "b-2": (10, "earlier_part"),
        "b-3": (20, "earlier_part"),
        "a-1": (30, "rendering"),
        "b-4": (40, "earlier_part"),
        "a-2": (50, "rendering"),
    }


def test_a_post_under_way_is_waited_for() -> None:
    posts = [replace(_posts("a", 1)[0], status="publishing"), *_posts("a", 2)[1:], *_posts("b", 1)]
    queue = _queue(posts, free_at=NOON + timedelta(minutes=3), schedule=_schedule(min_gap_s=0.0))
    assert _shown(_predict(queue)) == {"a-2": (3, "earlier_part"), "b-1": (4, "next")}


def test_a_post_whose_turn_comes_after_it_expires_has_no_time() -> None:
    found = _predict(_queue(_posts("a", 70), schedule=_schedule(max_per_day=1)))
    assert len(found) == 61  # today, and at the beginning of each of the following 60 days
    assert max(one.at for one in found.values() if one.at is not None) == NOON + timedelta(days=59, hours=12)


@dataclass(frozen=True)
class _Head:
    publish_after: datetime | None
    job: str
    publish_now: bool


def test_a_video_for_a_day_after_the_maximum_has_a_time() -> None:
    """It expires 60 days after its own time, not before it. Posts without one go out, or expire, meanwhile."""
    far = NOON + timedelta(days=90)
    scheduled = _posts("a", 2, job_publish_after=far)
    minutes = 90 * 24 * 60
    assert _shown(_predict(_queue(scheduled))) == {"a-1": (minutes, "own_time"), "a-2": (minutes + 10, "earlier_part")}
    one_a_day = _schedule(max_per_day=1)
    found = _predict(_queue([*scheduled, *_posts("b", 200), *_posts("c", 1)], schedule=one_a_day))
    assert found["a-1"].at == far
    assert [name for name in found if name.startswith("b")] == [f"b-{number}" for number in range(1, 62)]
    assert "c-1" not in found


def _replayed(queue: AccountQueue) -> Iterator[tuple[str, datetime]]:
    """Yield the starts by asking `decide` about the first part of every job, as the scheduler does."""
    left: dict[str, list[OpenPost]] = {}
    for post in queue.posts:
        left.setdefault(post.job_id, []).append(post)
    left = {job: list(takewhile(lambda post: not post.held and not post.needs_approval, left[job])) for job in left}
    recent, moment = list(queue.recent), NOON
    while left := {job: posts for job, posts in left.items() if posts}:
        limits = PostingLimits(queue.schedule, recent, queue.pauses, moment)
        turns = list(decide(limits, _heads(left)))
        first = min(turns, key=lambda turn: turn.slot.at)
        post = left[first.candidate.job].pop(0)
        yield post.id, first.slot.at
        recent.append(first.slot.at)
        moment = first.slot.at + timedelta(seconds=queue.post_s)


def _heads(left: dict[str, list[OpenPost]]) -> list[_Head]:
    """Return the first part of each job in the order of `publication_queue.next_in_order`."""
    firsts = sorted(
        (posts[0] for posts in left.values()), key=lambda post: post.publish_now_at or datetime.max.replace(tzinfo=UTC)
    )
    return [_Head(post.publish_after, post.job_id, post.publish_now_at is not None) for post in firsts]


CLOCK_TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 30, 59]))
WINDOWS = st.lists(st.tuples(CLOCK_TIMES, CLOCK_TIMES).filter(lambda pair: pair[0] != pair[1]).map(list), max_size=3)
MINUTES = st.integers(-100, 10_000)
SELDOM = st.sampled_from([False] * 7 + [True])
PARTS = st.lists(
    st.fixed_dictionaries(
        {
            "own_publish_after": st.none() | MINUTES,
            "publish_now_at": st.none() | st.integers(-3, 0),
            "held": SELDOM,
            "needs_approval": SELDOM,
        }
    ),
    min_size=1,
    max_size=4,
)


def _decided(job: str, own: int | None, parts: list[dict[str, Any]]) -> list[OpenPost]:  # Any: values of fields
    def decided(post: OpenPost, decisions: dict[str, Any]) -> OpenPost:  # Any: as above
        times = {name: _at(decisions[name]) for name in ("own_publish_after", "publish_now_at")}
        return replace(post, **(decisions | times), job_publish_after=_at(own))

    return [decided(post, decisions) for post, decisions in zip(_posts(job, len(parts)), parts, strict=True)]


def _at(minutes: int | None) -> datetime | None:
    return None if minutes is None else NOON + timedelta(minutes=minutes)


@given(
    jobs=st.lists(st.tuples(PARTS, st.none() | MINUTES), min_size=1, max_size=8),
    windows=WINDOWS,
    per_day=st.integers(1, 8),
    gap_s=st.sampled_from([0.0, 45.0, 600.0, 90_000.0]),
    begun=st.lists(st.integers(-1500, 30), max_size=4),
    pause=st.none() | MINUTES,
)
def test_the_forecast_repeats_the_decision_of_the_scheduler(
    jobs: list[tuple[list[dict[str, Any]], int | None]],  # Any: values of fields
    windows: list[list[str]],
    per_day: int,
    gap_s: float,
    begun: list[int],
    pause: int | None,
) -> None:
    """Also for starts up to half an hour ahead: the clock was set back since. And whatever persons have decided."""
    by_job = [_decided(f"{number}", own, parts) for number, (parts, own) in enumerate(jobs)]
    queue = _queue(
        [post for posts in by_job for post in posts],
        wanted_now=[post for posts in by_job if any(one.publish_now_at for one in posts) for post in posts],
        schedule=_schedule(windows=windows, max_per_day=per_day, min_gap_s=gap_s, time_zone="Europe/Berlin"),
        recent=[NOON + timedelta(minutes=minutes) for minutes in sorted(begun)],
        pauses=Pauses(account=None if pause is None else NOON + timedelta(minutes=pause)),
    )
    found = predict(Snapshot(now=NOON, max_open=timedelta(days=9000), accounts=[queue], rendered_at={}))
    assert {name: one.at for name, one in found.items() if one.at is not None} == dict(_replayed(queue))
    assert all(one.waits_for in WaitsFor for one in found.values())


def test_what_a_person_holds_has_no_time_and_those_after_it_wait_for_it() -> None:
    posts = _posts("a", 4)
    posts[1] = replace(posts[1], held=True)
    posts[3] = replace(posts[3], needs_approval=True)
    assert _shown(_predict(_queue([*posts, *_posts("b", 1)]))) == {
        "a-1": (0, "next"),
        "a-2": (None, "hold"),
        "a-3": (None, "earlier_part"),
        "a-4": (None, "approval"),
        "b-1": (10, "gap"),
    }


def test_a_part_with_a_time_of_its_own_waits_for_it() -> None:
    """Its own time counts before that of its video; parts after it follow."""
    posts = _posts("a", 3, job_publish_after=NOON + timedelta(minutes=60))
    posts[0] = replace(posts[0], own_publish_after=NOON + timedelta(minutes=5))
    posts[1] = replace(posts[1], own_publish_after=NOON + timedelta(minutes=90))
    assert _shown(_predict(_queue(posts))) == {
        "a-1": (5, "own_time"),
        "a-2": (90, "own_time"),
        "a-3": (100, "earlier_part"),
    }


def test_what_a_person_wants_now_waits_for_the_platform_only() -> None:
    """Neither for older videos, nor for a window, a gap or its own time; but for a pause, and the platform's limit."""
    wanted = _posts("b", 2, job_publish_after=NOON + timedelta(minutes=500))
    wanted[0] = replace(wanted[0], publish_now_at=NOON)
    queue = _queue([*_posts("a", 1), *wanted], wanted_now=wanted, recent=[NOON - timedelta(minutes=1)])
    assert _shown(_predict(queue)) == {"b-1": (0, "next"), "a-1": (10, "gap"), "b-2": (500, "earlier_part")}
    evening = replace(queue, schedule=_schedule(windows=[["18:00", "20:00"]], max_per_day=1))
    assert _shown(_predict(evening))["b-1"] == (0, "next")
    paused = replace(evening, pauses=Pauses(account=NOON + timedelta(minutes=7)))
    assert _shown(_predict(paused))["b-1"] == (7, "account")
    many = [NOON - timedelta(minutes=minutes) for minutes in range(DEFAULTS["tiktok"].max_per_day, 0, -1)]
    full = _shown(_predict(replace(evening, recent=many)))["b-1"]
    assert full == (12 * 60, "day_limit")


def test_what_is_wanted_now_and_not_rendered_starts_when_it_is() -> None:
    wanted = [replace(_posts("b", 1)[0], segment_status="rendering", publish_now_at=NOON)]
    queue = _queue([*_posts("a", 3), *wanted], wanted_now=wanted)
    rendered_at = {wanted[0].segment_id: NOON + timedelta(minutes=12)}
    assert _shown(_predict(queue, rendered_at)) == {
        "a-1": (0, "next"),
        "a-2": (10, "earlier_part"),
        "b-1": (12, "rendering"),
        "a-3": (22, "earlier_part"),
    }


def test_parts_after_one_with_a_far_time_do_not_expire_before_it() -> None:
    """The maximum of 60 days counts from the latest own time up to a part."""
    far = NOON + timedelta(days=90)
    posts = [replace(post, last_own_time=far) for post in _posts("a", 2)]
    posts[0] = replace(posts[0], own_publish_after=far)
    minutes = 90 * 24 * 60
    assert _shown(_predict(_queue(posts))) == {"a-1": (minutes, "own_time"), "a-2": (minutes + 10, "earlier_part")}
