"""The periodic actors: due publications, deletion of old files, and recovery of stuck work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from dramatiq import Worker

from actors import clock_check, wiring
from actors.delete_files import delete_files
from actors.flow import job_commands
from actors.flow.events import emit
from actors.recovery import stuck_work
from actors.recovery.stuck_work import GRACE_PERIOD
from actors.ticks import cleanup, open_windows, reap
from broker import DeadLetter
from platforms.contract import Handle, Outcome, Post
from store import (
    Store,
    accounts,
    heartbeats,
    jobs,
    platform_states,
    publication_queue,
    publications,
    schedules,
    segments,
    steps,
    webhooks,
)
from store.owners import DEFAULT_OWNER
from store.platform_states import PlatformState
from store.schedules import Schedule
from store.states import JobStatus, PublicationStatus, SegmentStatus
from store.tables import events
from tests.actors.one_publication import Remote
from tests.actors.queues import change_machine, move_clock, start_due, waiting
from tests.store.rows import account, job, publication, segment

NAME = "job-1-tiktok-1"


def _ready_part(store: Store, *, status: PublicationStatus = PublicationStatus.WAITING, parts: int = 1) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.PUBLISHING, parts=parts))
        accounts.connect(connection, account())
        for number in range(1, parts + 1):
            part = segment(number, status=SegmentStatus.READY)
            segments.create(connection, [part])
            publications.create(connection, [publication(part, account(), status=status)])


def _status(store: Store, name: str = NAME) -> PublicationStatus:
    with store.reading() as connection:
        found = publications.get(connection, name)
    assert found is not None
    return found.status


def _events(store: Store) -> list[str]:
    """Return the types of the events so far."""
    with store.reading() as connection:
        return [event.type for event in connection.execute(events.select().order_by(events.c.created_at))]


def _limit(store: Store, **rules: object) -> None:
    known: dict[str, object] = {"time_zone": "UTC", "windows": [], "max_per_day": 9, "min_gap_s": 0.0}
    with store.writing(scope="everything") as connection:
        schedules.put(connection, DEFAULT_OWNER, Schedule(platform="tiktok", **(known | rules)))  # type: ignore[arg-type]  # a mixed bag


def _tick() -> None:
    open_windows.fn()
    start_due()


def test_a_tick_lets_the_first_part_go_and_leaves_a_sign_of_life(store: Store) -> None:
    _ready_part(store, parts=2)
    _limit(store)
    _tick()
    with store.reading() as connection:
        assert heartbeats.last(connection, "scheduler") is not None
    assert (_status(store), _status(store, "job-2-tiktok-1")) == ("publishing", "waiting")
    assert ("publish_tiktok", (NAME,)) in waiting()
    assert _events(store) == ["publication.started"]


def test_a_closed_window_keeps_a_part_and_says_until_when(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _ready_part(store)
    opens = wiring.machine.now() + timedelta(hours=2)
    _limit(store, windows=[[f"{opens:%H:%M}", f"{opens + timedelta(hours=1):%H:%M}"]])
    _tick()
    with store.reading() as connection:
        found = publications.get(connection, NAME)
    assert found is not None
    assert found.due_at is not None
    assert found.status is PublicationStatus.WAITING
    assert abs(found.due_at - opens) < timedelta(minutes=1)
    move_clock(monkeypatch, timedelta(hours=2, minutes=1))
    _tick()
    assert _status(store) is PublicationStatus.PUBLISHING


def test_the_gap_between_posts_is_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _ready_part(store, parts=2)
    _limit(store, min_gap_s=1800.0)
    _tick()
    with store.writing(scope="everything") as connection:
        steps.claim(connection, NAME, "m", "x", now=wiring.machine.now(), until=wiring.machine.now())
        steps.end(connection, NAME, "m/x", PublicationStatus.PUBLISHED, now=wiring.machine.now())
    _tick()
    assert _status(store, "job-2-tiktok-1") is PublicationStatus.WAITING
    move_clock(monkeypatch, timedelta(minutes=31))
    _tick()
    assert _status(store, "job-2-tiktok-1") is PublicationStatus.PUBLISHING


def test_a_publication_that_nobody_takes_further_is_taken_up_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ready_part(store)
    with store.writing(scope="everything") as connection:
        publication_queue.start(connection, NAME, wiring.machine.now())
    reap.fn()
    assert ("publish_tiktok", (NAME,)) not in waiting()
    move_clock(monkeypatch, GRACE_PERIOD + timedelta(minutes=1))
    reap.fn()
    reap.fn()
    reap.fn()
    assert [sent for sent in waiting() if sent[0] == "publish_tiktok"] == [("publish_tiktok", (NAME,))]


def test_a_step_that_is_still_being_run_is_not_given_to_a_second_worker(
    publishing_job: Callable[[Remote], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is set ahead during a slow upload: by it the step is overdue. Two uploads would be two posts."""
    began, may_end = threading.Event(), threading.Event()

    class Slow(Remote):
        def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
            began.set()
            assert may_end.wait(30)
            return super()._carry_out(post, handle, interrupted=interrupted)

    publishing_job(Slow())
    wiring.machine.send("publish_tiktok", NAME)
    worker = Worker(wiring.machine.broker, queues={"network"}, worker_threads=1)
    worker.start()
    try:
        assert began.wait(30)
        move_clock(monkeypatch, timedelta(days=2))
        reap.fn()
        assert waiting().count(("publish_tiktok", (NAME,))) == 1
    finally:
        may_end.set()
        worker.stop()


def test_a_claim_whose_message_is_lost_is_given_to_another_worker(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ready_part(store)
    with store.writing(scope="everything") as connection:
        publication_queue.start(connection, NAME, wiring.machine.now())
        steps.claim(connection, NAME, "lost", "x", now=wiring.machine.now(), until=wiring.machine.now())
    move_clock(monkeypatch, GRACE_PERIOD + timedelta(minutes=1))
    reap.fn()
    assert waiting().count(("publish_tiktok", (NAME,))) == 1


def test_a_clock_that_was_a_year_ahead_holds_nothing_for_a_year(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps, pauses and the last post are of that time."""
    _ready_part(store, parts=2)
    _limit(store, min_gap_s=60.0)
    ahead = wiring.machine.now() + timedelta(days=365)
    with store.writing(scope="everything") as connection:
        publication_queue.start(connection, NAME, ahead)
        accounts.pause(connection, "tiktok-1", ahead, "a limit")
        platform_states.put(connection, PlatformState(platform="tiktok", failures_in_a_row=3, paused_until=ahead))
    reap.fn()
    with store.writing(scope="everything") as connection:
        found = publications.get(connection, NAME)
        assert found is not None
        assert found.next_at is not None
        assert found.next_at <= wiring.machine.now()
        steps.claim(connection, NAME, "m", "x", now=wiring.machine.now(), until=wiring.machine.now())
        steps.end(connection, NAME, "m/x", PublicationStatus.PUBLISHED, now=wiring.machine.now())
    _tick()
    assert _status(store, "job-2-tiktok-1") is PublicationStatus.PUBLISHING


@pytest.mark.parametrize("step", ["_resume_parts", "_resume_publications"])
@pytest.mark.parametrize("is_killed", [False, True], ids=["ends", "is killed"])
def test_a_clock_set_back_while_work_is_recovered_is_noticed_afterwards(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str, is_killed: bool
) -> None:
    """The run saw the wrong clock, and its end the right one; or it has no end."""
    _ready_part(store, parts=2)
    reap.fn()
    right, error = wiring.machine.now, [timedelta(hours=6)]
    change_machine(monkeypatch, now=lambda: right() + error[0])
    with store.writing(scope="everything") as connection:
        accounts.pause(connection, "tiktok-1", wiring.machine.now(), "a limit")
    real = getattr(stuck_work, step)

    def set_back(*arguments: object) -> None:
        error[0] = timedelta()
        if is_killed:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(stuck_work, step, set_back)
        with nullcontext() if not is_killed else pytest.raises(KeyboardInterrupt):
            reap.fn()
    reap.fn()
    with store.reading() as connection:
        found = accounts.get(connection, "tiktok-1")
    assert found is not None
    assert found.paused_until is None


def test_a_clock_that_was_hours_ahead_holds_nothing_for_hours(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such waits exist: a platform may ask for a day. But none of them was begun before the clock was set back."""
    _ready_part(store, parts=2)
    _limit(store, min_gap_s=60.0)
    ahead = move_clock(monkeypatch, timedelta(hours=6))
    with store.writing(scope="everything") as connection:
        publication_queue.start(connection, NAME, ahead)
        accounts.pause(connection, "tiktok-1", ahead, "a limit")
        platform_states.put(connection, PlatformState(platform="tiktok", failures_in_a_row=3, paused_until=ahead))
    reap.fn()
    with store.writing(scope="everything") as connection:
        jobs.create(connection, replace(job("of a wrong time"), created_at=wiring.machine.now()))
    now = move_clock(monkeypatch, -timedelta(hours=6))
    with store.reading() as connection:
        assert clock_check.examine(connection, wiring.machine.now()) is not None
    reap.fn()
    with store.reading() as connection:  # not for hours, in which /health would keep users away
        assert clock_check.examine(connection, wiring.machine.now()) is None
    assert waiting().count(("publish_tiktok", (NAME,))) == 1
    with store.writing(scope="everything") as connection:
        found = publications.get(connection, NAME)
        assert found is not None
        assert found.next_at is not None
        assert now <= found.next_at <= wiring.machine.now()
        steps.claim(connection, NAME, "m", "x", now=wiring.machine.now(), until=wiring.machine.now())
        steps.end(connection, NAME, "m/x", PublicationStatus.PUBLISHED, now=wiring.machine.now())
    move_clock(monkeypatch, timedelta(seconds=61))
    _tick()
    assert _status(store, "job-2-tiktok-1") is PublicationStatus.PUBLISHING


def test_a_wait_stays_while_nobody_sets_the_clock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _ready_part(store)
    reap.fn()
    later = wiring.machine.now() + timedelta(hours=6)
    with store.writing(scope="everything") as connection:
        publication_queue.start(connection, NAME, wiring.machine.now())
        steps.schedule(connection, NAME, later)
        accounts.pause(connection, "tiktok-1", later, "a limit")
    reap.fn()
    with store.reading() as connection:
        found, account = publications.get(connection, NAME), accounts.get(connection, "tiktok-1")
    assert found is not None
    assert account is not None
    assert (found.next_at, account.paused_until) == (later, later)


def test_a_part_that_renders_for_too_long_is_rendered_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())
        segments.create(connection, [segment(1)])
        segments.claim(connection, "job-1", "lost", wiring.machine.now())
    move_clock(
        monkeypatch,
        timedelta(seconds=2 * wiring.machine.settings.processing_deadline) + GRACE_PERIOD + timedelta(minutes=1),
    )
    reap.fn()
    assert ("gaze", ("job-1",)) in waiting()


def test_an_open_publication_expires_at_the_hard_maximum(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _ready_part(store)
    move_clock(monkeypatch, timedelta(days=100))
    cleanup.fn()
    with store.reading() as connection:
        ended = jobs.get(connection, "job")
    assert ended is not None
    assert (_status(store), ended.status) == (PublicationStatus.EXPIRED, JobStatus.FAILED)
    assert _events(store)[0] == "publication.expired"
    assert "publication.failed" not in _events(store)


def test_even_a_step_that_was_cut_off_for_good_expires(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _ready_part(store)
    with store.writing(scope="everything") as connection:
        publication_queue.start(connection, NAME, wiring.machine.now())
        steps.claim(connection, NAME, "m", "x", now=wiring.machine.now(), until=wiring.machine.now())
    move_clock(monkeypatch, timedelta(days=100))
    cleanup.fn()
    assert _status(store) is PublicationStatus.EXPIRED


def _files(job_id: str) -> list[Path]:
    made = []
    for room in (wiring.machine.settings.uploads_dir, wiring.machine.settings.jobs_dir):
        (room / job_id).mkdir(parents=True, exist_ok=True)
        (room / job_id / "file").write_bytes(b"x")
        made.append(room / job_id)
    return made


def test_the_files_of_a_job_that_is_over_are_deleted_and_the_record_stays(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.COMPLETED))
    directories = _files("job")
    delete_files.fn("job")
    assert all(directory.exists() for directory in directories)  # nothing was published: kept for a day
    delete_files.fn("job", "now")
    delete_files.fn("job", "now")
    with store.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    assert found.files_deleted_at is not None
    assert [directory.exists() for directory in directories] == [False, False]


def test_files_of_a_job_under_way_stay(store: Store) -> None:
    _ready_part(store, status=PublicationStatus.PUBLISHING)
    directories = _files("job")
    delete_files.fn("job")
    cleanup.fn()
    assert all(directory.exists() for directory in directories)


def test_disconnecting_an_account_ends_what_was_to_go_there(store: Store) -> None:
    """Publications that had begun can no longer be asked about: their outcome is unknown."""
    _ready_part(store, parts=2)
    with store.writing(scope="everything") as connection:
        publication_queue.start(connection, NAME, wiring.machine.now())
        steps.claim(connection, NAME, "m", "x", now=wiring.machine.now(), until=wiring.machine.now())
        steps.record_first_step(connection, NAME, "m/x", step="upload", handle=b"")
    assert job_commands.disconnect(wiring.machine, "tiktok-1")
    assert (_status(store), _status(store, "job-2-tiktok-1")) == ("outcome_unknown", "cancelled")
    assert not job_commands.disconnect(wiring.machine, "tiktok-1")
    with store.writing(scope="everything") as connection:  # who was at work meanwhile still learnt it
        assert steps.end(connection, NAME, "m/x", PublicationStatus.PUBLISHED, now=wiring.machine.now(), link="here")
    assert _status(store) is PublicationStatus.PUBLISHED


def test_files_that_are_given_up_cannot_be_retried_and_a_deletion_cut_off_is_finished(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.FAILED))
        assert jobs.mark_files_deleted(connection, "job", wiring.machine.now())
    directories = _files("job")
    assert not job_commands.retry(wiring.machine, "job")
    cleanup.fn()
    assert [directory.exists() for directory in directories] == [False, False]


def test_an_older_dead_letter_does_not_kill_a_retry(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(parts=1))
        segments.create(connection, [segment(1)])
    died = wiring.machine.now() - timedelta(seconds=5)
    letter = DeadLetter(1, "m", "media", "gaze", ("job-1",), {}, "boom", None, 3, died, died)
    monkeypatch.setattr(wiring.machine.broker.admin, "dead_letters", lambda *_, **__: [letter])
    reap.fn()
    with store.reading() as connection:
        assert [part.status for part in segments.of_job(connection, "job")] == [SegmentStatus.FAILED]
    assert job_commands.retry_dead_letter(wiring.machine, letter)
    reap.fn()
    with store.reading() as connection:
        assert [part.status for part in segments.of_job(connection, "job")] == [SegmentStatus.PENDING]
    assert ("gaze", ("job-1",)) in waiting()


def test_a_publication_whose_steps_crash_us_is_shown_as_unknown(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _ready_part(store)
    with store.writing(scope="everything") as connection:
        publication_queue.start(connection, NAME, wiring.machine.now())
        steps.claim(connection, NAME, "m", "x", now=wiring.machine.now(), until=wiring.machine.now())
        steps.record_first_step(connection, NAME, "m/x", step="upload", handle=b"")
    died = wiring.machine.now() + timedelta(seconds=1)
    letter = DeadLetter(1, "m", "network", "publish_tiktok", (NAME,), {}, "boom", None, 6, died, died)
    monkeypatch.setattr(wiring.machine.broker.admin, "dead_letters", lambda **_: [letter])
    reap.fn()
    assert _status(store) is PublicationStatus.OUTCOME_UNKNOWN


def test_events_that_were_delivered_long_ago_are_deleted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())
        emit(wiring.machine, connection, "job.created", job())
    move_clock(monkeypatch, timedelta(days=31))
    with store.writing(scope="everything") as connection:
        assert webhooks.purge(connection, wiring.machine.now() - timedelta(days=30)) == 1
