"""Smoothing of eye shape and position over time, with symmetric filters, so that nothing lags.

Shapes are averaged over frames with similar gaze and opening, so that frames across a saccade or a blink do not mix.
Positions move with the head, so a parabola is fitted to them.
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
SIGMA_OPENING = 0.02  # of the eye's width; a blink moves the lids three times as far in a frame
# A parabola with these weights removes two thirds of the landmark noise (white, about 0.4 % of an eye's width) and
# follows a head that nods three times a second.
SIGMA_POSITION_FRAMES = 2.5
FEWEST_POSITIONS = 5  # frames with a face that a parabola needs
# In a single frame an iris is placed to 0.7 % of the width of an eye of 73 px, 1.4 % at 52, 2.4 % at 44 and 3 % at 33:
# the smaller the eyes, the more frames are averaged, as far as the look-ahead suffices.
AS_MEASURED_PX, MOST_FRAMES_FACTOR = 40.0, 1.6


def frames_factor(eye_px: float) -> float:
    """Return how many times as many frames, and gazes as far apart, are averaged for eyes of a width."""
    return min(max(AS_MEASURED_PX / max(eye_px, 1.0), 1.0), MOST_FRAMES_FACTOR)


def smooth_outlines(estimates: Sequence[GazeEstimate | None], at: int) -> tuple[Outline, Outline]:
    """Return both eyes' mean outlines around a frame that has a face."""
    own, near, longer = _near(estimates, at)
    apart = np.array([(frames, *one.gaze_deg, one.opening) for one, frames in near])
    sigmas = np.array([SIGMA_FRAMES, SIGMA_GAZE_DEG, SIGMA_GAZE_DEG, SIGMA_OPENING]) * longer
    apart = (apart - (0, *own.gaze_deg, own.opening)) / sigmas
    weights = np.exp(-0.5 * (apart**2).sum(axis=1))
    left = Outline.mean([one.outlines[0] for one, _ in near], weights)
    right = Outline.mean([one.outlines[1] for one, _ in near], weights)
    return left, right


def smooth_axes(estimates: Sequence[GazeEstimate | None], at: int) -> tuple[Axes, Axes]:
    """Return the axes of both eyes in a frame that has a face, without the landmarks' noise."""
    own, near, longer = _near(estimates, at)
    if len(near) < FEWEST_POSITIONS:
        return Axes.of(own.eyes[0]), Axes.of(own.eyes[1])
    corners = np.stack([eye.upper[end] for one, _ in near for eye in one.eyes for end in (0, -1)])
    now = _parabola(tuple(apart for _, apart in near), SIGMA_POSITION_FRAMES * longer) @ corners.reshape(len(near), 8)
    return Axes.through(now[0:2], now[2:4]), Axes.through(now[4:6], now[6:8])


def _near(
    estimates: Sequence[GazeEstimate | None], at: int
) -> tuple[GazeEstimate, list[tuple[GazeEstimate, int]], float]:
    """Return the frame's own estimate, those around it with their distances in frames, and the factor of both."""
    own = estimates[at]
    assert own is not None
    longer = round(frames_factor(own.eye_px), 1)
    reach = round(REACH_FRAMES * longer)
    first, last = max(0, at - reach), min(len(estimates), at + reach + 1)
    near = [(one, index - at) for index, one in enumerate(estimates[first:last], start=first) if one is not None]
    return own, near, longer


@lru_cache(maxsize=256)  # without a gap the key is always the same
def _parabola(apart: tuple[int, ...], sigma_frames: float) -> NDArray[np.float64]:
    """Return the weights of the frames' values in the fitted parabola's value at frame 0."""
    frames = np.array(apart, np.float64)
    weights = np.exp(-0.25 * (frames / sigma_frames) ** 2)  # the root: least squares squares the weights
    powers = np.stack([np.ones_like(frames), frames, frames**2], axis=1) * weights[:, None]
    return np.asarray(np.linalg.pinv(powers)[0] * weights, np.float64)
