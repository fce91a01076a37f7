"""Grain of new sclera: what was stretched, filled or mixed gets the noise that the picture has around it.

In dim light a camera's noise is seen everywhere but in drawn places. The noise that is missing is taken from the skin
below the eye of the same frame, so that it is the camera's own and changes from frame to frame as the rest does.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Grid, clamp

SIGMA_PX = 1.0  # of the blur beside which noise is seen
LEAST = 1.2  # grey levels, standard deviation; less is not seen
WINDOW_PX = 5  # in which the noise is measured
FLATTEST = 0.35  # share of the eyeball's places that show noise only: the others have edges
MOST_ROWS = 12  # of skin, which show enough noise
MOST_SIGMAS = 2.5  # spots and lashes in the skin are no noise


def restore(drawn: Grid, picture: NDArray[np.uint8], skin: NDArray[np.uint8], mask: Grid) -> Grid:
    """Return a drawn luma with as much noise as the picture had.

    Args:
        drawn: (h, w), grey levels.
        picture: (h, w), the same place before.
        skin: rows of the picture below the eye, at least as wide.
        mask: 0 skin to 1 drawn eyeball; only there noise is added.
    """
    skin = skin[:MOST_ROWS]
    if len(skin) < WINDOW_PX:
        return drawn
    noise = _residual(skin.astype(np.float32))
    level = 1.4826 * float(np.partition(np.abs(noise), noise.size // 2, axis=None)[noise.size // 2])
    eyeball = mask > 0.5
    if level < LEAST or not eyeball.any():
        return drawn
    before = np.sort(_power(picture.astype(np.float32))[eyeball])
    wanted = min(level**2, float(before[int(FLATTEST * len(before))]))
    if wanted < LEAST**2:
        return drawn
    missing = np.sqrt(np.maximum(np.float32(wanted) - _power(drawn), 0))
    grain = clamp(noise / np.float32(level), -MOST_SIGMAS, MOST_SIGMAS)
    rows = np.arange(len(drawn)) % len(grain)
    return np.asarray(drawn + mask * missing * grain[rows, : drawn.shape[1]], np.float32)


def _residual(luma: Grid) -> Grid:
    return np.asarray(luma - cv2.GaussianBlur(luma, (0, 0), SIGMA_PX), np.float32)


def _power(luma: Grid) -> Grid:
    """Return the local variance of the noise."""
    residual = _residual(luma)
    return np.asarray(cv2.blur(residual * residual, (WINDOW_PX, WINDOW_PX)), np.float32)
