"""gaze: render one part, the speaker's eyes turned to the lens, in the form the platforms want."""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

import dramatiq
from dramatiq.errors import Retry
from loguru import logger
from sqlalchemy import Connection

from actors import wiring
from actors.flow import rendering, retrying
from actors.flow.completion import fail_part, part_failed, settle
from actors.flow.events import announce
from actors.flow.retrying import MediaSettings
from actors.flow.scheduling import release
from actors.machine import Machine
from actors.recovery.missing_files import NO_SUCH_FILE, UPLOAD_GONE
from media.process import runner
from store import jobs, segments
from store.attempts import MediaAttempt, decode_attempts
from store.jobs import Job
from store.segments import Segment
from store.states import JOB_OVER, JobStatus, ReviewReason, SegmentStatus

CHEAPER_FROM = 0.8  # of the deadline: what time is left by then, the child spends on cheaper landmarks, then on none
PROGRESS_EVERY_S = 1.0  # a write a second is seen as smooth and costs one commit


@dataclass(frozen=True)
class _Claim:
    """The claim of this worker on a part, with the settings of its attempt."""

    job: Job
    segment: Segment
    token: str
    attempts: list[MediaAttempt]  # earlier ones, oldest first
    settings: MediaSettings


@dramatiq.actor(queue_name="media", max_retries=3, retry_when=retrying.should_retry, throws=retrying.GivenUp)
def gaze(segment_id: str) -> None:
    """Render one part. Harmless when the part has ended; a rendering that was cut off is begun anew."""
    claim = _claim(wiring.machine, segment_id)
    if claim is None:
        return
    began_at, watch = wiring.machine.now(), _Watch(wiring.machine, segment_id, claim.token)
    try:
        rendered = _render(wiring.machine, claim, watch)
    except runner.Stopped:
        if not watch.overtaken:
            _requeue(wiring.machine, claim)
    except runner.Refused as refused:
        _record_refusal(wiring.machine, claim, refused)
    except runner.ChildError as failure:
        _record_failure(
            wiring.machine, claim, retrying.failed_attempt(wiring.machine, failure, claim.settings, began_at)
        )
    else:
        _record(wiring.machine, claim, rendered)


def _claim(machine: Machine, segment_id: str) -> _Claim | None:
    """Claim a part for an attempt; None if there is nothing to do.

    Raises:
        Retry: the part waits for its next attempt.
        GivenUp: no attempt is left.
    """
    token = secrets.token_hex(8)
    with machine.store.writing() as connection:
        segment = segments.get(connection, segment_id)
        job = jobs.get(connection, segment.job_id) if segment else None
        if segment is None or job is None or job.status is JobStatus.CANCELLED:
            return None
        attempts = decode_attempts(segment.attempts)
        if segment.status is SegmentStatus.FAILED and retrying.are_exhausted(attempts):
            # The failure is recorded, but its worker ended before the message was dead-lettered.
            raise _given_up(_Claim(job, segment, token, attempts, MediaSettings.LEAST), attempts)
        if job.status in JOB_OVER:
            return None
        if segment.retry_at is not None and segment.retry_at > machine.now():
            raise retrying.wait_until(machine, segment.retry_at)  # likewise, before the message was delayed
        with_gaze = job.gaze_intensity > 0
        if segment.status is SegmentStatus.RENDERING and segment.attempt is not None:
            before = retrying.settings_after(attempts, with_gaze=with_gaze)
            attempts.append(retrying.interrupted_attempt(machine, segment.started_at, before))
        if not segments.claim(connection, segment_id, token, machine.now(), attempts=attempts):
            return None
        claim = _Claim(job, segment, token, attempts, retrying.settings_after(attempts, with_gaze=with_gaze))
        if not retrying.are_exhausted(attempts):
            return claim
        error = _put_back(machine, connection, claim, attempts)
    retrying.log_given_up(_name(claim), attempts)
    raise error or _given_up(claim, attempts)


def _requeue(machine: Machine, claim: _Claim) -> None:
    """Release the part and send its message again: this worker is stopping."""
    with machine.store.writing() as connection:
        if segments.release(connection, claim.segment.id, claim.token):
            rendering.send_gaze(machine, claim.segment)


def _record_refusal(machine: Machine, claim: _Claim, refused: runner.Refused) -> None:
    """Fail the part, unless its job was cancelled: its files are deleted while a child still reads them."""
    with machine.store.reading() as connection:
        job = jobs.get(connection, claim.job.id)
    if job is not None and job.status is JobStatus.CANCELLED:
        logger.info("{}: its job was cancelled", _name(claim))
        return
    logger.error("{}: {}", _name(claim), refused)
    part_failed(machine, claim.segment.id, reason=UPLOAD_GONE if refused.code == NO_SUCH_FILE else refused.detail)


def _record_failure(machine: Machine, claim: _Claim, attempt: MediaAttempt) -> None:
    """Record a failed attempt; raise Retry or GivenUp for its message."""
    attempts = [*claim.attempts, attempt]
    with machine.store.writing() as connection:
        error = _put_back(machine, connection, claim, attempts)
    if error is not None:
        retrying.log_failure(machine, _name(claim), attempts, error, with_gaze=claim.job.gaze_intensity > 0)
        raise error


def _put_back(
    machine: Machine, connection: Connection, claim: _Claim, attempts: list[MediaAttempt]
) -> Retry | retrying.GivenUp | None:
    """Record the attempts so far; the part waits for the next one, or fails.

    Returns:
        The exception to raise for the message; None if the part has ended, or another worker has claimed it.
    """
    words, spent = retrying.OUTCOME_WORDS[attempts[-1].outcome], retrying.are_exhausted(attempts)
    moment = None if spent else retrying.retry_moment(machine, attempts)
    ours = segments.put_back(
        connection, claim.segment.id, claim.token, attempts=attempts, retry_at=moment,
        reason=f"rendering failed ({words})",
    )  # fmt: skip
    if not ours:
        return None
    if moment is not None:
        return retrying.wait_until(machine, moment)
    fail_part(machine, connection, claim.segment.id, reason=f"rendering failed {len(attempts)} times, at last: {words}")
    return _given_up(claim, attempts)


def _given_up(claim: _Claim, attempts: list[MediaAttempt]) -> retrying.GivenUp:
    return retrying.given_up(_name(claim), attempts, claim.job)


def _name(claim: _Claim) -> str:
    return f"job {claim.job.id} part {claim.segment.segment_number} of {claim.job.segment_count}"


class _Watch:
    """Writes a rendering's progress and notices when the rendering is no longer wanted."""

    def __init__(self, machine: Machine, segment_id: str, attempt: str) -> None:
        self.machine = machine
        self._segment_id, self._attempt = segment_id, attempt
        self._written = 0.0
        self.overtaken = False  # cancelled, or claimed by another attempt
        self.stop = threading.Event()

    def __call__(self, share: float) -> None:
        if self.machine.stopping.is_set():
            self.stop.set()
        if time.monotonic() - self._written < PROGRESS_EVERY_S:
            return
        self._written = time.monotonic()
        with self.machine.store.writing() as connection:
            if not segments.set_progress(connection, self._segment_id, self._attempt, share):
                self.overtaken = True
                self.stop.set()


def _render(machine: Machine, claim: _Claim, watch: _Watch) -> dict[str, Any]:  # Any: JSON of `media.gaze`
    job, segment, settings = claim.job, claim.segment, claim.settings
    target = machine.in_data(segment.file_path)
    target.parent.mkdir(parents=True, exist_ok=True)
    arguments = [
        str(machine.in_data(job.video_path)), str(target),
        "--intensity", str(job.gaze_intensity if settings.has_gaze else 0.0),
        "--faces", str(machine.settings.gaze_faces),
        "--landscape", _landscape(machine, settings),
        "--memory", settings.memory,
        f"--span={json.dumps(segment.span)}",
        "--report", str(target.with_suffix(".report.json")),
        "--preview", str(target.with_suffix(".preview.jpg")),
        "--cover", str(target.with_suffix(".cover.jpg")),
        f"--title={job.title}",  # in one word: a title may begin with a dash
        "--deadline", str(CHEAPER_FROM * machine.settings.processing_deadline),
    ]  # fmt: skip
    if job.gaze_zero is not None or settings is MediaSettings.LESS_MEMORY:  # the search for it takes memory, too
        arguments.append(f"--zero={json.dumps(job.gaze_zero)}")
    return rendering.run_child(
        machine, "gaze", arguments, deadline_s=machine.settings.processing_deadline, on_progress=watch, stop=watch.stop
    )


def _landscape(machine: Machine, settings: MediaSettings) -> str:
    wanted = machine.settings.landscape
    # Cropping follows the speaker with a neural network.
    return "blur" if wanted == "crop" and settings is MediaSettings.LEAST else wanted


def _record(machine: Machine, claim: _Claim, rendered: dict[str, Any]) -> None:  # Any: as above
    gaze_facts = rendered["gaze"]
    if claim.job.gaze_intensity > 0 and not claim.settings.has_gaze:
        gaze_facts = gaze_facts | {
            "corrected": False, "share": 0.0, "reason": retrying.reason_without_gaze(claim.attempts),
        }  # fmt: skip
    facts_of_rendering = rendered["rendering"] | {"settings": claim.settings}
    with machine.store.writing() as connection:
        finished = segments.finish(
            connection,
            claim.segment.id,
            claim.token,
            duration_s=float(rendered["duration_s"]),
            size_bytes=int(rendered["size_bytes"]),
            gaze=gaze_facts,
            stage_seconds=rendered["stages_s"],
            rendering=facts_of_rendering,
            now=machine.now(),
        )
        segment = segments.get(connection, claim.segment.id)
        job = jobs.get(connection, segment.job_id) if segment else None
        if not finished or segment is None or job is None:
            return
        if rendered["rendering"]["sound"] == "unreadable" and machine.settings.mute_video != "publish":
            # Found only now: its track begins well. Before `settle` and `release`, so that nothing of it goes out.
            jobs.ask_for_review(connection, job.id, ReviewReason.SOUND_UNREADABLE)
        facts = {"part": segment.segment_number, "parts": job.segment_count, "gaze": gaze_facts}
        announce(machine, connection, "segment.ready", job, duration_s=segment.duration, **facts)
        settle(machine, connection, job.id)
        release(machine, connection)
