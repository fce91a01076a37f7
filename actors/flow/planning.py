"""Plans a job: a child examines the video and chooses cut points; the parts and their publications are created."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from loguru import logger
from sqlalchemy import Connection

from actors.flow import cut_material, media_child, media_claims, rendering, retrying
from actors.flow.completion import fail_job
from actors.flow.events import emit
from actors.flow.media_claims import MediaClaim, MediaWork
from actors.flow.post_words import is_chosen
from actors.flow.retrying import MediaSettings
from actors.machine import Machine
from actors.recovery.missing_files import FILE_MISSING, NO_SUCH_FILE, UPLOAD_GONE
from files import keys
from files.errors import FilesError, Gone
from media.limits import MAX_SECONDS, MIN_SECONDS
from media.process import runner
from store import accounts, job_plans, jobs, publications, reviews, segments, stage_durations
from store.accounts import Account
from store.attempts import MediaAttempt, MediaOutcome
from store.jobs import Job
from store.publications import Publication
from store.segments import Segment
from store.states import JobStatus, PublicationStatus, ReviewReason, SegmentStatus

# Examining full HD takes 0.07 CPU seconds a second (measured 2026-11-29): for three hours 760, which are 3.4 hours on
# 6.25 % of a core. What takes more than half an hour of a whole core is no usual video.
DEADLINE_S, MAX_CPU_S = 4 * 3600.0, 1800.0
MAX_PARTS = MAX_SECONDS // MIN_SECONDS
PRIORITY = 1  # above all parts: `rendering.send`
LOST_SENTENCES = {
    MediaOutcome.OUT_OF_MEMORY: "Examining the video needs more memory than this server has. Upload a smaller version.",
    MediaOutcome.DEADLINE_PASSED: "Examining the video takes longer than this server allows. Upload a shorter video.",
    MediaOutcome.CRASHED: "The decoder crashed on this video. Convert it to MP4 with H.264 and AAC, and upload that.",
    MediaOutcome.INTERNAL_ERROR: (
        "An error in VidProd stopped the examination of this video. Try again, or report the error to the operator."
    ),
    MediaOutcome.DISK_FULL: "The disk of the server had no room for this video. Try again when there is room.",
    MediaOutcome.STORAGE_UNAVAILABLE: "The storage of the videos did not answer for a day. Try again.",
    MediaOutcome.INTERRUPTED: "The server stopped several times while it examined the video. Try again.",
}
MUTE_REFUSED = (
    "The sound of this video cannot be read, so its parts would be silent. Convert it to MP4 with AAC sound and upload "
    "it again."
)


@dataclass(frozen=True)
class _JobPlanning(MediaWork):
    machine: Machine
    job: Job

    @property
    def name(self) -> str:
        return f"Job {self.job.id} planning"

    @property
    def row(self) -> Job:
        return self.job

    @property
    def is_failed(self) -> bool:
        return self.job.status is JobStatus.FAILED

    @property
    def is_claimed(self) -> bool:
        return self.job.attempt is not None

    def start(self, connection: Connection) -> bool:
        if jobs.start(connection, self.job.id, self.machine.now()):
            emit(self.machine, connection, "job.processing", self.job)
        return True

    def claimed_at(self, attempts: Sequence[MediaAttempt]) -> datetime | None:
        return attempts[-1].ended_at if attempts else self.job.started_at  # at the earliest

    def claim(self, connection: Connection, token: str, attempts: Sequence[MediaAttempt]) -> bool:
        return jobs.claim(connection, self.job.id, token, attempts=attempts)

    def release(self, connection: Connection, token: str) -> bool:
        return jobs.release(connection, self.job.id, token)

    def put_back(
        self, connection: Connection, token: str, attempts: Sequence[MediaAttempt], retry_at: datetime | None
    ) -> bool:
        return jobs.record_failed_attempt(connection, self.job.id, token, attempts=attempts, retry_at=retry_at)

    def fail(self, connection: Connection, attempts: Sequence[MediaAttempt]) -> None:
        code = attempts[-1].outcome
        fail_job(self.machine, connection, self.job.id, code=code, error=LOST_SENTENCES[code], retryable=True)

    def send(self) -> None:
        send(self.machine, self.job.id)


def send(machine: Machine, job_id: str) -> None:
    """Send the message that has a job planned."""
    machine.send("split", job_id, priority=PRIORITY, message_id=message_id(job_id))


def message_id(job_id: str) -> str:
    """Return the id of every message that has a job planned, by which it can be cancelled."""
    return f"split-{job_id}"


def plan_job(machine: Machine, job_id: str) -> None:
    """Make one attempt at planning a job; nothing if it has a plan already, or is over.

    Raises:
        Retry: the job waits for its next attempt.
        GivenUp: no attempt is left.
    """
    claim = media_claims.acquire(
        machine, machine.store.writing(job=job_id), lambda connection: _load(machine, connection, job_id)
    )
    if claim is None:
        return
    began_at = machine.now()
    try:
        plan = _run(machine, claim)
    except Gone as gone:
        _record_refusal(machine, job_id, runner.Refused(NO_SUCH_FILE, str(gone)))
    except FilesError as error:
        media_claims.record_failure(claim, retrying.storage_attempt(machine, claim.settings, began_at, error))
    except runner.Stopped:
        media_claims.requeue(claim)
    except runner.Refused as refused:
        _record_refusal(machine, job_id, refused)
    except runner.ChildError as failure:
        media_claims.record_failure(claim, retrying.failed_attempt(machine, failure, claim.settings, began_at))
    else:
        if claim.work.job.gaze_intensity > 0 and claim.settings is not MediaSettings.FULL:
            plan["facts"]["planned_without_gaze"] = claim.attempts[-1].outcome  # kept with the job; no page shows it
        _record(machine, job_id, plan)


def _load(machine: Machine, connection: Connection, job_id: str) -> _JobPlanning | None:
    job = jobs.get(connection, job_id)
    return None if job is None or job.segment_count is not None else _JobPlanning(machine, job)


def _run(machine: Machine, claim: MediaClaim[_JobPlanning]) -> dict[str, Any]:  # Any: JSON of `media.plan`
    job = claim.work.job
    with machine.files.borrow(job.video_path) as source:
        plan = media_child.run(
            machine, "plan", _arguments(machine, claim, source), deadline_s=DEADLINE_S, cpu_s=MAX_CPU_S
        )
    if not _is_plan(plan):
        raise runner.ChildFailed(stderr_tail="not a plan")
    return plan


def _arguments(machine: Machine, claim: MediaClaim[_JobPlanning], source: Path) -> list[str]:
    job, settings = claim.work.job, claim.settings
    arguments = [
        str(source),
        "--segment-seconds", str(job.segment_seconds),
        "--intensity", str(job.gaze_intensity),
    ]  # fmt: skip
    if settings is not MediaSettings.FULL:  # the networks that find the zero need most of a plan's memory and time
        arguments.append("--without-zero")
    if settings is MediaSettings.LEAST:
        arguments.append("--without-scenes")
    elif machine.settings.loudness is not None:
        arguments += ["--loudness", str(machine.settings.loudness)]
    return arguments


def _is_plan(plan: dict[str, Any]) -> bool:  # Any: JSON of a child that may be hostile
    """Return whether the parts of a plan can be created: each is a row, a message and some publications."""
    spans = plan.get("spans")
    if not isinstance(spans, list) or not 0 < len(spans) <= MAX_PARTS:
        return False
    numbers = [span.get("number") for span in spans if isinstance(span, dict)]
    times = [span.get(name) for span in spans if isinstance(span, dict) for name in ("start_s", "duration_s")]
    return numbers == list(range(1, len(spans) + 1)) and all(
        isinstance(time_s, float | int) and 0 <= time_s <= 2 * MAX_SECONDS for time_s in times
    )


def _record_refusal(machine: Machine, job_id: str, refused: runner.Refused) -> None:
    with machine.store.writing(job=job_id) as connection:
        if refused.code == NO_SUCH_FILE:  # retryable: the file may be in lost+found
            fail_job(machine, connection, job_id, code=FILE_MISSING, error=UPLOAD_GONE, retryable=True)
        else:
            fail_job(machine, connection, job_id, code=refused.code, error=refused.detail, retryable=False)


def _record(machine: Machine, job_id: str, plan: dict[str, Any]) -> None:  # Any: JSON of `media.plan`
    is_mute = ReviewReason.SOUND_UNREADABLE in plan["facts"].get("warnings", ())  # the codes of `media`'s facts
    if is_mute and machine.settings.mute_video == "refuse":
        code = ReviewReason.SOUND_UNREADABLE
        with machine.store.writing(job=job_id) as connection:
            fail_job(machine, connection, job_id, code=code, error=MUTE_REFUSED, retryable=True)
        return
    needs_review = is_mute and machine.settings.mute_video == "ask"
    with machine.store.writing(job=job_id) as connection:
        planned = jobs.set_plan(
            connection,
            job_id,
            facts=plan["facts"],
            gaze_zero=plan["zero"],
            segment_count=len(plan["spans"]),
        )
        if planned and needs_review:
            reviews.require(connection, job_id, ReviewReason.SOUND_UNREADABLE)
        job = jobs.get(connection, job_id)
        if not planned or job is None:
            return
        stage_durations.observe_since(connection, stage_durations.PLAN, job.started_at, machine.now())
        parts = [_segment(machine, job, span) for span in plan["spans"]]
        segments.create(connection, parts)
        if (kept := cut_material.of_plan(job.id, plan.get("cutting"))) is not None:
            job_plans.create(connection, kept)
        wanted = [account for account in accounts.connected(connection, job.owner_id) if is_chosen(job, account)]
        posts = [_publication(machine, part, account, held=job.held) for part in parts for account in wanted]
        gone = _gone(connection, job, {account.id for account in wanted})
        posts += [_cancelled(_publication(machine, part, account, held=False)) for part in parts for account in gone]
        publications.create(connection, posts)
        for part in parts:
            rendering.send(machine, part)
    logger.info("Job {}: {} for {}", job_id, _count(len(parts), "part"), _count(len(wanted), "account"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _segment(machine: Machine, job: Job, span: dict[str, Any]) -> Segment:  # Any: JSON of `media.plan`
    number = int(span["number"])
    return Segment(
        id=machine.new_id("seg_"),
        job_id=job.id,
        segment_number=number,
        file_path=keys.planned_part(job.id, number),
        duration=float(span["duration_s"]),
        status=SegmentStatus.PENDING,
        start_s=float(span["start_s"]),
        span=span["span"],
        cut_reason=str(span["cut_reason"]),
    )


def _gone(connection: Connection, job: Job, usable_ids: Collection[str]) -> list[Account]:
    """Return the accounts that an upload has chosen, and that can no longer be used."""
    found = [accounts.get(connection, account_id) for account_id in job.accounts or ()]
    return [account for account in found if account is not None and account.id not in usable_ids]


def _cancelled(publication: Publication) -> Publication:
    """Return a publication that has ended before it began, so that the status shows why there is no post."""
    return replace(
        publication,
        status=PublicationStatus.CANCELLED,
        code="account_disconnected",
        reason="the account was no longer connected when the video was planned",
        ended_at=publication.created_at,
    )


def _publication(machine: Machine, part: Segment, account: Account, *, held: bool) -> Publication:
    return Publication(
        id=machine.new_id("pub_"),
        job_id=part.job_id,
        segment_id=part.id,
        segment_number=part.segment_number,
        platform=account.platform,
        account_id=account.id,
        status=PublicationStatus.WAITING,
        created_at=machine.now(),
        held=held,
    )
