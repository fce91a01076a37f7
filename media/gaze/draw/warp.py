"""How an eye's box is drawn anew: the skin's map over the whole box, the eyeball's maps where it shows.

Geometry on outlines; no picture is read or written here.
"""

from dataclasses import dataclass

import numpy as np

from media.gaze.draw.eyelids import (
    BEYOND_LOWER,
    FEATHER,
    INSET_LOWER,
    INSET_UPPER,
    REACH_DOWN,
    REACH_SIDE,
    REACH_UP,
    Lids,
    Movement,
)
from media.gaze.draw.glints import FOLLOWS
from media.gaze.draw.layers import Ball, ball
from media.gaze.draw.spectacles import Rim
from media.gaze.easing import fade
from media.gaze.estimate.geometry import Axes, Box, Grid, Outline, PixelGrid, height

MOST_SHIFT = 0.24  # of the eye's width; beyond, too much has to be invented
# Of the eye's width: up to here the eyeball is bent, from there it is drawn wholly anew. Sideways, bending looks better
# for long (painted white is too bright beside a corner, seen on sheets 2026-11-26); but a lowered eye that is lifted
# shows a part of the iris that its lower lid hid: bent, the rim has a dark tail there from 0.02 on (seen on sheets).
SIDEWAYS, UPWARDS = (0.08, 0.14), (0.015, 0.040)
RIGID = 1.08  # radii of the iris: up to here all goes along
# From there the movement ends within twice its own length, so that the white is nowhere squeezed to less than a quarter
# of its width; small movements end within a radius.
GIVES_WAY, LEAST = 2.0, 1.0
MIRRORS = (0.88, 1.02)  # radii of the iris: the cornea ends there, and the white mirrors no lamp
ACROSS = np.linspace(-0.5, 0.5, 21, dtype=np.float32)  # from corner to corner


@dataclass(frozen=True)
class Eyeball:
    """How the part of the box in which the eyeball shows is drawn; maps are (x, y) in pixels of the box."""

    inner: Box  # in pixels of the box
    open: Grid  # 0 skin to 1 eyeball
    bent: tuple[Grid, Grid]
    light: tuple[Grid, Grid]  # what the cornea mirrors
    mirrors: Grid  # 1 where it does, 0 on the white
    layers: Ball | None  # for larger movements
    anew: float  # share of the layers


@dataclass(frozen=True)
class Field:
    """How one eye's box is drawn anew."""

    skin: tuple[Grid, Grid]  # x and y in the box where each of its pixels comes from
    ball: Eyeball | None  # None when the eye is shut


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


def field(axes: Axes, outline: Outline, area: Box, shift_px: tuple[float, float], rim: Rim | None = None) -> Field:
    """Say how an eye's box is drawn anew for a movement of its iris.

    Args:
        axes: where the eye lies in the picture.
        outline: its shape.
        area: the box, in pixels of the picture.
        shift_px: way of the iris, x right, y down, in pixels of the picture.
        rim: of glasses, which stays where it is.

    Returns:
        Maps ready for `cv2.remap` on the box; at the box's border every pixel comes from itself.
    """
    way = axes.vector(np.asarray(shift_px, np.float64))
    way *= min(1.0, MOST_SHIFT / max(float(np.hypot(*way)), 1e-9))
    moved = Movement.of(outline, (float(way[0]), float(way[1])), rim)
    place = PixelGrid.of(area, axes)
    lids = moved.laid(place.x)
    skin = place.maps(np.float32(0), moved.skin(place.x, place.y, lids))
    if float((lids.lower - lids.upper).max()) <= INSET_UPPER + INSET_LOWER:
        return Field(skin, None)
    inner = _inner(moved, area, axes)
    part, laid = place.part(inner), lids.part(inner)
    anew = _anew(moved)
    layers = ball(moved, part) if anew > 0 else None
    share = moved.share(part.y, laid)
    mirrored = light(moved, part), mirrors(moved, part)
    return Field(skin, Eyeball(inner, share, bend(moved, part, laid), *mirrored, layers, anew))


def _anew(moved: Movement) -> float:
    """Say how much of a movement's eyeball is drawn in layers, 0 to 1."""
    right, down = moved.way
    return 1 - fade(abs(right), SIDEWAYS) * fade(-down, UPWARDS)


def _inner(moved: Movement, area: Box, axes: Axes) -> Box:
    """Find the pixels of the box that lie between the moved lids."""
    upper, lower = moved.lids(ACROSS)
    edge = np.concatenate([np.stack([ACROSS, upper]), np.stack([ACROSS, lower + BEYOND_LOWER + FEATHER])], axis=1)
    along, across = axes.along
    pixels = np.array([[along, -across], [across, along]]) @ edge + (axes.origin - (area.left, area.top))[:, None]
    left, top = np.maximum(np.floor(pixels.min(axis=1) / 2) * 2, 0).astype(int).tolist()
    right, bottom = (np.ceil(pixels.max(axis=1) / 2).astype(int) * 2).tolist()
    rows, columns = area.shape
    return Box(left, top, min(right, columns), min(bottom, rows))


def bend(moved: Movement, place: PixelGrid, lids: Lids) -> tuple[Grid, Grid]:
    """Return where in the box each pixel of the eyeball comes from."""
    right, down = (np.float32(part) for part in moved.way)
    iris_x, iris_y = (np.float32(part) for part in moved.outline.iris)
    dx, dy = place.x - (iris_x + right), place.y - (iris_y + down)
    distance = np.sqrt(dx * dx + dy * dy) / np.float32(moved.outline.radius)
    gives_way = max(LEAST, GIVES_WAY * float(np.hypot(*moved.way)) / moved.outline.radius)
    along = np.clip(1 - (distance - np.float32(RIGID)) / np.float32(gives_way), 0, 1)
    along = along * along * (3 - 2 * along)
    part = np.clip((place.y - lids.upper) / np.maximum(lids.lower - lids.upper, np.float32(1e-3)), 0, 1)
    lift = lids.up + part * (lids.down - lids.up)
    return place.maps(*_between_lids(moved, place, lids, -along * right, -along * down - (1 - along) * lift))


def _between_lids(moved: Movement, place: PixelGrid, lids: Lids, back_x: Grid, back_y: Grid) -> tuple[Grid, Grid]:
    """Take nothing from further outside of the lids than it is drawn."""
    from_x, from_y = place.x + back_x, place.y + back_y
    below_upper = from_y - height(moved.outline.upper, from_x)
    above_lower = height(moved.outline.lower, from_x) - from_y
    too_high = np.maximum(np.minimum(place.y - lids.upper, np.float32(INSET_UPPER)) - below_upper, 0)
    too_low = np.maximum(np.minimum(lids.lower - place.y, np.float32(INSET_LOWER)) - above_lower, 0)
    return back_x, np.asarray(back_y + too_high - too_low, np.float32)


def light(moved: Movement, place: PixelGrid) -> tuple[Grid, Grid]:
    """Return where in the box what the cornea mirrors comes from, which goes only a part of the way."""
    right, down = (FOLLOWS * part for part in moved.way)
    # Not under a lid that goes less far, as below a rim of glasses: what shines there is on the glasses, and stays.
    down = max(down, min(moved.lifts_down[0], 0.0))
    return place.maps(np.float32(-right), np.float32(-down))


def mirrors(moved: Movement, place: PixelGrid) -> Grid:
    """Return how far each pixel mirrors lamps: 1 on the moved iris to 0 on the white."""
    whole, none = MIRRORS
    x, y = (np.float32(at + way) for at, way in zip(moved.outline.iris, moved.way, strict=True))
    distance = np.hypot(place.x - x, place.y - y) / np.float32(moved.outline.radius)
    return np.asarray(np.clip((none - distance) / (none - whole), 0, 1), np.float32)
