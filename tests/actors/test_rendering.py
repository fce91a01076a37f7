"""The media actors: arguments of their children, recorded reasons, dropped late results."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from dramatiq.errors import Retry

from actors import wiring
from actors.flow import job_commands, media_child, retrying
from actors.gaze import gaze
from actors.machine import Machine
from actors.split import split
from media.process import runner
from store import Store, accounts, job_plans, jobs, publications, segments
from store.job_plans import JobPlan
from store.states import JobStatus, SegmentStatus
from tests.actors.queues import change_machine, change_settings, waiting
from tests.store.rows import account, job, publication, segment
from tests.support.clock import Clock

Result = dict[str, Any]  # Any: a stage's JSON
RENDERED = {
    "frames": 500, "duration_s": 20.0, "size_bytes": 1000, "stages_s": {"decode": 1.0},
    "rendering": {"picture": "encoded", "encoded_because": "changed", "sound": "encoded", "frames_held": 0},
    "gaze": {"corrected": True, "share": 0.9, "reason": None},
}  # fmt: skip
SPAN = {"number": 1, "of": 1, "start_s": 0.0, "duration_s": 20.0, "frames": 500, "cut_reason": "end", "span": {}}


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
    """Return what sets the fates of the next children: a result, or an error to raise. It returns their arguments."""

    def set_fates(*fates: Result | BaseException) -> list[list[str]]:
        queue, calls = list(fates), []

        def run(machine: Machine, stage: str, arguments: list[str], **_: object) -> Result:
            del machine
            calls.append([stage, *arguments])
            fate = queue.pop(0)
            if isinstance(fate, BaseException):
                raise fate
            return fate

        monkeypatch.setattr(media_child, "run", run)
        return calls

    return set_fates


def _pending(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(parts=1))
        accounts.connect(connection, account())
        segments.create(connection, [segment(1)])
        publications.create(connection, [publication(segment(1), account())])


def _intensities(calls: list[list[str]]) -> list[str]:
    return [call[call.index("--intensity") + 1] for call in calls]


def _segment(store: Store) -> segments.Segment:
    with store.reading() as connection:
        found = segments.get(connection, "job-1")
    assert found is not None
    return found


def test_as_many_people_are_corrected_as_the_settings_say(
    store: Store, child: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _pending(store)
    change_settings(monkeypatch, gaze_faces=2)
    calls = child(RENDERED)
    gaze.fn("job-1")
    assert calls[0][calls[0].index("--faces") + 1] == "2"


def test_a_rendered_part_is_ready_and_its_publication_begins(
    store: Store, child: Callable[..., list[list[str]]]
) -> None:
    _pending(store)
    child(RENDERED)
    gaze.fn("job-1")
    assert (_segment(store).status, _segment(store).gaze) == (SegmentStatus.READY, RENDERED["gaze"])
    assert ("publish_tiktok", ("job-1-tiktok-1",)) in waiting()
    with store.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    assert found.status is JobStatus.PUBLISHING


def test_a_part_rendered_with_less_says_so(store: Store, child: Callable[..., list[list[str]]], no_waits: None) -> None:
    """The gaze reason names what ended the last attempt with gaze correction."""
    del no_waits
    _pending(store)
    lost = runner.DeadlineExceeded(3600), runner.ChildFailed(signal=11), runner.ChildFailed(signal=11)
    calls = child(*lost, RENDERED)
    for _ in lost:
        with pytest.raises(Retry):
            gaze.fn("job-1")
    gaze.fn("job-1")
    assert _intensities(calls) == ["0.8", "0.0", "0.0", "0.0"]
    assert [call[call.index("--memory") + 1] for call in calls] == ["full", "full", "least", "least"]
    expected: Result = RENDERED["gaze"] | {"corrected": False, "share": 0.0, "reason": "deadline_passed"}  # type: ignore[operator]  # a dict
    assert (_segment(store).status, _segment(store).gaze) == (SegmentStatus.READY, expected)
    assert (_segment(store).rendering or {})["settings"] == "least"


@pytest.mark.parametrize("reports_each_s", [0.1, 1.0, 7.0])
def test_progress_is_written_at_most_every_five_seconds(
    store: Store, monkeypatch: pytest.MonkeyPatch, reports_each_s: float
) -> None:
    """At 0 % at once, so that the part is seen to begin; each write is a transaction of its own."""
    _pending(store)
    clock = Clock()
    written: list[tuple[float, float]] = []
    change_machine(monkeypatch, boot_time=clock.boot_time)
    began_s = clock.now_s()

    def run(*_: object, on_progress: Callable[[float], None], **__: object) -> Result:
        for number in range(int(60 / reports_each_s)):
            on_progress(number * reports_each_s / 60)
            if not written or written[-1][1] != _segment(store).progress:
                written.append((clock.now_s() - began_s, _segment(store).progress))
            clock.move(seconds=reports_each_s)
        return RENDERED

    monkeypatch.setattr(media_child, "run", run)
    gaze.fn("job-1")
    times = [at_s for at_s, _ in written]
    assert times[0] == 0
    assert all(5 <= after - before <= max(5.2, reports_each_s) for before, after in itertools.pairwise(times))
    assert times[-1] > 45


def test_a_rendering_that_was_overtaken_is_dropped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _pending(store)

    def run(*_: object, **__: object) -> Result:
        with store.writing(scope="everything") as connection:
            segments.claim(connection, "job-1", "another", wiring.machine.now())
        return RENDERED

    monkeypatch.setattr(media_child, "run", run)
    gaze.fn("job-1")
    assert (_segment(store).status, _segment(store).attempt) == (SegmentStatus.RENDERING, "another")


def test_a_worker_that_is_asked_to_stop_hands_its_part_on(store: Store, child: Callable[..., list[list[str]]]) -> None:
    _pending(store)
    child(runner.Stopped("asked to"))
    gaze.fn("job-1")
    assert waiting() == [("gaze", ("job-1",))]
    assert _segment(store).status is SegmentStatus.RENDERING


def test_a_cancelled_job_renders_nothing(store: Store, child: Callable[..., list[list[str]]]) -> None:
    _pending(store)
    calls = child()
    with store.writing(scope="everything") as connection:
        jobs.cancel(connection, "job", wiring.machine.now())
    gaze.fn("job-1")
    assert calls == []


def test_three_hours_are_examined_in_time_on_a_sixteenth_of_a_core(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured: 0.07 CPU seconds a second. A hostile file still gets half an hour of CPU time at most."""
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.PENDING, parts=None))
    limits: dict[str, float] = {}

    def run(*_: object, deadline_s: float, cpu_s: float, **__: object) -> Result:
        limits.update(deadline_s=deadline_s, cpu_s=cpu_s)
        return {"facts": {"frames": 500}, "zero": None, "spans": [SPAN]}

    monkeypatch.setattr(media_child, "run", run)
    split.fn("job")
    assert limits["deadline_s"] / 16 > 0.07 * 3 * 3600
    assert limits["cpu_s"] == 1800


def test_what_a_machine_refused_is_recorded_with_a_part(store: Store, child: Callable[..., list[list[str]]]) -> None:
    _pending(store)
    pace = {"took_s": 900.0, "core_share": 0.07, "deadline_s": 960.0, "steps": ["smaller_picture"]}
    child(RENDERED | {"rendering": {"picture": "encoded", "sound": "encoded", "pace": pace}})
    gaze.fn("job-1")
    found = (_segment(store).rendering or {})["pace"]
    assert pace == {name: found[name] for name in pace}
    assert found.keys() - pace.keys() == {"throttled_s", "stolen_s"}
    assert min(found["throttled_s"], found["stolen_s"]) >= 0


@pytest.mark.parametrize(("own", "expected"), [(None, "0.8"), (0.3, "0.3"), (0.0, "0.0")])
def test_a_part_is_rendered_with_its_own_intensity(
    store: Store, child: Callable[..., list[list[str]]], own: float | None, expected: str
) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(parts=1))
        segments.create(connection, [replace(segment(1), gaze_intensity=own)])
    calls = child(RENDERED)
    gaze.fn("job-1")
    assert calls[0][calls[0].index("--intensity") + 1] == expected


def test_a_part_without_correction_is_tried_with_less_memory_only(
    store: Store, child: Callable[..., list[list[str]]], no_waits: None
) -> None:
    """There is no gaze correction to leave out, although the other parts of its job have it."""
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(parts=1))
        segments.create(connection, [replace(segment(1), gaze_intensity=0.0)])
    lost = runner.OutOfMemory("", held_bytes=2, limit_bytes=1)
    calls = child(lost, lost, RENDERED)
    for _ in range(2):
        with pytest.raises(Retry):
            gaze.fn("job-1")
    gaze.fn("job-1")
    assert [call[call.index("--memory") + 1] for call in calls] == ["full", "less", "least"]


def test_a_plan_keeps_pauses_peaks_and_key_frames(store: Store, child: Callable[..., list[list[str]]]) -> None:
    kept: dict[str, Any] = {
        "pauses": [[1.0, 1.5]],
        "peaks": {"per_s": 50.0, "values": "AP8="},
        "key_frames": [[30, 1024]],
    }
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.PENDING, parts=None))
    child({"facts": {}, "zero": None, "spans": [SPAN], "cutting": kept})
    split.fn("job")
    with store.reading() as connection:
        assert job_plans.get(connection, "job") == JobPlan(job_id="job", **kept)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pauses": [[0, 1]] * 2001},
        {"pauses": [[0, math.nan]]},
        {"pauses": [[0, 1, 2]]},
        {"key_frames": [[0, 10**30]]},
        {"key_frames": [["0", True]]},
        {"peaks": {"per_s": 50.0, "values": "A" * 9000}},
        {"peaks": {"per_s": math.inf, "values": ""}},
        {"peaks": {"per_s": 50.0}},
        {"peaks": 5},
    ],
    ids=lambda wrong: str(wrong)[:30],
)
def test_facts_that_no_video_has_are_not_kept(
    store: Store, child: Callable[..., list[list[str]]], wrong: dict[str, Any]
) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.PENDING, parts=None))
    kept = {"pauses": [], "peaks": None, "key_frames": []} | wrong
    child({"facts": {}, "zero": None, "spans": [SPAN], "cutting": kept})
    split.fn("job")
    with store.reading() as connection:
        assert job_plans.get(connection, "job") is None
        assert len(segments.of_job(connection, "job")) == 1


def test_a_plan_becomes_parts_publications_and_messages_at_once(
    store: Store, child: Callable[..., list[list[str]]]
) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.PENDING, parts=None))
        accounts.connect(connection, account())
    plan = {"facts": {"frames": 500}, "zero": None, "spans": [SPAN]}
    child(plan, plan)
    split.fn("job")
    split.fn("job")  # the same message twice
    with store.reading() as connection:
        parts, posts = segments.of_job(connection, "job"), publications.of_job(connection, "job")
    assert (len(parts), len(posts)) == (1, 1)
    assert waiting() == [("gaze", (parts[0].id,))]


@pytest.mark.parametrize(
    "spans",
    [
        [],
        {},
        [5],
        [SPAN, SPAN],
        [SPAN | {"number": True}, SPAN | {"number": "2"}],
        [SPAN | {"number": number} for number in range(1, 5000)],
        [SPAN | {"duration_s": math.inf}],
        [SPAN | {"start_s": -1}],
        [SPAN | {"duration_s": 10**400}],
        [SPAN | {"duration_s": "20"}],
    ],
    ids=lambda spans: str(spans)[:30],
)
def test_a_plan_that_no_video_has_is_a_failed_attempt(
    store: Store, child: Callable[..., list[list[str]]], spans: Any
) -> None:
    """Code in a decoder could otherwise fill the database with parts, in one transaction."""
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.PENDING, parts=None))
        accounts.connect(connection, account())
    child({"facts": {}, "zero": None, "spans": spans})
    with pytest.raises(Retry):
        split.fn("job")
    with store.reading() as connection:
        assert segments.of_job(connection, "job") == []


@pytest.mark.parametrize(("level", "asked"), [(-14.0, ["--loudness", "-14.0"]), (None, [])])
def test_the_sound_is_brought_to_the_level_that_the_settings_say(
    store: Store, child: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch, level: float, asked: list[str]
) -> None:
    """The plan measures it once, and every part is rendered with the plan's own words."""
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.PENDING, parts=None))
    change_settings(monkeypatch, loudness=level)
    calls = child({"facts": {}, "zero": None, "spans": [SPAN | {"span": {"gain_db": 3.5}}]}, RENDERED)
    split.fn("job")
    gaze.fn(waiting()[0][1][0])
    planning, rendering_part = calls
    assert [word for word in planning if word in {"--loudness", str(level)}] == asked
    assert '--span={"gain_db": 3.5}' in rendering_part


def test_a_refused_video_ends_its_job_with_the_reason(store: Store, child: Callable[..., list[list[str]]]) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.PENDING, parts=None))
    child(runner.Refused("too_long", "the video is longer than 3 hours"))
    split.fn("job")
    with store.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    assert (found.status, found.error_code) == (JobStatus.FAILED, "too_long")
    assert ("delete_files", ("job", "now")) in waiting()


@pytest.mark.logs_errors
def test_a_planning_that_is_lost_is_tried_with_less_and_then_given_up(
    store: Store, child: Callable[..., list[list[str]]], no_waits: None
) -> None:
    """The file stays for a day: another try, with more memory free, may go better."""
    del no_waits
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.PENDING, parts=None))
    calls = child(*[runner.OutOfMemory("350 MB")] * 4)
    for _ in range(3):
        with pytest.raises(Retry):
            split.fn("job")
    with pytest.raises(retrying.GivenUp, match="Job job planning: given up after 4 attempts"):
        split.fn("job")
    assert ["--without-zero" in call for call in calls] == [False, True, True, True]
    assert ["--without-scenes" in call for call in calls] == [False, False, False, True]
    with store.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    assert (found.status, found.error_code) == (JobStatus.FAILED, "out_of_memory")
    assert ("delete_files", ("job", "now")) not in waiting()
    assert job_commands.retry(wiring.machine, "job")
    assert ("split", ("job",)) in waiting()
    with store.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    assert (found.status, found.attempts, found.retry_at) == (JobStatus.PENDING, None, None)


MISSING = runner.Refused(
    "no_such_file", "there is no file /data/uploads/job/source"
)  # as `media.process.child` says it


@pytest.mark.logs_errors
def test_a_part_whose_upload_is_gone_ends_with_words_for_its_creator(
    store: Store, child: Callable[..., list[list[str]]]
) -> None:
    _pending(store)
    child(MISSING)
    gaze.fn("job-1")
    with store.reading() as connection:
        part, over = segments.get(connection, "job-1"), jobs.get(connection, "job")
    assert part is not None
    assert over is not None
    assert (part.status, over.status) == (SegmentStatus.FAILED, JobStatus.FAILED)
    assert "the database is older" in (part.reason or "")
    assert "/data" not in (part.reason or "")
    assert ("delete_files", ("job", "now")) not in waiting()


def test_a_job_whose_upload_is_gone_can_be_tried_again(store: Store, child: Callable[..., list[list[str]]]) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.PENDING, parts=None))
    child(MISSING)
    split.fn("job")
    with store.reading() as connection:
        over = jobs.get(connection, "job")
    assert over is not None
    assert (over.status, over.error_code) == (JobStatus.FAILED, "file_missing")
    assert "/data" not in (over.error or "")
    assert ("delete_files", ("job", "now")) not in waiting()
    assert job_commands.retry(wiring.machine, "job")
