"""The eyeball in layers: the sclera from both sides of the old iris, the iris over it.

For movements that are too large to warp the eyeball as a whole (`media.gaze.draw.warp`). Maps only, in eye units (see
`media.gaze.estimate.geometry`); no picture is read. No pixel is fetched from outside of the lids, so that no skin and
no lashes are drawn into the eye.
"""

from dataclasses import dataclass

import numpy as np

from media.gaze.draw.eyelids import BEYOND_LOWER, FEATHER, INSET_LOWER, INSET_UPPER, EyeMovement, LidMaps
from media.gaze.easing import fade
from media.gaze.estimate.geometry import Grid, PixelGrid, clamp, height

# The edge of the iris is soft: its shadow reaches this far, in radii, and the sclera begins beyond.
RIM_FROM, RIM_TO, WHITE_FROM = 0.98, 1.13, 1.15
# In a soft picture, by so much of what its edge is wider: the drawn edge is as wide as the picture's own.
SOFTER_FROM, SOFTER_TO = 0.25, 0.85
EDGE = 0.012  # the iris is not fetched from the lower lid's wet edge
SOFT_EDGE = 0.7  # nor from its blurred one, which is wider than that of a sharp picture by so much of the feather's
BEHIND_EDGE = (
    0.012  # the iris ends this far below the line of the lower lid, which lies a little inside of the visible edge
)
FILL_INSET = 0.02  # the last row that fills in the iris, further inside than the first one that is drawn
# Radii from the iris' middle column up to which the covered part is filled in from both sides, for a slant of the lower
# lid below the iris, and at least and at most. Without, both sides met in a step below a slanting lid. Filled in from
# the row above, the pupil would go on down to the edge, and the iris end in a point.
BOTH_PER_SLANT, BOTH = 1.5, (0.2, 0.5)
STRETCHED = (1.5, 2.6)  # times its old width: a side's sclera is drawn from itself … from the other side
FILLED_SHORTER = 0.08  # radii by which the filled part of the iris ends earlier
MIDDLE, RIM = 0.65, 0.85  # radii: up to here is the iris' middle … from here is its rim
CORNER_FROM, CORNER_TO = 0.30, 0.42  # from the middle, in eye widths


@dataclass(frozen=True)
class EyeballLayers:
    """The sources of the eyeball's pixels: pairs of maps (x, y) in pixels of the box, and masks."""

    left_sclera: tuple[Grid, Grid]  # from the picture's left of the old iris
    right_sclera: tuple[Grid, Grid]  # from its right
    right_share: Grid  # 0 left to 1 right sclera
    trust: tuple[float, float]  # weight of the sclera of each side, left and right, 0 to 1
    corner: Grid  # 0 in the middle to 1 at the eye corners, whose flesh and lashes are never borrowed
    iris: tuple[Grid, Grid]  # the visible iris
    filled: tuple[Grid, Grid]  # the iris that a lid covered, from the same ring further up or down, on the same side
    filled_over: tuple[Grid, Grid]  # the same, from the other side
    over_share: Grid  # of the other side: half in the middle column, none further aside
    filled_share: Grid
    iris_share: Grid  # 1 within the iris, 0 on the sclera
    rim: Grid  # 1 at the iris' rim, 0 in its middle, where wide lights may be brighter than the sclera


def eyeball_layers(moved: EyeMovement, grid: PixelGrid, lids: LidMaps) -> EyeballLayers:
    """Return the layers for the pixels of a rectangle, given its moved lids."""
    left, right, right_share = _sclera(moved, grid, lids)
    corner = clamp((np.abs(grid.x) - np.float32(CORNER_FROM)) / np.float32(CORNER_TO - CORNER_FROM), 0, 1)
    return EyeballLayers(left, right, right_share, _stretched(moved), corner, *_iris(moved, grid, lids))


def borrowed(layers: EyeballLayers, left: float, right: float) -> Grid:
    """Return how much more of the right side's sclera (below 0: of the left side's) is drawn than lies there.

    A side with less trust, 0 to 1, borrows from the other one, except in its own corner.
    """
    whole_left, whole_right = (trust + (1 - trust) * layers.corner for trust in (left, right))
    share = layers.right_share * whole_right + (1 - layers.right_share) * (1 - whole_left)
    return np.asarray(share - layers.right_share, np.float32)


def _sclera(moved: EyeMovement, grid: PixelGrid, lids: LidMaps) -> tuple[tuple[Grid, Grid], tuple[Grid, Grid], Grid]:
    """Stretch or squeeze the sclera of each side up to the new iris; behind the iris it is mirrored."""
    x = grid.x
    radius, old = moved.outline.radius, moved.outline.iris[0]
    new = old + moved.iris_shift[0]
    reach = _sclera_from(moved) * radius
    left_has, right_has = old - reach + 0.5, 0.5 - old - reach
    from_left = _side(x + np.float32(0.5), left_has, new - reach + 0.5) - np.float32(0.5)
    from_right = np.float32(0.5) - _side(np.float32(0.5) - x, right_has, 0.5 - new - reach)
    share = clamp((x - np.float32(new)) / np.float32(1.4 * radius) + np.float32(0.5), 0, 1)
    left, right = _within_lids(moved, grid, lids, (from_left, from_right))
    return left, right, share


def _sclera_from(moved: EyeMovement) -> float:
    """Return the distance from the iris' centre, in radii, at which the sclera is fetched."""
    return WHITE_FROM + SOFTER_TO * moved.edge.softer


def _stretched(moved: EyeMovement) -> tuple[float, float]:
    """Return the trust in the sclera of the left and right side: less, the more it is stretched."""
    reach = _sclera_from(moved) * moved.outline.radius
    old, way = moved.outline.iris[0], moved.iris_shift[0]
    sides = ((0.5 + old - reach, way), (0.5 - old - reach, -way))
    left, right = (fade((has + more) / max(has, 0.01), STRETCHED) for has, more in sides)
    return left, right


def _side(from_corner: Grid, old_length: float, new_length: float) -> Grid:
    """Map distances from a corner so that the new length of sclera shows the old one; the corner's flesh stays."""
    old_length, new_length = max(old_length, 0.02), max(new_length, 0.02)
    t = from_corner / np.float32(new_length)
    inside = clamp(t, 0, 1)
    # The map is x − (new − old) · t^p: with p above 1 the corner rests; its slope at the iris must stay positive.
    drawn = new_length - old_length
    power = 2.0 if drawn <= 0 else min(max(0.9 * new_length / drawn, 1.0), 2.0)
    source = np.minimum(from_corner, np.float32(new_length)) - np.float32(drawn) * inside ** np.float32(power)
    behind = np.maximum(from_corner - np.float32(new_length), 0)
    return np.asarray(np.maximum(source - np.minimum(behind / 2, np.float32(0.3 * old_length)), 0), np.float32)


def _within_lids(
    moved: EyeMovement, grid: PixelGrid, lids: LidMaps, sources_x: tuple[Grid, Grid]
) -> list[tuple[Grid, Grid]]:
    """Keep each pixel's relative height between the lids, so that the lid's shadow stays under the lid."""
    part = lids.height_between(grid.y)
    # The wet edge lies on and below the line of the lower lid; it is fetched unchanged from beside the iris.
    beyond = clamp(grid.y - lids.lower, 0, BEYOND_LOWER + moved.feather)
    maps = []
    for source_x in sources_x:
        top, bottom = _opening(moved, source_x)
        bottom += np.float32(INSET_LOWER)
        maps.append(grid.maps(source_x - grid.x, top + part * (bottom - top) + beyond - grid.y))
    return maps


def _opening(moved: EyeMovement, x: Grid) -> tuple[Grid, Grid]:
    """Return the y between which the eyeball was visible before the movement."""
    inside = np.maximum(np.float32(0.25) - x * x, np.float32(0))
    top = height(moved.outline.upper, x, inside) + np.float32(INSET_UPPER)
    bottom = height(moved.outline.lower, x, inside) - np.float32(INSET_LOWER)
    middle = (top + bottom) / 2
    return np.minimum(top, middle), np.maximum(bottom, middle)


def _iris(
    moved: EyeMovement, grid: PixelGrid, lids: LidMaps
) -> tuple[tuple[Grid, Grid], tuple[Grid, Grid], tuple[Grid, Grid], Grid, Grid, Grid, Grid]:
    """Move the iris as a rigid disc; where a lid covered it, fill each ring from its visible part."""
    radius = np.float32(moved.outline.radius)
    old_x, old_y = (np.float32(value) for value in moved.outline.iris)
    dx = grid.x - old_x - np.float32(moved.iris_shift[0])
    dy = grid.y - old_y - np.float32(moved.iris_shift[1])
    seen_x, seen_y = dx + old_x, dy + old_y
    top, bottom = _opening(moved, seen_x)
    bottom -= _lid_edge(moved)
    depth = np.minimum(seen_y - top, bottom - seen_y)
    feather = np.float32(moved.feather)
    hidden = 1 - clamp(depth / feather + np.float32(0.5), 0, 1)
    near = np.copysign(np.float32(1), dx)
    filled, over = (_on_ring(moved, side, dx, dy) for side in (near, -near))
    distance = np.sqrt(dx * dx + dy * dy) / radius
    # The filled part ends earlier: it would bring along the brighter sclera of the side.
    rim_from, rim_to = RIM_FROM + SOFTER_FROM * moved.edge.softer, RIM_TO + SOFTER_TO * moved.edge.softer
    end = np.float32(rim_to) - np.float32(FILLED_SHORTER) * hidden
    shown = clamp((end - distance) / np.float32(rim_to - rim_from), 0, 1)
    edge = lids.lower + np.float32(BEHIND_EDGE)
    above_edge = clamp((edge - grid.y) / feather + np.float32(0.5), 0, 1)
    over_share = np.float32(0.5) - np.minimum(np.abs(dx) / np.float32(2 * _both(moved) * radius), np.float32(0.5))
    return (
        grid.maps(seen_x - grid.x, clamp(seen_y, top, bottom) - grid.y),
        grid.maps(old_x + filled[0] - grid.x, old_y + filled[1] - grid.y),
        grid.maps(old_x + over[0] - grid.x, old_y + over[1] - grid.y),
        over_share,
        hidden,
        np.asarray(shown * shown * (3 - 2 * shown) * above_edge, np.float32),
        clamp((distance - np.float32(MIDDLE)) / np.float32(RIM - MIDDLE), 0, 1),
    )


def _lid_edge(moved: EyeMovement) -> np.float32:
    """Return the width of the lower lid's edge, from which the iris is not fetched."""
    return np.float32(EDGE + SOFT_EDGE * (moved.feather - FEATHER))


def _both(moved: EyeMovement) -> float:
    """Return up to how many radii from its middle column the iris is filled in from both sides."""
    reach = moved.outline.radius / 2
    ends = height(moved.outline.lower, np.float32(moved.outline.iris[0]) + np.array([-reach, reach], np.float32))
    least, most = BOTH
    return min(max(BOTH_PER_SLANT * abs(float(ends[1] - ends[0])) / (2 * reach), least), most)


def _on_ring(moved: EyeMovement, side: Grid, dx: Grid, dy: Grid) -> tuple[Grid, Grid]:
    """Return the closest visible position on each pixel's own ring, so that the rim stays round and soft.

    Moves to the nearest visible row and along it to the ring; the lid may be at another height there, so this repeats.

    Args:
        moved: the movement.
        side: of the iris on which the position lies: −1 left, 1 right.
        dx: of each pixel from the moved iris' centre.
        dy: down.
    """
    old_x, old_y = (np.float32(value) for value in moved.outline.iris)
    square = dx * dx + dy * dy
    along, row = side * np.abs(dx), dy
    inset, lid_edge = np.float32(FILL_INSET), _lid_edge(moved)
    for _ in range(3):
        top, bottom = _opening(moved, along + old_x)
        row = clamp(row, top + inset - old_y, bottom - lid_edge - inset - old_y)
        along = side * np.sqrt(np.maximum(square - row * row, 0))
    return along, row
