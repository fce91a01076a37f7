"""Shapes and coordinates of an eye: pixels of the frame, of a box around the eye, and eye units.

Eye units: origin midway between the corners, x along the corners to the picture's right, y across, down; the unit is
the distance of the corners. Values only; no movement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Eye:
    """The landmarks of one eye, in pixels of the frame."""

    upper: NDArray[np.float64]  # (9, 2) along the upper lid, from the picture's left corner to its right one
    lower: NDArray[np.float64]  # (9, 2) along the lower lid, same corners
    iris: NDArray[np.float64]  # (2,) centre
    iris_radius: float
    # Brightness step across the limbus, in grey levels: the smaller of its left and right side, as an edge of something
    # else has one side only. None where it was not searched, or the lids leave too little of a side.
    limbus_step: float | None = None

    @property
    def width(self) -> float:
        """Return the distance of the corners, in pixels."""
        right, down = (self.upper[-1] - self.upper[0]).tolist()
        return hypot(right, down)

    @property
    def opening(self) -> float:
        """Return the mean distance of the lids over the width: about 0.3 open, below 0.1 shut."""
        apart = (self.upper[2:7] - self.lower[2:7]).tolist()  # NumPy takes twice as long on five pairs
        return sum(hypot(right, down) for right, down in apart) / len(apart) / max(self.width, 1e-6)


@dataclass(frozen=True)
class Box:
    """An axis-aligned rectangle of the frame on even pixels, so that it has whole pixels in all three planes."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def shape(self) -> tuple[int, int]:
        """Return height and width, in pixels."""
        return self.bottom - self.top, self.right - self.left

    def slices(self, subsampling: int = 1) -> tuple[slice, slice]:
        """Return rows and columns in a plane of full (1) or half (2) size."""
        return (
            slice(self.top // subsampling, self.bottom // subsampling),
            slice(self.left // subsampling, self.right // subsampling),
        )


@dataclass(frozen=True)
class Axes:
    """The coordinate system of an eye in the frame."""

    origin: NDArray[np.float64]  # (2,) in pixels
    along: NDArray[np.float64]  # (2,) one eye width to the picture's right
    width: float  # pixels

    @classmethod
    def of(cls, eye: Eye) -> "Axes":
        """Return the axes through an eye's corners."""
        return cls.through(eye.upper[0], eye.upper[-1])

    @classmethod
    def through(cls, left: NDArray[np.float64], right: NDArray[np.float64]) -> "Axes":
        """Return the axes through two corners, (2,) in pixels each, the picture's left one first."""
        along = right - left
        return cls((left + right) / 2, along, float(np.linalg.norm(along)))

    def vector(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert displacements in pixels, (…, 2), to eye units."""
        unit = self.along / self.width
        turn = np.array([[unit[0], unit[1]], [-unit[1], unit[0]]])
        turned: NDArray[np.float64] = pixels @ turn.T / self.width
        return turned

    def point(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert positions in pixels, (…, 2), to eye units."""
        return self.vector(pixels - self.origin)


@dataclass(frozen=True)
class Outline:
    """An eye as curves in eye units."""

    upper: NDArray[np.float64]  # coefficients of the lid's curve (see `height`), constant term first
    lower: NDArray[np.float64]
    iris: tuple[float, float]
    radius: float

    @classmethod
    def of(cls, eye: Eye, axes: Axes) -> "Outline":
        """Fit curves that pass through both corners; this also averages the noise of a lid's nine points."""
        upper, lower = _curves(axes.point(np.stack([eye.upper, eye.lower])))
        x, y = axes.point(eye.iris).tolist()
        return cls(upper, lower, (x, y), eye.iris_radius / axes.width)

    @classmethod
    def mean(cls, outlines: Sequence["Outline"], weights: NDArray[np.float64]) -> "Outline":
        """Return the weighted mean of outlines of the same eye at several times."""
        each = np.concatenate([part for o in outlines for part in (o.upper, o.lower, (*o.iris, o.radius))])
        values = weights / weights.sum() @ each.reshape(len(outlines), -1)
        return cls(values[:3], values[3:6], (float(values[6]), float(values[7])), float(values[8]))


def _curves(lids: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit y = (1/4 − x²)(a + b x + c x²) to each lid, (lids, points, 2), by least squares."""
    x, y = lids[:, 1:-1, 0], lids[:, 1:-1, 1]
    basis = (0.25 - x**2)[..., None] * np.stack([np.ones_like(x), x, x**2], axis=-1)
    turned = basis.swapaxes(1, 2)
    square = turned @ basis + 1e-12 * np.eye(3)  # solvable even where all points of a lid coincide
    return np.asarray(np.linalg.solve(square, turned @ y[..., None])[..., 0], np.float64)


def height(curve: NDArray[np.float64], x: Grid, inside: Grid | None = None) -> Grid:
    """Return the y of a lid's curve, in eye units; 0 outside of the corners.

    Args:
        curve: its coefficients, (3,).
        x: in eye units, of any shape.
        inside: 1/4 − x², 0 outside of the corners, when already computed.
    """
    a, b, c = curve.astype(np.float32)
    if inside is None:
        inside = np.maximum(np.float32(0.25) - x * x, np.float32(0))
    y = c * x  # inside · (a + x · (b + c · x))
    y += b
    y *= x
    y += a
    y *= inside
    return np.asarray(y, np.float32)


def clamp(values: Grid, low: Grid | float, high: Grid | float) -> Grid:
    """Limit values to a range; on the few pixels of an eye in half of the time of NumPy's own function."""
    limited = np.maximum(values, low)
    return np.asarray(np.minimum(limited, high, out=limited), np.float32)


@dataclass(frozen=True)
class PixelGrid:
    """The coordinates of a rectangle's pixels: in pixels of a box and in eye units."""

    columns: Grid  # (1, w) in pixels of the box
    rows: Grid  # (h, 1)
    x: Grid  # (h, w)
    y: Grid
    axes: Axes

    @classmethod
    def of(cls, area: Box, axes: Axes) -> "PixelGrid":
        """Return the coordinates of a box's pixels; as in landmarks, a pixel's centre is at +0.5."""
        rows, columns = np.indices(area.shape, dtype=np.float32, sparse=True)
        cos, sin = (np.float32(value / axes.width**2) for value in axes.along)
        right = columns + np.float32(area.left + 0.5 - axes.origin[0])
        below = rows + np.float32(area.top + 0.5 - axes.origin[1])
        return cls(columns, rows, cos * right + sin * below, cos * below - sin * right, axes)

    def part(self, inner: Box) -> "PixelGrid":
        """Return the coordinates of a rectangle within the box."""
        cut = inner.slices()
        return PixelGrid(self.columns[:, cut[1]], self.rows[cut[0]], self.x[cut], self.y[cut], self.axes)

    def maps(self, dx: Grid | np.float32, dy: Grid | np.float32) -> tuple[Grid, Grid]:
        """Return the maps for `cv2.remap` on the box that fetch each pixel from (dx, dy) beside it, in eye units."""
        cos, sin = (np.float32(value) for value in self.axes.along)
        x, y = self.columns + cos * dx - sin * dy, self.rows + sin * dx + cos * dy
        if x.shape != y.shape:  # the same movement in each row or column
            x, y = np.broadcast_arrays(x, y)
        return np.ascontiguousarray(x, np.float32), np.ascontiguousarray(y, np.float32)
