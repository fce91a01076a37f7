"""Limbus detection: the landmark engine's iris circle is moved to the edge of the iris that is seen in the frame.

The engine's iris points lag behind eyes that look far to a side, by up to a third of the iris radius. Only the left and
right arcs of the limbus are used, as lids cover its top and bottom.

Source: the integro-differential operator, which maximizes the brightness step across a circle, is Daugman's (IEEE PAMI
15, 1993); arcs, ranges and weights are our own.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Eye

_Numbers = NDArray[np.float64]

SMALLEST_RADIUS_PX = 4.0  # a smaller iris has too few pixels to improve on the engine
INSIDE, OUTSIDE = 0.86, 1.16  # radii at which brightness is compared
ANGLES = np.radians([-40, -28, -16, -4, 8, 20, 32, 44])  # from the horizontal, downwards positive; both sides
# Offsets of the samples from the centre, in radii: x and y, outside and inside, the picture's left and right side,
# circles, angles.
_OFFSETS = np.array([OUTSIDE, INSIDE])[:, None, None, None] * np.array([
    [-np.cos(ANGLES), np.cos(ANGLES)],
    [np.sin(ANGLES), np.sin(ANGLES)],
])[:, None, :, None, :]  # fmt: skip
# Search grid around the engine's circle, in its radii: sideways, downwards, and scale; first coarse, then fine around
# the best circle. A single fine grid would have 375 circles and take three times as long.
COARSE = (np.arange(-0.42, 0.421, 0.06), np.zeros(1), np.array([0.9, 1.0, 1.1]))
FINE = (
    np.array([-0.03, 0.0, 0.03]),
    np.array([-0.12, -0.06, 0.0, 0.06, 0.12]),
    np.array([-0.06, -0.03, 0.0, 0.03, 0.06]),
)
# Penalty on the distance from the engine's circle, in grey levels per squared radius.
PENALTY_SIDE, PENALTY_DOWN, PENALTY_RADIUS = 30.0, 250.0, 150.0
STEP_MOST = 70.0  # a glint beside the limbus must not outweigh it
LEAST_STEP = 8.0  # in grey levels; a smaller step is no limbus
FEWEST_SEEN = 3  # of the samples of a side: of fewer, its step says nothing
# Irises of one person have one size. Refined radii, each over the engine's, differ by less than this between a pair of
# eyes in 98 % of the frames (eight recordings, 2026-11-30). Where they differ more, one limbus is a rim of glasses, a
# shadow or a lid: the one with the smaller step is searched again with radii around the other's.
MOST_APART = 1.17
LIKE_OTHER = np.array([-0.06, 0.0, 0.06])  # of the engine's radius


def refine(luma: NDArray[np.uint8], eyes: tuple[Eye, Eye]) -> tuple[Eye, Eye]:
    """Move both irises of a face to the limbus seen in the frame; an eye in which none is seen stays the same.

    Args:
        luma: (H, W), the whole frame.
        eyes: landmarks in pixels of the frame.
    """
    patches = [_patch(luma, eye) for eye in eyes]
    found = [_search(patch) if patch else None for patch in patches]
    left, right = found
    if left and right and not 1 / MOST_APART <= left.scale / right.scale <= MOST_APART:
        weaker, other = (0, right) if left.step < right.step else (1, left)
        if patch := patches[weaker]:
            found[weaker] = _search(patch, other.scale + LIKE_OTHER)
    return _moved(eyes[0], found[0]), _moved(eyes[1], found[1])


def _patch(luma: NDArray[np.uint8], eye: Eye) -> "_Patch | None":
    """Return the surroundings of an iris; None where it is too small or at the frame's edge."""
    radius = eye.iris_radius
    if radius < SMALLEST_RADIUS_PX:
        return None
    reach = round(radius * 2) + 2
    left, top = (int(value) - reach for value in eye.iris)
    if left < 0 or top < 0 or left + 2 * reach > luma.shape[1] or top + 2 * reach > luma.shape[0]:
        return None
    patch = cv2.GaussianBlur(luma[top : top + 2 * reach, left : left + 2 * reach], (0, 0), max(0.6, 0.07 * radius))
    return _Patch(np.asarray(patch, np.float32), eye.iris - (left, top), radius, _lid_lines(eye, (left, top)))


def _moved(eye: Eye, found: "_Circle | None") -> Eye:
    if found is None:
        return eye
    if found.step < LEAST_STEP:
        return replace(eye, limbus_step=found.weaker_step)
    shift = np.array([found.right, found.down]) * eye.iris_radius
    radius = eye.iris_radius * found.scale
    return replace(eye, iris=eye.iris + shift, iris_radius=radius, limbus_step=found.weaker_step)


def _lid_lines(eye: Eye, corner: tuple[int, int]) -> tuple[_Numbers, ...]:
    upper, lower = eye.upper - corner, eye.lower - corner
    return upper[:, 0], upper[:, 1], lower[:, 0], lower[:, 1]


@dataclass(frozen=True)
class _Circle:
    """A circle relative to the engine's, in its radii, and the brightness steps across it."""

    right: float
    down: float
    scale: float
    step: float  # mean of both sides
    weaker_step: float | None  # of the weaker side; None where the lids leave too little of one


def _search(patch: "_Patch", scales: _Numbers | None = None) -> _Circle:
    """Return the limbus of an eye, with a radius near one of some scales if they are given."""
    coarse = patch.best(*(_COARSE_CIRCLES if scales is None else _grid(COARSE[0], COARSE[1], scales)))
    right, down, scale = _FINE_CIRCLES
    return patch.best(coarse.right + right, coarse.down + down, coarse.scale + scale)


def _grid(right: _Numbers, down: _Numbers, scale: _Numbers) -> tuple[_Numbers, ...]:
    return tuple(grid.ravel() for grid in np.meshgrid(right, down, scale, indexing="ij"))


_COARSE_CIRCLES, _FINE_CIRCLES = _grid(*COARSE), _grid(*FINE)


@dataclass(frozen=True)
class _Patch:
    """The surroundings of an iris, in which circles are tried."""

    luma: NDArray[np.float32]  # blurred
    iris: _Numbers  # (2,) the engine's centre, in pixels of the patch
    radius: float
    lids: tuple[_Numbers, ...]  # x and y of the upper lid, x and y of the lower lid

    def best(self, right: _Numbers, down: _Numbers, scale: _Numbers) -> _Circle:
        """Return the circle with the largest brightness step across its sides, less the penalty."""
        (left_side, right_side), seen = self._steps(right, down, scale)
        step = (left_side + right_side) / 2
        score = step - PENALTY_SIDE * right**2 - PENALTY_DOWN * down**2 - PENALTY_RADIUS * (scale - 1) ** 2
        at = int(np.argmax(score))
        weaker = min(float(left_side[at]), float(right_side[at])) if seen[:, at].min() >= FEWEST_SEEN else None
        return _Circle(float(right[at]), float(down[at]), float(scale[at]), float(step[at]), weaker)

    def _steps(self, right: _Numbers, down: _Numbers, scale: _Numbers) -> tuple[_Numbers, NDArray[np.intp]]:
        """Return the mean brightness step, outside minus inside, on both sides of each circle, (2, circles).

        The second value is how many samples of each side lie between the lids.
        """
        centre = np.stack([self.iris[0] + right * self.radius, self.iris[1] + down * self.radius])
        places = centre[:, None, None, :, None] + _OFFSETS * (scale * self.radius)[:, None]
        open_ = _between(self.lids, places[:, 0])
        outside, inside = _at(self.luma, places)
        step = np.minimum(np.maximum(outside - inside, -STEP_MOST), STEP_MOST)
        # A mostly covered side counts as flat, not as unknown: otherwise circles behind the lids would win.
        seen = open_.sum(axis=2)
        return np.asarray((step * open_).sum(axis=2) / np.maximum(seen, 4), np.float64), seen


def _between(lids: tuple[_Numbers, ...], places: _Numbers) -> NDArray[np.bool_]:
    upper_x, upper_y, lower_x, lower_y = lids
    x, y = places
    below_upper, above_lower = y > np.interp(x, upper_x, upper_y) + 1, y < np.interp(x, lower_x, lower_y) - 0.5
    return np.asarray(below_upper & above_lower, np.bool_)


def _at(patch: NDArray[np.float32], places: _Numbers) -> NDArray[np.float32]:
    # The patch is blurred, so the nearest pixel is as good as bilinear sampling.
    columns, rows = places.astype(np.intp)
    height, width = patch.shape
    at = np.minimum(np.maximum(rows, 0), height - 1) * width + np.minimum(np.maximum(columns, 0), width - 1)
    return np.asarray(patch.ravel().take(at), np.float32)
