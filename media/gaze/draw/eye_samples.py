"""Brightness of the picture at places that are given in eye units (`media.gaze.estimate.geometry`)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Axes, Box, Grid


def read(luma: NDArray[np.uint8], axes: Axes, box: Box, x: Grid, y: Grid) -> Grid:
    """Return grey levels, of the shape of x and y.

    Args:
        luma: (h, w), of the eye's box.
        axes: of the eye in the frame.
        box: the eye's box in the frame.
        x: along the eye, in eye units.
        y: across it, + down.
    """
    cos, sin = axes.along.astype(np.float32)
    left, top = (axes.origin - (box.left + 0.5, box.top + 0.5)).astype(np.float32)
    maps = left + cos * x - sin * y, top + sin * x + cos * y
    found = cv2.remap(luma, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)
