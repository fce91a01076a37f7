"""Changed cuts: each chosen frame is in exactly one part, and whatever did not change is not touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors import wiring
from actors.flow import cut_commands, cut_plan, media_child, rendering, retention
from actors.flow.cut_commands import BadCut, WantedPart
from actors.flow.cut_plan import CutPlan, Outdated
from actors.flow.publication_commands import NotPossible
from actors.gaze import gaze
from media.process import runner
from media.process.attempt import output_files
from media.reading.spans import Span
from store import Store, accounts, history, job_plans, jobs, post_settings, post_times, publications, reviews, segments
from store.history import HistoryEntry
from store.job_plans import JobPlan
from store.post_settings import PostSettings
from store.publications import Publication
from store.segments import Segment
from store.states import HistoryKind, JobStatus, PublicationStatus, SegmentStatus
from tests.actors.one_publication import Killed, killed_at
from tests.actors.queues import waiting
from tests.actors.test_rendering import RENDERED
from tests.store import rows

RATE = Fraction(30_000, 1001)
TOTAL = 6000  # 200 s
BOUNDS = ((0, 1500), (1500, 1700), (3200, 1300), (4500, 1500))
KEY_FRAMES = [[tick, 1001 * tick] for tick in range(300, TOTAL, 300)]


def part(number: int, bounds: tuple[int, int], status: SegmentStatus = SegmentStatus.READY) -> Segment:
    first, frames = bounds
    span = Span(first=first, frames=frames, total=TOTAL, rate=RATE, origin_s=Fraction(1, 3), seek=None, gain_db=1.5)
    return replace(
        rows.segment(number, status=status),
        span=span.to_json(), start_s=span.start_s, duration=span.duration_s,
        cut_reason="end" if first + frames == TOTAL else "pause",
    )  # fmt: skip


def video_of(row: Segment) -> Path:
    return wiring.machine.in_data(row.file_path)


@pytest.fixture
def series(store: Store) -> Store:
    """A job of four ready parts in review, with two accounts, its upload, and the files of the parts."""
    owners = [rows.account(), rows.account("youtube-1", "youtube")]
    parts = [part(number, bounds) for number, bounds in enumerate(BOUNDS, start=1)]
    with store.writing(scope="everything") as connection:
        jobs.create(connection, replace(rows.job(status=JobStatus.REVIEW, parts=4), review_reasons=["requested"]))
        segments.create(connection, parts)
        for owner in owners:
            accounts.connect(connection, owner)
        publications.create(connection, [rows.publication(one, owner) for one in parts for owner in owners])
        for post in ("job-1-tiktok-1", "job-2-tiktok-1"):
            history.append(connection, post, [HistoryEntry(at=rows.NOON, kind=HistoryKind.PERSON, text="looked at")])
        job_plans.create(connection, JobPlan(job_id="job", pauses=[], peaks=None, key_frames=KEY_FRAMES))
    source = wiring.machine.in_data("uploads/job/source")
    source.parent.mkdir(parents=True)
    source.write_bytes(b"video")
    for one in parts:
        video_of(one).parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".mp4", ".cover.jpg", ".preview.jpg", ".report.json"):
            video_of(one).with_suffix(suffix).write_text(one.id)
    return store


def plan() -> CutPlan:
    with wiring.machine.store.reading() as connection:
        found = cut_plan.read(wiring.machine, connection, "job")
    assert found is not None
    return found


def parts() -> list[Segment]:
    with wiring.machine.store.reading() as connection:
        return segments.of_job(connection, "job")


def posts() -> list[Publication]:
    with wiring.machine.store.reading() as connection:
        return publications.of_job(connection, "job")


def cut(*bounds: tuple[int, int]) -> list[WantedPart]:
    """Return parts in the seconds that a client reads and sends, of first tick and number of ticks."""
    seconds = [(round(float(first / RATE), 6), round(float((first + frames) / RATE), 6)) for first, frames in bounds]
    return [WantedPart(start_s, end_s) for start_s, end_s in seconds]


def change(*bounds: tuple[int, int]) -> CutPlan:
    return cut_commands.change(wiring.machine, "job", plan().version, cut(*bounds))


def test_a_moved_cut_renders_only_the_two_parts_at_it(series: Store) -> None:
    before = parts()
    inodes = {row.id: video_of(row).stat().st_ino for row in before}
    changed = change((0, 1500), (1500, 1500), (3000, 1500), (4500, 1500))
    after = parts()

    assert [one.bounds for one in changed.parts] == [(0, 1500), (1500, 1500), (3000, 1500), (4500, 1500)]
    assert [one.cut_reason for one in changed.parts] == ["pause", "chosen", "pause", "end"]
    assert [after[0], after[3]] == [before[0], before[3]]
    assert {row.status for row in after[1:3]} == {SegmentStatus.PENDING}
    assert {row.id: video_of(row).stat().st_ino for row in (after[0], after[3])} == {
        row.id: inodes[row.id] for row in (before[0], before[3])
    }
    sent = [(actor, args) for actor, args in waiting() if actor in {"gaze", "delete_files"}]
    assert sent == [
        ("gaze", (after[1].id,)), ("gaze", (after[2].id,)), ("delete_files", ("job", "replaced")),
    ]  # fmt: skip
    with series.reading() as connection:
        assert jobs.get(connection, "job").status is JobStatus.PROCESSING  # type: ignore[union-attr]  # it exists


def test_the_files_of_replaced_parts_are_deleted_and_no_others(series: Store) -> None:
    before = parts()
    change((0, 1500), (1500, 1500), (3000, 1500), (4500, 1500))
    new = video_of(parts()[1])
    new.write_text("already rendered")
    (new.parent / f".{new.name}.temporary").write_text("just being rendered")
    retention.delete_files(wiring.machine, "job", "replaced")
    left = {path.name for path in new.parent.iterdir()}
    kept = {video_of(row).with_suffix(end).name for row in (before[0], before[3])
            for end in (".mp4", ".cover.jpg", ".preview.jpg", ".report.json")}  # fmt: skip
    assert left == kept | {new.name, f".{new.name}.temporary"}


def test_spans_are_decoded_from_the_key_frame_before_them(series: Store) -> None:
    change((0, 1500), (1500, 1400), (2905, 1595), (4500, 1500))
    found = [Span.from_json(row.span) for row in parts()]
    assert [(span.first, span.frames, span.seek, span.gain_db) for span in found[1:3]] == [
        (1500, 1400, 1001 * 1500, 1.5), (2905, 1595, 1001 * 2700, 1.5),
    ]  # fmt: skip
    assert {(span.total, span.rate, span.origin_s) for span in found} == {(TOTAL, RATE, Fraction(1, 3))}


def test_a_split_part_renumbers_the_others_and_keeps_their_posts(series: Store) -> None:
    with series.writing(scope="everything") as connection:
        for number in (2, 4):
            post_settings.put(connection, PostSettings(job_id="job", segment_number=number, title=f"Title of {number}"))
        publications.cancel(connection, "job-2-tiktok-1", code="skipped", reason="skipped", now=rows.NOON)
    change((0, 1500), (1500, 900), (2400, 800), (3200, 1300), (4500, 1500))

    assert [(row.segment_number, row.id) for row in parts() if row.status is SegmentStatus.READY] == [
        (1, "job-1"), (4, "job-3"), (5, "job-4"),
    ]  # fmt: skip
    by_place = {(post.segment_number, post.account_id): post for post in posts()}
    assert len(by_place) == 10
    assert {place: post.id for place, post in by_place.items() if place[0] in {1, 2, 4, 5}} == {
        (number, owner): f"job-{old}-{owner}"
        for number, old in ((1, 1), (2, 2), (4, 3), (5, 4))
        for owner in ("tiktok-1", "youtube-1")
    }
    skipped = {place for place, post in by_place.items() if post.code == "skipped"}
    assert skipped == {(2, "tiktok-1"), (3, "tiktok-1")}, "a person skipped this stretch of the video"
    assert by_place[3, "youtube-1"].status is PublicationStatus.WAITING
    with series.reading() as connection:
        words = {one.segment_number: one.title for one in post_settings.of_job(connection, "job")}
        assert jobs.get(connection, "job").segment_count == 5  # type: ignore[union-attr]  # it exists
    assert words == {2: "Title of 2", 3: "Title of 2", 5: "Title of 4"}


def test_merged_parts_have_the_words_of_the_longer_one(series: Store) -> None:
    change((0, 800), (800, 700), (1500, 1700), (3200, 1300), (4500, 1500))
    with series.writing(scope="everything") as connection:
        for number in (1, 2):
            post_settings.put(connection, PostSettings(job_id="job", segment_number=number, title=f"Part {number}"))
    change((0, 1500), (1500, 1700), (3200, 1300), (4500, 1500))
    with series.reading() as connection:
        assert [one.title for one in post_settings.of_job(connection, "job")] == ["Part 1"]
    assert [post.segment_number for post in posts()] == [1, 1, 2, 2, 3, 3, 4, 4]


def test_a_left_out_part_is_gone_with_its_posts(series: Store) -> None:
    changed = change((0, 1500), (3200, 1300), (4500, 1500))
    assert [one.bounds for one in changed.parts] == [(0, 1500), (3200, 1300), (4500, 1500)]
    assert [row.id for row in parts()] == ["job-1", "job-3", "job-4"]
    assert [(post.segment_id, post.segment_number) for post in posts()] == [
        ("job-1", 1), ("job-1", 1), ("job-3", 2), ("job-3", 2), ("job-4", 3), ("job-4", 3),
    ]  # fmt: skip
    assert not [actor for actor, _ in waiting() if actor == "gaze"]
    with series.reading() as connection:
        assert jobs.get(connection, "job").status is JobStatus.REVIEW  # type: ignore[union-attr]  # it exists


def test_a_job_whose_last_unrendered_part_is_left_out_goes_on(series: Store) -> None:
    with series.writing(scope="everything") as connection:
        connection.exec_driver_sql("UPDATE job_segments SET status = 'rendering' WHERE segment_number = 2")
        connection.exec_driver_sql("UPDATE jobs SET status = 'processing'")
    change((0, 1500), (3200, 1300), (4500, 1500))
    with series.reading() as connection:
        assert jobs.get(connection, "job").status is JobStatus.REVIEW  # type: ignore[union-attr]  # it exists


def test_a_stretch_that_was_left_out_can_come_back(series: Store) -> None:
    change((0, 1500), (3200, 1300), (4500, 1500))
    change(*BOUNDS)
    found = parts()
    assert [row.status for row in found] == [
        SegmentStatus.READY, SegmentStatus.PENDING, SegmentStatus.READY, SegmentStatus.READY,
    ]  # fmt: skip
    assert [(post.segment_id, post.status) for post in posts() if post.segment_number == 2] == [
        (found[1].id, PublicationStatus.WAITING)
    ] * 2


def test_the_same_parts_change_nothing(series: Store) -> None:
    before, sent = (parts(), posts()), waiting()
    assert change(*BOUNDS).version == plan().version
    assert ((parts(), posts()), waiting()) == (before, sent)


def test_a_failed_part_that_is_cut_differently_is_rendered_and_published(series: Store) -> None:
    with series.writing(scope="everything") as connection:
        connection.exec_driver_sql("UPDATE job_segments SET status = 'failed' WHERE segment_number = 2")
        publications.end_waiting_of_segment(
            connection, "job-2", PublicationStatus.FAILED, code="part_failed", reason="a crash", now=rows.NOON
        )
    change((0, 1500), (1500, 1600), (3100, 1400), (4500, 1500))
    assert {post.status for post in posts()} == {PublicationStatus.WAITING}
    assert {post.code for post in posts()} == {None}


@pytest.mark.parametrize("is_approved", [True, False])
def test_a_changed_part_needs_another_approval(series: Store, is_approved: bool) -> None:
    """The kept parts keep that of the job, or their own."""
    with series.writing(scope="everything") as connection:
        if is_approved:
            reviews.approve(connection, "job", rows.NOON)
        else:
            reviews.approve_parts(connection, "job", [1, 2], rows.NOON)
    change((0, 1500), (1500, 1500), (3000, 1500), (4500, 1500))
    approved = [row.approved_at is not None for row in parts()]
    assert approved == [True, False, False, is_approved]
    with series.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    assert (found.status, found.approved_at) == (JobStatus.PROCESSING, None)


def test_a_job_whose_last_part_without_approval_is_left_out_is_approved(series: Store) -> None:
    with series.writing(scope="everything") as connection:
        reviews.approve_parts(connection, "job", [1, 2, 4], rows.NOON)
    change(BOUNDS[0], BOUNDS[1], BOUNDS[3])
    with series.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    assert found.status is JobStatus.PUBLISHING
    assert found.approved_at is not None


def test_a_job_that_asks_for_no_approval_gets_none(series: Store) -> None:
    with series.writing(scope="everything") as connection:
        connection.exec_driver_sql("UPDATE jobs SET review_reasons = NULL, status = 'publishing'")
    change((0, 1500), (1500, 1500), (3000, 1500), (4500, 1500))
    assert {row.approved_at for row in parts()} == {None}
    with series.reading() as connection:
        assert jobs.get(connection, "job").approved_at is None  # type: ignore[union-attr]  # it exists


def test_holds_and_times_stay_with_their_stretch(series: Store) -> None:
    later = rows.NOON + timedelta(days=3)
    with series.writing(scope="everything") as connection:
        post_times.hold(connection, "job-2-tiktok-1")
        post_times.move(connection, "job-3-youtube-1", later)
    change((0, 1500), (1500, 900), (2400, 800), (3200, 1200), (4400, 1600))
    found = {(post.segment_number, post.account_id): post for post in posts()}
    assert {place for place, post in found.items() if post.held} == {(2, "tiktok-1"), (3, "tiktok-1")}
    assert {place for place, post in found.items() if post.publish_after == later} == {(4, "youtube-1")}


def test_another_intensity_renders_that_part_only(series: Store) -> None:
    cuts = cut(*BOUNDS)
    cuts[2] = replace(cuts[2], gaze_intensity=0.0)
    changed = cut_commands.change(wiring.machine, "job", plan().version, cuts)
    assert [one.gaze_intensity for one in changed.parts] == [None, None, 0.0, None]
    assert [row.id for row in parts() if row.status is SegmentStatus.READY] == ["job-1", "job-2", "job-4"]
    assert [post.id for post in posts() if post.segment_number == 3] == ["job-3-tiktok-1", "job-3-youtube-1"]
    rendered = parts()
    cuts[2] = replace(cuts[2], gaze_intensity=0.8)
    again = cut_commands.change(wiring.machine, "job", changed.version, cuts)
    assert [one.gaze_intensity for one in again.parts] == [None] * 4, "0.8 is the intensity of the job"
    assert [row.id for row in parts() if row in rendered] == ["job-1", "job-2", "job-4"]


@pytest.mark.parametrize(
    ("bounds", "index", "field"),
    [
        (((0, 1500), (1500, 100)), 1, "end_s"),
        (((0, 1900),), 0, "end_s"),
        (((0, 1500), (1400, 1000)), 1, "start_s"),
        (((4500, 1500), (0, 1500)), 1, "start_s"),
        (((0, 1500), (5000, 1200)), 1, "end_s"),
        (((1500, -200),), 0, "end_s"),
    ],
)
def test_parts_that_cannot_be_are_refused(
    series: Store, bounds: tuple[tuple[int, int], ...], index: int, field: str
) -> None:
    before = parts(), posts()
    with pytest.raises(BadCut) as refused:
        change(*bounds)
    assert (refused.value.index, refused.value.field) == (index, field)
    assert (parts(), posts()) == before


def test_a_change_of_an_older_plan_is_refused(series: Store) -> None:
    version = plan().version
    change((0, 1500), (1500, 1600), (3100, 1400), (4500, 1500))
    with pytest.raises(Outdated) as refused:
        cut_commands.change(wiring.machine, "job", version, cut(*BOUNDS))
    assert refused.value.version == plan().version


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE jobs SET source_deleted_at = '2026-11-22 12:00:00.000000'", "source_deleted"),
        ("UPDATE jobs SET status = 'cancelled'", "job_over"),
        ("UPDATE publications SET status = 'published'", "publication_started"),
    ],
)
def test_it_is_refused_when_nothing_can_change(series: Store, statement: str, code: str) -> None:
    with series.writing(scope="everything") as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(NotPossible) as refused:
        change(*BOUNDS)
    assert refused.value.code == code


def test_a_part_of_which_a_post_has_begun_stays_and_fixes_the_number_of_parts(series: Store) -> None:
    with series.writing(scope="everything") as connection:
        connection.exec_driver_sql("UPDATE publications SET status = 'publishing' WHERE id = 'job-1-tiktok-1'")
    for bounds in (
        ((0, 1450), (1450, 1750), (3200, 1300), (4500, 1500)),
        ((0, 1500), (1500, 1700), (3200, 1300)),
        ((0, 1500), (1500, 900), (2400, 800), (3200, 1300), (4500, 1500)),
    ):
        with pytest.raises(NotPossible) as refused:
            change(*bounds)
        assert refused.value.code == "publication_started"
    changed = change((0, 1500), (1500, 1600), (3100, 1400), (4500, 1500))
    assert [one.begun for one in changed.parts] == [True, False, False, False]


def test_the_result_of_a_removed_part_is_dropped(series: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cut is moved while the part is being rendered: its child ends, and its files are deleted."""
    change((0, 1500), (1500, 1600), (3100, 1400), (4500, 1500))
    row = parts()[1]
    stopped = []

    def run(*_: object, **options: object) -> dict[str, object]:
        change(*BOUNDS)
        video_of(row).write_text("complete, but too late")
        options["on_progress"](0.5)  # type: ignore[operator]  # the observer
        stopped.append(options["stop"]())  # type: ignore[operator]  # the runner asks it
        return RENDERED

    monkeypatch.setattr(media_child, "run", run)
    gaze.fn(row.id)
    assert stopped == [True]
    assert row.id not in {one.id for one in parts()}
    assert waiting()[-1] == ("delete_files", ("job", "replaced")), "after the file was written"
    retention.delete_files(wiring.machine, "job", "replaced")
    assert not video_of(row).exists()


def test_a_child_that_is_stopped_for_a_removed_part_leaves_nothing(
    series: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    change((0, 1500), (1500, 1600), (3100, 1400), (4500, 1500))
    row = parts()[1]

    def run(*_: object, **options: object) -> dict[str, object]:
        change(*BOUNDS)
        options["on_progress"](0.5)  # type: ignore[operator]  # the observer
        raise runner.Stopped("superseded")

    monkeypatch.setattr(media_child, "run", run)
    gaze.fn(row.id)
    assert [actor for actor, _ in waiting()][-1] == "delete_files"


def test_what_a_killed_worker_leaves_of_a_removed_part_is_deleted(series: Store) -> None:
    """Its message is redelivered, but there is no part any more, so that no other attempt removes it."""
    folder, removed, kept = video_of(parts()[0]).parent, parts()[1], parts()[3]
    change((0, 1500), (1500, 1600), (3100, 1400), (4500, 1500))
    with output_files([video_of(removed)]) as running:
        abandoned, of_a_part = (folder / f".{video_of(row).name}.0.attempt" for row in (removed, kept))
        for path in (abandoned, of_a_part):
            path.mkdir()
            (path / "0.mp4").write_bytes(b"half of a part")
        gaze.fn(removed.id)
        retention.clean_up(wiring.machine)
        assert [path.exists() for path in (abandoned, running.directory, of_a_part)] == [False, True, True]


def test_a_message_of_a_removed_part_is_cancelled(series: Store) -> None:
    change((0, 1500), (1500, 1600), (3100, 1400), (4500, 1500))
    removed = [row.id for row in parts() if row.status is SegmentStatus.PENDING]
    change(*BOUNDS)
    rendered = [args[0] for actor, args in waiting() if actor == "gaze"]
    assert rendered == [row.id for row in parts() if row.status is SegmentStatus.PENDING]
    assert not set(rendered) & set(removed)
    assert wiring.machine.broker.admin.cancel(*(rendering.message_id(one) for one in removed)) == 0


def test_a_kill_leaves_the_old_plan_or_the_new_one(series: Store) -> None:
    """Before every statement: the parts, the posts and the messages belong to one plan."""
    target = ((0, 1500), (1500, 900), (2400, 800), (4500, 1500))
    before = parts(), posts(), waiting()
    for number in range(1, 500):
        try:
            with killed_at(number):
                change(*target)
        except Killed:
            assert (parts(), posts(), waiting()) == before, f"killed before statement {number}"
        else:
            break
    else:
        raise AssertionError("it never ends")
    assert number > 20
    assert tuple(one.bounds for one in plan().parts) == target


def boundaries() -> st.SearchStrategy[list[tuple[int, int]]]:
    """Random parts of 180 to 1798 ticks, with and without stretches between them."""

    def build(steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
        found, at = [], 0
        for gap, frames in steps:
            if at + gap + frames > TOTAL:
                break
            found.append((at + gap, frames))
            at += gap + frames
        return found or [(0, 500)]

    gaps = st.one_of(st.just(0), st.integers(1, 400))
    return st.lists(st.tuples(gaps, st.integers(180, 1798)), min_size=1, max_size=12).map(build)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans=st.lists(boundaries(), min_size=1, max_size=4))
def test_random_plans_have_exactly_the_chosen_frames(series: Store, plans: list[list[tuple[int, int]]]) -> None:
    for bounds in plans:
        before = {cut_part.bounds: (row, _files(row)) for cut_part, row in zip(plan().parts, parts(), strict=True)}
        changed = change(*bounds)
        rows_after = parts()
        spans = [Span.from_json(row.span) for row in rows_after]
        assert [(span.first, span.frames) for span in spans] == bounds
        assert [row.segment_number for row in rows_after] == list(range(1, len(bounds) + 1))
        for span in spans:
            assert span.seek is None or (span.seek % 1001 == 0 and span.seek // 1001 <= span.first)
        for planned, row in zip(changed.parts, rows_after, strict=True):
            if planned.bounds in before:
                old, files = before[planned.bounds]
                assert replace(row, segment_number=old.segment_number) == old
                assert _files(row) == files, "not rendered again"
            else:
                assert row.status is SegmentStatus.PENDING
                video_of(row).write_text(row.id)  # it is rendered
        found = posts()
        assert sorted((post.segment_number, post.account_id) for post in found) == [
            (number, owner) for number in range(1, len(bounds) + 1) for owner in ("tiktok-1", "youtube-1")
        ]
        ids = {row.segment_number: row.id for row in rows_after}
        assert all(ids[post.segment_number] == post.segment_id for post in found)
        retention.delete_files(wiring.machine, "job", "replaced")
        assert {path.name for path in video_of(rows_after[0]).parent.iterdir() if path.suffix == ".mp4"} == {
            video_of(row).name for row in rows_after
        }


def _files(row: Segment) -> tuple[int, int] | None:
    """Return inode and time of a part's video; None if there is none."""
    try:
        found = video_of(row).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
