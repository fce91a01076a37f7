"""Removal of thin lines that a drawn eye shows and the picture did not: rings, slivers, edges of masks.

Where an iris, its new sclera and a lid meet, each is the picture's own, but not their seam. The picture says how thin
and how bright (or dark) its own lines are; a drawn line beyond that is levelled to its surroundings.

Source: top-hat and black-hat transform, Serra 1982; the limits are our own.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Grid, clamp

WIDEST = 0.05  # of the eye's width: wider ones are no lines
NARROWEST_PX = 3
MARGIN = np.uint8(2)  # grey levels that nobody sees
REACH = 0.04  # of the eye's width: lines of the picture count so far beside their own place


def remove(drawn: Grid, picture: NDArray[np.uint8], mask: Grid, moved_px: float, eye_px: float) -> Grid:
    """Return a drawn luma without thin lines, bright or dark, that exceed the picture's own nearby.

    Args:
        drawn: (h, w), grey levels; glints are not drawn yet.
        picture: (h, w), the same place before, without glints.
        mask: 0 skin to 1 drawn eyeball; only there something is removed.
        moved_px: length of the iris' movement.
        eye_px: width of the eye.
    """
    kernel = _ellipse(_odd(max(NARROWEST_PX, WIDEST * eye_px)))
    near = np.ones((_odd(2 * (REACH * eye_px + moved_px)),) * 2, np.uint8)
    grey = np.asarray(clamp(np.rint(drawn), 0, 255), np.uint8)
    result = drawn
    for kind, sign in ((cv2.MORPH_TOPHAT, -1.0), (cv2.MORPH_BLACKHAT, 1.0)):
        own = cv2.dilate(cv2.morphologyEx(picture, kind, kernel), near)
        excess = np.maximum(cv2.subtract(cv2.morphologyEx(grey, kind, kernel), own), MARGIN) - MARGIN
        result = result + np.float32(sign) * mask * excess
    return np.asarray(result, np.float32)


def _odd(size_px: float) -> int:
    return 2 * round((size_px - 1) / 2) + 1


@lru_cache(maxsize=16)
def _ellipse(size: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
