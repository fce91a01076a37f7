"""Calm outlines: an eye's shape averaged over the frames around it that show the same pose of eye and lids.

Symmetric in time, so nothing lags; frames across a saccade or a blink do not mix.
"""

from collections.abc import Sequence

import numpy as np

from media.gaze.measure import Look
from media.gaze.outline import Outline

REACH_FRAMES = 4
SIGMA_FRAMES = 2.0
SIGMA_GAZE_DEG = 3.0
SIGMA_OPENING = 0.02  # of the eye's width; lids in a blink move three times that much in a frame


def steady(looks: Sequence[Look | None], at: int) -> tuple[Outline, Outline]:
    """Average both eyes' outlines around a frame that has a face."""
    own = looks[at]
    assert own is not None
    first, last = max(0, at - REACH_FRAMES), min(len(looks), at + REACH_FRAMES + 1)
    near = [(look, index - at) for index, look in enumerate(looks[first:last], start=first) if look is not None]
    apart = np.array([(frames, *look.gaze_deg, look.opening) for look, frames in near])
    apart = (apart - (0, *own.gaze_deg, own.opening)) / (SIGMA_FRAMES, SIGMA_GAZE_DEG, SIGMA_GAZE_DEG, SIGMA_OPENING)
    weights = np.exp(-0.5 * (apart**2).sum(axis=1))
    left = Outline.mean([look.outlines[0] for look, _ in near], weights)
    right = Outline.mean([look.outlines[1] for look, _ in near], weights)
    return left, right
