"""The picture of one eye at a fixed size, its corners level: the input of the pitch network."""

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Eye

SIZE = (36, 56)  # rows and columns
EYE_PX = 36  # between the corners


def cut(luma: NDArray[np.uint8], eye: Eye, *, mirrored: bool) -> NDArray[np.uint8]:
    """Cut an eye out of a frame, the eye on the picture's left mirrored: (rows, columns) of SIZE."""
    rows, columns = SIZE
    step = (eye.upper[-1] - eye.upper[0]) / EYE_PX
    right = -step if mirrored else step
    down = np.array([-step[1], step[0]])
    # A pixel's centre is at +0.5, in the frame and in the patch.
    start = (eye.upper[0] + eye.upper[-1]) / 2 - right * (columns - 1) / 2 - down * (rows - 1) / 2 - 0.5
    matrix = np.column_stack([right, down, start])
    scale = float(np.hypot(*step))
    if scale > 1.4:  # else pixels between the samples would be missed
        luma, matrix = _blurred(luma, matrix, scale)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(luma, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.uint8)


def _blurred(
    luma: NDArray[np.uint8], matrix: NDArray[np.float64], scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the surroundings of an eye at the patch's resolution, and the matrix into them."""
    rows, columns = SIZE
    corners = matrix @ np.array([[0, columns, 0, columns], [0, 0, rows, rows], [1, 1, 1, 1]])
    left, top = (max(0, int(value) - 3) for value in corners.min(axis=1))
    right, bottom = (max(0, int(value) + 4) for value in corners.max(axis=1))
    near = luma[top:bottom, left:right]
    if near.size == 0:
        return luma, matrix
    blurred = cv2.GaussianBlur(near, (0, 0), 0.4 * scale)
    return np.asarray(blurred, np.uint8), matrix - np.array([[0, 0, left], [0, 0, top]])
