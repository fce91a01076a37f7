"""A person holds, moves and publishes posts at once; the scheduler and the forecast follow."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from dramatiq import Worker
from sqlalchemy import text

from actors import wiring
from actors.flow import (
    completion,
    forecast,
    forecast_snapshot,
    job_commands,
    publication_commands,
    retention,
    scheduling,
    word_commands,
)
from actors.flow.forecast import Prediction
from actors.flow.publication_commands import NotPossible
from actors.flow.timing import Move, TimeChange
from actors.flow.word_commands import JobWords
from actors.start_publications import start_publications
from store import Store, accounts, jobs, publication_queue, publications, reviews, schedules, segments, steps, webhooks
from store.jobs import Job
from store.owners import DEFAULT_OWNER
from store.publications import Publication
from store.schedules import Schedule
from store.states import AfterFailure, EndpointState, JobStatus, PublicationStatus, ReviewReason, SegmentStatus
from store.tables import events, metadata
from tests.actors.one_publication import Killed, killed_at
from tests.actors.queues import change_machine, move_clock, start_due, waiting
from tests.store.rows import NOON, account, job, publication, segment
from tests.support.clock import Clock
from tests.support.waiting import wait_for

PARTS = 4
MAX_LATE = timedelta(seconds=2)
HOLD, RELEASE, NOW = TimeChange(held=True), TimeChange(held=False), TimeChange(publish_now=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def now(store: Store, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Return the time, which stands still; an account is there, and a job with four parts that are ready."""
    moment = NOON
    change_machine(monkeypatch, now=Clock(moment))
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, account())
        endpoint = webhooks.Endpoint(
            owner_id=DEFAULT_OWNER,
            id="ep", url="http://127.0.0.1:9", scope="all", events=[], state=EndpointState.ENABLED, secret=b"s",
            created_at=moment,
        )  # fmt: skip
        webhooks.add_endpoint(connection, endpoint)
    _allow()
    _add("job", moment)
    return moment


def _allow(**limits: object) -> None:
    always = Schedule(platform="tiktok", time_zone="UTC", windows=[], max_per_day=100, min_gap_s=0.0)
    with wiring.machine.store.writing(scope="everything") as connection:
        schedules.put(connection, DEFAULT_OWNER, replace(always, **limits))  # type: ignore[arg-type]  # as many types as fields


def _add(name: str, created_at: datetime, *, parts: int = PARTS, review: bool = False) -> None:
    made = job(name, status=JobStatus.REVIEW if review else JobStatus.PUBLISHING, parts=parts)
    reasons: list[str] | None = [ReviewReason.REQUESTED] if review else None
    with wiring.machine.store.writing(scope="everything") as connection:
        jobs.create(connection, replace(made, created_at=created_at, review_reasons=reasons))
        for number in range(1, parts + 1):
            part = segment(number, job_id=name, status=SegmentStatus.READY)
            segments.create(connection, [part])
            publications.create(connection, [replace(publication(part, account()), created_at=created_at)])


def _id(part: int, name: str = "job") -> str:
    return f"{name}-{part}-tiktok-1"


def _post(part: int, name: str = "job") -> Publication:
    with wiring.machine.store.reading() as connection:
        found = publications.get(connection, _id(part, name))
    assert found is not None
    return found


def _job(name: str = "job") -> Job:
    with wiring.machine.store.reading() as connection:
        found = jobs.get(connection, name)
    assert found is not None
    return found


def _statuses(name: str = "job") -> list[str]:
    with wiring.machine.store.reading() as connection:
        return [one.status.value for one in publications.of_job(connection, name)]


def _predictions() -> dict[str, Prediction]:
    with wiring.machine.store.reading() as connection:
        return forecast.predict(forecast_snapshot.read(wiring.machine, connection))


def _change(part: int, change: TimeChange, name: str = "job") -> None:
    word_commands.change_publication(wiring.machine, _id(part, name), {}, change, _predictions())


def _change_job(change: TimeChange) -> None:
    word_commands.change_job(wiring.machine, "job", JobWords(), change)


def _move(part: int, at: datetime | None, *, following: bool = False) -> None:
    _change(part, TimeChange(move=Move(at, shift_following=following)))


def _start() -> None:
    scheduling.tick(wiring.machine)
    start_due()


def _end(part: int, name: str = "job") -> None:
    """Publish a part that has started."""
    machine = wiring.machine
    with machine.store.writing(scope="everything") as connection:
        assert steps.claim(connection, _id(part, name), "m", "n", now=machine.now(), until=machine.now()) is not None
        assert steps.end(connection, _id(part, name), "m/n", PublicationStatus.PUBLISHED, now=machine.now())
        completion.after_publication(machine, connection, _id(part, name), "publication.published")


def _events(*kinds: str) -> list[tuple[str, object]]:
    """Return type and part of the events of some types."""
    with wiring.machine.store.reading() as connection:
        bodies = connection.scalars(events.select().with_only_columns(events.c.body)).all()
    found = [json.loads(body) for body in bodies]
    return [(one["type"], one["data"].get("part")) for one in found if one["type"] in kinds]


@contextmanager
def _refused(code: str) -> Iterator[None]:
    with pytest.raises(NotPossible) as refused:
        yield
    assert refused.value.code == code


# Holds


def test_what_is_held_does_not_start_and_other_videos_go_on(now: datetime) -> None:
    _add("younger", now + HOUR, parts=1)
    _change(1, HOLD)
    _change(1, HOLD)  # again
    assert (_post(1).held, _statuses("younger")) == (True, ["publishing"])
    assert _statuses() == ["waiting"] * PARTS
    assert {name: one.waits_for.value for name, one in _predictions().items()} == {
        _id(1): "hold", _id(2): "earlier_part", _id(3): "earlier_part", _id(4): "earlier_part",
    }  # fmt: skip
    _end(1, "younger")
    _start()
    assert _statuses() == ["waiting"] * PARTS
    assert _events("publication.held", "publication.started") == [("publication.held", 1), ("publication.started", 1)]
    _change(1, RELEASE)
    assert _statuses() == ["publishing", "waiting", "waiting", "waiting"]
    assert _events("publication.released") == [("publication.released", 1)]


def test_a_held_part_is_skipped_and_those_after_it_go_on(now: datetime) -> None:
    _change(1, HOLD)
    publication_commands.skip_publication(wiring.machine, _id(1))
    assert _statuses() == ["cancelled", "publishing", "waiting", "waiting"]


def test_the_database_does_not_start_what_is_held(store: Store, now: datetime) -> None:
    _change(1, HOLD)
    with store.writing(scope="everything") as connection:
        assert not publication_queue.start(connection, _id(1), now)


def test_a_whole_video_is_held_and_released(now: datetime) -> None:
    _start()
    _change_job(HOLD)
    _change_job(HOLD)
    assert (_job().held, [_post(part).held for part in range(1, 5)]) == (True, [False, True, True, True])
    _end(1)
    assert _statuses() == ["published", "waiting", "waiting", "waiting"]
    _change_job(RELEASE)
    assert (_job().held, _statuses()) == (False, ["published", "publishing", "waiting", "waiting"])
    assert _events("job.held", "job.released") == [("job.held", None), ("job.released", None)]


def test_one_part_of_a_held_video_is_released(now: datetime) -> None:
    _change_job(HOLD)
    _change(1, RELEASE)
    assert (_job().held, [_post(part).held for part in range(1, 5)]) == (False, [False, True, True, True])
    assert _statuses() == ["publishing", "waiting", "waiting", "waiting"]


def test_a_retry_publishes_nothing_of_a_held_video(store: Store, now: datetime) -> None:
    with store.writing(scope="everything") as connection:
        publication_queue.start(connection, _id(1), now)
        steps.fail_crashed(connection, _id(1), reason="crashed", now=now)
    _change_job(HOLD)
    publication_commands.retry_publication(wiring.machine, _id(1))
    assert _statuses() == ["waiting"] * PARTS
    _change(1, RELEASE)
    assert _post(1).status is PublicationStatus.PUBLISHING


def test_what_has_begun_is_not_held(now: datetime) -> None:
    _start()
    with _refused("publication_started"):
        _change(1, HOLD)
    _change(1, RELEASE)  # it is not held, as was wanted
    for part in range(1, PARTS + 1):
        _end(part)
    with _refused("publication_started"):
        _change_job(HOLD)


def test_of_a_hold_and_a_start_at_the_same_moment_one_counts(store: Store, now: datetime) -> None:
    """Two threads, each with its own connection: it is either held and waits, or refused and started."""
    outcomes = set()
    for number in range(30):
        name = f"race{number}"
        _add(name, now + timedelta(seconds=number), parts=1)
        barrier, refused = threading.Barrier(2), threading.Event()

        def hold(name: str = name, barrier: threading.Barrier = barrier, refused: threading.Event = refused) -> None:
            barrier.wait()
            try:
                word_commands.change_publication(wiring.machine, _id(1, name), {}, HOLD)
            except NotPossible:
                refused.set()

        other = threading.Thread(target=hold)
        with store.writing(scope="everything") as connection:  # nothing else is open on the account
            table = metadata.tables["publications"]
            others = table.update().where(table.c.id != _id(1, name), table.c.status.in_(["waiting", "publishing"]))
            connection.execute(others.values(status="cancelled"))
        other.start()
        barrier.wait()
        scheduling.start_due_on(wiring.machine, "tiktok-1")
        other.join()
        found = _post(1, name)
        outcome = (found.status.value, found.held, refused.is_set())
        assert outcome in {("waiting", True, False), ("publishing", False, True)}
        outcomes.add(outcome)
    assert outcomes


# Moves


def test_a_part_is_moved_and_those_after_it_follow(now: datetime) -> None:
    _move(1, now + DAY)
    assert _statuses() == ["waiting"] * PARTS
    assert _post(1).due_at == now + DAY
    assert [_post(part).publish_after for part in (1, 2)] == [now + DAY, None]
    assert _events("publication.moved", "publication.scheduled") == [
        ("publication.moved", 1), ("publication.scheduled", 1),
    ]  # fmt: skip
    _move(1, now + DAY)
    assert len(_events("publication.moved")) == 1
    found = _predictions()
    assert found[_id(1)].at == now + DAY
    assert all((found[_id(part)].at or now) > now + DAY for part in (2, 3, 4))
    _move(1, None)
    assert (_post(1).publish_after, _post(1).status) == (None, PublicationStatus.PUBLISHING)


def test_parts_keep_their_order(now: datetime) -> None:
    _allow(min_gap_s=3600.0)
    _change(1, HOLD)
    _move(2, now + 2 * DAY)
    with _refused("out_of_order"):
        _move(3, now + DAY)  # before part 2
    _move(3, now + 3 * DAY)
    with _refused("out_of_order"):
        _move(2, now + 4 * DAY)  # after part 3
    _move(2, now + 2 * DAY + HOUR)
    _change(1, RELEASE)
    with _refused("out_of_order"):
        _move(4, now + DAY)
    assert [_post(part).publish_after for part in (2, 3, 4)] == [now + 2 * DAY + HOUR, now + 3 * DAY, None]


def test_a_part_is_not_moved_before_the_expected_time_of_an_earlier_one(now: datetime) -> None:
    _allow(min_gap_s=3600.0)
    _start()  # part 1; part 2 in an hour, part 3 in two
    with pytest.raises(NotPossible, match=r"part 2 goes out on .* UTC, and parts keep their order") as refused:
        _move(3, now + timedelta(minutes=5))
    assert (refused.value.code, refused.value.facts["part"]) == ("out_of_order", 2)
    _move(3, now + 2 * HOUR)


def test_the_parts_after_it_move_by_as_much(now: datetime) -> None:
    """Of those without a time of their own it is the expected one that moves."""
    _allow(min_gap_s=3600.0)
    _move(1, now + DAY)
    _move(3, now + 3 * DAY)
    _move(1, now + 2 * DAY, following=True)
    times = [_post(part).publish_after for part in range(1, 5)]
    assert times == [now + 2 * DAY, now + 2 * DAY + HOUR, now + 4 * DAY, now + 4 * DAY + HOUR]
    _move(1, now + 2 * DAY, following=True)  # again
    assert [_post(part).publish_after for part in range(1, 5)] == times
    _move(1, now + DAY, following=True)
    assert [_post(part).publish_after for part in (1, 3)] == [now + DAY, now + 3 * DAY]


def test_a_part_goes_out_before_the_time_of_its_video(now: datetime) -> None:
    _change_job(TimeChange(move=Move(now + 5 * DAY)))
    assert (_job().publish_after, _post(1).due_at) == (now + 5 * DAY, now + 5 * DAY)
    with _refused("out_of_order"):
        _move(2, now + DAY)
    _move(1, now + DAY)
    assert _post(1).due_at == now + DAY
    _move(2, now + 2 * DAY)
    _change_job(TimeChange(move=Move(now + 3 * DAY)))  # the whole video
    assert [_post(part).publish_after for part in (1, 2)] == [None, None]
    _move(1, now + 4 * DAY)
    _change_job(TimeChange(move=Move(None)))
    assert (_job().publish_after, _post(1).publish_after) == (None, now + 4 * DAY)
    assert [kind for kind, _ in _events("job.moved")] == ["job.moved"] * 3


def test_a_time_of_the_video_takes_back_a_start_at_once(now: datetime) -> None:
    """The last decision counts: a part that waited for the limit of the day must not go out before that time."""
    _change_job(HOLD)
    _allow(max_per_day=2, min_gap_s=90_000.0)
    _add("younger", now + HOUR, parts=7)
    for part in range(1, 7):  # TikTok's own limit is six a day
        _change(part, NOW, "younger")
        _end(part, "younger")
    _change(7, NOW, "younger")
    assert _post(7, "younger").publish_now_at == now
    word_commands.change_job(wiring.machine, "younger", JobWords(), TimeChange(move=Move(now + 5 * DAY)))
    assert (_post(7, "younger").publish_now_at, _post(7, "younger").due_at) == (None, now + 5 * DAY)


def test_the_same_time_of_the_video_counts_again_after_a_part_was_moved(now: datetime) -> None:
    _change_job(TimeChange(move=Move(now + 5 * DAY)))
    _move(1, now + DAY)
    _change_job(TimeChange(move=Move(now + 5 * DAY)))
    assert (_post(1).publish_after, _post(1).due_at) == (None, now + 5 * DAY)
    _change_job(TimeChange(move=Move(now + 5 * DAY)))
    assert len(_events("job.moved")) == 2


def test_the_same_time_of_a_video_again_sends_nothing(now: datetime) -> None:
    """Neither an event nor a message: its times are as they were."""
    for at in (now + DAY, now + DAY):
        _change_job(TimeChange(move=Move(at)))
    assert _events("publication.scheduled", "job.moved") == [("job.moved", None), ("publication.scheduled", 1)]
    assert [name for name, _ in waiting() if name == "start_publications"] == ["start_publications"]


def test_what_has_begun_is_not_moved(now: datetime) -> None:
    _start()
    with _refused("publication_started"):
        _move(1, now + DAY)


def test_a_far_time_does_not_expire(store: Store, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do the parts after it, which have waited for it."""
    _move(1, now + 90 * DAY)
    move_clock(monkeypatch, 70 * DAY)
    retention.clean_up(wiring.machine)
    assert _statuses() == ["waiting"] * PARTS
    move_clock(monkeypatch, 20 * DAY + HOUR)
    _start()
    _end(1)
    retention.clean_up(wiring.machine)
    assert _statuses() == ["published", "publishing", "waiting", "waiting"]
    move_clock(monkeypatch, 61 * DAY)
    retention.clean_up(wiring.machine)
    assert _statuses()[2:] == ["expired", "expired"]


def _etas() -> list[datetime]:
    """Return the times of the messages that start publications."""
    query = text("SELECT eta_ms FROM broker_messages WHERE actor = 'start_publications' ORDER BY id")
    with wiring.machine.store.reading() as connection:
        return [datetime.fromtimestamp(eta_ms / 1000, UTC) for eta_ms in connection.execute(query).scalars()]


def test_an_old_time_starts_nothing_and_an_earlier_one_is_not_missed(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The messages of former times still come."""
    _change_job(HOLD)
    _change(1, RELEASE)
    _end(1)
    _change(2, RELEASE)
    _end(2)
    _move(3, now + HOUR)
    _change(3, RELEASE)
    wiring.machine.broker.flush_all()
    for hours in (3, 2):
        _move(3, now + hours * HOUR)
    delays = sorted(round((eta - datetime.now(UTC)) / HOUR) for eta in _etas())
    assert delays == [2, 3]
    _move(3, now + 4 * HOUR)
    move_clock(monkeypatch, 3 * HOUR)
    start_publications.fn("tiktok-1")
    assert _post(3).status is PublicationStatus.WAITING
    move_clock(monkeypatch, HOUR)
    start_publications.fn("tiktok-1")
    assert _post(3).status is PublicationStatus.PUBLISHING


def test_what_goes_out_now_does_not_go_out_again_at_its_time(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    _add("single", now - HOUR, parts=1)
    _start()
    _move(1, now + HOUR)
    _change(1, NOW)
    _end(1, "single")
    _change_job(HOLD)
    _end(1)
    wiring.machine.broker.flush_all()
    move_clock(monkeypatch, 2 * HOUR)
    start_publications.fn("tiktok-1")
    _start()
    assert (_statuses()[0], [message for message in waiting() if message[0] == "publish_tiktok"]) == ("published", [])


def test_other_words_publish_nothing(now: datetime) -> None:
    """Neither what is held, nor what waits for its time or for approval."""
    _add("asked", now - HOUR, review=True)
    _change(1, HOLD)
    for name in (_id(1), _id(1, "asked")):
        word_commands.change_publication(wiring.machine, name, {"title": "New"})
    _start()
    assert {*_statuses(), *_statuses("asked")} == {"waiting"}
    _move(1, now + DAY)
    _change(1, RELEASE)
    word_commands.change_publication(wiring.machine, _id(1), {"title": "Newer"})
    _start()
    assert (_post(1).status, _post(1).due_at) == (PublicationStatus.WAITING, now + DAY)


def test_an_own_time_passes_without_an_approval(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    _change_job(HOLD)
    _add("asked", now - HOUR, review=True)
    _move_of("asked", now + HOUR)
    move_clock(monkeypatch, DAY)
    _start()
    assert _statuses("asked") == ["waiting"] * PARTS
    job_commands.approve(wiring.machine, "asked")
    assert _statuses("asked")[0] == "publishing"


def _move_of(name: str, at: datetime) -> None:
    _change(1, TimeChange(move=Move(at)), name)


def test_decisions_change_nothing_of_what_is_out(now: datetime) -> None:
    _start()
    _end(1)
    before = _post(1)
    _change_job(HOLD)
    _change_job(TimeChange(move=Move(now + DAY)))
    _change_job(RELEASE)
    assert _post(1) == before


def test_released_videos_keep_the_pause_between_posts(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their times have passed while they were held; they do not go out all at once."""
    _allow(min_gap_s=3600.0)
    _change_job(HOLD)
    with wiring.machine.store.writing(scope="everything") as connection:
        accounts.pause(connection, "tiktok-1", now + HOUR, "until all are held")
    for name in ("second", "third"):
        _add(name, now + HOUR, parts=1)
        word_commands.change_job(wiring.machine, name, JobWords(), TimeChange(held=True))
    then = move_clock(monkeypatch, DAY)
    for name in ("job", "second", "third"):
        word_commands.change_job(wiring.machine, name, JobWords(), TimeChange(held=False))
    assert [_post(1, name).status.value for name in ("job", "second", "third")] == ["publishing", "waiting", "waiting"]
    _end(1)
    assert [_post(2).due_at, _post(1, "second").due_at] == [then + HOUR, None]


# At once


def test_a_part_goes_out_at_once_whatever_window_gap_and_time(now: datetime) -> None:
    closed = (now + 2 * HOUR).strftime("%H:%M"), (now + 3 * HOUR).strftime("%H:%M")
    _allow(windows=[list(closed)], min_gap_s=90_000.0, max_per_day=1)
    _add("younger", now + HOUR, parts=2)
    _change(1, NOW)
    _end(1)
    _change(1, NOW, "younger")
    assert _post(1, "younger").status is PublicationStatus.PUBLISHING
    assert _post(2).status is PublicationStatus.WAITING
    _change(1, NOW, "younger")  # again, and it has started
    _end(1, "younger")
    _start()
    assert (_post(2).status, _post(2, "younger").status) == (PublicationStatus.WAITING, PublicationStatus.WAITING)


def test_it_waits_for_the_post_that_is_under_way(now: datetime) -> None:
    _add("younger", now + HOUR, parts=1)
    _start()
    _change(1, NOW, "younger")
    assert (_post(1).status, _post(1, "younger").status) == (PublicationStatus.PUBLISHING, PublicationStatus.WAITING)
    _end(1)
    assert (_post(2).status, _post(1, "younger").status) == (PublicationStatus.WAITING, PublicationStatus.PUBLISHING)


def test_the_platforms_limit_and_pause_still_count(
    store: Store, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _change_job(HOLD)
    _allow(max_per_day=2, min_gap_s=90_000.0)
    _add("younger", now + HOUR, parts=9)
    for part in range(1, 7):  # TikTok's own limit is six a day
        _change(part, NOW, "younger")
        _end(part, "younger")
    _change(7, NOW, "younger")
    midnight = now + 12 * HOUR
    assert (_post(7, "younger").status, _post(7, "younger").due_at) == (PublicationStatus.WAITING, midnight)
    move_clock(monkeypatch, DAY)
    with store.writing(scope="everything") as connection:
        accounts.pause(connection, "tiktok-1", now + 2 * DAY, "the platform asked for it")
    _start()
    assert _post(7, "younger").due_at == now + 2 * DAY
    _change(7, TimeChange(publish_now=False), "younger")
    assert _post(7, "younger").publish_now_at is None


def test_earlier_parts_must_be_out_or_skipped(store: Store, now: datetime) -> None:
    with pytest.raises(NotPossible, match="part 1 is not out: it is waiting") as refused:
        _change(2, NOW)
    assert (refused.value.code, refused.value.facts) == ("earlier_part_waits", {"part": 1})
    _start()
    with _refused("earlier_part_waits"):
        _change(2, NOW)
    with store.writing(scope="everything") as connection:
        steps.fail_crashed(connection, _id(1), reason="crashed", now=now)
    with _refused("earlier_part_waits"):
        _change(2, NOW)
    publication_commands.skip_publication(wiring.machine, _id(1))
    assert _post(2).status is PublicationStatus.PUBLISHING


def test_an_account_that_goes_on_after_a_failure_publishes_the_next_at_once(store: Store, now: datetime) -> None:
    _change_job(HOLD)
    with store.writing(scope="everything") as connection:
        table = metadata.tables["publications"]
        connection.execute(table.update().where(table.c.id == _id(1)).values(status="failed"))
    assert publication_commands.set_after_failure(wiring.machine, "tiktok-1", AfterFailure.CONTINUE)
    _change(2, NOW)
    assert _post(2).status is PublicationStatus.PUBLISHING


def test_what_is_held_is_released_by_now_and_held_again_by_a_hold(now: datetime) -> None:
    _add("busy", now - HOUR, parts=1)
    _start()
    _change(1, HOLD)
    _change(1, NOW)
    assert (_post(1).held, _post(1).publish_now_at) == (False, now)
    _change(1, HOLD)
    assert (_post(1).held, _post(1).publish_now_at) == (True, None)
    _change(1, NOW)
    _move(1, now + DAY)
    assert _post(1).publish_now_at is None
    _end(1, "busy")
    assert _post(1).status is PublicationStatus.WAITING


def test_it_is_published_at_once_when_it_is_rendered(store: Store, now: datetime) -> None:
    _add("busy", now - HOUR, parts=1)
    with store.writing(scope="everything") as connection:
        table = metadata.tables["job_segments"]
        connection.execute(table.update().where(table.c.id == "job-1").values(status=SegmentStatus.RENDERING))
    _change(1, NOW)
    assert (_post(1).status, _post(1, "busy").status) == (PublicationStatus.WAITING, PublicationStatus.PUBLISHING)
    with store.writing(scope="everything") as connection:
        connection.execute(table.update().where(table.c.id == "job-1").values(status=SegmentStatus.READY))
    _end(1, "busy")
    assert _post(1).status is PublicationStatus.PUBLISHING


# Approval of single parts


def test_parts_are_approved_one_by_one(now: datetime) -> None:
    _add("asked", now - HOUR, review=True)
    with _refused("not_approved"):
        _change(1, NOW, "asked")
    _start()
    assert _statuses("asked") == ["waiting"] * PARTS
    assert job_commands.approve(wiring.machine, "asked", [1, 3])
    assert job_commands.approve(wiring.machine, "asked", [1, 3])  # again
    assert (_job("asked").status, _job("asked").approved_at) == (JobStatus.REVIEW, None)
    _end(1)
    assert _statuses("asked") == ["publishing", "waiting", "waiting", "waiting"]
    found = {name: one.waits_for.value for name, one in _predictions().items() if name.startswith("asked")}
    assert found == {_id(2, "asked"): "approval", _id(3, "asked"): "earlier_part", _id(4, "asked"): "approval"}
    publication_commands.skip_publication(wiring.machine, _id(4, "asked"))
    assert _job("asked").status is JobStatus.REVIEW
    assert job_commands.approve(wiring.machine, "asked", [2])
    assert _job("asked").status is JobStatus.PUBLISHING  # part 4 is skipped, and was not approved
    publication_commands.retry_publication(wiring.machine, _id(4, "asked"))
    assert _job("asked").status is JobStatus.REVIEW
    assert job_commands.approve(wiring.machine, "asked", [4])
    assert (_job("asked").status, _job("asked").approved_at) == (JobStatus.PUBLISHING, now)
    with _refused("no_such_part"):
        job_commands.approve(wiring.machine, "asked", [5])
    assert not job_commands.approve(wiring.machine, "job", [1])  # it never asked


def test_a_new_question_withdraws_the_approval_of_parts(store: Store, now: datetime) -> None:
    _add("asked", now - HOUR, review=True)
    _start()
    _change_job(HOLD)
    job_commands.approve(wiring.machine, "asked", [1])
    with store.writing(scope="everything") as connection:
        assert reviews.require(connection, "asked", ReviewReason.SOUND_UNREADABLE)
    _end(1)
    assert _statuses("asked") == ["waiting"] * PARTS


def test_a_job_whose_unapproved_parts_end_leaves_the_review(now: datetime) -> None:
    """All of an account that is disconnected; the approved ones are out or skipped before."""
    _add("asked", now - HOUR, parts=2, review=True)
    job_commands.approve(wiring.machine, "asked", [1])
    publication_commands.skip_publication(wiring.machine, _id(2, "asked"))
    assert _job("asked").status is JobStatus.PUBLISHING


# Restored backups


def test_one_call_approves_what_a_restore_has_held(store: Store, now: datetime) -> None:
    """But not what was never approved: its own question stays."""
    for number in range(3):
        _add(f"old{number}", now - DAY)
    _add("asked", now - DAY, review=True)
    _add("approved", now - DAY, review=True)
    assert job_commands.approve(wiring.machine, "approved")
    with store.writing(scope="everything") as connection:
        table = metadata.tables["publications"]
        connection.execute(table.update().where(table.c.status == "publishing").values(status="waiting"))
        restored = reviews.require_of_all(connection, ReviewReason.RESTORED)
    assert {one.id: one.review_reasons for one in restored} == {
        "asked": ["requested", "restored"], "approved": ["restored"], "job": ["restored"],
        "old0": ["restored"], "old1": ["restored"], "old2": ["restored"],
    }  # fmt: skip
    assert {one.status for one in restored} == {JobStatus.REVIEW}
    _start()
    assert not any("publishing" in _statuses(one.id) for one in restored)
    assert job_commands.approve_restored(wiring.machine, DEFAULT_OWNER) == (5, 1)
    assert job_commands.approve_restored(wiring.machine, DEFAULT_OWNER) == (0, 0)
    assert {one.id: _job(one.id).status.value for one in restored} == {
        "asked": "review", "approved": "publishing", "job": "publishing",
        "old0": "publishing", "old1": "publishing", "old2": "publishing",
    }  # fmt: skip
    assert (_job("asked").review_reasons, _statuses("approved")[0]) == (["requested"], "publishing")


def test_a_thousand_restored_jobs_are_approved_in_several_transactions(
    store: Store, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_commands, "JOBS_AT_A_TIME", 2)
    for number in range(4):
        _add(f"old{number}", now - DAY, parts=1)
    with store.writing(scope="everything") as connection:
        reviews.require_of_all(connection, ReviewReason.RESTORED)
    assert job_commands.approve_restored(wiring.machine, DEFAULT_OWNER) == (5, 0)


# Times


@pytest.mark.parametrize("kind", ["own time", "release", "now", "after another", "time of the video"])
def test_a_decision_starts_a_publication_within_two_seconds(
    now: datetime, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A worker executes what is sent; no tick comes. Compared are the instants that are stored."""
    machine = wiring.machine

    def real_now() -> datetime:
        return datetime.now(UTC)

    change_machine(monkeypatch, now=real_now)
    _add("busy", now - HOUR, parts=1)
    worker = Worker(machine.broker, queues={"ticks"}, worker_threads=1)
    worker.start()
    try:
        due = real_now()
        if kind == "own time":
            due += timedelta(seconds=1)
            _move(1, due)
        elif kind == "time of the video":
            due += timedelta(seconds=1)
            _change_job(TimeChange(move=Move(due)))
        elif kind == "release":
            _change(1, HOLD)
            due = real_now()
            _change(1, RELEASE)
        elif kind == "now":
            _allow(min_gap_s=9000.0)
            _change(1, HOLD)
            due = real_now()
            _change(1, NOW)
        _start()
        if kind == "after another":
            _wait_until_one_started("busy")
            _change(1, NOW)
            due = real_now()
        _wait_until_one_started("busy", "job")
        _end_if_started("busy")
        wait_for(lambda: _post(1).status is PublicationStatus.PUBLISHING, "the publication to start")
    finally:
        worker.stop()
    started_at = _post(1).started_at
    assert started_at is not None
    assert due <= started_at < due + MAX_LATE
    assert ("publish_tiktok", (_id(1),)) in waiting()


def _wait_until_one_started(*names: str) -> None:
    """Wait for the first part of one of these jobs: the worker may execute the message that starts it."""
    wait_for(
        lambda: any(_post(1, name).status is PublicationStatus.PUBLISHING for name in names), "a publication to start"
    )


def _end_if_started(name: str) -> None:
    if _post(1, name).status is PublicationStatus.PUBLISHING:
        _end(1, name)


# Kills


CHANGES = {
    "hold": HOLD,
    "now": NOW,
    "move": TimeChange(move=Move(datetime.fromisoformat("2100-01-01T00:00:00+00:00"), shift_following=True)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_kill_before_any_statement_of_a_decision_changes_nothing(store: Store, now: datetime, name: str) -> None:
    """Repeated after the kill, it has its effect once: the change, its events and its messages."""
    _change_job(HOLD)
    _change(1, RELEASE)
    with store.writing(scope="everything") as connection:
        table = metadata.tables["publications"]
        connection.execute(table.update().where(table.c.id == _id(1)).values(status="waiting", started_at=None))
    wiring.machine.broker.flush_all()
    predictions = _predictions()
    before = (_effect(), waiting())
    for number in range(1, 60):
        with killed_at(number):
            try:
                word_commands.change_publication(wiring.machine, _id(1), {}, CHANGES[name], predictions)
            except Killed:
                assert (_effect(), waiting()) == before, f"killed at {number}"
                continue
        assert number > 6
        break
    after = (_effect(), waiting())
    assert after != before
    word_commands.change_publication(wiring.machine, _id(1), {}, CHANGES[name], predictions)
    assert (_effect(), waiting()) == after


def _effect() -> tuple[object, ...]:
    with wiring.machine.store.reading() as connection:
        posts = publications.of_job(connection, "job")
        count = len(connection.scalars(events.select().with_only_columns(events.c.id)).all())
    facts = [(one.status, one.held, one.publish_after, one.publish_now_at is None) for one in posts]
    return (facts, count)
