"""Checks what a media child found beside the parts: a video may be hostile, and its child with it."""

from __future__ import annotations

from typing import Any

from media.limits import MAX_KEY_FRAMES, MAX_PAUSES, MAX_PEAKS, MAX_SECONDS
from store.job_plans import JobPlan

MAX_PEAKS_CHARS = (MAX_PEAKS + 2) // 3 * 4  # in Base64
MAX_TIME_STAMP = 2**63


def of_plan(job_id: str, found: Any) -> JobPlan | None:  # Any: JSON of `media.plan`
    """Return what is kept of a plan; None if it is missing or no video has it."""
    if not isinstance(found, dict):
        return None
    pauses: Any = found.get("pauses")  # Any: checked here
    key_frames: Any = found.get("key_frames")  # Any: likewise
    peaks: Any = found.get("peaks")  # Any: likewise
    if not _are_pairs(pauses, MAX_PAUSES, 2 * MAX_SECONDS) or not _are_pairs(
        key_frames, MAX_KEY_FRAMES, MAX_TIME_STAMP
    ):
        return None
    if peaks is not None and not _are_peaks(peaks):
        return None
    return JobPlan(job_id=job_id, pauses=pauses, peaks=peaks, key_frames=key_frames)


def _are_pairs(values: Any, most: int, largest: int) -> bool:  # Any: as above
    return (
        isinstance(values, list)
        and len(values) <= most
        and all(isinstance(pair, list) and len(pair) == 2 for pair in values)
        and all(type(one) in {int, float} and -largest <= one <= largest for pair in values for one in pair)
    )


def _are_peaks(peaks: Any) -> bool:  # Any: as above
    if not isinstance(peaks, dict) or peaks.keys() != {"per_s", "values"}:
        return False
    per_s, values = peaks["per_s"], peaks["values"]
    is_text = isinstance(values, str) and len(values) <= MAX_PEAKS_CHARS and values.isascii()
    return is_text and type(per_s) in {int, float} and 0 < per_s <= 1000
