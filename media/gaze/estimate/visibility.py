"""Whether a pair of eyes can be seen at all: too dark a picture, or dark glasses before them.

Compares the skin below the eyes with the cheeks, over time and with two thresholds, so that it does not change its mind
from frame to frame. Mirrored glasses that show a bright room pass for eyes.
"""

from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from media.gaze.face.faces import Face
from media.gaze.reasons import Reason

CHEEKS = (50, 280, 117, 346, 118, 347, 101, 330)
BELOW = ((229, 230, 231), (449, 450, 451))  # under each lower lid, where glasses still cover and spectacles are clear
POINTS = [*CHEEKS, *(point for side in BELOW for point in side)]
BLACK = 16.0
PATCH = 2  # pixels on each side of a point
AROUND = np.arange(-PATCH, PATCH + 1)
SETTLE_FRAMES = 12.0
# Below the left bound there is no sight, from the right one on there is. Grey levels of the cheeks, see the test; and
# the brighter of both sides' skin under the eye against them: 0.61 at the least in seven recordings, 0.73 to 1.0 in
# the middle, 0.08 to 0.25 behind drawn dark glasses (2026-11-26).
DARK = (20.0, 26.0)
COVERED = (0.38, 0.48)


@dataclass
class EyeVisibility:
    """Watches one face."""

    _cheeks: float | None = None  # grey levels over black, averaged over time
    _covered: float = 1.0
    _hindrance: Reason | None = None

    def obstruction(self, luma: NDArray[np.uint8], face: Face) -> Reason | None:
        """Say why the eyes cannot be seen in this frame; None when they can.

        Args:
            luma: (H, W), limited range.
            face: its points in pixels.
        """
        levels = _levels(luma, face)
        cheeks = median(levels[: len(CHEEKS)].tolist())
        below = max(median(side) for side in levels[len(CHEEKS) :].reshape(len(BELOW), -1).tolist())
        share = 1.0 if self._cheeks is None else 1 / SETTLE_FRAMES
        self._cheeks = cheeks if self._cheeks is None else self._cheeks + share * (cheeks - self._cheeks)
        self._covered += share * (below / max(cheeks, 1.0) - self._covered)
        if self._cheeks < DARK[self._hindrance is Reason.TOO_DARK]:
            self._hindrance = Reason.TOO_DARK
        elif self._covered < COVERED[self._hindrance is Reason.SUNGLASSES]:
            self._hindrance = Reason.SUNGLASSES
        else:
            self._hindrance = None
        return self._hindrance


def _levels(luma: NDArray[np.uint8], face: Face) -> NDArray[np.float64]:
    """Return the mean grey around each of POINTS, over black; a point beyond the picture's edge is taken at it."""
    inside = np.array(luma.shape[::-1]) - PATCH - 1
    columns, rows = np.clip(face.points[POINTS].astype(np.intp), PATCH, inside).T
    patches = luma[rows[:, None, None] + AROUND[:, None], columns[:, None, None] + AROUND]
    return np.asarray(patches.reshape(len(POINTS), -1).mean(axis=1) - BLACK, np.float64)
