"""split: look at an uploaded video, decide where it is cut, and ask for each part."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import dramatiq
from dramatiq.errors import Retry
from loguru import logger
from sqlalchemy import Connection

from actors import wiring
from actors.flow import rendering, retrying
from actors.flow.completion import end_job, fail_job
from actors.flow.events import announce
from actors.flow.retrying import MediaSettings
from actors.machine import Machine
from actors.recovery.missing_files import FILE_MISSING, NO_SUCH_FILE, UPLOAD_GONE
from media.process import runner
from store import accounts, jobs, publications, segments
from store.attempts import MediaAttempt, MediaOutcome, decode_attempts
from store.jobs import Job
from store.publications import Publication
from store.segments import Segment
from store.states import JobStatus, PublicationStatus, ReviewReason, SegmentStatus

PLAN_DEADLINE_S = 1800.0  # a look through three hours of video; the pictures are only sampled
PLANNING_LOST = {
    MediaOutcome.OUT_OF_MEMORY: "Examining the video needs more memory than this server has. Upload a smaller version.",
    MediaOutcome.DEADLINE_PASSED: "Examining the video takes longer than this server allows. Upload a shorter video.",
    MediaOutcome.CRASHED: "The decoder crashed on this video. Convert it to MP4 with H.264 and AAC, and upload that.",
    MediaOutcome.INTERNAL_ERROR: (
        "An error in VidProd stopped the examination of this video. Try again, or report the error to the operator."
    ),
    MediaOutcome.INTERRUPTED: "The server stopped several times while it examined the video. Try again.",
}
MUTE_REFUSED = (
    "The sound of this video cannot be read, so its parts would be silent. Convert it to MP4 with AAC sound and upload "
    "it again."
)


@dataclass(frozen=True)
class _Claim:
    """The claim of this worker on a job, with the settings of its attempt."""

    job: Job
    token: str
    attempts: list[MediaAttempt]  # earlier ones, oldest first
    settings: MediaSettings


@dramatiq.actor(queue_name="media", max_retries=3, retry_when=retrying.should_retry, throws=retrying.GivenUp)
def split(job_id: str) -> None:
    """Plan one job. Harmless when the job has a plan already."""
    claim = _begin(wiring.machine, job_id)
    if claim is None:
        return
    began_at = wiring.machine.now()
    try:
        plan = _plan(wiring.machine, claim)
    except runner.Stopped:
        _requeue(wiring.machine, claim)
    except runner.Refused as refused:
        if refused.code == NO_SUCH_FILE:  # retryable: the file may be in lost+found
            fail_job(wiring.machine, job_id, code=FILE_MISSING, error=UPLOAD_GONE, retryable=True)
        else:
            fail_job(wiring.machine, job_id, code=refused.code, error=refused.detail, retryable=False)
    except runner.ChildError as failure:
        _record_failure(
            wiring.machine, claim, retrying.failed_attempt(wiring.machine, failure, claim.settings, began_at)
        )
    else:
        if claim.job.gaze_intensity > 0 and claim.settings is not MediaSettings.FULL:
            plan["facts"]["planned_without_gaze"] = claim.attempts[-1].outcome  # kept with the job; no page shows it
        _record(wiring.machine, job_id, plan)


def _begin(machine: Machine, job_id: str) -> _Claim | None:
    """Claim a job for an attempt; None if there is nothing to do.

    Raises:
        Retry: the job waits for its next attempt.
        GivenUp: no attempt is left.
    """
    token = secrets.token_hex(8)
    with machine.store.writing() as connection:
        job = jobs.get(connection, job_id)
        if job is None or job.segment_count is not None:
            return None
        attempts = decode_attempts(job.attempts)
        if job.status is JobStatus.FAILED and retrying.are_exhausted(attempts):
            raise _given_up(job, attempts)  # recorded, but its worker ended before the message was dead-lettered
        if jobs.begin(connection, job_id, machine.now()):
            announce(machine, connection, "job.processing", job)
        if job.retry_at is not None and job.retry_at > machine.now():
            raise retrying.wait_until(machine, job.retry_at)  # likewise, before the message was delayed
        with_gaze = job.gaze_intensity > 0
        if job.attempt is not None:
            before = retrying.settings_after(attempts, with_gaze=with_gaze)
            began_at = attempts[-1].ended_at if attempts else job.started_at  # at the earliest
            attempts.append(retrying.interrupted_attempt(machine, began_at, before))
        if not jobs.claim(connection, job_id, token, attempts=attempts):
            return None
        claim = _Claim(job, token, attempts, retrying.settings_after(attempts, with_gaze=with_gaze))
        if not retrying.are_exhausted(attempts):
            return claim
        error = _put_back(machine, connection, claim, attempts)
    retrying.log_given_up(_name(job), attempts)
    raise error or _given_up(job, attempts)


def _requeue(machine: Machine, claim: _Claim) -> None:
    """Release the job and send its message again: this worker is stopping."""
    with machine.store.writing() as connection:
        if jobs.release(connection, claim.job.id, claim.token):
            rendering.send_split(machine, claim.job.id)


def _record_failure(machine: Machine, claim: _Claim, attempt: MediaAttempt) -> None:
    """Record a failed attempt; raise Retry or GivenUp for its message."""
    attempts = [*claim.attempts, attempt]
    with machine.store.writing() as connection:
        error = _put_back(machine, connection, claim, attempts)
    if error is not None:
        retrying.log_failure(machine, _name(claim.job), attempts, error, with_gaze=claim.job.gaze_intensity > 0)
        raise error


def _put_back(
    machine: Machine, connection: Connection, claim: _Claim, attempts: list[MediaAttempt]
) -> Retry | retrying.GivenUp | None:
    """Record the attempts so far; the job waits for the next one, or fails.

    Returns:
        The exception to raise for the message; None if the job has ended, or another worker has claimed it.
    """
    outcome, spent = attempts[-1].outcome, retrying.are_exhausted(attempts)
    moment = None if spent else retrying.retry_moment(machine, attempts)
    if not jobs.put_back(connection, claim.job.id, claim.token, attempts=attempts, retry_at=moment):
        return None
    if moment is not None:
        return retrying.wait_until(machine, moment)
    end_job(machine, connection, claim.job.id, code=outcome, error=PLANNING_LOST[outcome], retryable=True)
    return _given_up(claim.job, attempts)


def _given_up(job: Job, attempts: list[MediaAttempt]) -> retrying.GivenUp:
    return retrying.given_up(_name(job), attempts, job)


def _name(job: Job) -> str:
    return f"job {job.id} planning"


def _plan(machine: Machine, claim: _Claim) -> dict[str, Any]:  # Any: JSON of `media.plan`
    job, settings = claim.job, claim.settings
    arguments = [
        str(machine.in_data(job.video_path)),
        "--segment-seconds", str(job.segment_seconds),
        "--intensity", str(job.gaze_intensity),
    ]  # fmt: skip
    if settings is not MediaSettings.FULL:  # the networks that find the zero need most of a plan's memory and time
        arguments.append("--without-zero")
    if settings is MediaSettings.LEAST:
        arguments.append("--without-scenes")
    elif machine.settings.loudness is not None:
        arguments += ["--loudness", str(machine.settings.loudness)]
    return rendering.run_child(machine, "plan", arguments, deadline_s=PLAN_DEADLINE_S)


def _record(machine: Machine, job_id: str, plan: dict[str, Any]) -> None:  # Any: JSON of `media.plan`
    is_mute = ReviewReason.SOUND_UNREADABLE in plan["facts"].get(
        "warnings", ()
    )  # `media.reading.facts` has the same code
    if is_mute and machine.settings.mute_video == "refuse":
        fail_job(machine, job_id, code=ReviewReason.SOUND_UNREADABLE, error=MUTE_REFUSED, retryable=True)
        return
    asks = is_mute and machine.settings.mute_video == "ask"
    with machine.store.writing() as connection:
        planned = jobs.set_plan(
            connection,
            job_id,
            facts=plan["facts"],
            gaze_zero=plan["zero"],
            segment_count=len(plan["spans"]),
        )
        if planned and asks:
            jobs.ask_for_review(connection, job_id, ReviewReason.SOUND_UNREADABLE)
        job = jobs.get(connection, job_id)
        if not planned or job is None:
            return
        parts = [_segment(machine, job, span) for span in plan["spans"]]
        segments.create(connection, parts)
        wanted = [a for a in accounts.connected(connection) if job.platforms is None or a.platform in job.platforms]
        publications.create(connection, [_publication(machine, part, account) for part in parts for account in wanted])
        for part in parts:
            rendering.send_gaze(machine, part)
    logger.info("job {}: {} for {}", job_id, _count(len(parts), "part"), _count(len(wanted), "account"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _segment(machine: Machine, job: Job, span: dict[str, Any]) -> Segment:  # Any: JSON of `media.plan`
    number = int(span["number"])
    return Segment(
        id=machine.new_id("seg_"),
        job_id=job.id,
        segment_number=number,
        file_path=f"jobs/{job.id}/part-{number:03}.mp4",
        duration=float(span["duration_s"]),
        status=SegmentStatus.PENDING,
        start_s=float(span["start_s"]),
        span=span["span"],
        cut_reason=str(span["cut_reason"]),
    )


def _publication(machine: Machine, part: Segment, account: accounts.Account) -> Publication:
    return Publication(
        id=machine.new_id("pub_"),
        job_id=part.job_id,
        segment_id=part.id,
        segment_number=part.segment_number,
        platform=account.platform,
        account_id=account.id,
        status=PublicationStatus.WAITING,
        created_at=machine.now(),
    )
