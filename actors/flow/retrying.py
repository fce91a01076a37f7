"""The retry policy of media work: when and with which settings it is attempted again, and when it fails.

A part or a plan is attempted at most four times, with growing delays and with less demanding settings, which depend on
the cause. The attempts are recorded in the store and decide about the next one, because messages may be lost or
repeated. The delay is that of the message in the broker, so no worker waits. After the last attempt the message is
dead-lettered.

An attempt whose worker ended is recorded by the next attempt as interrupted. The first interruption changes nothing:
restarts are usual. From the second on less memory is used, because the kernel may have killed the worker for it. The
fifth ends the work. (The broker by itself delivers a message ten times.)

Work that finds no room on the disk, or no storage of its files, waits, up to a day, and is attempted again each
minute. This is no failure of the work: it changes no settings and uses up no attempt. All checks of one wait are one
record.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from dramatiq.errors import Retry
from loguru import logger

from actors.database_check import DATABASE_ERRORS
from actors.machine import Machine
from files.errors import FilesError
from media.process import runner
from store.attempts import MediaAttempt, MediaOutcome
from store.jobs import Job

MAX_ATTEMPTS = 4
MAX_INTERRUPTIONS = 5
DELAY_FACTOR = 4  # from one delay to the next
MAX_EXCEPTION_RETRIES = 3  # for exceptions of the actor itself; dramatiq's usual retries
MAX_DATABASE_RETRIES = 150  # a day with dramatiq's delays, which grow to ten minutes: a full disk may last as long
MAX_DISK_WAIT = timedelta(hours=24)
DISK_CHECK_INTERVAL = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MAX_STDERR_CHARS = 2000
WAITS = frozenset({MediaOutcome.DISK_FULL, MediaOutcome.STORAGE_UNAVAILABLE})  # no failures of the work
TERMINATION_SIGNALS = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}  # systemd sends them to all processes of a service


class MediaSettings(StrEnum):
    """The settings of a media child, from the most to the least demanding."""

    FULL = "full"
    LESS_MEMORY = "less_memory"  # a smaller picture, with gaze correction
    WITHOUT_GAZE = "without_gaze"
    LEAST = "least"  # without gaze correction, with the least memory

    @property
    def has_gaze(self) -> bool:
        """Return whether gaze is corrected."""
        return self in {MediaSettings.FULL, MediaSettings.LESS_MEMORY}

    @property
    def memory(self) -> str:
        """The value of the stage's option `--memory`."""
        return {MediaSettings.LESS_MEMORY: "less", MediaSettings.LEAST: "least"}.get(self, "full")


class GivenUp(Exception):
    """All attempts at media work have failed; the message is dead-lettered."""


OUTCOME_PHRASES = {
    MediaOutcome.OUT_OF_MEMORY: "out of memory",
    MediaOutcome.DEADLINE_PASSED: "out of time",
    MediaOutcome.CRASHED: "a crash",
    MediaOutcome.INTERNAL_ERROR: "an error in VidProd",
    MediaOutcome.DISK_FULL: "no room on the disk",
    MediaOutcome.STORAGE_UNAVAILABLE: "no answer of the storage",
    MediaOutcome.INTERRUPTED: "repeated interruptions",
}
"""The outcome of an attempt, as part of a sentence."""


def is_recorded(error: str) -> bool:
    """Return whether the failure in a dead letter's error has been recorded in the store already."""
    return error.startswith(f"{GivenUp.__name__}:")


def should_retry(retries: int, error: BaseException) -> bool:
    """Return whether dramatiq should retry a media message (`retry_when`)."""
    if isinstance(error, Retry):
        return True
    if isinstance(error, DATABASE_ERRORS):
        return retries < MAX_DATABASE_RETRIES
    return not isinstance(error, GivenUp) and retries < MAX_EXCEPTION_RETRIES


def settings_after(attempts: Sequence[MediaAttempt], *, with_gaze: bool) -> MediaSettings:
    """Return the settings of the next attempt.

    Args:
        attempts: all failed ones, oldest first.
        with_gaze: the job asks for gaze correction.
    """
    settings = MediaSettings.FULL
    for number, attempt in enumerate(_without_waits(attempts)):
        if number == 0 and attempt.outcome in {MediaOutcome.CRASHED, MediaOutcome.INTERRUPTED}:
            continue  # may be an accident: repeat once with the same settings
        settings = _less(settings, attempt.outcome, with_gaze=with_gaze)
    return settings


def _less(settings: MediaSettings, outcome: MediaOutcome, *, with_gaze: bool) -> MediaSettings:
    if outcome in {MediaOutcome.OUT_OF_MEMORY, MediaOutcome.INTERRUPTED} and settings is MediaSettings.FULL:
        return MediaSettings.LESS_MEMORY
    return MediaSettings.WITHOUT_GAZE if settings.has_gaze and with_gaze else MediaSettings.LEAST


def are_exhausted(attempts: Sequence[MediaAttempt]) -> bool:
    """Return whether no attempt is left."""
    if is_waiting(attempts) and attempts[-1].ended_at - attempts[-1].began_at >= MAX_DISK_WAIT:
        return True
    counted = _without_waits(attempts)
    interrupted = sum(attempt.outcome is MediaOutcome.INTERRUPTED for attempt in counted)
    return len(counted) - interrupted >= MAX_ATTEMPTS or interrupted >= MAX_INTERRUPTIONS


def is_waiting(attempts: Sequence[MediaAttempt]) -> bool:
    """Return whether the last attempt found no room on the disk, or no storage."""
    return bool(attempts) and attempts[-1].outcome in WAITS


def appended(attempts: Sequence[MediaAttempt], attempt: MediaAttempt) -> list[MediaAttempt]:
    """Return the attempts with one more; a further check of the same wait extends the last one."""
    if is_waiting(attempts) and attempt.outcome is attempts[-1].outcome:
        return [*attempts[:-1], replace(attempt, began_at=attempts[-1].began_at)]
    return [*attempts, attempt]


def _without_waits(attempts: Sequence[MediaAttempt]) -> list[MediaAttempt]:
    return [attempt for attempt in attempts if attempt.outcome not in WAITS]


def next_attempt_at(machine: Machine, attempts: Sequence[MediaAttempt]) -> datetime:
    """Return when the next attempt may begin."""
    if is_waiting(attempts):
        return machine.now() + DISK_CHECK_INTERVAL
    failed = sum(attempt.outcome is not MediaOutcome.INTERRUPTED for attempt in _without_waits(attempts))
    return machine.now() + timedelta(seconds=machine.settings.media_retry_seconds * DELAY_FACTOR ** max(0, failed - 1))


def max_delay(machine: Machine) -> timedelta:
    """Return the longest delay before a retry."""
    longest = timedelta(seconds=machine.settings.media_retry_seconds * DELAY_FACTOR ** (MAX_ATTEMPTS - 2))
    return max(longest, DISK_CHECK_INTERVAL)


def retry_exception(machine: Machine, retry_at: datetime) -> Retry:
    """Return the exception that makes dramatiq deliver an actor's message again at the given time."""
    left = retry_at - machine.now()
    return Retry("next attempt later", delay=max(0, -(-left // timedelta(milliseconds=1))))


def interrupted_attempt(machine: Machine, began_at: datetime | None, settings: MediaSettings) -> MediaAttempt:
    """Return the attempt of a worker that ended before it recorded an outcome."""
    now = machine.now()
    return MediaAttempt(began_at=began_at or now, ended_at=now, settings=settings, outcome=MediaOutcome.INTERRUPTED)


def disk_full_attempt(machine: Machine, settings: MediaSettings, began_at: datetime) -> MediaAttempt:
    """Return the attempt that found no room on the disk, or lost it."""
    return MediaAttempt(began_at=began_at, ended_at=machine.now(), settings=settings, outcome=MediaOutcome.DISK_FULL)


def storage_attempt(machine: Machine, settings: MediaSettings, began_at: datetime, error: FilesError) -> MediaAttempt:
    """Return the attempt whose files could not be read or stored."""
    return MediaAttempt(
        began_at=began_at,
        ended_at=machine.now(),
        settings=settings,
        outcome=MediaOutcome.STORAGE_UNAVAILABLE,
        stderr_tail=str(error)[-MAX_STDERR_CHARS:],
    )


def failed_attempt(
    machine: Machine, failure: runner.ChildError, settings: MediaSettings, began_at: datetime
) -> MediaAttempt:
    """Return the attempt of a child that failed.

    Args:
        failure: `OutOfMemory`, `DeadlineExceeded` or `ChildFailed`.
        settings: of the child.
        began_at: when the child was started.
    """
    facts: dict[str, Any] = {}  # Any: fields of an attempt
    match failure:
        case runner.OutOfMemory():
            outcome = MediaOutcome.OUT_OF_MEMORY
            facts = {"held_bytes": failure.held_bytes, "limit_bytes": failure.limit_bytes}
        case runner.DeadlineExceeded():
            outcome, facts = MediaOutcome.DEADLINE_PASSED, {"deadline_s": failure.deadline_s}
        case runner.ChildFailed(signal=number) if number in TERMINATION_SIGNALS:
            outcome = MediaOutcome.INTERRUPTED
        case runner.ChildFailed(signal=int()):
            outcome = MediaOutcome.CRASHED
        case _:
            outcome = MediaOutcome.INTERNAL_ERROR
    return MediaAttempt(
        began_at=began_at,
        ended_at=machine.now(),
        settings=settings,
        outcome=outcome,
        exit_code=getattr(failure, "exit_code", None),
        signal=getattr(failure, "signal", None),
        stderr_tail=getattr(failure, "stderr_tail", "").strip()[-MAX_STDERR_CHARS:],
        **facts,
    )


def reason_without_gaze(attempts: Sequence[MediaAttempt]) -> str | None:
    """Return the outcome of the last attempt with gaze correction; None if there was none."""
    with_gaze = [attempt for attempt in _without_waits(attempts) if MediaSettings(attempt.settings).has_gaze]
    return with_gaze[-1].outcome if with_gaze else None


def log_failure(
    machine: Machine, name: str, attempts: Sequence[MediaAttempt], error: Retry | GivenUp, *, with_gaze: bool
) -> None:
    """Log the last failed attempt, and when the next one is. The stderr of the child is in the attempt's record.

    Args:
        name: job and part.
        attempts: all failed ones, oldest first.
        error: what the actor raises.
        with_gaze: the job asks for gaze correction.
    """
    last = attempts[-1]
    if is_waiting(attempts) and isinstance(error, Retry):
        if last.ended_at - last.began_at < DISK_CHECK_INTERVAL:  # once a wait
            reason, hours = OUTCOME_PHRASES[last.outcome], MAX_DISK_WAIT / HOUR
            logger.warning("{}: {}, it waits up to {:.0f} h; {}", name, reason, hours, last.stderr_tail or "")
        return
    before = _without_waits(attempts[:-1])
    counted = [*(attempt for attempt in before if _interrupted(attempt) is _interrupted(last)), last]
    number = f"interruption {len(counted)}" if _interrupted(last) else f"attempt {len(counted)} of {MAX_ATTEMPTS}"
    failed = f"{name}: {_ending(last)} at {number} with {last.settings} settings"
    if isinstance(error, Retry):
        next_at = (machine.now() + timedelta(milliseconds=error.delay or 0)).astimezone()  # local time, as the log's
        after = settings_after(attempts, with_gaze=with_gaze)
        logger.warning("{}; next attempt at {:%H:%M:%S} with {} settings", failed, next_at, after)
        return
    logger.warning("{}", failed)
    log_given_up(name, attempts)


def log_given_up(name: str, attempts: Sequence[MediaAttempt]) -> None:
    """Log that no attempt is left, at level ERROR, so that Sentry reports it."""
    logger.error("{}: given up after {} attempts", name, len(attempts))


def _interrupted(attempt: MediaAttempt) -> bool:
    return attempt.outcome is MediaOutcome.INTERRUPTED


def given_up(name: str, attempts: Sequence[MediaAttempt], job: Job) -> GivenUp:
    """Return the exception with which an actor dead-letters its message, with all that is known of the attempts.

    Args:
        name: job and part.
        attempts: all of them, oldest first.
        job: for properties of its file; texts of its creator are not included.
    """
    ends = "; ".join(_summary(number, attempt) for number, attempt in enumerate(attempts, start=1))
    error = GivenUp(f"{name}: given up after {len(attempts)} attempts. File: {_file(job)}. {ends}")
    for number, attempt in enumerate(attempts, start=1):
        if attempt.stderr_tail.strip():
            error.add_note(f"End of stderr of attempt {number}:\n{attempt.stderr_tail.strip()}")
    return error


def _summary(number: int, attempt: MediaAttempt) -> str:
    seconds = (attempt.ended_at - attempt.began_at).total_seconds()
    return (
        f"Attempt {number} ({attempt.settings}, {attempt.began_at:%Y-%m-%d %H:%M:%S} UTC, {seconds:.0f} s): "
        f"{attempt.outcome}{_details(attempt)}"
    )


def _ending(attempt: MediaAttempt) -> str:
    return f"{OUTCOME_PHRASES[attempt.outcome]}{_details(attempt)}"


def _details(attempt: MediaAttempt) -> str:
    """Return the details of an attempt's end, in brackets; '' if there are none."""
    facts = [
        None if attempt.signal is None else f"signal {attempt.signal}",
        None if attempt.exit_code is None else f"exit code {attempt.exit_code}",
        None if attempt.held_bytes is None else f"{attempt.held_bytes >> 20} MB held",
        None if attempt.limit_bytes is None else f"{attempt.limit_bytes >> 20} MB allowed",
        None if attempt.deadline_s is None else f"{attempt.deadline_s:g} s allowed",
    ]
    known = ", ".join(fact for fact in facts if fact is not None)
    return f" ({known})" if known else ""


def _file(job: Job) -> str:
    names = ("container", "video_codec", "width", "height", "pixel_format", "hdr", "frame_rate", "duration_s", "audio")
    facts = {name: (job.facts or {}).get(name) for name in names}
    known = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
    kind = re.sub(r"[^.a-z0-9]", "", Path(job.original_name).suffix.lower())[:8]  # not its name: the creator chose it
    return f"{job.size_bytes} bytes {kind}".strip() + (f", {known}" if known else ", not examined")
