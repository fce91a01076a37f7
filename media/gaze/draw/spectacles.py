"""Rims of glasses above an eye: lines that run on where lids end, and stay where they are when lids move.

Eye units throughout, see `media.gaze.estimate.geometry`; nothing is drawn here.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Axes, Box, Grid

# Where lines are looked for: rows above the corners and columns, in eye widths, and how far apart.
TOP, BOTTOM, ROW = -0.52, -0.06, 0.023
SIDE, COLUMNS = 0.52, 16
FINE = 3  # a row is looked at so many times, since a thin rim is thinner than it
# A rim's ends may differ in height by so many rows, and its middle lie so far above them; lids and creases are rounder.
MOST_TILT, MOST_ARCH = 7, 5
# Of the columns, this share must show the line, by so many grey levels from row to row: no line … a rim. Measured along
# the best line: 63 to 78 with thin rims, at most 35 on lids, lashes, brows and faint rims of four other faces.
SHOWN, FAINT, CLEAR = 0.85, 42.0, 58.0
AS_CLEAR = 0.75


@dataclass(frozen=True)
class Rim:
    """A line y = a + b x + c x² that is surely, 1, or hardly, 0, a rim."""

    curve: tuple[float, float, float]
    surely: float

    def height(self, x: Grid) -> Grid:
        """Return where it runs."""
        a, b, c = (np.float32(value) for value in self.curve)
        return np.asarray(a + x * (b + c * x), np.float32)


def find(luma: NDArray[np.uint8], axes: Axes, box: Box) -> Rim | None:
    """Look for a rim above an eye.

    Args:
        luma: the eye's box.
        axes: where the eye lies in the picture.
        box: the eye's box in the picture.
    """
    rows = _unrolled(luma, axes, box)
    fine = np.abs(rows[2 * FINE :] - rows[: -2 * FINE])
    edges = fine[: len(fine) // FINE * FINE].reshape(-1, FINE, COLUMNS).max(axis=1)
    above, here, below = edges[:-2], edges[1:-1], edges[2:]
    along = np.take(np.maximum(np.maximum(above, here), below), _LINES)  # a line may run between two rows
    least = round((1 - SHOWN) * COLUMNS)
    shown = np.partition(along, least, axis=1)[:, least]
    clearest = float(shown.max())
    surely = float(np.clip((clearest - FAINT) / (CLEAR - FAINT), 0, 1))
    if surely == 0:
        return None
    # Several lines pass so; a rim's two edges are most within three rows of its middle.
    candidates = np.flatnonzero(shown >= AS_CLEAR * clearest)
    most = int(np.argmax(np.take(above + here + below, _LINES[candidates]).sum(axis=1)))
    return Rim(_CURVES[candidates[most]], surely)


def _unrolled(luma: NDArray[np.uint8], axes: Axes, box: Box) -> Grid:
    """Sample the skin above the eye, level with its corners."""
    right, down = axes.along, np.array([-axes.along[1], axes.along[0]])
    origin = axes.origin - (box.left + 0.5, box.top + 0.5) + right * _X[0] + down * _Y[0]
    step_x, step_y = right * (_X[1] - _X[0]), down * (_Y[1] - _Y[0])
    back = np.array([[step_x[0], step_y[0], origin[0]], [step_x[1], step_y[1], origin[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(luma, back, (len(_X), len(_Y)), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def _lines() -> tuple[NDArray[np.intp], list[tuple[float, float, float]]]:
    """List all lines that a rim may run along: places among the edges, (lines, columns), and curves."""
    count = len(_Y) // FINE - 4  # an edge lies between two rows, and is compared with its neighbours
    t = np.linspace(-1, 1, COLUMNS)
    places, curves = [], []
    for left in range(count):
        for right in range(max(0, left - MOST_TILT), min(count, left + MOST_TILT + 1)):
            for arch in range(MOST_ARCH + 1):
                row = (left + right) / 2 + (right - left) / 2 * t - arch * (1 - t * t)
                if row.min() < 0 or row.max() > count - 1:
                    continue
                places.append(np.rint(row).astype(np.intp) * COLUMNS + np.arange(COLUMNS))
                middle = TOP + ROW * (2 + (left + right) / 2 - arch) + ROW * (FINE - 1) / 2 / FINE
                curves.append((middle, ROW * (right - left) / 2 / SIDE, ROW * arch / SIDE**2))
    return np.array(places), curves


_X, _Y = np.linspace(-SIDE, SIDE, COLUMNS), np.arange(TOP, BOTTOM, ROW / FINE)
_LINES, _CURVES = _lines()
