"""The eyeball between the lids, moved by bending the picture: the iris goes as it is, the white beside it gives way.

Every colour is the picture's own, and a movement of nothing leaves every pixel where it is; but what was hidden cannot
come out. Maps only, in eye units (see `media.gaze.estimate.geometry`).
"""

import numpy as np

from media.gaze.draw.eyelids import INSET_LOWER, INSET_UPPER, Lids, Movement
from media.gaze.draw.glints import FOLLOWS
from media.gaze.estimate.geometry import Grid, Place, height

RIGID = 1.08  # radii of the iris: up to here all goes along
# From there the movement ends within twice its own length, so that the white is nowhere squeezed to less than a quarter
# of its width; small movements end within a radius.
GIVES_WAY, LEAST = 2.0, 1.0
MIRRORS = (0.88, 1.02)  # radii of the iris: the cornea ends there, and the white mirrors no lamp


def bend(moved: Movement, place: Place, lids: Lids) -> tuple[Grid, Grid]:
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
    return place.pixels(*_between_lids(moved, place, lids, -along * right, -along * down - (1 - along) * lift))


def _between_lids(moved: Movement, place: Place, lids: Lids, back_x: Grid, back_y: Grid) -> tuple[Grid, Grid]:
    """Take nothing from further outside of the lids than it is drawn."""
    from_x, from_y = place.x + back_x, place.y + back_y
    below_upper = from_y - height(moved.outline.upper, from_x)
    above_lower = height(moved.outline.lower, from_x) - from_y
    too_high = np.maximum(np.minimum(place.y - lids.upper, np.float32(INSET_UPPER)) - below_upper, 0)
    too_low = np.maximum(np.minimum(lids.lower - place.y, np.float32(INSET_LOWER)) - above_lower, 0)
    return back_x, np.asarray(back_y + too_high - too_low, np.float32)


def light(moved: Movement, place: Place) -> tuple[Grid, Grid]:
    """Return where in the box what the cornea mirrors comes from, which goes only a part of the way."""
    right, down = (FOLLOWS * part for part in moved.way)
    # Not under a lid that goes less far, as below a rim of glasses: what shines there is on the glasses, and stays.
    down = max(down, min(moved.lifts_down[0], 0.0))
    return place.pixels(np.float32(-right), np.float32(-down))


def mirrors(moved: Movement, place: Place) -> Grid:
    """Return how far each pixel mirrors lamps: 1 on the moved iris to 0 on the white."""
    whole, none = MIRRORS
    x, y = (np.float32(at + way) for at, way in zip(moved.outline.iris, moved.way, strict=True))
    distance = np.hypot(place.x - x, place.y - y) / np.float32(moved.outline.radius)
    return np.asarray(np.clip((none - distance) / (none - whole), 0, 1), np.float32)
