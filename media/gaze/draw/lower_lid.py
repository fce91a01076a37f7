"""The lower lid below the iris as the picture shows it, where the landmarks lie too high or too low.

Landmarks are smoothed over time and lag behind a head that nods or an eye that opens. Below a lid that is taken for
higher than it is, the old iris would stay as a black bar under the moved one. Of narrowed eyes, and of children's, the
landmarks lie on the lid below its edge. A strip of skin would be moved as a part of the iris, and what is filled in
below it would be a second, dark edge.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from media.gaze.draw import eye_samples
from media.gaze.estimate.geometry import Axes, Box, Outline, height

ACROSS = np.linspace(-0.45, 0.45, 7, dtype=np.float32)[:, None]  # columns below the iris, in its radii from its centre
# Distances from the measured lid at which the picture is read, down positive, in eye widths; smoothed over three.
STEP = 0.01
DOWN = np.arange(-0.08, 0.131, STEP, dtype=np.float32)
DARKER = 2  # of seven columns: where the iris reaches further down than in most
MIDDLE = 3  # of seven columns: where it ends in most
ABOVE = 0.015  # an end that is so far above the measured lid: the landmarks lie on the skin
HIDDEN = 0.03  # by which the iris would go on below its end, if the lid did not cover it
COVERED = 0.02  # below the measured lid: is drawn over anyway
LEAST_RISE = 25.0  # grey levels from the iris to the lid; less is no edge
PLATEAU = 3  # steps on each side of the edge
MOST = 0.09


def fit(luma: NDArray[np.uint8], axes: Axes, outline: Outline, box: Box, *, lifted: bool) -> Outline:
    """Return the outline with its lower lid at the end of the visible iris, if that is lower or higher than measured.

    Args:
        luma: (h, w), of the eye's box.
        axes: of the eye in the frame.
        outline: shape of the eye before the movement.
        box: the eye's box in the frame.
    """
    at = np.float32(outline.iris[0])
    x = at + ACROSS * np.float32(outline.radius)
    y = height(outline.lower, x) + DOWN
    found = eye_samples.read(luma, axes, box, x, y)
    columns = np.sort(found, axis=0)
    lower = max(_end_of_iris(columns[DARKER]) - COVERED, 0.0)
    inside = 0.25 - float(at) ** 2
    if lower == 0 and lifted:
        end = _end_of_iris(columns[MIDDLE])
        lid = float(height(outline.lower, np.full(1, at, np.float32))[0])
        if end <= -ABOVE and outline.iris[1] + outline.radius >= lid + end + HIDDEN:
            lower = end
    if lower == 0 or inside <= 0:
        return outline
    return replace(outline, lower=outline.lower + np.array([min(max(lower, -MOST), MOST) / inside, 0, 0]))


def _end_of_iris(profile: NDArray[np.float32]) -> float:
    """Return how far below the measured lid the iris ends, < 0 above; 0 where no dark iris runs on to a bright lid."""
    rise = profile[2:] - profile[:-2]
    edge = int(rise.argmax()) + 1
    dark, bright = profile[max(edge - PLATEAU, 0)], profile[min(edge + PLATEAU, len(profile) - 1)]
    if bright - dark < LEAST_RISE or profile[:edge].max() > (dark + bright) / 2:
        return 0.0
    return float(DOWN[edge])
