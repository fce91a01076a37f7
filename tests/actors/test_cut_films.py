"""A real video that is planned, rendered, cut differently and rendered again: each frame that was chosen, once."""

from __future__ import annotations

from dataclasses import replace

from actors import wiring
from actors.flow import cut_commands, cut_plan
from actors.flow.cut_commands import WantedPart
from actors.gaze import gaze
from actors.split import split
from store import Store, accounts, job_plans, jobs, segments
from store.segments import Segment
from store.states import JobStatus, ReviewReason
from tests.actors.queues import waiting
from tests.media import films
from tests.store import rows

RATE = 25


def render_all() -> list[Segment]:
    """Deliver the messages of all parts that wait to be rendered; return the parts."""
    for actor, args in waiting():
        if actor == "gaze":
            gaze.fn(*args)
    with wiring.machine.store.reading() as connection:
        return segments.of_job(connection, "job")


def numbers_of(row: Segment) -> list[int]:
    """Return the numbers that are drawn on the frames of a part."""
    return films.read(wiring.machine.in_data(row.file_path)).numbers


def test_a_video_is_cut_differently_and_only_what_changed_is_rendered(store: Store) -> None:
    source = wiring.machine.in_data("uploads/job/source")
    source.parent.mkdir(parents=True)
    films.write(source.with_suffix(".mp4"), films.at_rate(RATE, 500), sound=films.noise(20), options={"g": "40"})
    source.with_suffix(".mp4").rename(source)
    job = replace(rows.job(status=JobStatus.PENDING, parts=None), gaze_intensity=0.0, segment_seconds=7.0)
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, rows.account())
        jobs.create(connection, replace(job, review_reasons=[ReviewReason.REQUESTED]))
    split.fn("job")
    first = render_all()
    assert [number for row in first for number in numbers_of(row)] == list(range(500))
    with store.reading() as connection:
        plan = cut_plan.read(wiring.machine, connection, "job")
        kept = job_plans.get(connection, "job")
    assert plan is not None
    assert kept is not None
    assert len(kept.key_frames) >= 8
    assert kept.peaks is not None
    assert len(plan.parts) > 2
    inode = wiring.machine.in_data(first[0].file_path).stat().st_ino

    cut = first[0].duration or 0.0
    cut_commands.change(
        wiring.machine, "job", plan.version,
        [WantedPart(0, cut), WantedPart(cut, cut + 6.28), WantedPart(13.48, 19.6)],
    )  # fmt: skip
    second = render_all()
    frame = round(cut * RATE)
    assert second[0] == first[0]
    assert wiring.machine.in_data(second[0].file_path).stat().st_ino == inode
    assert [numbers_of(row) for row in second[1:]] == [list(range(frame, frame + 157)), list(range(337, 490))]
    with store.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    assert found.status is JobStatus.REVIEW
