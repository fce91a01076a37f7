"""The gaze of a part's main speaker over time, in few enough points for a page to draw."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any

import numpy as np

from media.gaze.reasons import Reason
from media.gaze.report import FrameResult

PER_S = 10
MAX_POINTS = 600  # those of a part of a minute
MAX_SPANS = 200  # the longest; a speaker blinks about 20 times a minute

Facts = dict[str, Any]  # Any: JSON


def of_rows(rows: Sequence[FrameResult], rate: Fraction, corrected_from: float) -> Facts:
    """Return the curves of a part as JSON.

    Args:
        rows: results of the main speaker, one for each frame, in order.
        rate: frames a second.
        corrected_from: applied share from which a frame counts as corrected.

    Returns:
        `per_s` points a second with the medians of their frames: the angle off the lens before, null without a face or
        with shut eyes; the angle afterwards, null where it was not measured in the drawn picture; the applied share.
        And the spans of time that were left as filmed, each with its reason.
    """
    each = max(round(rate / PER_S), -(-len(rows) // MAX_POINTS), 1)
    points = [rows[at : at + each] for at in range(0, len(rows), each)]
    return {
        "per_s": round(float(rate / each), 6),
        "angle_before_deg": [_median([_angle(row.off_deg) for row in point if _is_seen(row)]) for point in points],
        "angle_after_deg": [_median([_angle(row.after_deg) for row in point if row.after_deg]) for point in points],
        "strength": [round(float(np.mean([row.applied for row in point])), 2) for point in points],
        "reasons": _left_alone(rows, rate, corrected_from),
    }


def _is_seen(row: FrameResult) -> bool:
    return row.off_deg is not None and row.reason is not Reason.BLINK


def _angle(angles: tuple[float, float] | None) -> float:
    return 0.0 if angles is None else float(np.hypot(*angles))


def _median(values: list[float]) -> float | None:
    return round(float(np.median(values)), 1) if values else None


def _left_alone(rows: Sequence[FrameResult], rate: Fraction, corrected_from: float) -> list[Facts]:
    """Return the spans of frames that were left as filmed for the same reason."""
    spans = []
    at = 0
    for reason, group in groupby(rows, lambda row: None if 0 < row.applied >= corrected_from else row.reason):
        count = len(list(group))
        if reason is not None:
            spans.append((at, at + count, reason))
        at += count
    longest = sorted(spans, key=lambda span: span[0] - span[1])[:MAX_SPANS]
    return [
        {"start_s": _seconds(start, rate), "end_s": _seconds(end, rate), "code": reason.value}
        for start, end, reason in sorted(longest, key=lambda span: span[0])
    ]


def _seconds(frame: int, rate: Fraction) -> float:
    return round(float(frame / rate), 3)
