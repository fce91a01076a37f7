"""The shape of the movement: for each pixel of an eye's box, where its colour comes from.

Pure geometry on outlines; no picture is read or written here. Eye coordinates: origin midway between the corners, x
along the corners to the picture's right, y across, down; unit is the distance of the corners.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.gaze.measure import Eye

Grid = NDArray[np.float32]

# Reach of the box from the middle of the corners, in eye widths. The brow begins at about 0.6.
REACH_SIDE, REACH_UP, REACH_DOWN = 0.62, 0.66, 0.46
# How far the skin follows its lid.
FOLLOW_ABOVE, FOLLOW_BELOW = 0.42, 0.26
# Share of the iris' vertical way that each lid goes along: the upper one nearly all, the lower one about half.
UPPER_LID, LOWER_LID = 0.95, 0.55
MOST_SHIFT = 0.24  # of the eye's width; beyond, too much has to be invented
MOST_LIFT = 0.15
# Around the iris the shadow of its rim moves with it.
RIM = 1.14
# Lashes and the wet edge belong to the lids: the eye's own layer begins this far inside.
INSET_UPPER, INSET_LOWER, FEATHER = 0.020, 0.010, 0.022


@dataclass(frozen=True)
class Box:
    """An axis-aligned rectangle of the picture on even pixels, so that it is whole in all three planes."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def slices(self, subsampling: int = 1) -> tuple[slice, slice]:
        """Rows and columns in a plane of full (1) or half (2) size."""
        return (
            slice(self.top // subsampling, self.bottom // subsampling),
            slice(self.left // subsampling, self.right // subsampling),
        )


@dataclass(frozen=True)
class Axes:
    """Eye coordinates in the picture."""

    origin: NDArray[np.float64]  # (2,) in pixels
    along: NDArray[np.float64]  # (2,) one eye width to the picture's right
    width: float  # pixels

    @classmethod
    def of(cls, eye: Eye) -> "Axes":
        """Lay the axes through an eye's corners."""
        along = eye.upper[-1] - eye.upper[0]
        return cls((eye.upper[0] + eye.upper[-1]) / 2, along, float(np.linalg.norm(along)))

    def vector(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn a way in pixels, (…, 2), into eye units."""
        unit = self.along / self.width
        turn = np.array([[unit[0], unit[1]], [-unit[1], unit[0]]])
        turned: NDArray[np.float64] = pixels @ turn.T / self.width
        return turned

    def point(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn places in pixels, (…, 2), into eye units."""
        return self.vector(pixels - self.origin)


@dataclass(frozen=True)
class Outline:
    """An eye as smooth curves in eye units."""

    upper: NDArray[np.float64]  # coefficients of the lid's height over the corners' line, constant term first
    lower: NDArray[np.float64]
    iris: tuple[float, float]
    radius: float

    @classmethod
    def of(cls, eye: Eye, axes: Axes) -> "Outline":
        """Fit curves that pass through both corners; fitting also calms the nine points of a lid."""
        iris = axes.point(eye.iris)
        return cls(
            _curve(axes.point(eye.upper)),
            _curve(axes.point(eye.lower)),
            (iris[0], iris[1]),
            eye.iris_radius / axes.width,
        )


def _curve(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit y = (1/4 − x²)(a + b x + c x²)."""
    x, y = points[1:-1, 0], points[1:-1, 1]
    basis = (0.25 - x**2)[:, None] * np.stack([np.ones_like(x), x, x**2], axis=1)
    return np.asarray(np.linalg.lstsq(basis, y, rcond=None)[0], np.float64)


def height(curve: NDArray[np.float64], x: Grid) -> Grid:
    """Evaluate a lid's curve; zero outside the corners."""
    a, b, c = (np.float32(value) for value in curve)
    inside = np.maximum(np.float32(0.25) - x * x, np.float32(0))
    return np.asarray(inside * (a + x * (b + c * x)), np.float32)


@dataclass(frozen=True)
class Field:
    """Backward maps of one eye's box in pixels of the box, and the share of the eye's layer in each pixel."""

    skin: tuple[Grid, Grid]  # x and y where lids and skin come from
    ball: tuple[Grid, Grid]  # x and y where iris and sclera come from
    open: Grid  # 0 skin to 1 eyeball


def box(eye: Eye, picture: tuple[int, int]) -> Box | None:
    """Find the rectangle that a movement of this eye may touch, or None when it lies across the picture's edge."""
    axes = Axes.of(eye)
    unit = axes.along / axes.width
    across = np.array([-unit[1], unit[0]])
    corners = [
        axes.origin + axes.width * (x * unit + y * across)
        for x in (-REACH_SIDE, REACH_SIDE)
        for y in (-REACH_UP, REACH_DOWN)
    ]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    left, top = (int(np.floor(value / 2)) * 2 for value in low)
    right, bottom = (int(np.ceil(value / 2)) * 2 for value in high)
    inside = left >= 0 and top >= 0 and bottom <= picture[0] and right <= picture[1]
    return Box(left, top, right, bottom) if inside and right - left >= 8 and bottom - top >= 8 else None


def field(eye: Eye, area: Box, shift_px: tuple[float, float]) -> Field:
    """Map each pixel of an eye's box to where its colour comes from.

    Args:
        eye: outline in pixels of the picture.
        area: the box, in pixels of the picture.
        shift_px: way of the iris, x right, y down, in pixels of the picture.

    Returns:
        Maps ready for `cv2.remap` on the box; at the box's border every pixel comes from itself.
    """
    axes = Axes.of(eye)
    outline = Outline.of(eye, axes)
    way = axes.vector(np.asarray(shift_px, np.float64))
    way *= min(1.0, MOST_SHIFT / max(float(np.hypot(*way)), 1e-9))
    columns, rows = _pixel_grid(area)
    x, y = _in_eye(columns, rows, area, axes)
    upper, lower = height(outline.upper, x), height(outline.lower, x)
    bump = np.maximum(1 - 4 * x * x, 0).astype(np.float32)
    lift = float(np.clip(way[1], -MOST_LIFT, MOST_LIFT))
    up, down = np.float32(UPPER_LID * lift) * bump, np.float32(LOWER_LID * lift) * bump
    skin_y = -up * _follow((upper + up - y) / FOLLOW_ABOVE) - down * _follow((y - lower - down) / FOLLOW_BELOW)
    # Between the lids both sums above would add up; there the eye's own layer is shown.
    ball_x, ball_y = _ball(outline, (float(way[0]), float(way[1])), (x, y), (upper + up, lower + down))
    shown = np.minimum(y - upper - up - np.float32(INSET_UPPER), lower + down - np.float32(INSET_LOWER) - y)
    share = np.clip(shown / np.float32(FEATHER) + np.float32(0.5), 0, 1) * (bump > 0)
    return Field(
        skin=_to_pixels(np.zeros_like(skin_y), skin_y, columns, rows, axes),
        ball=_to_pixels(ball_x, ball_y, columns, rows, axes),
        open=np.asarray(share, np.float32),
    )


def _pixel_grid(area: Box) -> tuple[Grid, Grid]:
    rows, columns = np.indices(area.shape, dtype=np.float32)
    return columns, rows


def _in_eye(columns: Grid, rows: Grid, area: Box, axes: Axes) -> tuple[Grid, Grid]:
    """Give each pixel its place in eye units; landmarks count a pixel's centre as +0.5."""
    cos, sin = (np.float32(value / axes.width**2) for value in axes.along)
    right = columns + np.float32(area.left + 0.5 - axes.origin[0])
    below = rows + np.float32(area.top + 0.5 - axes.origin[1])
    return cos * right + sin * below, cos * below - sin * right


def _to_pixels(dx: Grid, dy: Grid, columns: Grid, rows: Grid, axes: Axes) -> tuple[Grid, Grid]:
    cos, sin = (np.float32(value) for value in axes.along)
    return (
        np.asarray(columns + cos * dx - sin * dy, np.float32),
        np.asarray(rows + sin * dx + cos * dy, np.float32),
    )


def _follow(distance: Grid) -> Grid:
    """Fall from 1 at the lid (and inside it) to 0 at distance 1."""
    t = np.clip(1 - distance, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _ball(
    outline: Outline, way: tuple[float, float], place: tuple[Grid, Grid], lids: tuple[Grid, Grid]
) -> tuple[Grid, Grid]:
    """Return the way back, in eye units, for pixels between the moved lids.

    The iris with its rim comes over rigidly; the sclera is stretched on one side and squeezed on the other,
    the corners stay. Away from the iris heights are relative to the lids, so that no skin is drawn in.
    """
    x, y = place
    back_x = -_across(x, outline, way[0])
    source_x = x + back_x
    source_upper, source_lower = height(outline.upper, source_x), height(outline.lower, source_x)
    upper, lower = lids
    part = np.clip((y - upper) / np.maximum(lower - upper, np.float32(1e-3)), 0, 1)
    between = source_upper + part * (source_lower - source_upper)
    rigid = np.clip(
        y - np.float32(way[1]),
        source_upper + np.float32(INSET_UPPER),
        np.maximum(source_lower - np.float32(INSET_LOWER), source_upper + np.float32(INSET_UPPER)),
    )
    dx, dy = x - np.float32(outline.iris[0] + way[0]), y - np.float32(outline.iris[1] + way[1])
    distance = np.sqrt(dx * dx + dy * dy) / np.float32(outline.radius)
    near = np.clip((np.float32(1.9) - distance) / np.float32(1.9 - RIM), 0, 1)
    near = near * near * (3 - 2 * near)
    return np.asarray(back_x, np.float32), np.asarray(between + near * (rigid - between) - y, np.float32)


def _across(x: Grid, outline: Outline, way: float) -> Grid:
    """Spread the sideways movement: whole within the moved iris, none at the corners."""
    if way == 0:
        return np.zeros_like(x)
    reach = outline.radius * RIM
    middle = outline.iris[0] + way
    left = _ramp((x + np.float32(0.5)), middle - reach + 0.5, way)
    right = _ramp((np.float32(0.5) - x), 0.5 - middle - reach, -way)
    return np.float32(way) * np.minimum(left, right)


def _ramp(from_corner: Grid, length: float, stretch: float) -> Grid:
    """Rise from 0 at a corner to 1 at the iris; `stretch` > 0 draws the sclera out, and must never fold it over."""
    length = max(length, 0.02)
    t = np.clip(from_corner / np.float32(length), 0, 1)
    # t**p has the slope p at the iris; the map folds when p · stretch reaches the length. A gentle start keeps the
    # corner's flesh in place.
    power = 2.0 if stretch <= 0 else min(max(0.9 * length / stretch, 1.0), 2.0)
    return np.asarray(t if power == 1.0 else t ** np.float32(power), np.float32)
