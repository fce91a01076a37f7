"""Finds where another scene begins: in the sizes of the packets first, which cost nothing, then in the pictures.

A picture that its predecessor does not foretell takes many bytes, so nearly every picture is ruled out without being
decoded, and of a talk filmed in one go a few at most. Formats that code every picture by itself show no such
sign; in them no change is found.
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

NEAR_FRAMES, STEP_FRAMES = 30, 10  # whose sizes tell what is usual, and how often that is worked out
OUTSTANDING = 1.6  # times the usual size
USUAL_PERCENTILE = 85  # above the half of the pictures that merely fill in between others
MOST_LOOKS = 6  # at pictures, a question; each decodes from the key frame before
APART = 12  # pictures between two looks: what follows a change often takes as many bytes as the change itself
AROUND = 3  # pictures before and after the suspected one are looked at: packets and pictures differ in order
THUMB = (32, 32)
CHANGE = 14.0  # mean difference of luma, of 255, between two pictures of different scenes
BESIDE_OTHERS = 3.0  # times the differences just before and after: quick motion is no change of scene


class SceneChanges:
    """Where the scenes of one video change; looks only where it is asked, and once."""

    def __init__(self, path: Path, timeline: Timeline) -> None:
        self._path = path
        self._timeline = timeline
        self._whole = timeline.grid()
        self._suspects: dict[int, float] | None = None
        self._seen: dict[int, int | None] = {}

    def between(self, first: int, last: int) -> list[int]:
        """Return the ticks from `first` to `last` at which another scene begins, in order."""
        if self._suspects is None:
            self._suspects = self._suspected()
        suspects = self._suspects
        here = sorted((tick for tick in suspects if first <= tick <= last), key=lambda tick: -suspects[tick])
        looked: list[int] = []
        for tick in here:
            if len(looked) < MOST_LOOKS and all(abs(tick - other) > APART for other in looked):
                looked.append(tick)
        found = {self._look(tick) for tick in looked}
        return sorted(tick for tick in found if tick is not None and first <= tick <= last)

    def _suspected(self) -> dict[int, float]:
        """Return the ticks of pictures that take far more bytes than those around them, and how many times more."""
        timeline = self._timeline
        if len(timeline.sizes) < 2 * NEAR_FRAMES:
            return {}
        outstanding = timeline.sizes / np.maximum(_usual(timeline.sizes, np.isin(timeline.times, timeline.keys)), 1)
        outstanding[np.isin(timeline.times, _due(timeline))] = 0.0
        places = np.flatnonzero(outstanding > OUTSTANDING)
        if not len(places):
            return {}
        at = ticks(timeline.times[places], self._whole.origin_s, timeline.unit, self._whole.rate)
        return dict(zip(at.tolist(), outstanding[places].tolist(), strict=True))

    def _look(self, tick: int) -> int | None:
        if tick not in self._seen:
            self._seen[tick] = self._looked(tick)
        return self._seen[tick]

    def _looked(self, tick: int) -> int | None:
        """Return the tick near this one at which the picture changes all at once, if there is one."""
        first = max(tick - AROUND, 0)
        frames = min(2 * AROUND + 1, self._whole.total - first)
        try:
            reel = FrameReader(self._path, self._timeline.span(self._whole, first, frames))
            thumbs = [_thumb(planes) for planes in reel]
        except Refused:
            return None  # a damaged place; whoever renders it will say so
        apart = [float(np.abs(one - other).mean()) for one, other in itertools.pairwise(thumbs)]
        most = int(np.argmax(apart)) if apart else 0
        if not apart or apart[most] < CHANGE:
            return None
        others = [*apart[:most], *apart[most + 1 :]]
        return first + most + 1 if apart[most] > BESIDE_OTHERS * max(others, default=0.0) else None


def _usual(sizes: NDArray[np.int64], is_key: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what the bigger pictures before or after each one take, whichever is less; key frames left out.

    The lesser side, so that a change from a lively picture to a plain one stands out as well.
    """
    others = np.where(is_key, np.nan, sizes.astype(np.float64))
    windows = range(0, len(sizes), STEP_FRAMES)
    bigger = np.array([_bigger(others[start : start + NEAR_FRAMES]) for start in windows])
    places = np.arange(len(sizes))
    before = (places - NEAR_FRAMES - AROUND) // STEP_FRAMES
    after = -(-(places + AROUND) // STEP_FRAMES)
    sides = [
        np.where(side >= 0, np.append(bigger, np.inf)[np.minimum(side, len(bigger))], np.inf)
        for side in (before, after)
    ]
    return np.minimum(*sides)


def _bigger(sizes: NDArray[np.float64]) -> float:
    known = sizes[~np.isnan(sizes)]
    return float(np.percentile(known, USUAL_PERCENTILE)) if len(known) > NEAR_FRAMES // 2 else np.inf


def _due(timeline: Timeline) -> NDArray[np.int64]:
    """Return the times of the key frames that come at the encoder's regular distance; the others have a cause."""
    apart = np.diff(timeline.keys)
    if not len(apart):
        return timeline.keys
    regular = np.flatnonzero(apart >= 0.95 * apart.max()) + 1
    return np.concatenate([timeline.keys[:1], timeline.keys[regular]])


def _thumb(planes: Planes) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(planes.y, THUMB, interpolation=cv2.INTER_AREA), np.float32)
