"""Finds scene changes: by the sizes of the packets first, which need no decoding, then in the frames.

A frame that cannot be predicted from the one before takes many bytes. So nearly all frames are ruled out without being
decoded, and of a talk in one shot all but a few. In formats that code every frame by itself no scene change is found.
"""

import itertools
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media.errors import Refused
from media.frames import Planes
from media.reading.frame_reader import FrameReader
from media.reading.timeline import Timeline, ticks

WINDOW_FRAMES, STEP_FRAMES = 30, 10  # size and step of the windows in which the usual size is computed
SUSPICIOUS_RATIO = 1.6  # of a packet's size to the usual one
USUAL_PERCENTILE = 85  # above the B-frames, which may be half of all
MAX_CHECKS = 6  # suspected frames decoded in one call; each is decoded from the key frame before it
MIN_DISTANCE = 12  # frames between two checks: packets after a scene change are often as large as its own
MARGIN = 3  # frames compared before and after the suspected one: packets and frames differ in order
THUMBNAIL = (32, 32)
MIN_DIFFERENCE = 14.0  # mean difference of luma, of 255, between two frames of different scenes
MIN_RATIO = 3.0  # to the differences just before and after, which quick motion raises as well


class SceneChanges:
    """The scene changes of one video; frames are decoded only in the requested intervals, and once."""

    def __init__(self, path: Path, timeline: Timeline) -> None:
        self._path = path
        self._timeline = timeline
        self._whole = timeline.grid()
        self._suspects: dict[int, float] | None = None
        self._checked: dict[int, int | None] = {}

    def between(self, first: int, last: int) -> list[int]:
        """Return the ticks of the scene changes from `first` to `last`, in order."""
        if self._suspects is None:
            self._suspects = self._suspected()
        suspects = self._suspects
        here = sorted((tick for tick in suspects if first <= tick <= last), key=lambda tick: -suspects[tick])
        checked: list[int] = []
        for tick in here:
            if len(checked) < MAX_CHECKS and all(abs(tick - other) > MIN_DISTANCE for other in checked):
                checked.append(tick)
        found = {self._check(tick) for tick in checked}
        return sorted(tick for tick in found if tick is not None and first <= tick <= last)

    def _suspected(self) -> dict[int, float]:
        """Return the ticks of frames that take far more bytes than those around them, with the ratio."""
        timeline = self._timeline
        if len(timeline.sizes) < 2 * WINDOW_FRAMES:
            return {}
        ratios = timeline.sizes / np.maximum(_usual(timeline.sizes, np.isin(timeline.times, timeline.keys)), 1)
        ratios[np.isin(timeline.times, _regular_keys(timeline))] = 0.0
        places = np.flatnonzero(ratios > SUSPICIOUS_RATIO)
        if not len(places):
            return {}
        at = ticks(timeline.times[places], self._whole.origin_s, timeline.unit, self._whole.rate)
        return dict(zip(at.tolist(), ratios[places].tolist(), strict=True))

    def _check(self, tick: int) -> int | None:
        if tick not in self._checked:
            self._checked[tick] = self._find_change(tick)
        return self._checked[tick]

    def _find_change(self, tick: int) -> int | None:
        """Return the tick of the scene change near a tick; None if there is none."""
        first = max(tick - MARGIN, 0)
        frames = min(2 * MARGIN + 1, self._whole.total - first)
        try:
            reader = FrameReader(self._path, self._timeline.span(self._whole, first, frames))
            thumbnails = [_thumbnail(planes) for planes in reader]
        except Refused:
            return None  # damaged here; the render reports it
        differences = [float(np.abs(one - other).mean()) for one, other in itertools.pairwise(thumbnails)]
        most = int(np.argmax(differences)) if differences else 0
        if not differences or differences[most] < MIN_DIFFERENCE:
            return None
        others = [*differences[:most], *differences[most + 1 :]]
        return first + most + 1 if differences[most] > MIN_RATIO * max(others, default=0.0) else None


def _usual(sizes: NDArray[np.int64], is_key: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the usual size of larger packets before or after each frame, whichever is less; without key frames.

    The lesser one, so that a change from a detailed scene to a plain one is found as well.
    """
    others = np.where(is_key, np.nan, sizes.astype(np.float64))
    windows = range(0, len(sizes), STEP_FRAMES)
    larger = np.array([_larger_size(others[start : start + WINDOW_FRAMES]) for start in windows])
    places = np.arange(len(sizes))
    before = (places - WINDOW_FRAMES - MARGIN) // STEP_FRAMES
    after = -(-(places + MARGIN) // STEP_FRAMES)
    sides = [
        np.where(side >= 0, np.append(larger, np.inf)[np.minimum(side, len(larger))], np.inf)
        for side in (before, after)
    ]
    return np.minimum(*sides)


def _larger_size(sizes: NDArray[np.float64]) -> float:
    known = sizes[~np.isnan(sizes)]
    return float(np.percentile(known, USUAL_PERCENTILE)) if len(known) > WINDOW_FRAMES // 2 else np.inf


def _regular_keys(timeline: Timeline) -> NDArray[np.int64]:
    """Return the times of the key frames at the encoder's regular interval; others may be at scene changes."""
    intervals = np.diff(timeline.keys)
    if not len(intervals):
        return timeline.keys
    regular = np.flatnonzero(intervals >= 0.95 * intervals.max()) + 1
    return np.concatenate([timeline.keys[:1], timeline.keys[regular]])


def _thumbnail(planes: Planes) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(planes.y, THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)
