"""Where the iris ends in the picture itself: the landmark engine's circle is moved to the rim that can be seen.

The engine's iris points lag behind eyes that look far to a side, by up to a third of the iris' radius. Only the sides
of the rim are looked at, since lids hide its top and bottom.

Source: the idea of an operator that seeks the steepest step of brightness across a circle is Daugman's (IEEE PAMI 15,
1993); arcs, ranges and weights are our own.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Eye

_Numbers = NDArray[np.float64]

SMALLEST_RADIUS_PX = 4.0  # below, there are too few pixels for a better opinion than the engine's
INSIDE, OUTSIDE = 0.86, 1.16  # radii at which brightness is compared
ANGLES = np.radians([-40, -28, -16, -4, 8, 20, 32, 44])  # from the horizontal, downwards positive; both sides
# The same as ways from the centre, in radii: x and y, outside and inside, the picture's left and right side, circles,
# angles.
_WAYS = np.array([OUTSIDE, INSIDE])[:, None, None, None] * np.array([
    [-np.cos(ANGLES), np.cos(ANGLES)],
    [np.sin(ANGLES), np.sin(ANGLES)],
])[:, None, :, None, :]  # fmt: skip
# Where circles are tried, in radii around the engine's: sideways, downwards, and their size; first roughly, then around
# the best one. All at once would be 375 circles and three times as long.
ROUGH = (np.arange(-0.42, 0.421, 0.06), np.zeros(1), np.array([0.9, 1.0, 1.1]))
FINE = (
    np.array([-0.03, 0.0, 0.03]),
    np.array([-0.12, -0.06, 0.0, 0.06, 0.12]),
    np.array([-0.06, -0.03, 0.0, 0.03, 0.06]),
)
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
    found = _search(_Seen(np.asarray(patch, np.float32), local, radius, _lid_lines(eye, (left, top))))
    if found.step < LEAST_STEP:
        return eye
    shift = np.array([found.right, found.down]) * radius
    return replace(eye, iris=eye.iris + shift, iris_radius=radius * found.scale)


def _lid_lines(eye: Eye, corner: tuple[int, int]) -> tuple[_Numbers, ...]:
    upper, lower = eye.upper - corner, eye.lower - corner
    return upper[:, 0], upper[:, 1], lower[:, 0], lower[:, 1]


@dataclass(frozen=True)
class _Circle:
    """A circle against the engine's, in its radii, and the mean step of brightness across its sides."""

    right: float
    down: float
    scale: float
    step: float


def _search(seen: "_Seen") -> _Circle:
    rough = seen.best(*_ROUGH_CIRCLES)
    right, down, scale = _FINE_CIRCLES
    return seen.best(rough.right + right, rough.down + down, rough.scale + scale)


def _grid(right: _Numbers, down: _Numbers, scale: _Numbers) -> tuple[_Numbers, ...]:
    return tuple(grid.ravel() for grid in np.meshgrid(right, down, scale, indexing="ij"))


_ROUGH_CIRCLES, _FINE_CIRCLES = _grid(*ROUGH), _grid(*FINE)


@dataclass(frozen=True)
class _Seen:
    """The surroundings of an iris, ready for trying circles."""

    patch: NDArray[np.float32]
    iris: _Numbers  # (2,) the engine's centre, in pixels of the patch
    radius: float
    lids: tuple[_Numbers, ...]  # x and y of the upper, x and y of the lower lid

    def best(self, right: _Numbers, down: _Numbers, scale: _Numbers) -> _Circle:
        """Return the circle across whose sides the picture brightens most; staying near the engine's counts, too."""
        left_side, right_side = self._steps(right, down, scale)
        step = (left_side + right_side) / 2
        score = step - LOYALTY_SIDE * right**2 - LOYALTY_DOWN * down**2 - LOYALTY_RADIUS * (scale - 1) ** 2
        at = int(np.argmax(score))
        return _Circle(float(right[at]), float(down[at]), float(scale[at]), float(step[at]))

    def _steps(self, right: _Numbers, down: _Numbers, scale: _Numbers) -> _Numbers:
        """Return how much brighter it is outside than inside on both sides of each circle, (2, circles)."""
        centre = np.stack([self.iris[0] + right * self.radius, self.iris[1] + down * self.radius])
        places = centre[:, None, None, :, None] + _WAYS * (scale * self.radius)[:, None]
        open_ = _between(self.lids, places[:, 0])
        outside, inside = _at(self.patch, places)
        step = np.minimum(np.maximum(outside - inside, -STEP_MOST), STEP_MOST)
        # A side of which little is seen counts as flat, not as unknown: else circles would flee behind the lids.
        return np.asarray((step * open_).sum(axis=2) / np.maximum(open_.sum(axis=2), 4), np.float64)


def _between(lids: tuple[_Numbers, ...], places: _Numbers) -> NDArray[np.bool_]:
    upper_x, upper_y, lower_x, lower_y = lids
    x, y = places
    below_upper, above_lower = y > np.interp(x, upper_x, upper_y) + 1, y < np.interp(x, lower_x, lower_y) - 0.5
    return np.asarray(below_upper & above_lower, np.bool_)


def _at(patch: NDArray[np.float32], places: _Numbers) -> NDArray[np.float32]:
    # The patch is blurred already, so the nearest pixel is as good as a mixture of four.
    columns, rows = places.astype(np.intp)
    height, width = patch.shape
    at = np.minimum(np.maximum(rows, 0), height - 1) * width + np.minimum(np.maximum(columns, 0), width - 1)
    return np.asarray(patch.ravel().take(at), np.float32)
