"""The maps with which an eye's box is redrawn: the skin's over the whole box, the eyeball's where it is visible.

A small movement warps the eyeball as a whole: the iris moves rigidly and the sclera beside it gives way. Every colour
is the picture's own and no movement leaves every pixel in its place, but what a lid covered cannot appear. A large
movement draws the eyeball in layers (`media.gaze.draw.layers`); in between, the two are mixed.

Geometry on outlines in eye units (see `media.gaze.estimate.geometry`); no picture is read or written here.
"""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from media.gaze.draw.eyelids import (
    BEYOND_LOWER,
    INSET_LOWER,
    INSET_UPPER,
    REACH_DOWN,
    REACH_SIDE,
    REACH_UP,
    EyeMovement,
    LidMaps,
)
from media.gaze.draw.glints import FOLLOWS, Glints
from media.gaze.draw.iris_edge import SHARP_EDGE, IrisEdge
from media.gaze.draw.layers import EyeballLayers, eyeball_layers
from media.gaze.draw.spectacles import SpectacleRim
from media.gaze.easing import fade
from media.gaze.estimate.geometry import Axes, Box, Grid, Outline, PixelGrid, clamp, height

MOST_SHIFT = 0.24  # of the eye's width; a larger movement would have to invent too much
# Of the eye's width: up to the first bound the eyeball is warped, from the second it is drawn in layers. Sideways, a
# warp looks better for long (stretched sclera is too bright beside a corner, seen on contact sheets 2026-11-26). But a
# lowered eye that is lifted shows a part of the iris that its lower lid covered: warped, the limbus has a dark tail
# there from 0.02 on (seen on contact sheets).
SIDEWAYS, UPWARDS = (0.08, 0.14), (0.015, 0.040)
RIGID, SOFTER = 1.08, 0.4  # radii of the iris: everything up to here moves with it; more where its edge is wider
# From there the movement ends within twice its own length, so that the sclera is nowhere squeezed to less than a
# quarter of its width; small movements end within one radius.
GIVES_WAY, LEAST = 2.0, 1.0
CORNEA = (0.88, 1.02)  # radii of the iris: the cornea ends there, and the sclera shows no glints
ACROSS = np.linspace(-0.5, 0.5, 21, dtype=np.float32)  # from corner to corner
BOTH_ACROSS = np.tile(ACROSS, 2).astype(np.float64)  # of both lids


@dataclass(frozen=True)
class EyeballMaps:
    """The maps of the part of the box in which the eyeball is visible; maps are (x, y) in pixels of the box."""

    area: Box  # in pixels of the box
    mask: Grid  # 0 skin to 1 eyeball
    warped: tuple[Grid, Grid]
    glints: tuple[Grid, Grid]
    cornea: Grid  # mask of the glints: 1 on the cornea, 0 on the sclera
    layers: EyeballLayers | None  # for large movements
    layers_share: float  # 0 only warped to 1 only layers


@dataclass(frozen=True)
class EyeMaps:
    """The maps of one eye's box."""

    skin: tuple[Grid, Grid]  # (x, y) of each pixel's source, in pixels of the box
    eyeball: EyeballMaps | None  # None when the eye is shut
    moved_px: float  # length of the iris' movement
    eye_px: float  # width of the eye


def eye_box(axes: Axes, picture: tuple[int, int]) -> Box | None:
    """Return the rectangle that a movement of an eye may change; None when it crosses the frame's edge."""
    cos, sin = axes.along.tolist()  # times the width
    middle_x, middle_y = axes.origin.tolist()
    corners = [(x, y) for x in (-REACH_SIDE, REACH_SIDE) for y in (-REACH_UP, REACH_DOWN)]
    columns = [middle_x + cos * x - sin * y for x, y in corners]
    rows = [middle_y + sin * x + cos * y for x, y in corners]
    left, top = (floor(min(values) / 2) * 2 for values in (columns, rows))
    right, bottom = (ceil(max(values) / 2) * 2 for values in (columns, rows))
    inside = left >= 0 and top >= 0 and bottom <= picture[0] and right <= picture[1]
    return Box(left, top, right, bottom) if inside and right - left >= 8 and bottom - top >= 8 else None


@dataclass(frozen=True)
class Features:
    """The picture's features on which a movement depends."""

    rim: SpectacleRim | None = None  # of spectacles above the eye, which must not move
    edge: IrisEdge = SHARP_EDGE
    glints: Glints | None = None


def eye_maps(
    axes: Axes,
    outline: Outline,
    area: Box,
    shift_px: tuple[float, float],
    features: Features | None = None,
    uncover: float = 0.0,
) -> EyeMaps:
    """Return the maps that move an iris.

    Args:
        axes: of the eye in the frame.
        outline: shape of the eye.
        area: the eye's box, in pixels of the frame.
        shift_px: movement of the iris, x right, y down, in pixels of the frame.
        features: of the eye in the picture; without, of a sharp one.
        uncover: 0 to 1, see `EyeMovement.of`.

    Returns:
        Maps for `cv2.remap` on the box; at its border every pixel is its own source.
    """
    way = axes.vector(np.asarray(shift_px, np.float64))
    way *= min(1.0, MOST_SHIFT / max(float(np.hypot(*way)), 1e-9))
    features = features or Features()
    moved = EyeMovement.of(outline, (float(way[0]), float(way[1])), features.rim, features.edge, uncover)
    grid = PixelGrid.of(area, axes)
    lids = moved.lid_maps(grid.x)
    skin = grid.maps(np.float32(0), moved.skin_shift(grid.x, grid.y, lids))
    moved_px = float(np.hypot(*moved.iris_shift)) * axes.width
    if float((lids.lower - lids.upper).max()) <= INSET_UPPER + INSET_LOWER:
        return EyeMaps(skin, None, moved_px, axes.width)
    inner = _eyeball_area(moved, area, axes)
    part, laid = grid.part(inner), lids.part(inner)
    share = _layers_share(moved)
    layers = eyeball_layers(moved, part, laid) if share > 0 else None
    mask = moved.eyeball_mask(part.y, laid)
    follows = FOLLOWS if features.glints is None else features.glints.follows
    reflected = glint_maps(moved, part, follows), cornea_mask(moved, part)
    eyeball = EyeballMaps(inner, mask, warped_eyeball(moved, part, laid), *reflected, layers, share)
    return EyeMaps(skin, eyeball, moved_px, axes.width)


def _layers_share(moved: EyeMovement) -> float:
    """Return the share of the layers in a movement's eyeball, 0 to 1."""
    right, down = moved.iris_shift
    return 1 - fade(abs(right), SIDEWAYS) * fade(-down, UPWARDS)


def _eyeball_area(moved: EyeMovement, area: Box, axes: Axes) -> Box:
    """Return the rectangle between the moved lids, in pixels of the box."""
    upper, lower = moved.lid_heights(ACROSS)
    edge = np.concatenate([upper, lower + BEYOND_LOWER + moved.feather])
    (along, across), (x, y) = axes.along.tolist(), (axes.origin - (area.left, area.top)).tolist()
    pixels = np.array([along * BOTH_ACROSS - across * edge + x, across * BOTH_ACROSS + along * edge + y])
    left, top = np.maximum(np.floor(pixels.min(axis=1) / 2) * 2, 0).astype(int).tolist()
    right, bottom = (np.ceil(pixels.max(axis=1) / 2).astype(int) * 2).tolist()
    rows, columns = area.shape
    return Box(left, top, min(right, columns), min(bottom, rows))


def warped_eyeball(moved: EyeMovement, grid: PixelGrid, lids: LidMaps) -> tuple[Grid, Grid]:
    """Return the maps that warp the eyeball as a whole."""
    right, down = (np.float32(part) for part in moved.iris_shift)
    iris_x, iris_y = (np.float32(part) for part in moved.outline.iris)
    dx, dy = grid.x - (iris_x + right), grid.y - (iris_y + down)
    distance = np.sqrt(dx * dx + dy * dy) / np.float32(moved.outline.radius)
    rigid = RIGID + SOFTER * moved.edge.softer
    gives_way = max(LEAST, GIVES_WAY * float(np.hypot(*moved.iris_shift)) / moved.outline.radius)
    along = clamp(1 - (distance - np.float32(rigid)) / np.float32(gives_way), 0, 1)
    along = along * along * (3 - 2 * along)
    part = lids.height_between(grid.y)
    lift = lids.upper_shift + part * (lids.lower_shift - lids.upper_shift)
    return grid.maps(*_between_lids(moved, grid, lids, -along * right, -along * down - (1 - along) * lift))


def _between_lids(moved: EyeMovement, grid: PixelGrid, lids: LidMaps, back_x: Grid, back_y: Grid) -> tuple[Grid, Grid]:
    """Fetch no pixel from further outside of the lids than it is drawn."""
    from_x, from_y = grid.x + back_x, grid.y + back_y
    inside = np.maximum(np.float32(0.25) - from_x * from_x, np.float32(0))
    below_upper = from_y - height(moved.outline.upper, from_x, inside)
    above_lower = height(moved.outline.lower, from_x, inside) - from_y
    too_high = np.maximum(np.minimum(grid.y - lids.upper, np.float32(INSET_UPPER)) - below_upper, 0)
    too_low = np.maximum(np.minimum(lids.lower - grid.y, np.float32(INSET_LOWER)) - above_lower, 0)
    return back_x, np.asarray(back_y + too_high - too_low, np.float32)


def glint_maps(moved: EyeMovement, grid: PixelGrid, follows: float = FOLLOWS) -> tuple[Grid, Grid]:
    """Return the maps of the glints, which move a part of the way of the iris, or with it as one piece."""
    right, down = (follows * part for part in moved.iris_shift)
    # Not under a lid that moves less, as below a spectacle rim: a glint there is on the glasses and does not move.
    apart = (1 - follows) / (1 - FOLLOWS)
    down += apart * (max(down, min(moved.lid_shifts[0], 0.0)) - down)
    return grid.maps(np.float32(-right), np.float32(-down))


def cornea_mask(moved: EyeMovement, grid: PixelGrid) -> Grid:
    """Return the mask of the cornea: 1 on the moved iris to 0 on the sclera."""
    whole, none = CORNEA
    x, y = (np.float32(at + way) for at, way in zip(moved.outline.iris, moved.iris_shift, strict=True))
    distance = np.hypot(grid.x - x, grid.y - y) / np.float32(moved.outline.radius)
    return clamp((none - distance) / (none - whole), 0, 1)
