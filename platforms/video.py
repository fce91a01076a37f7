"""The file of a post, as a publisher handles it: checked before it is opened, read in ranges."""

from __future__ import annotations

from collections.abc import Sequence

from platforms.contract import Post
from platforms.errors import Rejected
from platforms.http.client import FileRange


def check(post: Post, *, max_bytes: int, min_s: float, max_s: float) -> None:
    """Refuse a video that the platform is known not to take.

    Raises:
        Rejected: code "video_missing", "video_changed", "video_too_large", "video_too_short" or "video_too_long".
    """
    _check_file(post)
    if post.size_bytes > max_bytes:
        raise Rejected("video_too_large", f"the video has {post.size_bytes} bytes; {max_bytes} are taken")
    if post.duration_s < min_s:
        raise Rejected("video_too_short", f"the video has {post.duration_s:.1f} s; {min_s:.0f} s are the least")
    if post.duration_s > max_s:
        raise Rejected("video_too_long", f"the video has {post.duration_s:.1f} s; {max_s:.0f} s are the most")


def part_of(post: Post, first: int, length: int) -> FileRange:
    """Open bytes `first` … of the video for sending; use it in a `with`.

    Raises:
        Rejected: the file is gone or no longer what was announced; half an upload of another file helps nobody.
    """
    _check_file(post)
    return FileRange(post.video, first, length)


def _check_file(post: Post) -> None:
    try:
        size = post.video.stat().st_size
    except OSError:
        raise Rejected("video_missing", "the video file is not there") from None
    if size != post.size_bytes or size == 0:
        raise Rejected("video_changed", f"the video file has {size} bytes instead of {post.size_bytes}")


def nth(cadence_s: Sequence[float], number: int) -> float:
    """Return the pause before look `number` (0, 1, …); the last pause goes on for ever."""
    return cadence_s[min(number, len(cadence_s) - 1)]
