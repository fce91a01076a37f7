"""What lids and skin do when an eye moves: the upper lid goes along, the lower one half, the skin follows its lid.

Eye units throughout, see `media.gaze.estimate.geometry`.
"""

from dataclasses import dataclass

import numpy as np

from media.gaze.draw.spectacles import Rim
from media.gaze.estimate.geometry import Box, Grid, Outline, height

# How far the skin follows its lid: as near as it can without folding, since brows and glasses stay where they are.
FOLLOW_LEAST, FOLLOW_PER_LIFT, FOLLOW_BELOW = 0.20, 2.2, 0.24
# Reach of the box from the middle of the corners, in eye widths. The brow begins at about 0.6.
REACH_SIDE, REACH_UP, REACH_DOWN = 0.53, 0.58, 0.40
BORDER = 0.08  # in which the movement ends at the latest
# Share of the iris' vertical way that each lid goes along: the upper one nearly all, the lower one about half.
UPPER_LID, LOWER_LID = 0.95, 0.50
MOST_LIFT = 0.15
# Eyes in the lens all but rest on the lower lid: an iris that would leave more white below it than this, in eye widths,
# goes on by this share only, else one looks over the lens. Seen on readers' eyes, lifted by up to 0.18.
WHITE_BELOW, GOES_ON = 0.03, 0.25
# Rims of glasses stay where they are: the skin's movement ends half a rim, in eye widths, before its line, and a lid
# goes so little that the skin between the two keeps a third of its height.
HALF_RIM, TO_RIM = 0.035, 2.2
# The upper lashes belong to the lid, so the eyeball's layers begin this far inside it. On the lower lid they reach over
# the edge, for the engine's line runs a little inside the visible one, and slivers of the old iris would stay behind.
INSET_UPPER, INSET_LOWER, BEYOND_LOWER, FEATHER = 0.020, 0.010, 0.025, 0.022


@dataclass(frozen=True)
class Lids:
    """Both lids after a movement, over the pixels of a rectangle."""

    bump: Grid  # 1 in the middle of the eye to 0 at its corners
    up: Grid  # how far down the upper lid has gone
    down: Grid  # and the lower one
    upper: Grid  # heights
    lower: Grid

    def part(self, inner: Box) -> "Lids":
        """Return them over the pixels of a rectangle within."""
        cut = inner.slices()
        return Lids(self.bump[cut], self.up[cut], self.down[cut], self.upper[cut], self.lower[cut])


@dataclass(frozen=True)
class Movement:
    """An outline and the way its iris goes, in eye units: what the lids and the skin do about it."""

    outline: Outline
    way: tuple[float, float]  # of the iris
    lifts_down: tuple[float, float]  # of the upper and the lower lid, at their middle; below 0 up
    rim: Rim | None = None  # of glasses, above the eye

    @classmethod
    def of(cls, outline: Outline, wanted: tuple[float, float], rim: Rim | None = None) -> "Movement":
        """Go a wanted way, less what would tear the lids, bend a rim or leave much white below an iris."""
        right, down = wanted
        lift = float(np.clip(down, -MOST_LIFT, MOST_LIFT))
        most = MOST_LIFT if rim is None else _most_below(rim, outline)
        lifts_down = UPPER_LID * float(np.clip(lift, -most, most)), LOWER_LID * lift
        return cls(outline, (right, max(down, _least_down(outline, wanted, lifts_down[1]))), lifts_down, rim)

    def laid(self, x: Grid) -> Lids:
        """Return what the lids do over each pixel."""
        inside = np.maximum(np.float32(0.25) - x * x, np.float32(0))
        bump = 4 * inside
        up, down = (np.float32(lift) * bump for lift in self.lifts_down)
        upper, lower = (height(curve, x, inside) for curve in (self.outline.upper, self.outline.lower))
        return Lids(bump, up, down, upper + up, lower + down)

    def lids(self, x: Grid) -> tuple[Grid, Grid]:
        """Return the heights of both lids after the movement."""
        laid = self.laid(x)
        return laid.upper, laid.lower

    def skin(self, x: Grid, y: Grid, lids: Lids) -> Grid:
        """Return the way back, across the eye, of pixels that show lids and skin."""
        is_above = y < (lids.upper + lids.lower) / 2
        follow = np.full_like(x, max(FOLLOW_LEAST, FOLLOW_PER_LIFT * abs(self.lifts_down[0])))
        if self.rim is not None:
            room = np.maximum(lids.upper - self.rim.height(x) - np.float32(HALF_RIM), np.float32(0.5 * HALF_RIM))
            follow += np.float32(self.rim.surely) * (np.minimum(follow, room) - follow)
        distance = np.where(is_above, (lids.upper - y) / follow, (y - lids.lower) / np.float32(FOLLOW_BELOW))
        back = np.where(is_above, lids.up, lids.down) * _follow(distance)
        return np.asarray(-back * _within_reach(y), np.float32)

    def share(self, y: Grid, lids: Lids) -> Grid:
        """Return how far each pixel shows the eyeball: 0 skin to 1 between the moved lids."""
        beyond = np.float32(BEYOND_LOWER) * lids.bump  # not at the corners, which are flesh
        depth = np.minimum(y - lids.upper - np.float32(INSET_UPPER), lids.lower + beyond - y)
        return _unit(depth / np.float32(FEATHER) + np.float32(0.5))


def _most_below(rim: Rim, outline: Outline) -> float:
    """Return how far lids may be lifted below a rim."""
    x = np.linspace(-0.4, 0.4, 9, dtype=np.float32)
    room = height(outline.upper, x) - rim.height(x) - np.float32(HALF_RIM)
    most = float((room / (1 - 4 * x * x)).min()) / (UPPER_LID * (1 + TO_RIM))
    return MOST_LIFT + rim.surely * (max(most, 0) - MOST_LIFT)


def _least_down(outline: Outline, wanted: tuple[float, float], lid_down: float) -> float:
    """Return how far an iris goes at least, as a way down, whose lower lid goes so far at its middle."""
    x, bottom = outline.iris[0] + wanted[0], outline.iris[1] + outline.radius
    lid = float(height(outline.lower, np.full(1, x, np.float32))[0])
    moved = lid + lid_down * max(1 - 4 * x * x, 0)
    rests = min(moved - max(WHITE_BELOW, lid - bottom) - bottom, 0)
    return rests + GOES_ON * (wanted[1] - rests)


def _within_reach(y: Grid) -> Grid:
    """Fall to 0 at the border of the eye's box; only very wide eyes reach that far."""
    inside = np.minimum(y + np.float32(REACH_UP), np.float32(REACH_DOWN) - y) / np.float32(BORDER) - np.float32(0.25)
    return _unit(inside)


def _follow(distance: Grid) -> Grid:
    """Fall from 1 at the lid (and inside it) to 0 at distance 1."""
    t = _unit(1 - distance)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _unit(values: Grid) -> Grid:
    """Bound to 0 … 1."""
    return np.asarray(np.minimum(np.maximum(values, np.float32(0)), np.float32(1)), np.float32)
