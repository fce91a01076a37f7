"""Where the iris ends in the picture itself: the landmark engine's circle is moved to the rim that can be seen.

The engine's iris points lag behind eyes that look far to a side, by up to a third of the iris' radius. Only the sides
of the rim are looked at, since lids hide its top and bottom.

Source: the idea of an operator that seeks the steepest step of brightness across a circle is Daugman's (IEEE PAMI 15,
1993); arcs, ranges and weights are our own.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.eye import Eye

SMALLEST_RADIUS_PX = 4.0  # below, there are too few pixels for a better opinion than the engine's
INSIDE, OUTSIDE = 0.86, 1.16  # radii at which brightness is compared
ANGLES_DEG = (-40, -28, -16, -4, 8, 20, 32, 44)  # from the horizontal, downwards positive; both sides
SIDEWAYS = np.arange(-0.42, 0.421, 0.06)  # in radii
DOWNWARDS = np.array([-0.12, -0.06, 0.0, 0.06, 0.12])
RADII = np.array([0.88, 0.94, 1.0, 1.06, 1.12])
# Steps of brightness that the engine's own place is worth, per squared radius of distance from it.
LOYALTY_SIDE, LOYALTY_DOWN, LOYALTY_RADIUS = 30.0, 250.0, 150.0
STEP_MOST = 70.0  # a lamp's image beside the rim must not outweigh the rim
LEAST_STEP = 8.0  # in grey levels; less is no rim


def refine(luma: NDArray[np.uint8], eye: Eye) -> Eye:
    """Move an eye's iris to the rim seen in the picture; returns the eye unchanged where none is seen.

    Args:
        luma: (H, W), the whole picture.
        eye: outline in pixels of the picture.
    """
    radius = eye.iris_radius
    if radius < SMALLEST_RADIUS_PX:
        return eye
    reach = round(radius * 2) + 2
    left, top = (int(value) - reach for value in eye.iris)
    if left < 0 or top < 0 or left + 2 * reach > luma.shape[1] or top + 2 * reach > luma.shape[0]:
        return eye
    patch = cv2.GaussianBlur(luma[top : top + 2 * reach, left : left + 2 * reach], (0, 0), max(0.6, 0.07 * radius))
    local = eye.iris - (left, top)
    shift, scale, step = _search(np.asarray(patch, np.float32), local, radius, _open_heights(eye, (left, top)))
    if step < LEAST_STEP:
        return eye
    return replace(eye, iris=eye.iris + shift * radius, iris_radius=radius * scale)


def _open_heights(eye: Eye, corner: tuple[int, int]) -> tuple[NDArray[np.float64], ...]:
    """Return both lids as (x, y) lines in the patch, for a test of what lies between them."""
    upper, lower = eye.upper - corner, eye.lower - corner
    return upper[:, 0], upper[:, 1], lower[:, 0], lower[:, 1]


def _search(
    patch: NDArray[np.float32], iris: NDArray[np.float64], radius: float, lids: tuple[NDArray[np.float64], ...]
) -> tuple[NDArray[np.float64], float, float]:
    """Try all circles; returns the best one's shift in radii, its scale, and its step of brightness."""
    dx, dy, scale = (grid.ravel() for grid in np.meshgrid(SIDEWAYS, DOWNWARDS, RADII, indexing="ij"))
    angles = np.radians(ANGLES_DEG)
    away = np.stack([np.cos(angles), np.sin(angles)])  # (2, angles), to the picture's right
    steps = np.zeros((2, len(dx)))
    for side, sign in enumerate((-1.0, 1.0)):
        centre = np.stack([iris[0] + dx * radius, iris[1] + dy * radius])[:, :, None]  # (2, circles, 1)
        way = (np.array([sign, 1.0])[:, None] * away)[:, None, :] * (scale * radius)[None, :, None]
        inner, outer = centre + INSIDE * way, centre + OUTSIDE * way
        seen = _between(lids, outer) & _between(lids, inner)
        step = np.clip(_at(patch, outer) - _at(patch, inner), -STEP_MOST, STEP_MOST)
        # A side of which little is seen counts as flat, not as unknown: else circles would flee behind the lids.
        steps[side] = (step * seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 4)
    mean = steps.mean(axis=0)
    score = mean - LOYALTY_SIDE * dx**2 - LOYALTY_DOWN * dy**2 - LOYALTY_RADIUS * (scale - 1) ** 2
    best = int(np.argmax(score))
    return np.array([dx[best], dy[best]]), float(scale[best]), float(mean[best])


def _between(lids: tuple[NDArray[np.float64], ...], places: NDArray[np.float64]) -> NDArray[np.bool_]:
    upper_x, upper_y, lower_x, lower_y = lids
    x, y = places
    below_upper, above_lower = y > np.interp(x, upper_x, upper_y) + 1, y < np.interp(x, lower_x, lower_y) - 0.5
    return np.asarray(below_upper & above_lower, np.bool_)


def _at(patch: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    # The patch is blurred already, so the nearest pixel is as good as a mixture of four.
    columns = np.clip(places[0], 0, patch.shape[1] - 1).astype(np.intp)
    rows = np.clip(places[1], 0, patch.shape[0] - 1).astype(np.intp)
    return np.asarray(patch[rows, columns], np.float32)
