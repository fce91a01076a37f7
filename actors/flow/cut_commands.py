"""The command that changes the cuts of a job: parts are moved, merged, split or left out.

It is one transaction. Parts with the same frames and the same intensity keep their rows, files and publications; only
their numbers may change. All others are deleted, and new ones are rendered. A new part takes over the words and the
publications, with all that a person has decided about them, of the part before with which it shares the most frames.

While no post has begun, everything may change. Afterwards the number of parts is fixed, since "Part 1 of 5" is public,
and a part of which a post has begun stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from loguru import logger
from sqlalchemy import Connection

from actors.flow import cut_plan, holding, rendering
from actors.flow.completion import close_finished
from actors.flow.cut_plan import SENTENCES, CutPlan, Outdated
from actors.flow.events import emit
from actors.flow.job_commands import delete_media_dead_letters
from actors.flow.publication_commands import NotPossible
from actors.flow.scheduling import start_due
from actors.machine import Machine
from files import keys
from media.cutting import recut
from media.cutting.recut import BadCut, Bounds, ChosenPart
from media.reading.spans import Span
from store import job_plans, jobs, post_settings, publications, reviews, segments
from store.publications import Publication
from store.segments import Segment
from store.states import PublicationStatus, SegmentStatus

__all__ = ["BadCut"]

PART_FAILED = "part_failed"
"""Code of the publications of a part that could not be rendered."""


@dataclass(frozen=True)
class WantedPart:
    """A part as a person has chosen it.

    Attributes:
        start_s: seconds after the video's beginning.
        end_s: likewise.
        gaze_intensity: 0 to 1, 0: as filmed; None: that of the job.
    """

    start_s: float
    end_s: float
    gaze_intensity: float | None = None


def change(machine: Machine, job_id: str, version: str, cuts: Sequence[WantedPart]) -> CutPlan:
    """Change the cuts of a job; return its new plan. Nothing happens if it has exactly these parts.

    Args:
        machine: for its store.
        job_id: of the job.
        version: of the plan that is changed.
        cuts: all parts, in order.

    Raises:
        NotPossible: "unknown", or a code of `cut_plan.SENTENCES`.
        Outdated: the plan has changed since.
        media.cutting.recut.BadCut: see there.
    """
    with machine.store.writing(job=job_id) as connection:
        before = cut_plan.read(machine, connection, job_id)
        if before is None:
            raise NotPossible("unknown", "there is no such job")
        if before.obstacle is not None:
            raise NotPossible(before.obstacle, SENTENCES[before.obstacle])
        if version != before.version:
            raise Outdated(before.version)
        transition = _transition(connection, before, cuts)
        _check_begun(before, transition)
        if transition.is_empty:
            return before
        _apply(machine, connection, before, transition)
        after = cut_plan.read(machine, connection, job_id)
        assert after is not None
    removed = [rendering.message_id(row.id) for row in transition.removed]
    # After the commit: a message that is delivered before finds no part. A rendering that runs ends by itself at its
    # next progress, and has its files deleted.
    machine.broker.admin.cancel(*removed)
    delete_media_dead_letters(machine, {("gaze", row.id) for row in transition.removed})
    logger.info("Job {}: cut into {} parts, {} to render", job_id, len(after.parts), len(transition.added))
    return after


@dataclass(frozen=True)
class _NewPart:
    """A part of the new plan.

    Attributes:
        number: from 1.
        bounds: its frames.
        gaze_intensity: None: that of the job.
        row: the row of the same part in the plan before; None: it has to be rendered.
        source: the row in the plan before of which it takes over words and publications.
        shares_frames: with its source; otherwise only the accounts are taken over.
    """

    number: int
    bounds: Bounds
    gaze_intensity: float | None
    row: Segment | None
    source: Segment
    shares_frames: bool


@dataclass(frozen=True)
class _Transition:
    """The change from one plan to another."""

    rows: Sequence[Segment]
    parts: Sequence[_NewPart]

    @cached_property
    def removed(self) -> list[Segment]:
        kept = {part.row.id for part in self.parts if part.row is not None}
        return [row for row in self.rows if row.id not in kept]

    @cached_property
    def added(self) -> list[_NewPart]:
        return [part for part in self.parts if part.row is None]

    @property
    def is_empty(self) -> bool:
        return not self.removed and not self.added


def _transition(connection: Connection, before: CutPlan, cuts: Sequence[WantedPart]) -> _Transition:
    rows = segments.of_job(connection, before.job.id)
    by_bounds = {part.bounds: row for part, row in zip(before.parts, rows, strict=True)}
    before_bounds = [part.bounds for part in before.parts]
    grid = Span.from_json(rows[0].span)
    chosen = recut.snapped(grid, [ChosenPart(cut.start_s, cut.end_s) for cut in cuts], by_bounds)
    parts = []
    for number, (bounds, cut) in enumerate(zip(chosen, cuts, strict=True), start=1):
        shared, source_bounds = recut.closest(before_bounds, bounds)
        source = by_bounds[source_bounds]
        intensity = None if cut.gaze_intensity == before.job.gaze_intensity else cut.gaze_intensity
        row = by_bounds.get(bounds)
        if row is not None and row.gaze_intensity != intensity:
            row = None
        parts.append(_NewPart(number, bounds, intensity, row, source, shared > 0))
    return _Transition(rows, parts)


def _check_begun(before: CutPlan, transition: _Transition) -> None:
    """Refuse a change of a part of which a post has begun, and then also of the number of parts."""
    begun = [part.number for part in before.parts if part.begun]
    if not begun or transition.is_empty:
        return
    numbers = {part.row.segment_number: part.number for part in transition.parts if part.row is not None}
    changed = next((number for number in begun if numbers.get(number) != number), None)
    if changed is not None:
        raise NotPossible(cut_plan.STARTED, f"a post of part {changed} has begun, so the part can no longer be changed")
    if len(transition.parts) != len(before.parts):
        raise NotPossible(cut_plan.STARTED, f"a post of part {begun[0]} has begun, so the number of parts is fixed")


def _apply(machine: Machine, connection: Connection, before: CutPlan, transition: _Transition) -> None:
    job_id = before.job.id
    posts = publications.of_job(connection, job_id)
    segments.clear_numbers(connection, job_id)
    added = _new_rows(machine, connection, before, transition)
    segments.create(connection, added.values())
    _hand_over(machine, connection, transition, {number: row.id for number, row in added.items()}, posts)
    segments.delete(connection, [row.id for row in transition.removed])
    for part in transition.parts:
        if part.row is not None:
            segments.set_number(connection, part.row.id, part.number)
    post_settings.renumber(
        connection, job_id, {part.number: part.source.segment_number for part in transition.parts if part.shares_frames}
    )
    jobs.set_parts(connection, job_id, len(transition.parts), is_rendering=bool(added))
    reviews.keep_for_parts(connection, before.job, [row.id for row in added.values()], machine.now())
    for row in added.values():
        rendering.send(machine, row)
    machine.send("delete_files", job_id, "replaced")
    emit(machine, connection, "job.replanned", jobs.get(connection, job_id), parts=len(transition.parts))
    holding.update(machine, connection, job_id)
    close_finished(machine, connection, job_id)
    start_due(machine, connection)


def _new_rows(machine: Machine, connection: Connection, before: CutPlan, transition: _Transition) -> dict[int, Segment]:
    """Return the rows of the parts that have to be rendered, by number."""
    kept = job_plans.get(connection, before.job.id)
    spans = [Span.from_json(row.span) for row in transition.rows]
    key_frames = kept.key_frames if kept is not None else ()
    found = {}
    for part in transition.added:
        segment_id = machine.new_id("seg_")
        span = recut.span_of(spans, key_frames, part.bounds)
        found[part.number] = Segment(
            id=segment_id,
            job_id=before.job.id,
            segment_number=part.number,
            # No other part has ever had this path, so nothing of an earlier rendering can be there.
            file_path=keys.planned_part(before.job.id, part.number, segment_id.removeprefix("seg_")),
            duration=span.duration_s,
            status=SegmentStatus.PENDING,
            start_s=round(span.start_s, 6),
            span=span.to_json(),
            cut_reason=_cut_reason(before, part.bounds),
            gaze_intensity=part.gaze_intensity,
        )
    return found


def _cut_reason(before: CutPlan, bounds: Bounds) -> str:
    """Return why a new part ends where it ends: as a part before that ended there, or because a person chose it."""
    end = sum(bounds)
    if end == before.total:
        return recut.END
    return next((part.cut_reason for part in before.parts if sum(part.bounds) == end), recut.CHOSEN)


def _hand_over(
    machine: Machine,
    connection: Connection,
    transition: _Transition,
    added: dict[int, str],
    posts: Sequence[Publication],
) -> None:
    """Move the publications of removed parts to new ones, and copy them to the other parts that take them over."""
    removed = {row.id for row in transition.removed}
    moved: set[str] = set()
    for part in transition.added:
        segment_id = added[part.number]
        for post in [post for post in posts if post.segment_id == part.source.id]:
            if post.segment_id in removed and post.id not in moved and part.shares_frames:
                moved.add(post.id)
                publications.move(connection, post.id, segment_id, part.number)
                if post.code == PART_FAILED:
                    publications.restart(connection, [post.id], machine.now())
            else:
                publications.create(connection, [_copy(machine, post, segment_id, part)])


def _copy(machine: Machine, post: Publication, segment_id: str, part: _NewPart) -> Publication:
    """Return a publication of a new part on the account of another one, which has not begun."""
    copied = replace(
        post,
        id=machine.new_id("pub_"),
        segment_id=segment_id,
        segment_number=part.number,
        due_at=None,
        publish_now_at=None,
    )
    is_skipped = post.status is PublicationStatus.CANCELLED and part.shares_frames
    if post.status is PublicationStatus.WAITING or is_skipped or post.code == "account_disconnected":
        return copied
    return Publication(
        id=copied.id,
        job_id=copied.job_id,
        segment_id=segment_id,
        segment_number=part.number,
        platform=copied.platform,
        account_id=copied.account_id,
        status=PublicationStatus.WAITING,
        created_at=machine.now(),
        held=post.held,
        publish_after=post.publish_after,
    )
