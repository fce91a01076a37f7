"""The status document of a job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from api.resources import documents
from store.accounts import Account
from store.attempts import PublishingAttempt, decode_attempts, decode_publishing_attempts
from store.jobs import Job
from store.platform_states import PlatformState
from store.publications import Publication
from store.segments import Segment
from store.states import JOB_OVER, PUBLICATION_OVER, JobStatus, PublicationStatus, ReviewReason, SegmentStatus

PLANNING_SHARE = 0.05
"""Share of planning in the progress of a job."""

PLATFORM_PAUSED = "platform_paused"
"""Code of a publication that waits for the end of its platform's outage."""

RENDERING_SHARE = 0.75
"""Share of rendering in the progress of a part; the rest is publishing."""


def document(
    job: Job,
    parts: Sequence[Segment],
    posts: Sequence[Publication],
    accounts: Sequence[Account],
    data_dir: Path,
    outages: Sequence[PlatformState] = (),
) -> documents.JobDocument:
    """Return the status document of a job.

    Args:
        job: the job.
        parts: its parts, in order.
        posts: its publications.
        accounts: those of the publications.
        data_dir: where the files of the parts are.
        outages: of platforms; their waiting publications have no reason of their own.
    """
    names = {account.id: account.name for account in accounts}
    paused = {state.platform: state for state in outages}
    return {
        **summary(job, parts, posts),
        "caption": job.caption,
        "error": job.error,
        "error_code": job.error_code,
        "attempts": _attempts(job.attempts),
        "retry_at": timestamp(job.retry_at),
        "review": _review(job),
        "warnings": (job.facts or {}).get("warnings", []),
        "metadata": job.metadata,
        "platforms": job.platforms,
        "size_bytes": job.size_bytes,
        "gaze_intensity": job.gaze_intensity,
        "segment_seconds": job.segment_seconds,
        "publish_after": timestamp(job.publish_after),
        "started_at": timestamp(job.started_at),
        "completed_at": timestamp(job.completed_at),
        "source_deleted_at": timestamp(job.source_deleted_at),
        "files_deleted_at": timestamp(job.files_deleted_at),
        "segments": [
            _part(
                job,
                part,
                len(parts),
                [_post(post, names, paused.get(post.platform)) for post in posts if post.segment_id == part.id],
                data_dir,
            )
            for part in parts
        ],
    }


def summary(job: Job, parts: Sequence[Segment], posts: Sequence[Publication]) -> documents.JobSummaryDocument:
    """Return the entry of a job in the list of jobs."""
    return {
        "job_id": job.id,
        "status": job.status,
        "progress": round(progress(job, parts, posts), 4),
        "title": job.title,
        "original_name": job.original_name,
        "created_at": timestamp(job.created_at),
    }


def progress(job: Job, parts: Sequence[Segment], posts: Sequence[Publication]) -> float:
    """Return the progress of a job, 0 to 1; parts count by their duration.

    A failed or cancelled job keeps its last progress; a job that ended otherwise is at 1.
    """
    if job.status in JOB_OVER - {JobStatus.FAILED, JobStatus.CANCELLED}:
        return 1.0
    if not parts:
        return 0.0
    whole_s = sum(part.duration or 1.0 for part in parts)
    done_s = sum((part.duration or 1.0) * _part_progress(part, posts) for part in parts)
    return min(PLANNING_SHARE + (1 - PLANNING_SHARE) * done_s / whole_s, 1.0)


def _part_progress(part: Segment, posts: Sequence[Publication]) -> float:
    if part.status in {SegmentStatus.DONE, SegmentStatus.FAILED}:
        return 1.0
    rendered = 1.0 if part.status == SegmentStatus.READY else min(max(part.progress, 0.0), 1.0)
    mine = [post for post in posts if post.segment_id == part.id]
    published = sum(_post_progress(post) for post in mine) / len(mine) if mine else 0.0
    return RENDERING_SHARE * rendered + (1 - RENDERING_SHARE) * published


def _post_progress(post: Publication) -> float:
    if post.status in PUBLICATION_OVER:
        return 1.0
    return 0.5 if post.status == PublicationStatus.PUBLISHING else 0.0


def _part(
    job: Job,
    part: Segment,
    of: int,
    publications: list[documents.PublicationDocument],
    data_dir: Path,
) -> documents.SegmentDocument:
    base = f"/jobs/{job.id}/segments/{part.segment_number}"
    links = {kind: f"{base}/{kind}" for kind, path in file_paths(part, data_dir).items() if path.is_file()}
    return {
        "number": part.segment_number,
        "of": of,
        "status": part.status,
        "progress": round(part.progress, 4),
        "start_s": part.start_s,
        "duration_s": part.duration,
        "cut_reason": part.cut_reason,
        "gaze": cast("documents.GazeDocument | None", part.gaze),
        "rendering": part.rendering,
        "reason": part.reason,
        "attempts": _attempts(part.attempts),
        "retry_at": timestamp(part.retry_at),
        "size_bytes": part.size_bytes,
        "stage_seconds": part.stage_seconds,
        "links": links,
        "publications": publications,
    }


def _attempts(stored: Sequence[dict[str, Any]] | None) -> list[documents.AttemptDocument]:  # Any: JSON
    # The child's stderr may contain paths: it is shown in the dead letter only.
    return [
        {
            "began_at": timestamp(attempt.began_at),
            "ended_at": timestamp(attempt.ended_at),
            "settings": attempt.settings,
            "outcome": attempt.outcome,
            "exit_code": attempt.exit_code,
            "signal": attempt.signal,
            "held_bytes": attempt.held_bytes,
            "limit_bytes": attempt.limit_bytes,
            "deadline_s": attempt.deadline_s,
        }
        for attempt in decode_attempts(stored)
    ]


def _review(job: Job) -> documents.ReviewDocument | None:
    if not job.review_reasons:
        return None
    return {
        "reasons": [ReviewReason(reason) for reason in job.review_reasons],
        "approved_at": timestamp(job.approved_at),
    }


def _post(post: Publication, names: dict[str, str], outage: PlatformState | None) -> documents.PublicationDocument:
    code, reason = post.code, post.reason
    if post.status is PublicationStatus.WAITING and code is None and outage is not None:
        code, reason = PLATFORM_PAUSED, outage.reason
    return {
        "id": post.id,
        "platform": post.platform,
        "account": names.get(post.account_id, ""),
        "account_id": post.account_id,
        "status": post.status,
        "link": post.link,
        "due_at": timestamp(post.due_at),
        "reason": reason,
        "code": code,
        "ended_at": timestamp(post.ended_at),
        "attempts": [_publishing_attempt(attempt) for attempt in decode_publishing_attempts(post.attempts)],
    }


def _publishing_attempt(attempt: PublishingAttempt) -> documents.PublishingAttemptDocument:
    return {
        "at": timestamp(attempt.at),
        "step": attempt.step,
        "code": attempt.code,
        "detail": attempt.detail,
        "platform_code": attempt.platform_code,
        "log_id": attempt.log_id,
    }


def outage_document(state: PlatformState) -> documents.OutageDocument:
    """Return the document of a platform's outage."""
    return {
        "paused_until": timestamp(state.paused_until),
        "since": timestamp(state.since),
        "failures_in_a_row": state.failures_in_a_row,
        "code": state.code,
        "reason": state.reason,
    }


def file_paths(part: Segment, data_dir: Path) -> dict[str, Path]:
    """Return the paths of a part's files by kind; the kind is the last component of their URLs."""
    video = data_dir / part.file_path
    return {
        "video": video,
        "cover": video.with_suffix(".cover.jpg"),
        "preview": video.with_suffix(".preview.jpg"),
    }


def timestamp(value: datetime | None) -> str | None:
    """Return a time as RFC 3339 text with milliseconds, in UTC."""
    return None if value is None else value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
