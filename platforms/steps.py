"""The parts that all publishers share: running a step by its name, pauses between questions, the video file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from platforms.contract import Advanced, Handle, Outcome, Post, StepContext
from platforms.errors import OutcomeUnknown, PostFailed, Rejected, TryLater
from platforms.http.client import FileRange

Steps = Mapping[str, Callable[[StepContext], Outcome]]

# Pauses before the same bytes are sent again while none arrive: an upload host may be down for hours.
RESUME_CADENCE_S = (0.0, 5.0, 30.0, 120.0, 480.0, 900.0)
CONFLICTS = 3  # refusals of bytes in a row, by the platform's own word, after which an incomplete upload is given up
GIVE_UP_RESUMING_S = 86_400.0
MIN_RESUMES = 12  # a day of tries has more; with fewer the machine was off most of the time
UNANSWERED = "upload_unanswered"
RESUME_FACTS = ("conflicts", "refused", "stuck", "stuck_at", "stuck_since")


def run(steps: Steps, context: StepContext) -> Outcome:
    """Run the step that the handle names.

    Raises:
        OutcomeUnknown: no step has this name (the handle of a later version): guessing might publish twice.
    """
    step = steps.get(context.handle.step)
    if step is None:
        raise OutcomeUnknown("step_unknown", f"No step is called {context.handle.step!r}")
    return step(context)


@dataclass(frozen=True)
class Pacing:
    """The clock and the pauses of a publisher.

    Attributes:
        factor: multiplies all pauses between questions: 1 against the real platforms, small against the mock.
        clock: Unix seconds.
    """

    factor: float = 1.0
    clock: Callable[[], float] = time.time

    def now(self) -> float:
        """Return the time in Unix seconds."""
        return self.clock()

    def scaled(self, pause_s: float) -> float:
        """Return a pause, multiplied by the factor."""
        return pause_s * self.factor

    def pause_s(self, cadence_s: Sequence[float], number: int) -> float:
        """Return the pause before question `number` (0, 1, …); the last pause repeats for ever."""
        return self.scaled(cadence_s[min(number, len(cadence_s) - 1)])

    def ask_again(self, handle: Handle, step: str, cadence_s: Sequence[float]) -> Advanced:
        """Return the outcome that asks again later; the handle's fact "looks" counts the questions."""
        looks = handle.number("looks") + 1
        return Advanced(handle.then(step, looks=looks), self.pause_s(cadence_s, looks))


def at_least(error: TryLater, pause_s: float) -> TryLater:
    """Return the error with at least this wait."""
    error.retry_after_s = max(error.retry_after_s, pause_s)
    return error


def conflict(handle: Handle, step: str, refused: str) -> Handle:
    """Return a handle for the step that asks for the offset, after the bytes were refused.

    Args:
        refused: the platform's code.
    """
    return handle.then(step, conflicts=handle.number("conflicts") + 1, refused=refused)


def resume_upload(pacing: Pacing, handle: Handle, received: int) -> Advanced:
    """Return the outcome that sends the bytes from `received` on, after a pause that grows while none arrive.

    Call it only right after the platform reported that the upload is incomplete.

    Raises:
        PostFailed: the bytes were refused again and again, or none arrived for a day. An incomplete upload is no post.
    """
    stuck = handle.number("stuck") + 1
    if stuck == 1 or received != handle.number("stuck_at"):  # the first time, or bytes have arrived since
        stuck, conflicts = 1, min(handle.number("conflicts"), 1)
        handle = handle.then("upload", stuck_at=received, stuck_since=int(pacing.now()), conflicts=conflicts)
    if handle.number("conflicts") > CONFLICTS:
        refused = handle.text("refused") or None
        raise PostFailed("upload_refused", "The platform did not accept the video's bytes", platform_code=refused)
    if stuck > MIN_RESUMES and pacing.now() - handle.number("stuck_since") > GIVE_UP_RESUMING_S:
        raise PostFailed(UNANSWERED, "The platform has received no byte of the video for a day")
    again = handle.then("upload", offset=received, stuck=stuck)
    return Advanced(again, pacing.pause_s(RESUME_CADENCE_S, stuck - 1))


def check_video(post: Post, *, max_bytes: int, min_s: float, max_s: float) -> None:
    """Refuse a video that the platform is known to reject.

    Raises:
        Rejected: code "video_missing", "video_changed", "video_too_large", "video_too_short" or "video_too_long".
    """
    _check_file(post)
    if post.size_bytes > max_bytes:
        raise Rejected(
            "video_too_large", f"The video has {post.size_bytes} bytes; the platform accepts at most {max_bytes}"
        )
    if post.duration_s < min_s:
        raise Rejected(
            "video_too_short", f"The video is {post.duration_s:.1f} s long; the platform needs at least {min_s:.0f} s"
        )
    if post.duration_s > max_s:
        raise Rejected(
            "video_too_long", f"The video is {post.duration_s:.1f} s long; the platform accepts at most {max_s:.0f} s"
        )


def open_range(post: Post, first: int, length: int) -> FileRange:
    """Open the bytes of the video from `first` on for sending; use it in a `with`.

    Call it only while the upload is certainly incomplete.

    Raises:
        PostFailed: the file is missing or has another size than announced, so the upload would mix two files.
    """
    try:
        _check_file(post)
    except Rejected as unusable:
        raise PostFailed(unusable.code, unusable.detail) from None
    return FileRange(post.video, first, length)


def _check_file(post: Post) -> None:
    try:
        size = post.video.stat().st_size
    except OSError:
        raise Rejected("video_missing", "The video file is missing") from None
    if size != post.size_bytes or size == 0:
        raise Rejected("video_changed", f"The video file has {size} bytes instead of {post.size_bytes}")


def unix_time(timestamp: str) -> float:
    """Return an ISO 8601 timestamp as Unix seconds; 0 when it is malformed."""
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return 0.0


def cover_ms(cover_s: float, duration_s: float) -> int:
    """Return the time of a cover's frame in milliseconds; the last frames of a part that is shorter."""
    return round(1000 * max(0.0, min(cover_s, duration_s - 0.1)))
