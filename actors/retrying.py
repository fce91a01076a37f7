"""When and how media work that gave no result is tried again, and when it is given up.

A part, or a plan, is tried at most four times, with growing waits and with less asked of it each time, as the cause
suggests. The attempts are kept in the store: they decide what comes next, whatever happened to messages meanwhile. The
wait is the message's own delay in the broker, so the worker is free; the last attempt puts it into the dead letters.

An attempt that its worker did not outlive is recorded by the next one as interrupted. It says little about the file,
so it does not count, unless it happens again and again: from the second one on the kernel is suspected of having killed
the worker for memory, and the fifth ends it. (The broker by itself hands a message out ten times.)
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from dramatiq.errors import Retry

from actors import wiring
from media import runner
from store.attempts import MediaAttempt, MediaOutcome
from store.jobs import Job

ATTEMPTS_AT_MOST = 4
INTERRUPTIONS_AT_MOST = 5
WAIT_GROWS = 4  # times as long before each further attempt
OWN_ERRORS_RETRIED = 3  # an actor's own exception, a full disk say: dramatiq's usual retries
STDERR_KEPT_CHARS = 2000
ASKED_TO_END = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}  # systemd, say, stops all processes of a service at once


class MediaSettings(StrEnum):
    """How much is asked of a media child."""

    FULL = "full"
    LESS_MEMORY = "less_memory"  # a smaller picture, with gaze correction
    WITHOUT_GAZE = "without_gaze"
    LEAST = "least"  # without gaze correction, in the smallest memory

    @property
    def has_gaze(self) -> bool:
        """Say whether gaze is looked at."""
        return self in {MediaSettings.FULL, MediaSettings.LESS_MEMORY}

    @property
    def memory(self) -> str:
        """Return the value of the stage's `--memory`."""
        return {MediaSettings.LESS_MEMORY: "less", MediaSettings.LEAST: "least"}.get(self, "full")


class GivenUp(Exception):
    """Media work was tried as often as it may be; the message goes to the dead letters."""


WORDS = {
    MediaOutcome.OUT_OF_MEMORY: "out of memory",
    MediaOutcome.DEADLINE_PASSED: "out of time",
    MediaOutcome.CRASHED: "a crash",
    MediaOutcome.INTERNAL_ERROR: "an error in VidProd itself",
    MediaOutcome.INTERRUPTED: "interrupted again and again",
}
"""What ended an attempt, for sentences."""


def is_recorded(error: str) -> bool:
    """Say whether what a dead letter tells of was recorded before it was there: then nothing follows from it."""
    return error.startswith(f"{GivenUp.__name__}:")


def wanted(retries: int, error: BaseException) -> bool:
    """Decide for dramatiq whether a media message is tried again (`retry_when`)."""
    if isinstance(error, Retry):
        return True
    return not isinstance(error, GivenUp) and retries < OWN_ERRORS_RETRIED


def settings_after(attempts: Sequence[MediaAttempt], *, with_gaze: bool) -> MediaSettings:
    """Return what is asked of the next attempt.

    Args:
        attempts: all that gave no result, oldest first.
        with_gaze: whether gaze correction is wanted at all.
    """
    settings = MediaSettings.FULL
    for number, attempt in enumerate(attempts):
        if number == 0 and attempt.outcome in {MediaOutcome.CRASHED, MediaOutcome.INTERRUPTED}:
            continue  # a crash may be chance, an interruption mostly is: once the same again
        settings = _less(settings, attempt.outcome, with_gaze=with_gaze)
    return settings


def _less(settings: MediaSettings, outcome: MediaOutcome, *, with_gaze: bool) -> MediaSettings:
    if outcome in {MediaOutcome.OUT_OF_MEMORY, MediaOutcome.INTERRUPTED} and settings is MediaSettings.FULL:
        return MediaSettings.LESS_MEMORY
    return MediaSettings.WITHOUT_GAZE if settings.has_gaze and with_gaze else MediaSettings.LEAST


def are_spent(attempts: Sequence[MediaAttempt]) -> bool:
    """Say whether nothing is to be tried any more."""
    interrupted = sum(attempt.outcome is MediaOutcome.INTERRUPTED for attempt in attempts)
    return len(attempts) - interrupted >= ATTEMPTS_AT_MOST or interrupted >= INTERRUPTIONS_AT_MOST


def retry_moment(attempts: Sequence[MediaAttempt]) -> datetime:
    """Return when to try again after the attempts so far."""
    lost = sum(attempt.outcome is not MediaOutcome.INTERRUPTED for attempt in attempts)
    return wiring.now() + timedelta(seconds=wiring.settings.media_retry_seconds * WAIT_GROWS ** max(0, lost - 1))


def wait_until(moment: datetime) -> Retry:
    """Return what an actor raises to get its message again at a moment, and not before."""
    left = moment - wiring.now()
    return Retry("tried again later", delay=max(0, -(-left // timedelta(milliseconds=1))))


def interrupted(began_at: datetime | None, settings: MediaSettings) -> MediaAttempt:
    """Return the attempt that a predecessor of this worker has not ended."""
    now = wiring.now()
    return MediaAttempt(began_at=began_at or now, ended_at=now, settings=settings, outcome=MediaOutcome.INTERRUPTED)


def lost(failure: runner.ChildError, settings: MediaSettings, began_at: datetime) -> MediaAttempt:
    """Return the attempt of a child that gave no result.

    Args:
        failure: `OutOfMemory`, `DeadlinePassed` or `ChildDied`.
        settings: what was asked of it.
        began_at: when it was started.
    """
    facts: dict[str, Any] = {}  # Any: fields of an attempt
    match failure:
        case runner.OutOfMemory():
            outcome = MediaOutcome.OUT_OF_MEMORY
            facts = {"held_bytes": failure.held_bytes, "limit_bytes": failure.limit_bytes}
        case runner.DeadlinePassed():
            outcome, facts = MediaOutcome.DEADLINE_PASSED, {"deadline_s": failure.deadline_s}
        case runner.ChildDied(signal=number) if number in ASKED_TO_END:
            outcome = MediaOutcome.INTERRUPTED
        case runner.ChildDied(signal=int()):
            outcome = MediaOutcome.CRASHED
        case _:
            outcome = MediaOutcome.INTERNAL_ERROR
    return MediaAttempt(
        began_at=began_at,
        ended_at=wiring.now(),
        settings=settings,
        outcome=outcome,
        exit_code=getattr(failure, "exit_code", None),
        signal=getattr(failure, "signal", None),
        stderr_tail=getattr(failure, "stderr_tail", "")[-STDERR_KEPT_CHARS:],
        **facts,
    )


def why_without_gaze(attempts: Sequence[MediaAttempt]) -> str | None:
    """Return the outcome of the last attempt with gaze correction; None when there was none."""
    with_gaze = [attempt for attempt in attempts if MediaSettings(attempt.settings).has_gaze]
    return with_gaze[-1].outcome if with_gaze else None


def given_up(what: str, attempts: Sequence[MediaAttempt], job: Job) -> GivenUp:
    """Return what an actor raises to put its message into the dead letters, with all that is known.

    Args:
        what: job and part.
        attempts: all of them, oldest first.
        job: for the facts of its file; nothing that its creator wrote is repeated.
    """
    ends = "; ".join(_told(number, attempt) for number, attempt in enumerate(attempts, start=1))
    error = GivenUp(f"{what}: given up after {len(attempts)} attempts. File: {_file(job)}. {ends}")
    for number, attempt in enumerate(attempts, start=1):
        if attempt.stderr_tail.strip():
            error.add_note(f"Attempt {number} said last:\n{attempt.stderr_tail.strip()}")
    return error


def _told(number: int, attempt: MediaAttempt) -> str:
    known = {
        "signal": attempt.signal,
        "exit code": attempt.exit_code,
        "MB held": None if attempt.held_bytes is None else attempt.held_bytes >> 20,
        "MB allowed": None if attempt.limit_bytes is None else attempt.limit_bytes >> 20,
        "seconds allowed": attempt.deadline_s,
    }
    facts = ", ".join(f"{name} {value:g}" for name, value in known.items() if value is not None)
    seconds = (attempt.ended_at - attempt.began_at).total_seconds()
    return (
        f"Attempt {number} ({attempt.settings}, {attempt.began_at:%Y-%m-%d %H:%M:%S} UTC, {seconds:.0f} s): "
        f"{attempt.outcome}{f' ({facts})' if facts else ''}"
    )


def _file(job: Job) -> str:
    names = ("container", "video_codec", "width", "height", "pixel_format", "hdr", "frame_rate", "duration_s", "audio")
    facts = {name: (job.facts or {}).get(name) for name in names}
    known = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
    kind = re.sub(r"[^.a-z0-9]", "", Path(job.original_name).suffix.lower())[:8]  # the name itself is the creator's
    return f"{job.size_bytes} bytes {kind}".strip() + (f", {known}" if known else ", not examined")
