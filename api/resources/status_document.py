"""The status document of a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from actors.flow import post_words
from actors.flow.cut_plan import times_in_source
from actors.flow.forecast import Prediction
from actors.flow.forecast_cache import AllOut, Forecast
from api.resources import documents
from files import keys
from platforms.next_steps import NEXT_STEPS, next_step
from store.accounts import Account
from store.attempts import PublishingAttempt, decode_attempts, decode_publishing_attempts
from store.job_numbers import PartNumbers
from store.jobs import Job
from store.partial_indexes import HELD
from store.platform_states import PlatformState
from store.post_settings import ALL_PARTS, ALL_TARGETS, PostSettings
from store.publications import Publication
from store.segments import Segment
from store.states import (
    JOB_OVER,
    PUBLICATION_OVER,
    PUBLICATION_UNPUBLISHED,
    AccountStatus,
    AllOutReason,
    JobPhase,
    JobStatus,
    PublicationStatus,
    ReviewReason,
    SegmentStatus,
    WaitsFor,
)

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
    stored: Collection[str],
    forecast: Forecast,
    outages: Sequence[PlatformState] = (),
    settings: Sequence[PostSettings] = (),
) -> documents.JobDocument:
    """Return the status document of a job.

    Args:
        job: the job.
        parts: its parts, in order.
        posts: its publications.
        accounts: those of the publications.
        stored: keys of the files of the job that exist.
        forecast: of all waiting publications.
        outages: of platforms; their waiting publications have no reason of their own.
        settings: words and options of its posts.
    """
    paused = {state.platform: state for state in outages}
    by_id = {account.id: account for account in accounts}
    by_part: dict[str, list[Publication]] = {part.id: [] for part in parts}
    for post in posts:
        by_part[post.segment_id].append(post)
    numbers = [_numbers(part, by_part[part.id]) for part in parts]
    has_source = job.source_deleted_at is None and job.video_path in stored
    predictions = {
        post.id: _prediction(job, part, post, by_id.get(post.account_id), forecast)
        for part in parts
        for post in by_part[part.id]
    }
    all_out = _all_out(job, [one for one in predictions.values() if one is not None], forecast)
    return {
        **summary(job, numbers, Counter(post.status for post in posts), forecast),
        "all_out_by": timestamp(all_out.at),
        "all_out_reason": all_out.reason,
        "caption": job.caption,
        "platform_words": {one.target: _words(one) for one in settings if one.segment_number == ALL_PARTS},
        "part_words": {str(one.segment_number): _words(one) for one in settings if one.target == ALL_TARGETS},
        "error": job.error,
        "error_code": job.error_code,
        "attempts": _attempts(job.attempts),
        "retry_at": timestamp(job.retry_at),
        "dry_run": job.is_dry_run,
        "warnings": (job.facts or {}).get("warnings", []),
        "metadata": job.metadata,
        "platforms": job.platforms,
        "accounts": job.accounts,
        "size_bytes": job.size_bytes,
        "gaze_intensity": job.gaze_intensity,
        "segment_seconds": job.segment_seconds,
        "publish_after": timestamp(job.publish_after),
        "held": job.held,
        "started_at": timestamp(job.started_at),
        "completed_at": timestamp(job.completed_at),
        "source_deleted_at": timestamp(job.source_deleted_at),
        "files_deleted_at": timestamp(job.files_deleted_at),
        "segments": [
            _part(
                job,
                part,
                len(parts),
                [
                    _post(
                        post,
                        by_id.get(post.account_id),
                        paused.get(post.platform),
                        predictions[post.id],
                        _sent_words(job, post, settings),
                    )
                    for post in by_part[part.id]
                ],
                stored,
                has_source=has_source,
            )
            for part in parts
        ],
    }


def summary(
    job: Job, parts: Sequence[PartNumbers], posts: Mapping[str, int], forecast: Forecast
) -> documents.JobSummaryDocument:
    """Return the entry of a job in the list of jobs.

    Args:
        job: the job.
        parts: the numbers of its parts.
        posts: how many of its publications are in each state.
        forecast: of all waiting publications.
    """
    mine = forecast.jobs.get(job.id)
    waiting = posts.get(PublicationStatus.WAITING, 0)
    is_complete = mine is not None and mine.count >= waiting and not posts.get(PublicationStatus.OUTCOME_UNKNOWN)
    return {
        "job_id": job.id,
        "status": job.status,
        "phase": phase(job, posts, None if mine is None else mine.next_at, forecast.made_at),
        "progress": round(progress(job, parts), 4),
        "next_at": timestamp(None if mine is None else mine.next_at),
        "last_at": timestamp(mine.last_at if mine is not None and is_complete else None),
        "posts": {status: posts.get(status, 0) for status in PublicationStatus},
        "title": job.title,
        "original_name": job.original_name,
        "created_at": timestamp(job.created_at),
        "review": _review(job),
    }


def phase(job: Job, posts: Mapping[str, int], next_at: datetime | None, now: datetime) -> JobPhase:
    """Return the phase of a job: its state, and while it is publishing, whether a post goes out now or waits.

    Args:
        job: the job.
        posts: how many of its publications are in each state.
        next_at: predicted start of the next one.
        now: when that was predicted.
    """
    if job.status is not JobStatus.PUBLISHING:
        return JobPhase(job.status)
    if posts.get(PublicationStatus.PUBLISHING) or (next_at is not None and next_at <= now):
        return JobPhase.PUBLISHING
    return JobPhase.BLOCKED if next_at is None else JobPhase.SCHEDULED


def progress(job: Job, parts: Sequence[PartNumbers]) -> float:
    """Return the progress of a job, 0 to 1; parts count by their duration.

    A failed or cancelled job keeps its last progress; a job that ended otherwise is at 1.
    """
    if job.status in JOB_OVER - {JobStatus.FAILED, JobStatus.CANCELLED}:
        return 1.0
    if not parts:
        return 0.0
    whole_s = sum(part.duration_s or 1.0 for part in parts)
    done_s = sum((part.duration_s or 1.0) * _part_progress(part) for part in parts)
    return min(PLANNING_SHARE + (1 - PLANNING_SHARE) * done_s / whole_s, 1.0)


def _part_progress(part: PartNumbers) -> float:
    if part.status in {SegmentStatus.DONE, SegmentStatus.FAILED}:
        return 1.0
    rendered = 1.0 if part.status == SegmentStatus.READY else min(max(part.progress, 0.0), 1.0)
    published = (part.over + part.under_way / 2) / part.posts if part.posts else 0.0
    return RENDERING_SHARE * rendered + (1 - RENDERING_SHARE) * published


def _numbers(part: Segment, posts: Sequence[Publication]) -> PartNumbers:
    return PartNumbers(
        status=part.status,
        duration_s=part.duration,
        progress=part.progress,
        posts=len(posts),
        over=sum(post.status in PUBLICATION_OVER for post in posts),
        under_way=sum(post.status is PublicationStatus.PUBLISHING for post in posts),
    )


def _part(
    job: Job,
    part: Segment,
    of: int,
    publications: list[documents.PublicationDocument],
    stored: Collection[str],
    *,
    has_source: bool,
) -> documents.SegmentDocument:
    base = f"/jobs/{job.id}/segments/{part.segment_number}"
    links = {kind: f"{base}/{kind}" for kind in keys.KINDS if any(key in stored for key in file_keys(part, kind))}
    if has_source and (times := times_in_source(part)) is not None:
        links["original"] = f"{base}/original#t={times[0]},{times[1]}"
    return {
        "number": part.segment_number,
        "of": of,
        "status": part.status,
        "progress": round(part.progress, 4),
        "start_s": part.start_s,
        "duration_s": part.duration,
        "cut_reason": part.cut_reason,
        "approved": _is_approved(job, part),
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


def _is_approved(job: Job, part: Segment) -> bool:
    return not job.review_reasons or job.approved_at is not None or part.approved_at is not None


def _review(job: Job) -> documents.ReviewDocument | None:
    if not job.review_reasons:
        return None
    return {
        "reasons": [ReviewReason(reason) for reason in job.review_reasons],
        "approved_at": timestamp(job.approved_at),
    }


def _post(
    post: Publication,
    account: Account | None,
    outage: PlatformState | None,
    prediction: Prediction | None,
    words: documents.SentWordsDocument,
) -> documents.PublicationDocument:
    code, reason = post.code, post.reason
    if post.status is PublicationStatus.WAITING and code is None and outage is not None:
        code, reason = PLATFORM_PAUSED, outage.reason
    return {
        "id": post.id,
        "platform": post.platform,
        "account": "" if account is None else account.name,
        "account_id": post.account_id,
        "status": post.status,
        "link": post.link,
        "due_at": timestamp(post.due_at),
        "expected_at": None if prediction is None else timestamp(prediction.at),
        "waits_for": None if prediction is None else prediction.waits_for,
        "reason": reason,
        "code": code,
        "next_step": next_step(code) if _needs_step(post, code) else None,
        "ended_at": timestamp(post.ended_at),
        "held": post.held,
        "publish_after": timestamp(post.publish_after),
        "publish_now": post.publish_now_at is not None,
        **words,
        "attempts": [_publishing_attempt(attempt) for attempt in decode_publishing_attempts(post.attempts)],
    }


def _sent_words(job: Job, post: Publication, settings: Sequence[PostSettings]) -> documents.SentWordsDocument:
    words = post_words.shown(post, job, settings)
    key = (post.segment_number, post.account_id)
    own = next((one for one in settings if one.key == key), None)
    return {
        "own_words": None if own is None else _words(own),
        "title": words.title,
        "caption": None if words.caption == job.caption else words.caption,
        "options": dict(words.options),
        "editable": post_words.is_editable(post) and job.files_deleted_at is None,
    }


def _words(settings: PostSettings) -> documents.WordsDocument:
    return {"title": settings.title, "caption": settings.caption, "options": settings.options}


def _publishing_attempt(attempt: PublishingAttempt) -> documents.PublishingAttemptDocument:
    return {
        "at": timestamp(attempt.at),
        "step": attempt.step,
        "code": attempt.code,
        "detail": attempt.detail,
        "platform_code": attempt.platform_code,
        "log_id": attempt.log_id,
    }


def _needs_step(post: Publication, code: str | None) -> bool:
    """Return whether something went wrong with a publication that is not settled."""
    if post.status in PUBLICATION_UNPUBLISHED or post.status is PublicationStatus.OUTCOME_UNKNOWN:
        return True
    return post.status in {PublicationStatus.WAITING, PublicationStatus.PUBLISHING} and code in NEXT_STEPS


def _prediction(
    job: Job, part: Segment, post: Publication, account: Account | None, forecast: Forecast
) -> Prediction | None:
    """Return the prediction of a waiting publication; None for another one."""
    if post.status is not PublicationStatus.WAITING:
        return None
    waits_for = unpredicted(
        account_status=AccountStatus.CONNECTED if account is None else account.status,
        needs_approval=not _is_approved(job, part),
        held=post.held,
        segment_status=part.status,
        code=post.code,
    )
    return forecast.posts.get(post.id) or Prediction(None, waits_for, job.id, part.id)


def _all_out(job: Job, predictions: Sequence[Prediction], forecast: Forecast) -> AllOut:
    """Return when all waiting publications of a job have ended, or why nobody can know."""
    if job.status in JOB_OVER:
        return AllOut()
    if job.segment_count is None:
        return forecast.expected.get(job.id) or AllOut(reason=AllOutReason.NOT_PLANNED_YET)
    blocked = next((one for one in predictions if one.at is None), None)
    if blocked is not None:
        is_late = blocked.waits_for is WaitsFor.NEXT
        return AllOut(reason=AllOutReason.EXPIRES if is_late else blocked.waits_for)
    return AllOut(max((one.ends_at for one in predictions if one.ends_at is not None), default=None))


def unpredicted(
    *, account_status: str, needs_approval: bool, held: bool, segment_status: str, code: str | None
) -> WaitsFor:
    """Return what a publication waits for whose turn does not come before it expires, or whose account is unusable."""
    if account_status != AccountStatus.CONNECTED:
        return WaitsFor.ACCOUNT
    if needs_approval:
        return WaitsFor.APPROVAL
    if held:
        return WaitsFor.HOLD
    if segment_status in {SegmentStatus.PENDING, SegmentStatus.RENDERING}:
        return WaitsFor.RENDERING
    return WaitsFor.EARLIER_PART if code == HELD else WaitsFor.NEXT


def outage_document(state: PlatformState) -> documents.OutageDocument:
    """Return the document of a platform's outage."""
    return {
        "paused_until": timestamp(state.paused_until),
        "since": timestamp(state.since),
        "failures_in_a_row": state.failures_in_a_row,
        "code": state.code,
        "reason": state.reason,
    }


def file_keys(part: Segment, kind: str) -> list[str]:
    """Return the keys of a part's file, the preferred one first: small copies of pictures are kept longer."""
    if kind == "video":
        return [part.file_path]
    key = keys.beside(part.file_path, keys.KINDS[kind])
    return [key, keys.small(key)] if kind in keys.PICTURES else [key]


def timestamp(value: datetime | None) -> str | None:
    """Return a time as RFC 3339 text with milliseconds, in UTC."""
    return None if value is None else value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
