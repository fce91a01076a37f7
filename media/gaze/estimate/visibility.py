"""Detection of eyes that cannot be seen: the picture is too dark, or dark glasses cover them.

Compares the skin below the eyes with the cheeks, averaged over time and with hysteresis, so that the answer does not
flicker. Mirrored glasses that reflect a bright room are not detected.
"""

from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from media.gaze.face.faces import Face
from media.gaze.reasons import Reason

CHEEKS = (50, 280, 117, 346, 118, 347, 101, 330)
BELOW = ((229, 230, 231), (449, 450, 451))  # under each lower lid, which dark glasses cover and spectacles leave clear
POINTS = [*CHEEKS, *(point for side in BELOW for point in side)]
BLACK = 16.0
PATCH = 2  # pixels on each side of a point
AROUND = np.arange(-PATCH, PATCH + 1)
SETTLE_FRAMES = 12.0
# Two thresholds each: visible eyes count as hidden below the first, hidden ones as visible from the second. Grey levels
# of the cheeks over black, see the test; and the ratio of the skin under the eyes, the brighter side, to the cheeks: at
# least 0.61 in seven recordings, median 0.73 to 1.0, behind drawn dark glasses 0.08 to 0.25 (2026-11-26).
DARK = (20.0, 26.0)
COVERED = (0.38, 0.48)


@dataclass
class EyeVisibility:
    """The visibility of one face's eyes over time."""

    _cheeks: float | None = None  # grey levels over black, averaged over time
    _covered: float = 1.0
    _obstruction: Reason | None = None

    def obstruction(self, luma: NDArray[np.uint8], face: Face) -> Reason | None:
        """Return why the eyes cannot be seen in this frame, TOO_DARK or SUNGLASSES; None when they can.

        Args:
            luma: (H, W), limited range.
            face: landmarks in pixels.
        """
        levels = _levels(luma, face)
        cheeks = median(levels[: len(CHEEKS)].tolist())
        below = max(median(side) for side in levels[len(CHEEKS) :].reshape(len(BELOW), -1).tolist())
        share = 1.0 if self._cheeks is None else 1 / SETTLE_FRAMES
        self._cheeks = cheeks if self._cheeks is None else self._cheeks + share * (cheeks - self._cheeks)
        self._covered += share * (below / max(cheeks, 1.0) - self._covered)
        if self._cheeks < DARK[self._obstruction is Reason.TOO_DARK]:
            self._obstruction = Reason.TOO_DARK
        elif self._covered < COVERED[self._obstruction is Reason.SUNGLASSES]:
            self._obstruction = Reason.SUNGLASSES
        else:
            self._obstruction = None
        return self._obstruction


def _levels(luma: NDArray[np.uint8], face: Face) -> NDArray[np.float64]:
    """Return the mean luma around each of POINTS, over black; points outside of the frame are clamped to its edge."""
    inside = np.array(luma.shape[::-1]) - PATCH - 1
    columns, rows = np.clip(face.points[POINTS].astype(np.intp), PATCH, inside).T
    patches = luma[rows[:, None, None] + AROUND[:, None], columns[:, None, None] + AROUND]
    return np.asarray(patches.reshape(len(POINTS), -1).mean(axis=1) - BLACK, np.float64)
