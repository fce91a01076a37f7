"""Movement of lids and skin with the iris: the upper lid moves as far, the lower one half, skin follows its lid.

An upper lid that covers more of a lifted iris than in people who look into the lens is lifted further.

Eye units throughout, see `media.gaze.estimate.geometry`; y points down, so a lift is negative.
"""

from dataclasses import dataclass

import numpy as np

from media.gaze.draw import bounds
from media.gaze.draw.iris_edge import LID_EDGE, SHARP_EDGE, IrisEdge
from media.gaze.draw.spectacles import SpectacleRim
from media.gaze.estimate.geometry import Box, Grid, Outline, clamp, height

# Distance over which the skin follows its lid: as short as possible without folding, as brows and glasses do not move.
FOLLOW_LEAST, FOLLOW_PER_LIFT, FOLLOW_BELOW = 0.20, 2.2, 0.24
# Extent of the eye's box from the middle of the corners. The brow begins at about 0.6.
REACH_SIDE, REACH_UP, REACH_DOWN = 0.53, 0.58, 0.40
BORDER = 0.08  # width of the box's margin in which the movement ends
# Movement of each lid over the vertical movement of the iris.
UPPER_LID, LOWER_LID = 0.95, 0.50
MOST_LIFT = 0.15
# The upper lids of people who look into the lens cover 0.16 to 0.24 of the iris' height, in the median 0.21 (five
# recordings, 2026-11-30). A lid that covers more of the moved iris is lifted by the rest, too, by at most this share of
# the iris' lift: lids that rise only as far as the iris stay half down over eyes that looked far down. Below WHOLE_LIFT
# the share falls to 0: narrow eyes beside the lens stay narrow.
COVER, MOST_MORE, WHOLE_LIFT = 0.20, 0.5, 0.10
# The irises of eyes in the lens nearly touch the lower lid. An iris that would leave more sclera below it than this is
# lifted by this share of the rest only; otherwise the eyes look over the lens. Seen on readers' eyes, lifted by up to
# 0.18.
SCLERA_BELOW, BEYOND_SHARE = 0.03, 0.25
# Spectacle rims do not move: the movement of the skin ends half a rim before the rim's line, and a lid moves so little
# that the skin between lid and rim keeps a third of its height.
HALF_RIM, TO_RIM = 0.035, 2.2
# The upper lashes belong to the lid, so the eyeball is drawn from this far inside it. At the lower lid it is drawn
# beyond the line, as the landmarks lie a little inside of the visible edge and slivers of the old iris would remain.
INSET_UPPER, INSET_LOWER, BEYOND_LOWER, FEATHER = 0.020, 0.010, 0.025, 0.022
MOST_FEATHER = 0.09  # a wider one would leave little of the eyeball between the lids


@dataclass(frozen=True)
class LidMaps:
    """Both lids after a movement, for each pixel of a rectangle."""

    arch: Grid  # 1 in the middle of the eye to 0 at its corners
    upper_shift: Grid  # movement of the upper lid, + down
    lower_shift: Grid  # movement of the lower lid, + down
    upper: Grid  # y of the moved upper lid
    lower: Grid  # y of the moved lower lid

    def part(self, inner: Box) -> "LidMaps":
        """Return the maps of a rectangle within."""
        cut = inner.slices()
        return LidMaps(self.arch[cut], self.upper_shift[cut], self.lower_shift[cut], self.upper[cut], self.lower[cut])

    def height_between(self, y: Grid) -> Grid:
        """Return where each y lies between the moved lids: 0 at the upper one, and above, to 1 at the lower one."""
        return clamp((y - self.upper) / np.maximum(self.lower - self.upper, np.float32(1e-3)), 0, 1)


@dataclass(frozen=True)
class EyeMovement:
    """A movement of the iris, and the movement of lids and skin that goes with it."""

    outline: Outline
    iris_shift: tuple[float, float]  # right and down
    lid_shifts: tuple[float, float]  # of the upper and the lower lid at their middle, + down
    rim: SpectacleRim | None = None  # above the eye
    edge: IrisEdge = SHARP_EDGE  # of the iris in the picture

    @classmethod
    def of(
        cls,
        outline: Outline,
        wanted: tuple[float, float],
        rim: SpectacleRim | None = None,
        edge: IrisEdge = SHARP_EDGE,
        uncover: float = 0.0,
    ) -> "EyeMovement":
        """Limit a wanted shift so that no lid tears, no rim bends and little sclera shows below the iris.

        Args:
            outline: shape of the eye before the movement.
            wanted: shift of the iris, right and down.
            rim: of spectacles above the eye.
            edge: of the iris in the picture.
            uncover: 0 to 1, share of an upper lid's further lift off an iris that it covers too much in the lens.
        """
        right, down = wanted
        lift = min(max(down, -MOST_LIFT), MOST_LIFT)
        most = MOST_LIFT if rim is None else _max_lift_below(rim, outline)
        upper, lower = UPPER_LID * min(max(lift, -most), most), LOWER_LID * lift
        down = bounds.under_lids(outline, wanted, (upper, lower))
        down = max(down, _min_iris_shift(outline, wanted, lower))
        upper -= uncover * _more_lift(outline, (right, down), upper, rim)
        return cls(outline, (right, down), (upper, lower), rim, edge)

    @property
    def feather(self) -> float:
        """Return the width of the eyeball's drawn edge at the lids: wider in a soft picture."""
        return min(FEATHER + LID_EDGE * self.edge.softer * self.outline.radius, MOST_FEATHER)

    def lid_maps(self, x: Grid) -> LidMaps:
        """Return the moved lids for each pixel, from its x."""
        inside = np.maximum(np.float32(0.25) - x * x, np.float32(0))
        arch = 4 * inside
        up, down = (np.float32(lift) * arch for lift in self.lid_shifts)
        upper, lower = (height(curve, x, inside) for curve in (self.outline.upper, self.outline.lower))
        return LidMaps(arch, up, down, upper + up, lower + down)

    def lid_heights(self, x: Grid) -> tuple[Grid, Grid]:
        """Return the y of both moved lids, from x."""
        maps = self.lid_maps(x)
        return maps.upper, maps.lower

    def skin_shift(self, x: Grid, y: Grid, lids: LidMaps) -> Grid:
        """Return the dy from each pixel of lids and skin to its source."""
        is_above = y < (lids.upper + lids.lower) / 2
        follow = np.full_like(x, max(FOLLOW_LEAST, FOLLOW_PER_LIFT * abs(self.lid_shifts[0])))
        if self.rim is not None:
            room = np.maximum(lids.upper - self.rim.height(x) - np.float32(HALF_RIM), np.float32(0.5 * HALF_RIM))
            follow += np.float32(self.rim.confidence) * (np.minimum(follow, room) - follow)
        distance = np.where(is_above, (lids.upper - y) / follow, (y - lids.lower) / np.float32(FOLLOW_BELOW))
        back = np.where(is_above, lids.upper_shift, lids.lower_shift) * _follow(distance)
        return np.asarray(-back * _within_reach(y), np.float32)

    def eyeball_mask(self, y: Grid, lids: LidMaps) -> Grid:
        """Return the mask of the eyeball: 0 skin to 1 between the moved lids."""
        beyond = np.float32(BEYOND_LOWER) * lids.arch  # 0 at the corners, which are flesh
        depth = np.minimum(y - lids.upper - np.float32(INSET_UPPER), lids.lower + beyond - y)
        return _unit(depth / np.float32(self.feather) + np.float32(0.5))


def _more_lift(outline: Outline, iris_shift: tuple[float, float], upper: float, rim: SpectacleRim | None) -> float:
    """Return how much further up the upper lid moves, so that it covers no more of the iris than in the lens."""
    x = outline.iris[0] + iris_shift[0]
    arch = 1 - 4 * x * x
    if arch <= 0 or iris_shift[1] >= 0:
        return 0.0
    lid = float(height(outline.upper, np.full(1, x, np.float32))[0]) + arch * upper
    top = outline.iris[1] + iris_shift[1] - outline.radius
    most = MOST_MORE * -iris_shift[1] * min(-iris_shift[1] / WHOLE_LIFT, 1)
    more = min(max(lid - top - 2 * COVER * outline.radius, 0) / arch, most)
    if rim is None:
        return more
    room = UPPER_LID * max(_room_below(rim, outline), 0) + upper
    return more - rim.confidence * max(more - max(room, 0), 0)


def _max_lift_below(rim: SpectacleRim, outline: Outline) -> float:
    """Return the lift of the iris up to which the lid below a rim leaves enough skin."""
    return MOST_LIFT + rim.confidence * (max(_room_below(rim, outline), 0) - MOST_LIFT)


def _room_below(rim: SpectacleRim, outline: Outline) -> float:
    """Return the lift of the iris up to which the lid below a certain rim leaves enough skin; may be negative."""
    x = np.linspace(-0.4, 0.4, 9, dtype=np.float32)
    room = height(outline.upper, x) - rim.height(x) - np.float32(HALF_RIM)
    return float((room / (1 - 4 * x * x)).min()) / (UPPER_LID * (1 + TO_RIM))


def _min_iris_shift(outline: Outline, wanted: tuple[float, float], lid_down: float) -> float:
    """Return the least shift down of the iris (the highest lift), given that of the lower lid at its middle."""
    x, bottom = outline.iris[0] + wanted[0], outline.iris[1] + outline.radius
    lid = float(height(outline.lower, np.full(1, x, np.float32))[0])
    moved = lid + lid_down * max(1 - 4 * x * x, 0)
    rests = min(moved - max(SCLERA_BELOW, lid - bottom) - bottom, 0)
    return rests + BEYOND_SHARE * (wanted[1] - rests)


def _within_reach(y: Grid) -> Grid:
    """Fall from 1 to 0 in the margin of the eye's box; only very wide eyes reach it."""
    inside = np.minimum(y + np.float32(REACH_UP), np.float32(REACH_DOWN) - y) / np.float32(BORDER) - np.float32(0.25)
    return _unit(inside)


def _follow(distance: Grid) -> Grid:
    """Fall from 1 at the lid (and inside it) to 0 at distance 1."""
    t = _unit(1 - distance)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _unit(values: Grid) -> Grid:
    """Clamp to 0 … 1."""
    return clamp(values, 0, 1)
