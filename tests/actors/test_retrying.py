"""Failed media work is retried with less after a delay, then dead-lettered; no result is recorded twice."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dramatiq import Worker
from dramatiq.errors import Retry
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger
from sqlalchemy import select

from actors import wiring
from actors.flow import cut_commands, cut_plan, job_commands, media_child, planning, rendering, retrying
from actors.flow.cut_commands import WantedPart
from actors.flow.retrying import GivenUp, MediaSettings
from actors.gaze import gaze
from actors.machine import Machine
from actors.split import split
from actors.ticks import reap
from broker import DeadLetter
from media.process import runner
from store import Store, accounts, jobs, publications, segments
from store.attempts import MediaAttempt, MediaOutcome, decode_attempts
from store.states import AfterFailure, JobStatus, PublicationStatus, SegmentStatus
from store.tables import events
from tests.actors.queues import change_machine, move_clock, waiting
from tests.actors.test_rendering import RENDERED, SPAN, Result
from tests.store.rows import NOON, account, job, publication, segment

Fate = Result | BaseException
CAUSES = {
    "memory": runner.OutOfMemory("350 MB held", held_bytes=350 << 20, limit_bytes=300 << 20),
    "time": runner.DeadlineExceeded(3600),
    "signal": runner.ChildFailed(signal=11, stderr_tail="the codec is about to fail"),
    "error": runner.ChildFailed(exit_code=1, stderr_tail="ValueError: a mistake of ours"),
}


def _attempt(outcome: MediaOutcome, settings: MediaSettings = MediaSettings.FULL) -> MediaAttempt:
    return MediaAttempt(began_at=NOON, ended_at=NOON + timedelta(seconds=5), settings=settings, outcome=outcome)


def _ladder(outcomes: list[MediaOutcome], *, with_gaze: bool = True) -> list[MediaSettings]:
    """Return the settings of each attempt when the attempts end so, and of the one after them."""
    return [
        retrying.settings_after([_attempt(outcome) for outcome in outcomes[:count]], with_gaze=with_gaze)
        for count in range(len(outcomes) + 1)
    ]


@pytest.mark.parametrize(
    ("outcome", "with_gaze", "expected"),
    [
        ("out_of_memory", True, ["full", "less_memory", "without_gaze", "least"]),
        ("deadline_passed", True, ["full", "without_gaze", "least", "least"]),
        ("internal_error", True, ["full", "without_gaze", "least", "least"]),
        ("crashed", True, ["full", "full", "without_gaze", "least"]),
        ("out_of_memory", False, ["full", "less_memory", "least", "least"]),
        ("deadline_passed", False, ["full", "least", "least", "least"]),
        ("crashed", False, ["full", "full", "least", "least"]),
        ("interrupted", True, ["full", "full", "less_memory", "without_gaze", "least"]),
    ],
)
def test_less_is_asked_as_the_cause_suggests(outcome: str, with_gaze: bool, expected: list[str]) -> None:
    assert _ladder([MediaOutcome(outcome)] * (len(expected) - 1), with_gaze=with_gaze) == expected


@given(st.lists(st.sampled_from(MediaOutcome), max_size=12), st.booleans())
def test_more_is_never_asked_again_and_the_end_is_certain(outcomes: list[MediaOutcome], with_gaze: bool) -> None:
    """At most nine children are started for one asking, beside days of waiting for disk or storage."""
    order = list(MediaSettings)
    ladder = [order.index(settings) for settings in _ladder(outcomes, with_gaze=with_gaze)]
    assert ladder == sorted(ladder)
    spent = [
        retrying.are_exhausted([_attempt(outcome) for outcome in outcomes[:count]])
        for count in range(len(outcomes) + 1)
    ]
    assert spent == sorted(spent)
    assert sum(outcome not in retrying.WAITS for outcome in outcomes) < 8 or spent[-1]


def test_the_waits_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    now = wiring.machine.now()
    change_machine(monkeypatch, now=lambda: now)
    lost = [_attempt(MediaOutcome.CRASHED)] * 3
    waits = [(retrying.next_attempt_at(wiring.machine, lost[:count]) - now).total_seconds() for count in (1, 2, 3)]
    assert waits == [30, 120, 480]


def test_an_attempt_survives_its_column() -> None:
    attempt = retrying.failed_attempt(wiring.machine, CAUSES["memory"], MediaSettings.LESS_MEMORY, wiring.machine.now())
    assert decode_attempts(json.loads(json.dumps([attempt.to_json()]))) == [attempt]


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
    """Return what sets the fates of the next children; the last one repeats. It returns their arguments."""

    def set_fates(*fates: Fate) -> list[list[str]]:
        queue, calls = itertools.chain(fates, itertools.repeat(fates[-1])), list[list[str]]()

        def run(machine: Machine, stage: str, arguments: list[str], **_: object) -> Result:
            del machine
            calls.append([stage, *arguments])
            fate = next(queue)
            if isinstance(fate, BaseException):
                raise fate
            return fate

        monkeypatch.setattr(media_child, "run", run)
        return calls

    return set_fates


def pending(store: Store, *, parts: int = 1) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(parts=parts))
        accounts.connect(connection, account())
        for number in range(1, parts + 1):
            segments.create(connection, [segment(number)])
            publications.create(connection, [publication(segment(number), account())])


def unplanned(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.PENDING, parts=None))
        accounts.connect(connection, account())


def _segment(store: Store, segment_id: str = "job-1") -> segments.Segment:
    with store.reading() as connection:
        found = segments.get(connection, segment_id)
    assert found is not None
    return found


def _job(store: Store) -> jobs.Job:
    with store.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    return found


def _fate(store: Store, name: str = "job-1-tiktok-1") -> tuple[PublicationStatus, str | None]:
    with store.reading() as connection:
        found = publications.get(connection, name)
    assert found is not None
    return found.status, found.code


def _events(store: Store) -> list[str]:
    with store.reading() as connection:
        return list(connection.scalars(select(events.c.type)))


@pytest.fixture
def worker(store: Store) -> Callable[[], None]:
    """Return what runs the media queue with a real worker until nothing waits in it."""
    del store

    def run() -> None:
        made = Worker(wiring.machine.broker, queues={"media"}, worker_timeout=50, worker_threads=1)
        made.start()
        try:
            wiring.machine.broker.join("media", timeout=60_000)
        finally:
            made.stop()
            wiring.machine.broker.close()  # else this process stays known as one that works on the queue

    return run


@pytest.mark.parametrize(
    ("cause", "code", "known"),
    [
        ("memory", "out_of_memory", "350 MB held, 300 MB allowed"),
        ("time", "deadline_passed", "3600 s allowed"),
        ("signal", "crashed", "signal 11"),
        ("error", "internal_error", "exit code 1"),
    ],
)
@pytest.mark.usefixtures("no_waits")
@pytest.mark.logs_errors
def test_a_part_that_is_lost_four_times_is_a_dead_letter_with_all_that_is_known(
    store: Store, child: Callable[..., list[list[str]]], worker: Callable[[], None], cause: str, code: str, known: str
) -> None:
    pending(store)
    calls = child(CAUSES[cause])
    with store.writing(scope="everything"):
        rendering.send(wiring.machine, _segment(store))
    worker()
    assert len(calls) == 4
    [letter] = wiring.machine.broker.admin.dead_letters("media")
    assert letter.error.startswith("GivenUp: Job job part 1 of 1: given up after 4 attempts. File: 0 bytes")
    assert letter.error.count(f": {code}") == 4
    assert letter.error.count(known) == 4
    tail = getattr(CAUSES[cause], "stderr_tail", "")
    assert tail in (letter.traceback or "")
    assert "A talk" not in letter.error + (letter.traceback or "")  # nothing that the creator wrote
    found = _segment(store)
    assert (found.status, found.reason) == (
        SegmentStatus.FAILED, f"rendering failed 4 times, at last: {retrying.OUTCOME_PHRASES[MediaOutcome(code)]}",
    )  # fmt: skip
    assert [attempt.outcome for attempt in decode_attempts(found.attempts)] == [code] * 4
    assert _fate(store) == (PublicationStatus.FAILED, "part_failed")
    assert _job(store).status is JobStatus.FAILED
    assert _events(store).count("job.failed") == 1


@pytest.mark.logs_errors
@pytest.mark.usefixtures("no_waits")
def test_the_log_says_what_failed_and_what_follows(
    store: Store,
    child: Callable[..., list[list[str]]],
    worker: Callable[[], None],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line an attempt, one for the end, and no traceback: all else is in the records."""
    pending(store)
    child(runner.OutOfMemory("killed", held_bytes=None, limit_bytes=220 << 20), CAUSES["signal"])
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    with store.writing(scope="everything"):
        rendering.send(wiring.machine, _segment(store))
    worker()
    logger.remove(sink)
    first, *_, last, end = lines
    assert re.fullmatch(
        r"Job job part 1 of 1: out of memory \(220 MB allowed\) at attempt 1 of 4 with full settings; "
        r"next attempt at \d\d:\d\d:\d\d with less_memory settings",
        first,
    )
    assert last == "Job job part 1 of 1: a crash (signal 11) at attempt 4 of 4 with least settings"
    assert end == "Job job part 1 of 1: given up after 4 attempts"
    assert len(lines) == 5
    assert "Traceback" not in capfd.readouterr().err + caplog.text
    assert "codec" not in "".join(lines)


def test_a_wait_for_the_disk_is_no_attempt_of_four(capfd: pytest.CaptureFixture[str]) -> None:
    """As `are_exhausted` counts; the log said "attempt 5 of 4"."""
    now = wiring.machine.now()
    outcomes = [MediaOutcome.OUT_OF_MEMORY, MediaOutcome.DISK_FULL, MediaOutcome.OUT_OF_MEMORY]
    attempts = [MediaAttempt(began_at=now, ended_at=now, settings="full", outcome=outcome) for outcome in outcomes]
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    retrying.log_failure(wiring.machine, "Job job", attempts, Retry("later", delay=1000), with_gaze=True)
    logger.remove(sink)
    [line] = lines
    assert line.startswith("Job job: out of memory at attempt 2 of 4 with full settings; next attempt at")


def test_files_deleted_by_a_cancellation_are_no_error(
    store: Store, child: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pending(store)

    def cancelled_meanwhile(*_: object, **__: object) -> Result:
        assert job_commands.cancel(wiring.machine, "job")
        raise runner.Refused("no_such_file", "there is no such file")

    monkeypatch.setattr(media_child, "run", cancelled_meanwhile)
    gaze.fn("job-1")
    assert (_segment(store).status, _segment(store).reason) == (SegmentStatus.FAILED, "cancelled")


@pytest.mark.usefixtures("no_waits")
@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("after_failure", "fate"),
    [
        (AfterFailure.HOLD, (PublicationStatus.WAITING, "held")),
        (AfterFailure.CONTINUE, (PublicationStatus.PUBLISHING, None)),
    ],
)
def test_other_parts_are_rendered_and_published_as_their_account_says(
    store: Store,
    child: Callable[..., list[list[str]]],
    worker: Callable[[], None],
    after_failure: AfterFailure,
    fate: tuple[PublicationStatus, str | None],
) -> None:
    pending(store, parts=2)
    with store.writing(scope="everything") as connection:
        accounts.set_after_failure(connection, "tiktok-1", after_failure)
    child(*[CAUSES["error"]] * 4, RENDERED)
    with store.writing(scope="everything"):
        rendering.send(wiring.machine, _segment(store))
    worker()
    with store.writing(scope="everything"):
        rendering.send(wiring.machine, _segment(store, "job-2"))
    worker()
    assert [_segment(store, name).status for name in ("job-1", "job-2")] == ["failed", "ready"]
    assert _fate(store, "job-2-tiktok-1") == fate


@pytest.mark.parametrize("again", ["job", "letter"])
@pytest.mark.usefixtures("no_waits")
@pytest.mark.logs_errors
def test_a_manual_retry_begins_anew_and_deletes_the_dead_letter(
    store: Store, child: Callable[..., list[list[str]]], worker: Callable[[], None], again: str
) -> None:
    pending(store)
    calls = child(CAUSES["memory"])
    with store.writing(scope="everything"):
        rendering.send(wiring.machine, _segment(store))
    worker()
    [letter] = wiring.machine.broker.admin.dead_letters("media")
    assert (
        job_commands.retry(wiring.machine, "job")
        if again == "job"
        else job_commands.retry_dead_letter(wiring.machine, letter)
    )
    assert wiring.machine.broker.admin.dead_letters("media") == []
    assert not job_commands.retry_dead_letter(wiring.machine, letter)  # somebody else had it on the screen, too
    reap.fn()
    assert (_segment(store).status, _segment(store).attempts) == (SegmentStatus.PENDING, None)
    child(RENDERED)
    worker()
    assert (_segment(store).status, len(calls)) == (SegmentStatus.READY, 4)
    assert _fate(store) == (PublicationStatus.PUBLISHING, None)


@pytest.mark.usefixtures("no_waits")
@pytest.mark.logs_errors
def test_a_part_that_is_cut_differently_has_no_dead_letter(
    store: Store, child: Callable[..., list[list[str]]], worker: Callable[[], None]
) -> None:
    pending(store, parts=2)
    source = wiring.machine.in_data("uploads/job/source")
    source.parent.mkdir(parents=True)
    source.write_bytes(b"video")
    child(CAUSES["memory"])
    with store.writing(scope="everything"):
        rendering.send(wiring.machine, _segment(store))
    worker()
    assert len(wiring.machine.broker.admin.dead_letters("media")) == 1
    with store.reading() as connection:
        plan = cut_plan.read(wiring.machine, connection, "job")
    assert plan is not None
    parts = [WantedPart(0, 19), WantedPart(20, 40)]
    changed = cut_commands.change(wiring.machine, "job", plan.version, parts)
    assert [part.frames for part in changed.parts] == [570, 600]
    assert wiring.machine.broker.admin.dead_letters("media") == []


def test_a_part_that_failed_can_be_tried_again_while_others_are_rendered(store: Store) -> None:
    pending(store, parts=2)
    with store.writing(scope="everything") as connection:
        segments.fail(connection, "job-1", reason="lost", now=wiring.machine.now())
    assert job_commands.retry(wiring.machine, "job")
    assert waiting() == [("gaze", ("job-1",))]
    assert _job(store).status is JobStatus.PROCESSING


def test_between_two_attempts_the_part_waits_and_says_why(
    store: Store, child: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pending(store)
    calls = child(CAUSES["memory"], RENDERED)
    with pytest.raises(Retry) as first:
        gaze.fn("job-1")
    assert 29_000 < (first.value.delay or 0) <= 30_000
    found = _segment(store)
    assert (found.status, found.progress, found.attempt) == (SegmentStatus.PENDING, 0.0, None)
    assert found.reason == "rendering failed (out of memory)"
    assert found.retry_at is not None
    assert _job(store).status is JobStatus.PROCESSING
    assert _fate(store) == (PublicationStatus.WAITING, None)
    move_clock(monkeypatch, timedelta(days=1))
    reap.fn()
    assert waiting() == []  # its own message is the only one
    gaze.fn("job-1")
    assert (_segment(store).status, _segment(store).reason, len(calls)) == (SegmentStatus.READY, None, 2)


@pytest.mark.parametrize("ahead", [timedelta(days=365), timedelta(minutes=5)], ids=["year", "minutes"])
@pytest.mark.parametrize("stage", ["gaze", "split"])
def test_a_clock_that_was_ahead_holds_no_retry_up(
    store: Store, child: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch, stage: str, ahead: timedelta
) -> None:
    """Its message waits for next year, or for minutes; the tick sees that the clock was set back."""
    if stage == "gaze":
        pending(store)
    else:
        unplanned(store)
    plan: Result = {"facts": {"frames": 500}, "zero": None, "spans": [SPAN]}
    calls = child(CAUSES["memory"], RENDERED if stage == "gaze" else plan)
    work, name = (gaze.fn, "job-1") if stage == "gaze" else (split.fn, "job")
    move_clock(monkeypatch, ahead)
    with pytest.raises(Retry):
        work(name)
    reap.fn()
    move_clock(monkeypatch, -ahead)
    reap.fn()
    reap.fn()
    assert waiting() == [(stage, (name,))]
    work(name)
    assert len(calls) == 2
    work(name)  # what waits for that time finds nothing to do
    assert len(calls) == 2


def test_a_worker_killed_between_record_and_message_loses_and_doubles_nothing(
    store: Store, child: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker hands the message out again at once: it waits out the rest, and counts for nothing."""
    pending(store)
    calls = child(CAUSES["signal"], RENDERED)
    with pytest.raises(Retry):
        gaze.fn("job-1")  # and here the worker dies
    with pytest.raises(Retry) as again:
        gaze.fn("job-1")
    assert 0 < (again.value.delay or 0) <= 30_000
    assert len(decode_attempts(_segment(store).attempts)) == len(calls) == 1
    move_clock(monkeypatch, timedelta(seconds=31))
    gaze.fn("job-1")
    gaze.fn("job-1")  # killed after the result was recorded
    assert len(calls) == 2
    assert _events(store).count("segment.ready") == _events(store).count("job.processed") == 1


@pytest.mark.usefixtures("no_waits")
@pytest.mark.logs_errors
def test_a_worker_killed_before_its_dead_letter_was_there_leaves_it_to_the_next(
    store: Store, child: Callable[..., list[list[str]]]
) -> None:
    pending(store)
    calls = child(CAUSES["time"])
    for _ in range(3):
        with pytest.raises(Retry):
            gaze.fn("job-1")
    for _ in range(2):
        with pytest.raises(GivenUp, match="given up after 4 attempts"):
            gaze.fn("job-1")
    assert len(calls) == 4
    assert _events(store).count("job.failed") == 1


@pytest.mark.logs_errors
def test_a_file_that_takes_its_worker_along_does_not_go_round_for_ever(
    store: Store, child: Callable[..., list[list[str]]]
) -> None:
    """The broker hands such a message out ten times; after five renderings that nobody ended there is no sixth."""
    pending(store)
    calls = child(SystemExit("killed"))
    for _ in range(5):
        with pytest.raises(SystemExit):
            gaze.fn("job-1")
    with pytest.raises(GivenUp, match="interrupted"):
        gaze.fn("job-1")
    assert [call[call.index("--memory") + 1] for call in calls] == ["full", "full", "less", "full", "least"]
    found = _segment(store)
    assert (found.status, len(calls)) == (SegmentStatus.FAILED, 5)
    assert "repeated interruptions" in (found.reason or "")


@pytest.mark.logs_errors
def test_a_planning_that_takes_its_worker_along_ends_too(store: Store, child: Callable[..., list[list[str]]]) -> None:
    unplanned(store)
    calls = child(SystemExit("killed"))
    for _ in range(5):
        with pytest.raises(SystemExit):
            split.fn("job")
    with pytest.raises(GivenUp, match="interrupted"):
        split.fn("job")
    assert (_job(store).status, _job(store).error_code, len(calls)) == (JobStatus.FAILED, "interrupted", 5)


def test_a_worker_that_is_asked_to_stop_does_not_count(store: Store, child: Callable[..., list[list[str]]]) -> None:
    pending(store)
    child(runner.Stopped("asked to"))
    for _ in range(12):
        gaze.fn("job-1")
    assert _segment(store).attempts == []
    child(RENDERED)
    gaze.fn("job-1")
    assert _segment(store).status is SegmentStatus.READY


@pytest.mark.parametrize("ended", [runner.ChildFailed(signal=15), runner.OutOfMemory("killed", signal=9)])
def test_a_child_that_ends_while_its_worker_is_stopped_does_not_count(
    monkeypatch: pytest.MonkeyPatch, ended: runner.ChildError
) -> None:
    """Whoever stops a machine may send the signal to all of its processes."""

    def run(*_: object, **__: object) -> Result:
        wiring.machine.stopping.set()
        raise ended

    monkeypatch.setattr(runner, "run", run)
    try:
        with pytest.raises(runner.Stopped):
            media_child.run(wiring.machine, "gaze", [], deadline_s=1)
    finally:
        wiring.machine.stopping.clear()


def test_a_child_that_was_asked_to_end_was_interrupted() -> None:
    attempt = retrying.failed_attempt(
        wiring.machine, runner.ChildFailed(signal=15), MediaSettings.FULL, wiring.machine.now()
    )
    assert attempt.outcome is MediaOutcome.INTERRUPTED


def test_a_dead_letter_that_comes_after_a_retry_by_a_person_does_not_end_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part is failed before its dead letter is there: in between somebody may have asked for another try."""
    pending(store)
    died = wiring.machine.now() + timedelta(seconds=1)
    letter = DeadLetter(1, "m", "media", "gaze", ("job-1",), {}, "GivenUp: Job job part 1", None, 4, died, died)
    monkeypatch.setattr(wiring.machine.broker.admin, "dead_letters", lambda *_, **__: [letter])
    reap.fn()
    assert _segment(store).status is SegmentStatus.PENDING


@pytest.mark.logs_errors
def test_a_refused_part_is_not_tried_again(store: Store, child: Callable[..., list[list[str]]]) -> None:
    pending(store)
    calls = child(runner.Refused("damaged", "No picture can be decoded at 3.0 s."))
    gaze.fn("job-1")
    assert (_segment(store).status, _segment(store).reason) == ("failed", "No picture can be decoded at 3.0 s.")
    assert len(calls) == 1


@pytest.mark.parametrize("end", [job_commands.cancel, job_commands.delete])
@pytest.mark.usefixtures("no_waits")
def test_a_job_that_is_ended_is_not_tried_again(
    store: Store,
    child: Callable[..., list[list[str]]],
    worker: Callable[[], None],
    end: Callable[[Machine, str], bool],
) -> None:
    pending(store)
    calls = child(CAUSES["memory"], RENDERED)
    with pytest.raises(Retry):
        gaze.fn("job-1")
    assert end(wiring.machine, "job")
    with store.writing(scope="everything"):
        rendering.send(wiring.machine, _segment(store))
    worker()
    assert (len(calls), wiring.machine.broker.admin.dead_letters("media")) == (1, [])


def test_a_job_cancelled_while_its_child_is_lost_stays_cancelled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pending(store)

    def run(*_: object, **__: object) -> Result:
        job_commands.cancel(wiring.machine, "job")
        raise CAUSES["memory"]

    monkeypatch.setattr(media_child, "run", run)
    gaze.fn("job-1")
    assert (_job(store).status, _segment(store).reason) == (JobStatus.CANCELLED, "cancelled")


@pytest.mark.usefixtures("no_waits")
def test_a_plan_that_comes_at_the_second_attempt_is_recorded_once(
    store: Store, child: Callable[..., list[list[str]]], worker: Callable[[], None]
) -> None:
    unplanned(store)
    plan: Result = {"facts": {"frames": 500}, "zero": None, "spans": [SPAN]}
    child(CAUSES["memory"], plan, RENDERED)
    planning.send(wiring.machine, "job")
    worker()
    assert (_job(store).facts or {})["planned_without_gaze"] == "out_of_memory"
    with store.reading() as connection:
        [part] = segments.of_job(connection, "job")
    assert part.status is SegmentStatus.READY
    assert _events(store).count("job.processing") == 1


@pytest.mark.logs_errors("dramatiq")
def test_an_error_of_the_actor_itself_ends_the_part_by_its_dead_letter(
    store: Store, child: Callable[..., list[list[str]]], worker: Callable[[], None]
) -> None:
    """A full disk, say: dramatiq's usual retries, then the tick sees the dead letter, and a person can try again."""
    pending(store)
    calls = child(MemoryError())
    gaze.send_with_options(args=("job-1",), min_backoff=1, max_backoff=1)
    worker()
    [letter] = wiring.machine.broker.admin.dead_letters("media")
    assert (letter.error, len(calls)) == ("MemoryError: ", 4)
    reap.fn()
    found = _segment(store)
    assert (found.status, _job(store).status) == (SegmentStatus.FAILED, JobStatus.FAILED)
    assert "an error in VidProd" in (found.reason or "")
    assert job_commands.retry(wiring.machine, "job")
    assert (wiring.machine.broker.admin.dead_letters("media"), _segment(store).attempts) == ([], None)


STAGE_MODULE = """
import argparse, ctypes, os, signal, sys
print("about to fail", file=sys.stderr, flush=True)
ctypes.string_at(0) if sys.argv[1] == "SIGSEGV" else os.kill(os.getpid(), getattr(signal, sys.argv[1]))
"""


@pytest.mark.parametrize(("name", "outcome"), [("SIGKILL", "out_of_memory"), ("SIGSEGV", "crashed")])
@pytest.mark.usefixtures("no_waits")
@pytest.mark.logs_errors
def test_a_real_child_that_a_signal_ends_at_each_attempt(
    store: Store, worker: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, outcome: str
) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "gaze.py").write_text(STAGE_MODULE, encoding="utf-8")
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    run_child: Callable[..., Any] = media_child.run  # Any: JSON
    monkeypatch.setattr(
        media_child, "run", lambda machine, stage, _, **options: run_child(machine, stage, [name], **options)
    )
    pending(store)
    with store.writing(scope="everything"):
        rendering.send(wiring.machine, _segment(store))
    worker()
    [letter] = wiring.machine.broker.admin.dead_letters("media")
    assert [attempt.outcome for attempt in decode_attempts(_segment(store).attempts)] == [outcome] * 4
    assert len(re.findall(r"End of stderr of attempt \d:\nabout to fail", letter.traceback or "")) == 4
