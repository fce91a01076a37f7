"""Calm eyes: their shape and place averaged over the frames around one, symmetric in time, so that nothing lags.

Shapes are averaged over frames that show the same pose of eye and lids, so that frames across a saccade or a blink do
not mix. Places move with the head, so they follow a parabola through time.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Axes, Outline
from media.gaze.estimate.measure import GazeEstimate

REACH_FRAMES = 4
SIGMA_FRAMES = 2.0
SIGMA_GAZE_DEG = 3.0
SIGMA_OPENING = 0.02  # of the eye's width; lids in a blink move three times that much in a frame
# A parabola weighted so takes away two thirds of the engine's noise (which is white, some 0.4 % of an eye's width) and
# follows a head that nods thrice a second.
SIGMA_PLACE_FRAMES = 2.5
FEWEST_PLACES = 5  # fewer frames with a face are no ground for a parabola


def smooth_outlines(looks: Sequence[GazeEstimate | None], at: int) -> tuple[Outline, Outline]:
    """Average both eyes' outlines around a frame that has a face."""
    own, near = _near(looks, at)
    apart = np.array([(frames, *look.gaze_deg, look.opening) for look, frames in near])
    apart = (apart - (0, *own.gaze_deg, own.opening)) / (SIGMA_FRAMES, SIGMA_GAZE_DEG, SIGMA_GAZE_DEG, SIGMA_OPENING)
    weights = np.exp(-0.5 * (apart**2).sum(axis=1))
    left = Outline.mean([look.outlines[0] for look, _ in near], weights)
    right = Outline.mean([look.outlines[1] for look, _ in near], weights)
    return left, right


def smooth_axes(looks: Sequence[GazeEstimate | None], at: int) -> tuple[Axes, Axes]:
    """Return where both eyes lie in a frame that has a face, freed of the landmarks' trembling."""
    own, near = _near(looks, at)
    if len(near) < FEWEST_PLACES:
        return Axes.of(own.eyes[0]), Axes.of(own.eyes[1])
    corners = np.stack([eye.upper[end] for look, _ in near for eye in look.eyes for end in (0, -1)])
    now = _parabola(tuple(apart for _, apart in near)) @ corners.reshape(len(near), 8)
    return Axes.through(now[0:2], now[2:4]), Axes.through(now[4:6], now[6:8])


def _near(looks: Sequence[GazeEstimate | None], at: int) -> tuple[GazeEstimate, list[tuple[GazeEstimate, int]]]:
    """Return the frame's own look, and the looks around it with how many frames they are apart."""
    own = looks[at]
    assert own is not None
    first, last = max(0, at - REACH_FRAMES), min(len(looks), at + REACH_FRAMES + 1)
    return own, [(look, index - at) for index, look in enumerate(looks[first:last], start=first) if look is not None]


@lru_cache(maxsize=256)  # without a gap it is always the same
def _parabola(apart: tuple[int, ...]) -> NDArray[np.float64]:
    """Return what each frame's value weighs in the parabola that fits them best, where it stands at frame 0."""
    frames = np.array(apart, np.float64)
    weights = np.exp(-0.25 * (frames / SIGMA_PLACE_FRAMES) ** 2)  # the root, as least squares squares it again
    powers = np.stack([np.ones_like(frames), frames, frames**2], axis=1) * weights[:, None]
    return np.asarray(np.linalg.pinv(powers)[0] * weights, np.float64)
