"""How an eye's box is drawn anew: the skin's map over the whole box, the eyeball's layers where it shows.

Geometry on outlines; no picture is read or written here.
"""

from dataclasses import dataclass

import numpy as np

from media.gaze.eyeball import Ball, ball
from media.gaze.lids import BEYOND_LOWER, FEATHER, INSET_LOWER, INSET_UPPER, REACH_DOWN, REACH_SIDE, REACH_UP, Movement
from media.gaze.outline import Axes, Box, Grid, Outline, Place

MOST_SHIFT = 0.24  # of the eye's width; beyond, too much has to be invented


@dataclass(frozen=True)
class Field:
    """How one eye's box is drawn anew."""

    skin: tuple[Grid, Grid]  # x and y in the box where each of its pixels comes from
    inner: Box | None  # the part of the box in which the eyeball shows, in pixels of the box; None when shut
    ball: Ball | None  # what is drawn there
    open: Grid | None  # over the inner part: 0 skin to 1 eyeball


def box(axes: Axes, picture: tuple[int, int]) -> Box | None:
    """Find the rectangle that a movement of an eye may touch, or None when it lies across the picture's edge."""
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


def field(axes: Axes, outline: Outline, area: Box, shift_px: tuple[float, float]) -> Field:
    """Say how an eye's box is drawn anew for a movement of its iris.

    Args:
        axes: where the eye lies in the picture.
        outline: its shape.
        area: the box, in pixels of the picture.
        shift_px: way of the iris, x right, y down, in pixels of the picture.

    Returns:
        Maps ready for `cv2.remap` on the box; at the box's border every pixel comes from itself.
    """
    way = axes.vector(np.asarray(shift_px, np.float64))
    way *= min(1.0, MOST_SHIFT / max(float(np.hypot(*way)), 1e-9))
    moved = Movement(outline, (float(way[0]), float(way[1])))
    place = Place.of(area, axes)
    skin = place.pixels(np.zeros_like(place.x), moved.skin(place.x, place.y))
    inner = _inner(moved, area, axes)
    if inner is None:
        return Field(skin, None, None, None)
    part = place.part(inner)
    return Field(skin, inner, ball(moved, part), moved.share(part.x, part.y))


def _inner(moved: Movement, area: Box, axes: Axes) -> Box | None:
    """Find the pixels of the box that lie between the moved lids."""
    x = np.linspace(-0.5, 0.5, 21, dtype=np.float32)
    upper, lower = moved.lids(x)
    if float((lower - upper).max()) <= INSET_UPPER + INSET_LOWER:
        return None
    edge = np.concatenate([np.stack([x, upper], axis=1), np.stack([x, lower + BEYOND_LOWER + FEATHER], axis=1)])
    unit = axes.along / axes.width
    pixels = axes.origin + axes.width * (edge @ np.array([[unit[0], unit[1]], [-unit[1], unit[0]]]))
    low = np.maximum(np.floor((pixels.min(axis=0) - (area.left, area.top)) / 2) * 2, 0).astype(int)
    high = np.ceil((pixels.max(axis=0) - (area.left, area.top)) / 2).astype(int) * 2
    rows, columns = area.shape
    return Box(int(low[0]), int(low[1]), min(int(high[0]), columns), min(int(high[1]), rows))
