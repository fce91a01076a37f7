"""Detection of spectacle rims above an eye: long lines, which must not move with the lids.

Eye units throughout, see `media.gaze.estimate.geometry`; nothing is drawn here.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Axes, Box, Grid

# Search area: rows above the corners and their distance; half width, and number of columns.
TOP, BOTTOM, ROW = -0.52, -0.06, 0.023
SIDE, COLUMNS = 0.52, 16
FINE = 3  # samples for each row, as a rim may be thinner than a row
# Rows by which a rim's ends may differ in height, and by which its middle may lie above them; lids and creases are
# rounder.
MOST_TILT, MOST_ARCH = 7, 5
# SHOWN is the share of the columns that must show the line, by FAINT (no rim) to CLEAR (certainly a rim) grey levels
# from row to row. Measured along the best line: 63 to 78 with thin rims, at most 35 on lids, lashes, brows and faint
# rims of four other faces.
SHOWN, FAINT, CLEAR = 0.85, 42.0, 58.0
# In dim pictures rims are dim, too: the levels hold for this brightness of the skin over black. With darker skin they
# shrink in proportion, but not below the share that grain reaches.
WELL_LIT, BLACK, DIMMEST = 90.0, 16, 0.35
AS_CLEAR = 0.75  # of the clearest line: these are compared by their sum


@dataclass(frozen=True)
class SpectacleRim:
    """A line y = a + b x + c x² that is a rim."""

    curve: tuple[float, float, float]  # a, b, c
    confidence: float  # 0 no rim to 1 surely a rim

    def height(self, x: Grid) -> Grid:
        """Return the y of the rim, from x."""
        a, b, c = (np.float32(value) for value in self.curve)
        return np.asarray(a + x * (b + c * x), np.float32)


def find(luma: NDArray[np.uint8], axes: Axes, box: Box) -> SpectacleRim | None:
    """Detect a rim above an eye; None when there is none.

    Args:
        luma: (h, w), of the eye's box.
        axes: of the eye in the frame.
        box: the eye's box in the frame.
    """
    rows = _unrolled(luma, axes, box)
    fine = np.abs(rows[2 * FINE :] - rows[: -2 * FINE])
    edges = fine[: len(fine) // FINE * FINE].reshape(-1, FINE, COLUMNS).max(axis=1)
    above, here, below = edges[:-2], edges[1:-1], edges[2:]
    along = np.take(np.maximum(np.maximum(above, here), below), _LINES)  # a line may lie between two rows
    least = round((1 - SHOWN) * COLUMNS)
    shown = np.partition(along, least, axis=1)[:, least]
    clearest = float(shown.max()) / _dim(rows)
    confidence = min(max((clearest - FAINT) / (CLEAR - FAINT), 0.0), 1.0)
    if confidence == 0:
        return None
    # Of several such lines, the rim's middle has the strongest edges within three rows.
    candidates = np.flatnonzero(shown >= AS_CLEAR * shown.max())
    most = int(np.argmax(np.take(above + here + below, _LINES[candidates]).sum(axis=1)))
    return SpectacleRim(_CURVES[candidates[most]], confidence)


def _dim(rows: Grid) -> float:
    """Return the share of the light of a well-lit picture, 1 in brighter ones."""
    middle = rows.size // 2
    skin = float(np.partition(rows, middle, axis=None)[middle])
    return min(max((skin - BLACK) / WELL_LIT, DIMMEST), 1.0)


def _unrolled(luma: NDArray[np.uint8], axes: Axes, box: Box) -> Grid:
    """Sample the skin above the eye in rows parallel to its corners."""
    right, down = axes.along, np.array([-axes.along[1], axes.along[0]])
    origin = axes.origin - (box.left + 0.5, box.top + 0.5) + right * _X[0] + down * _Y[0]
    step_x, step_y = right * (_X[1] - _X[0]), down * (_Y[1] - _Y[0])
    back = np.array([[step_x[0], step_y[0], origin[0]], [step_x[1], step_y[1], origin[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(luma, back, (len(_X), len(_Y)), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def _lines() -> tuple[NDArray[np.intp], list[tuple[float, float, float]]]:
    """List all candidate lines: their indices into the edges, (lines, columns), and their curves."""
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
