"""Tells in which frames something passes over an eye: a hand, a sleeve, a sheet of paper.

The landmark network draws eyes onto whatever covers them, open ones, and is as sure of the face as before. But there is
no limbus: across the circle that fits best, at least one side is flat. Measurements only; no picture is read.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.measure import GazeEstimate

# In grey levels, of the weaker side of a limbus. Five painted objects that pass over the eyes of four people leave −8
# to 4, where it usually has 32 to 58. Below the second figure, soft, dark or small eyes are as flat by themselves. In
# 31 recordings of 8,300 frames without such objects, eyes are flat for three frames on end four times: far aside,
# crossed, and behind reflecting glasses.
FLAT_STEP, CLEAR_STEP = 4.0, 24.0
SHORTEST_FRAMES = 3  # a hand is wider than an eye, and takes longer
BESIDE_FRAMES = 1  # before and after, its edge is at the eye


def covered(estimates: Sequence[GazeEstimate | None], usual_steps: tuple[float, float]) -> NDArray[np.bool_]:
    """Return whether something covers each eye in each frame, (n, 2).

    Args:
        estimates: of one face in consecutive frames, None where it was not found.
        usual_steps: of this face, `Eye.limbus_step` in the median, the picture's left eye first.
    """
    found = np.zeros((len(estimates), 2), np.bool_)
    for side, usual in enumerate(usual_steps):
        if usual >= CLEAR_STEP:
            found[:, side] = _flat([None if one is None else one.eyes[side].limbus_step for one in estimates])
    return found


def _flat(steps: Sequence[float | None]) -> NDArray[np.bool_]:
    """Return for each frame whether the limbus is flat in it and around it, or in the frame beside it.

    Frames between flat ones are flat, too, if their own step is unknown.
    """
    known = [at for at, step in enumerate(steps) if step is not None]
    if not any(step is not None and step < FLAT_STEP for step in steps):
        return np.zeros(len(steps), np.bool_)
    flat = np.interp(range(len(steps)), known, [float((steps[at] or 0.0) < FLAT_STEP) for at in known]) >= 1
    starts = [at for at in range(len(steps)) if flat[at : at + SHORTEST_FRAMES].sum() == SHORTEST_FRAMES]
    result = np.zeros(len(steps), np.bool_)
    for at in starts:
        result[max(0, at - BESIDE_FRAMES) : at + SHORTEST_FRAMES + BESIDE_FRAMES] = True
    return result
