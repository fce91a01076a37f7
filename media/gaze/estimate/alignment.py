"""Alignment of the picture around the eyes with that of an earlier frame, and how unlike the two are.

Where the eyes look the same but for a rotation, a scaling and a shift of the head, their landmarks need not be searched
anew: they moved with the picture. A blink, a saccade or a turn of the head makes the pictures unlike.

Source: inverse compositional alignment, Baker and Matthews, IJCV 56, 2004.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Eye

_Numbers = NDArray[np.float64]
_Grid = NDArray[np.float32]

EYE_PX = 24  # width of an eye in the template
SHAPE = (28, 92)  # rows and columns: both eyes, from the lower edge of the brows to the upper cheeks
SMOOTH_PX = 0.8  # sigma of the blur of both pictures
MOST_STEPS, LEAST_STEP_PX = 5, 0.03  # of the search; a shorter step is the last one
MOST_STRETCH = 0.3  # in a step
STRIP_HEIGHT = 0.25  # of the eye's width, above and below its middle: there the pictures are compared
# Mean difference in the strip over the standard deviation of the template's own brightness there, up to which two
# frames show the same eyes. On eight recordings the frames that this lets pass differ from their own measurement, up to
# three frames later, by 0.009 to 0.022 of the eye's width in opening and 1.5° to 3.8° of yaw (95th percentiles), mostly
# the noise of measuring; with 0.06, 2 to 14 % of the frames more are measured (2026-11-30).
ALIKE = 0.08


@dataclass(frozen=True, slots=True)
class Similarity:
    """A rotation, scaling and shift of the picture, in pixels of the frame."""

    turn: _Numbers  # (2, 2) rotation and scaling
    shift: _Numbers  # (2,)

    @property
    def scale(self) -> float:
        """Return the size afterwards over the size before."""
        return float(np.hypot(self.turn[0, 0], self.turn[1, 0]))

    def points(self, points: NDArray[np.floating]) -> _Numbers:
        """Move points, (…, 2)."""
        return np.asarray(points @ self.turn.T + self.shift, np.float64)

    def inverse(self) -> "Similarity":
        """Return the way back."""
        back = np.asarray(np.linalg.inv(self.turn), np.float64)
        return Similarity(back, -back @ self.shift)


@dataclass(frozen=True, slots=True)
class Alignment:
    """The movement of the picture around the eyes since the template's frame."""

    moved: _Numbers  # (3, 3), in pixels of the template from its middle: where the next search starts
    similarity: Similarity
    unlike: float  # see ALIKE


START = np.eye(3)
_ROWS, _COLUMNS = (
    grid - np.float32((side - 1) / 2) for grid, side in zip(np.indices(SHAPE, np.float32), SHAPE, strict=True)
)
# From indices of the template to distances from its middle.
_CENTRED = np.array([[1, 0, -(SHAPE[1] - 1) / 2], [0, 1, -(SHAPE[0] - 1) / 2], [0, 0, 1]])
_CORNERS = np.array([[x, y, 1.0] for x in (-SHAPE[1] / 2, SHAPE[1] / 2) for y in (-SHAPE[0] / 2, SHAPE[0] / 2)]).T


class EyeTemplate:
    """The picture around both eyes in one frame, which later frames are aligned with.

    Args:
        luma: (H, W), of the frame.
        eyes: in pixels of the frame, the picture's left one first.
    """

    def __init__(self, luma: NDArray[np.uint8], eyes: tuple[Eye, Eye]) -> None:
        self._to_frame = _placed(eyes)
        self._scale = float(np.hypot(*self._to_frame[:2, 0]))
        near, within = _near(luma, self._to_frame, self._scale)
        self._picture = _sampled(near, within @ self._to_frame)
        along, across = (cv2.Sobel(self._picture, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
        stretched, turned = along * _COLUMNS + across * _ROWS, across * _COLUMNS - along * _ROWS
        slopes = np.stack([along, across, stretched, turned, np.ones_like(along)]).reshape(5, -1)
        damped = slopes @ slopes.T + np.diag(np.array([1e-3, 1e-3, 1e-3, 1e-3, 0], np.float32))
        # Solving for the thousands of columns of `slopes` would take as long as the rest of the template.
        self._solve = np.linalg.inv(damped) @ slopes
        self._strips = [self._strip(eye) for eye in eyes]
        self._contrasts = [float(self._picture[strip].std()) for strip in self._strips]

    def _strip(self, eye: Eye) -> tuple[slice, slice]:
        middle = np.linalg.solve(self._to_frame, [*(eye.upper[0] + eye.upper[-1]) / 2, 1.0])
        half = eye.width / self._scale / 2
        reach = np.array([half, 2 * STRIP_HEIGHT * half])
        centre = middle[:2] + (np.array(SHAPE[::-1]) - 1) / 2
        left, top = np.maximum(np.rint(centre - reach), 0).astype(int).tolist()
        right, bottom = np.maximum(np.rint(centre + reach), 1).astype(int).tolist()
        return slice(min(top, SHAPE[0] - 1), bottom), slice(min(left, SHAPE[1] - 1), right)

    def align(self, luma: NDArray[np.uint8], start: NDArray[np.float64] = START) -> Alignment:
        """Return the movement up to a later frame.

        Args:
            luma: (H, W), of the later frame.
            start: `moved` of the frame before.
        """
        near, within = _near(luma, self._to_frame @ start, self._scale)
        within, moved = within @ self._to_frame, start
        for _ in range(MOST_STEPS):
            apart = _sampled(near, within @ moved) - self._picture
            right, down, stretch, turn, lighter = (self._solve @ apart.ravel()).tolist()
            if max(abs(right), abs(down)) > EYE_PX or max(abs(stretch), abs(turn)) > MOST_STRETCH:
                break  # another picture: no movement of this one leads there
            step = np.array([[1 + stretch, -turn, right], [turn, 1 + stretch, down], [0, 0, 1]])
            moved = moved @ np.linalg.inv(step)
            if abs(right) + abs(down) < LEAST_STEP_PX:
                break
        return Alignment(moved, self._similarity(moved), self._unlike(np.abs(apart - np.float32(lighter))))

    def _unlike(self, apart: _Grid) -> float:
        pairs = zip(self._strips, self._contrasts, strict=True)
        return max(float(apart[strip].mean()) / max(contrast, 1.0) for strip, contrast in pairs)

    def _similarity(self, moved: NDArray[np.float64]) -> Similarity:
        matrix = self._to_frame @ moved @ np.linalg.inv(self._to_frame)
        return Similarity(matrix[:2, :2], matrix[:2, 2])


def _placed(eyes: tuple[Eye, Eye]) -> _Numbers:
    """Return the matrix (3, 3) from pixels of the template, from its middle, to pixels of the frame."""
    left, right = eyes[0].upper[0], eyes[1].upper[-1]
    scale = (eyes[0].width + eyes[1].width) / 2 / EYE_PX
    (cos, sin), (x, y) = (right - left) / max(float(np.linalg.norm(right - left)), 1e-6) * scale, (left + right) / 2
    return np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1]])


def _near(luma: NDArray[np.uint8], to_frame: _Numbers, scale: float) -> tuple[_Grid, _Numbers]:
    """Return the surroundings of the eyes, blurred, at about the template's resolution; and the matrix into them.

    The matrix, (3, 3), leads from pixels of the frame, centres at +0.5, to indices.
    """
    x, y, _ = to_frame @ _CORNERS
    size, times = luma.shape, max(1, round(scale))
    margin = 3 * times
    left, top = (min(max(0, int(low) - margin), most - times) for low, most in ((x.min(), size[1]), (y.min(), size[0])))
    columns, rows = (
        max(1, (min(int(high) + margin, most) - low) // times)
        for high, most, low in ((x.max(), size[1], left), (y.max(), size[0], top))
    )
    near = luma[top : top + rows * times, left : left + columns * times]
    if times > 1:
        near = np.asarray(cv2.resize(near, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    blurred = cv2.GaussianBlur(near.astype(np.float32), (0, 0), SMOOTH_PX * scale / times)
    within = np.array([[1 / times, 0, -left / times - 0.5], [0, 1 / times, -top / times - 0.5], [0, 0, 1]])
    return np.asarray(blurred, np.float32), within


def _sampled(near: _Grid, matrix: _Numbers) -> _Grid:
    """Return the template's pixels, (rows, columns) of SHAPE; beyond the frame, its edge."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    rows, columns = SHAPE
    found = cv2.warpAffine(near, (matrix @ _CENTRED)[:2], (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)
