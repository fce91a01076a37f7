"""The eyeball between the lids, drawn anew in layers: the white from both sides of the old iris, the iris over it.

For movements that are too large for bending the picture (`media.gaze.draw.warp`). Maps only, in eye units (see
`media.gaze.estimate.geometry`); no picture is read. Nothing is taken from outside the lids, so that no skin and no
lashes are drawn into the eye.
"""

from dataclasses import dataclass

import numpy as np

from media.gaze.draw.eyelids import BEYOND_LOWER, FEATHER, INSET_LOWER, INSET_UPPER, Movement
from media.gaze.easing import fade
from media.gaze.estimate.geometry import Grid, PixelGrid, height

# The rim of the iris is soft: its shadow reaches this far, in radii, and the white begins beyond.
RIM_FROM, RIM_TO, WHITE_FROM = 0.98, 1.13, 1.15
EDGE = 0.012  # the iris is never taken from the lower lid's wet edge
BEHIND_EDGE = 0.012  # below the lower lid's line the iris ends; the line runs a little inside of what is seen
FILL_INSET = 0.02  # the last row that is trusted, further inside than the first one that is drawn
STRETCHED = (1.5, 2.6)  # times as wide as it was: a side's white is all its own … painted from the other side
PAINTED_SHORTER = 0.08
CORNER_FROM, CORNER_TO = 0.30, 0.42  # from the middle, in eye widths


@dataclass(frozen=True)
class Ball:
    """Where the colours of the eyeball come from: each a pair of maps (x, y) in pixels of the box."""

    left: tuple[Grid, Grid]  # white, from the picture's left of the old iris
    right: tuple[Grid, Grid]  # white, from its right
    right_share: Grid  # 0 left to 1 right
    trust: tuple[float, float]  # in the white of each side, left and right, 0 to 1
    corner: Grid  # 0 in the middle to 1 at the corners, whose flesh and lashes each side keeps as its own
    iris: tuple[Grid, Grid]  # the iris as it was seen
    filled: tuple[Grid, Grid]  # the iris where a lid hid it, from the same ring further up or down
    filled_share: Grid
    iris_share: Grid  # 1 within the iris, 0 on the white


def ball(moved: Movement, place: PixelGrid) -> Ball:
    """Lay the layers for the pixels of a rectangle."""
    left, right, right_share = _white(moved, place)
    corner = np.clip((np.abs(place.x) - np.float32(CORNER_FROM)) / np.float32(CORNER_TO - CORNER_FROM), 0, 1)
    iris, filled, filled_share, iris_share = _iris(moved, place)
    whole = np.asarray(corner, np.float32)
    return Ball(left, right, right_share, _stretched(moved), whole, iris, filled, filled_share, iris_share)


def borrowed(ball: Ball, left: float, right: float) -> Grid:
    """Return how much more of the right side's white (below 0: of the left side's) is painted than lies there.

    A side that is trusted less, 0 to 1, borrows from the other, except in its own corner.
    """
    whole_left, whole_right = (trust + (1 - trust) * ball.corner for trust in (left, right))
    share = ball.right_share * whole_right + (1 - ball.right_share) * (1 - whole_left)
    return np.asarray(share - ball.right_share, np.float32)


def _white(moved: Movement, place: PixelGrid) -> tuple[tuple[Grid, Grid], tuple[Grid, Grid], Grid]:
    """Stretch or squeeze the white of each side up to the new iris, and go on behind it as in a mirror."""
    x = place.x
    radius, old = moved.outline.radius, moved.outline.iris[0]
    new = old + moved.way[0]
    reach = WHITE_FROM * radius
    left_has, right_has = old - reach + 0.5, 0.5 - old - reach
    from_left = _side(x + np.float32(0.5), left_has, new - reach + 0.5) - np.float32(0.5)
    from_right = np.float32(0.5) - _side(np.float32(0.5) - x, right_has, 0.5 - new - reach)
    share = np.clip((x - np.float32(new)) / np.float32(1.4 * radius) + np.float32(0.5), 0, 1)
    return _within_lids(moved, place, from_left), _within_lids(moved, place, from_right), np.asarray(share, np.float32)


def _stretched(moved: Movement) -> tuple[float, float]:
    """Trust a side's white, left and right, the less the more it would have to be stretched."""
    reach = WHITE_FROM * moved.outline.radius
    old, way = moved.outline.iris[0], moved.way[0]
    sides = ((0.5 + old - reach, way), (0.5 - old - reach, -way))
    left, right = (fade((has + more) / max(has, 0.01), STRETCHED) for has, more in sides)
    return left, right


def _side(from_corner: Grid, old_length: float, new_length: float) -> Grid:
    """Map distances from a corner so that the new length of white shows the old one; the corner's flesh stays."""
    old_length, new_length = max(old_length, 0.02), max(new_length, 0.02)
    t = from_corner / np.float32(new_length)
    inside = np.clip(t, 0, 1)
    # The map is x − (new − old) · t^p: with p above 1 the corner rests; its slope at the iris must stay positive.
    drawn = new_length - old_length
    power = 2.0 if drawn <= 0 else min(max(0.9 * new_length / drawn, 1.0), 2.0)
    source = np.minimum(from_corner, np.float32(new_length)) - np.float32(drawn) * inside ** np.float32(power)
    behind = np.maximum(from_corner - np.float32(new_length), 0)
    return np.asarray(np.maximum(source - np.minimum(behind / 2, np.float32(0.3 * old_length)), 0), np.float32)


def _within_lids(moved: Movement, place: PixelGrid, source_x: Grid) -> tuple[Grid, Grid]:
    """Keep each pixel's height relative to the lids, so that the shadow of the lid stays under the lid."""
    upper, lower = moved.lids(place.x)
    part = np.clip((place.y - upper) / np.maximum(lower - upper, np.float32(1e-3)), 0, 1)
    top, bottom = _opening(moved, source_x)
    # The wet edge lies on and below the lower line; it is taken along from beside the iris as it is.
    beyond = np.clip(place.y - lower, 0, np.float32(BEYOND_LOWER + FEATHER))
    bottom += np.float32(INSET_LOWER)
    return place.maps(source_x - place.x, top + part * (bottom - top) + beyond - place.y)


def _opening(moved: Movement, x: Grid) -> tuple[Grid, Grid]:
    """Return between which heights the eyeball was seen before."""
    top = height(moved.outline.upper, x) + np.float32(INSET_UPPER)
    bottom = height(moved.outline.lower, x) - np.float32(INSET_LOWER)
    middle = (top + bottom) / 2
    return np.minimum(top, middle), np.maximum(bottom, middle)


def _iris(moved: Movement, place: PixelGrid) -> tuple[tuple[Grid, Grid], tuple[Grid, Grid], Grid, Grid]:
    """Carry the iris over as a rigid disc; where a lid hid it, paint each ring with what was seen of it."""
    radius = np.float32(moved.outline.radius)
    old_x, old_y = (np.float32(value) for value in moved.outline.iris)
    dx = place.x - old_x - np.float32(moved.way[0])
    dy = place.y - old_y - np.float32(moved.way[1])
    seen_x, seen_y = dx + old_x, dy + old_y
    top, bottom = _opening(moved, seen_x)
    bottom -= np.float32(EDGE)
    depth = np.minimum(seen_y - top, bottom - seen_y)
    hidden = 1 - np.clip(depth / np.float32(FEATHER) + np.float32(0.5), 0, 1)
    along, row = _on_ring(moved, dx, dy)
    distance = np.sqrt(dx * dx + dy * dy) / radius
    # What is painted ends closer to the rim: the white that it would bring along is the brighter one of the side.
    end = np.float32(RIM_TO) - np.float32(PAINTED_SHORTER) * hidden
    shown = np.clip((end - distance) / np.float32(RIM_TO - RIM_FROM), 0, 1)
    edge = moved.lids(place.x)[1] + np.float32(BEHIND_EDGE)
    above_edge = np.clip((edge - place.y) / np.float32(FEATHER) + np.float32(0.5), 0, 1)
    return (
        place.maps(seen_x - place.x, np.clip(seen_y, top, bottom) - place.y),
        place.maps(old_x + along - place.x, old_y + row - place.y),
        np.asarray(hidden, np.float32),
        np.asarray(shown * shown * (3 - 2 * shown) * above_edge, np.float32),
    )


def _on_ring(moved: Movement, dx: Grid, dy: Grid) -> tuple[Grid, Grid]:
    """Find where each pixel's own ring of the iris is seen: as close as can be, so that the rim stays round and soft.

    Along a row that is not hidden, to where it crosses the ring; there the lid may lie elsewhere, so look again.
    """
    old_x, old_y = (np.float32(value) for value in moved.outline.iris)
    square = dx * dx + dy * dy
    along, row = dx, dy
    for _ in range(3):
        top, bottom = _opening(moved, along + old_x)
        inset = np.float32(FILL_INSET)
        row = np.clip(row, top + inset - old_y, bottom - np.float32(EDGE) - inset - old_y)
        along = np.copysign(np.sqrt(np.maximum(square - row * row, 0)), dx)
    return along, row
