"""Turns the cuts that a person has chosen into spans of the video's time grid.

Arithmetic only, no video library: the grid of a video is in the spans of its plan.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from media.cutting.cuts import CHOSEN, END, tick_at
from media.limits import MAX_PART_SECONDS, MIN_PART_SECONDS
from media.reading.spans import Span

__all__ = ["CHOSEN", "END"]

ROUNDING_S = 1e-5  # of times that a client has computed from six decimals
Bounds = tuple[int, int]
"""The first tick of a part, and its number of ticks."""


class BadCut(ValueError):
    """A part cannot be cut as it was chosen.

    Attributes:
        index: of the part, from 0.
        field: "start_s" or "end_s".
        detail: a sentence for a person.
    """

    def __init__(self, index: int, field: str, detail: str) -> None:
        super().__init__(index, field, detail)
        self.index = index
        self.field = field
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ChosenPart:
    """A part as a person has chosen it, in seconds after the video's beginning."""

    start_s: float
    end_s: float


def snapped(grid: Span, chosen: Sequence[ChosenPart], kept: Collection[Bounds]) -> list[Bounds]:
    """Return the bounds of chosen parts on the grid of their video, by the same rule as the plan's cuts.

    Args:
        grid: any span of the video.
        chosen: the parts in order; what lies between two of them is left out.
        kept: bounds that the plan has already; they may be shorter or longer than a chosen part.

    Raises:
        BadCut: a part is too short or too long, overlaps another one, or is outside of the video.
    """
    found: list[Bounds] = []
    free = 0  # the first tick after the parts so far
    for index, part in enumerate(chosen):
        first = tick_at(part.start_s, grid.rate)
        if index and part.start_s == chosen[index - 1].end_s:
            first = free
        end = first + _frames(part, first, grid)
        if first < free:
            detail = "the part begins before the one before it ends" if index else "the part begins before the video"
            raise BadCut(index, "start_s", detail)
        if end > grid.total:
            raise BadCut(index, "end_s", f"the part ends after the video, which lasts {_text(grid.total, grid)} s")
        if (first, end - first) not in kept:
            _check_duration(index, end - first, grid)
        found.append((first, end - first))
        free = end
    return found


def _frames(part: ChosenPart, first: int, grid: Span) -> int:
    """Return the frames of a part; rounding to frames alone never exceeds a limit that the chosen times keep."""
    frames = tick_at(part.end_s, grid.rate) - first
    chosen_s = part.end_s - part.start_s
    if chosen_s <= MAX_PART_SECONDS + ROUNDING_S:
        frames = min(frames, int(MAX_PART_SECONDS * grid.rate))
    if chosen_s >= MIN_PART_SECONDS - ROUNDING_S:
        frames = max(frames, -int(-MIN_PART_SECONDS * grid.rate // 1))
    return frames


def _check_duration(index: int, frames: int, grid: Span) -> None:
    number = index + 1
    if frames < MIN_PART_SECONDS * grid.rate:
        detail = f"part {number} would last {_text(frames, grid)} s; the minimum is {MIN_PART_SECONDS} s"
        raise BadCut(index, "end_s", detail)
    if frames > MAX_PART_SECONDS * grid.rate:
        detail = f"part {number} would last {_text(frames, grid)} s; the maximum is {MAX_PART_SECONDS} s"
        raise BadCut(index, "end_s", detail)


def _text(frames: int, grid: Span) -> str:
    return f"{float(Fraction(frames) / grid.rate):.2f}"


def shared_frames(one: Bounds, other: Bounds) -> int:
    """Return how many frames two parts share; negative: how many lie between them."""
    return min(sum(one), sum(other)) - max(one[0], other[0])


def closest(parts: Sequence[Bounds], bounds: Bounds) -> tuple[int, Bounds]:
    """Return how many frames bounds share with the part with which they share the most, and that part.

    Only the parts around the bounds are compared: a long video has 1800.

    Args:
        parts: at least one, in order, without overlaps.
        bounds: in the same video.
    """
    before = bisect_right(parts, bounds[0], key=_first) - 1
    after = bisect_left(parts, sum(bounds), key=_first) + 1
    return max((shared_frames(bounds, other), other) for other in parts[max(before, 0) : after])


def _first(bounds: Bounds) -> int:
    return bounds[0]


def span_of(spans: Iterable[Span], key_frames: Iterable[Sequence[int]], bounds: Bounds) -> Span:
    """Return the span with other bounds in the same video, decoded from the nearest key frame before that is known.

    Args:
        spans: of the video's plan, at least one.
        key_frames: tick and time stamp of key frames.
        bounds: of the span, inside the video.
    """
    known = list(spans)
    first, frames = bounds
    seeks = [(span.first, span.seek) for span in known if span.seek is not None]
    seeks += [(tick, stamp) for tick, stamp in key_frames]
    before = [(tick, stamp) for tick, stamp in seeks if tick <= first]
    seek = max(before, key=lambda one: one[1])[1] if before and first > 0 else None
    return replace(known[0], first=first, frames=frames, seek=seek)
