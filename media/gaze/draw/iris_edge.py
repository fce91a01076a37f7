"""Measurement of the iris' edge in the picture: the width of the transition from iris to sclera.

A redrawn iris, sclera and lid get edges of the same width: soft pictures stay soft, sharp ones sharp. Eye units and
radii of the iris, see `media.gaze.estimate.geometry`; nothing is drawn here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.gaze.draw import eye_samples
from media.gaze.estimate.geometry import Axes, Box, Grid, Outline, height

# Profiles across the limbus: their angles from the horizontal, downwards positive, on both sides; distances in radii.
ANGLES = np.radians([-28, -16, -4, 8, 20, 32])
STEP = 0.05
DISTANCES = np.arange(0.5, 1.56, STEP)
_ACROSS = np.asarray(np.concatenate([-np.cos(ANGLES), np.cos(ANGLES)])[:, None] * DISTANCES, np.float32)
_DOWN = np.asarray(np.tile(np.sin(ANGLES), 2)[:, None] * DISTANCES, np.float32)
EDGE_WITHIN = (0.8, 1.35)  # radii between which the steepest slope is searched
PLATEAU = 0.35  # radii on either side of it in which the iris and the sclera reach their brightness
INSET_UPPER, INSET_LOWER, CORNER = 0.03, 0.02, 0.45  # profiles end so far inside of the lids, and at this |x|
LEAST_STEP = 20.0  # grey levels between iris and sclera; less is no edge
FEWEST = 3  # profiles
SHARP, SOFTEST = 0.18, 0.70  # widths in radii; measured on webcams and phones in focus: 0.17 to 0.20
NARROWEST_PX = 1.7  # the width of an edge in a picture that is as sharp as pixels allow
LID_EDGE = 1.0  # width of a lid's edge over that of the limbus


@dataclass(frozen=True)
class IrisEdge:
    """The transition from the iris to the sclera."""

    width: float = SHARP  # in radii

    @property
    def softer(self) -> float:
        """Return by how much the transition is wider than in a sharp picture."""
        return self.width - SHARP


SHARP_EDGE = IrisEdge()


def measure(luma: NDArray[np.uint8], axes: Axes, outline: Outline, box: Box) -> IrisEdge:
    """Measure the edge of an iris; where none is seen, return that of a sharp picture.

    Args:
        luma: (h, w), of the eye's box.
        axes: of the eye in the frame.
        outline: shape of the eye before the movement.
        box: the eye's box in the frame.
    """
    narrowest = max(SHARP, NARROWEST_PX / (outline.radius * axes.width))
    x, y = _places(outline)
    values, seen = eye_samples.read(luma, axes, box, x, y), _between_lids(outline, x, y)
    slope = np.where(seen[:, 1:] & seen[:, :-1], np.diff(values, axis=1) / STEP, 0)
    first, last = (round((radii - DISTANCES[0]) / STEP) for radii in EDGE_WITHIN)
    steepest = first + slope[:, first:last].argmax(axis=1)
    reach = round(PLATEAU / STEP)
    around = np.minimum(np.maximum(steepest[:, None] + np.arange(-reach, reach + 2), 0), len(DISTANCES) - 1)
    rows = np.arange(len(values))
    near, near_seen = values[rows[:, None], around], seen[rows[:, None], around]
    low = np.where(near_seen[:, : reach + 1], near[:, : reach + 1], 255).min(axis=1)
    high = np.where(near_seen[:, reach + 1 :], near[:, reach + 1 :], 0).max(axis=1)
    good = high - low >= LEAST_STEP
    if good.sum() < FEWEST:
        return IrisEdge(min(narrowest, SOFTEST))
    widths = np.sort((high - low)[good] / np.maximum(slope[rows, steepest][good], 1))
    width = float(widths[len(widths) // 2])
    return IrisEdge(min(max(width, narrowest), SOFTEST))


def _places(outline: Outline) -> tuple[Grid, Grid]:
    """Return x and y of the samples in eye units, (profiles, distances)."""
    (x, y), radius = outline.iris, np.float32(outline.radius)
    return _ACROSS * radius + np.float32(x), _DOWN * radius + np.float32(y)


def _between_lids(outline: Outline, x: Grid, y: Grid) -> NDArray[np.bool_]:
    """Return which samples show the eyeball: from the iris outwards up to the first that does not."""
    inside = np.maximum(np.float32(0.25) - x * x, np.float32(0))
    upper, lower = (height(lid, x, inside) for lid in (outline.upper, outline.lower))
    open_ = (y > upper + np.float32(INSET_UPPER)) & (y < lower - np.float32(INSET_LOWER))
    return np.asarray(np.logical_and.accumulate(open_ & (np.abs(x) < CORNER), axis=1), np.bool_)
