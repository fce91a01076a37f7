"""The plan of a job as a person sees and changes it: its parts on the time grid of the video."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import astuple, dataclass
from fractions import Fraction

from sqlalchemy import Connection

from actors.machine import Machine
from media.limits import MAX_CHOSEN_PARTS, MAX_PART_SECONDS, MIN_PART_SECONDS
from media.reading.spans import Span
from store import jobs, publications, segments
from store.jobs import Job
from store.publications import Publication
from store.segments import Segment
from store.states import JOB_OVER, PublicationStatus

__all__ = ["MAX_CHOSEN_PARTS", "MAX_PART_SECONDS", "MIN_PART_SECONDS"]

NOT_PLANNED, JOB_OVER_CODE, SOURCE_DELETED = "not_planned_yet", "job_over", "source_deleted"
STARTED = "publication_started"
SENTENCES = {
    NOT_PLANNED: "The video is still being examined. Its parts can be changed afterwards.",
    JOB_OVER_CODE: "The video is finished or was cancelled, so its parts can no longer be changed.",
    SOURCE_DELETED: "The uploaded file is deleted, so its parts can no longer be changed.",
    STARTED: "Every part is published or is just being published, so the parts can no longer be changed.",
}
"""Why the cuts of a job cannot be changed, by code."""

_BEGUN = frozenset(PublicationStatus) - {
    PublicationStatus.WAITING,
    PublicationStatus.FAILED,
    PublicationStatus.CANCELLED,
    PublicationStatus.EXPIRED,
}


class Outdated(Exception):
    """The plan is not the one that a person has seen.

    Attributes:
        version: of the plan as it is now.
    """

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version


@dataclass(frozen=True)
class PlannedPart:
    """A part, in ticks of the video's time grid."""

    number: int
    first: int
    frames: int
    cut_reason: str
    gaze_intensity: float | None  # None: that of the job
    begun: bool  # a publication of it has begun, so it can no longer be changed

    @property
    def bounds(self) -> tuple[int, int]:
        """Return the first tick and the number of ticks."""
        return self.first, self.frames


@dataclass(frozen=True)
class CutPlan:
    """The plan of a job.

    Attributes:
        job: the job.
        rate: ticks a second; None before the video is planned.
        total: ticks in the video.
        parts: in order.
        obstacle: code of the reason why nothing can be changed; None: it can.
    """

    job: Job
    rate: Fraction | None
    total: int
    parts: tuple[PlannedPart, ...]
    obstacle: str | None

    @property
    def version(self) -> str:
        """Return an identifier that changes with the parts and with what of them can be changed."""
        facts = repr((str(self.rate), self.total, [astuple(part) for part in self.parts], self.obstacle))
        return hashlib.sha256(facts.encode()).hexdigest()[:24]

    def seconds(self, tick: int) -> float:
        """Return the time of a tick in seconds after the video's beginning."""
        return 0.0 if self.rate is None else round(float(tick / self.rate), 6)


def read(machine: Machine, connection: Connection, job_id: str) -> CutPlan | None:
    """Return the plan of a job; None if there is no such job."""
    job = jobs.get(connection, job_id)
    if job is None:
        return None
    return of_rows(machine, job, segments.of_job(connection, job_id), publications.of_job(connection, job_id))


def of_rows(machine: Machine, job: Job, rows: Collection[Segment], posts: Collection[Publication]) -> CutPlan:
    """Return the plan that a job, its parts and their publications make."""
    begun = {post.segment_id for post in posts if has_begun(post)}
    spans = [Span.from_json(row.span) for row in rows]
    parts = tuple(
        PlannedPart(
            number=row.segment_number,
            first=span.first,
            frames=span.frames,
            cut_reason=row.cut_reason,
            gaze_intensity=row.gaze_intensity,
            begun=row.id in begun,
        )
        for row, span in zip(rows, spans, strict=True)
    )
    rate, total = (spans[0].rate, spans[0].total) if spans else (None, 0)
    return CutPlan(job, rate, total, parts, _obstacle(machine, job, parts))


def times_in_source(part: Segment) -> tuple[float, float] | None:
    """Return beginning and end of a part on the clock of its uploaded file, in seconds; None if they are unknown."""
    try:
        span = Span.from_json(part.span)
    except (KeyError, TypeError, ValueError):
        return None
    begins_s = float(span.origin_s) + span.start_s
    return round(begins_s, 3), round(begins_s + span.duration_s, 3)


def has_begun(publication: Publication) -> bool:
    """Return whether a step of a publication was begun, so that its numbers may be public."""
    return publication.status in _BEGUN or publication.step is not None or publication.started_at is not None


def _obstacle(machine: Machine, job: Job, parts: Collection[PlannedPart]) -> str | None:
    if job.status in JOB_OVER or job.files_deleted_at is not None:
        return JOB_OVER_CODE
    if job.segment_count is None or not parts:
        return NOT_PLANNED
    if job.source_deleted_at is not None or machine.files.stat(job.video_path) is None:
        return SOURCE_DELETED
    return STARTED if all(part.begun for part in parts) else None
