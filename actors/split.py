"""split: look at an uploaded video, decide where it is cut, and ask for each part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dramatiq
from loguru import logger

from actors import rendering, wiring
from actors.announce import announce
from actors.settling import fail_job
from media import runner
from store import accounts, jobs, publications, segments
from store.jobs import Job
from store.publications import Publication
from store.segments import Segment
from store.states import JobStatus, PublicationStatus, SegmentStatus

PLAN_DEADLINE_S = 1800.0  # a look through three hours of video; the pictures are only sampled
PLANNING_LOST = {
    runner.OutOfMemory: "examining the video takes more memory than this machine has",
    runner.DeadlinePassed: "examining the video takes longer than this machine allows",
    runner.ChildDied: "the video could not be examined; its data may be damaged",
}


@dramatiq.actor(queue_name="media", max_retries=3)
def split(job_id: str) -> None:
    """Plan one job. Harmless when the job has a plan already."""
    job = _begin(job_id)
    if job is None:
        return
    try:
        plan, fallback = rendering.with_gaze_or_without(_planner(job), job)
    except runner.Stopped:
        rendering.send_split(job_id)  # this worker goes; another one starts afresh
    except runner.Refused as refused:
        fail_job(job_id, code=refused.code, error=refused.detail, retryable=False)
    except (runner.OutOfMemory, runner.DeadlinePassed, runner.ChildDied) as lost:
        logger.error("job {}: planning failed: {}", job_id, lost)
        fail_job(job_id, code=rendering.LOST[type(lost)], error=PLANNING_LOST[type(lost)], retryable=True)
    else:
        if fallback is not None:
            plan["facts"]["planned_without_gaze"] = fallback  # kept with the job, and logged; no page shows it
        _record(job_id, plan)


def _begin(job_id: str) -> Job | None:
    with wiring.store.writing() as connection:
        job = jobs.get(connection, job_id)
        if job is None or job.segment_count is not None:
            return None
        if jobs.begin(connection, job_id, wiring.now()):
            announce(connection, "job.processing", job)
            return job
        return job if job.status is JobStatus.PROCESSING else None


def _planner(job: Job) -> Callable[[float], dict[str, Any]]:  # Any: JSON of `media.plan`
    def plan(intensity: float) -> dict[str, Any]:  # Any: as above
        arguments = [
            str(wiring.in_data(job.video_path)),
            "--segment-seconds", str(job.segment_seconds),
            "--intensity", str(intensity),
        ]  # fmt: skip
        if wiring.settings.loudness is not None:
            arguments += ["--loudness", str(wiring.settings.loudness)]
        return rendering.run_child("plan", arguments, deadline_s=PLAN_DEADLINE_S)

    return plan


def _record(job_id: str, plan: dict[str, Any]) -> None:  # Any: JSON of `media.plan`
    with wiring.store.writing() as connection:
        planned = jobs.set_plan(
            connection, job_id, facts=plan["facts"], gaze_zero=plan["zero"], segment_count=len(plan["spans"])
        )
        job = jobs.get(connection, job_id)
        if not planned or job is None:
            return
        parts = [_segment(job, span) for span in plan["spans"]]
        segments.create(connection, parts)
        wanted = [a for a in accounts.connected(connection) if job.platforms is None or a.platform in job.platforms]
        publications.create(connection, [_publication(part, account) for part in parts for account in wanted])
        for part in parts:
            rendering.send_gaze(part)
    logger.info("job {}: {} parts for {} accounts", job_id, len(parts), len(wanted))


def _segment(job: Job, span: dict[str, Any]) -> Segment:  # Any: JSON of `media.plan`
    number = int(span["number"])
    return Segment(
        id=wiring.new_id("seg_"),
        job_id=job.id,
        segment_number=number,
        file_path=f"jobs/{job.id}/part-{number:03}.mp4",
        duration=float(span["duration_s"]),
        status=SegmentStatus.PENDING,
        start_s=float(span["start_s"]),
        span=span["span"],
        cut_reason=str(span["cut_reason"]),
    )


def _publication(part: Segment, account: accounts.Account) -> Publication:
    return Publication(
        id=wiring.new_id("pub_"),
        job_id=part.job_id,
        segment_id=part.id,
        segment_number=part.segment_number,
        platform=account.platform,
        account_id=account.id,
        status=PublicationStatus.WAITING,
        created_at=wiring.now(),
    )
