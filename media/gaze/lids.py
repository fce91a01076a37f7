"""What lids and skin do when an eye moves: the upper lid goes along, the lower one half, the skin follows its lid.

Eye units throughout, see `media.gaze.outline`.
"""

from dataclasses import dataclass

import numpy as np

from media.gaze.outline import Grid, Outline, height

# How far the skin follows its lid: as near as it can without folding, since brows and glasses stay where they are.
FOLLOW_LEAST, FOLLOW_PER_LIFT, FOLLOW_BELOW = 0.20, 2.2, 0.24
# Reach of the box from the middle of the corners, in eye widths. The brow begins at about 0.6.
REACH_SIDE, REACH_UP, REACH_DOWN = 0.53, 0.58, 0.40
BORDER = 0.08  # in which the movement ends at the latest
# Share of the iris' vertical way that each lid goes along: the upper one nearly all, the lower one about half.
UPPER_LID, LOWER_LID = 0.95, 0.50
MOST_LIFT = 0.15
# The upper lashes belong to the lid, so the eyeball's layers begin this far inside it. On the lower lid they reach over
# the edge, for the engine's line runs a little inside the visible one, and slivers of the old iris would stay behind.
INSET_UPPER, INSET_LOWER, BEYOND_LOWER, FEATHER = 0.020, 0.010, 0.025, 0.022


@dataclass(frozen=True)
class Movement:
    """An outline and the way its iris goes, in eye units: what the lids and the skin do about it."""

    outline: Outline
    way: tuple[float, float]

    def lifts(self, x: Grid) -> tuple[Grid, Grid]:
        """Return how far down the upper and the lower lid go."""
        bump = np.maximum(1 - 4 * x * x, 0).astype(np.float32)
        lift = float(np.clip(self.way[1], -MOST_LIFT, MOST_LIFT))
        return np.float32(UPPER_LID * lift) * bump, np.float32(LOWER_LID * lift) * bump

    def lids(self, x: Grid) -> tuple[Grid, Grid]:
        """Return the heights of both lids after the movement."""
        up, down = self.lifts(x)
        return height(self.outline.upper, x) + up, height(self.outline.lower, x) + down

    def skin(self, x: Grid, y: Grid) -> Grid:
        """Return the way back, across the eye, of pixels that show lids and skin."""
        up, down = self.lifts(x)
        upper, lower = self.lids(x)
        follow = max(FOLLOW_LEAST, FOLLOW_PER_LIFT * UPPER_LID * min(abs(self.way[1]), MOST_LIFT))
        middle = (upper + lower) / 2
        above = up * _follow((upper - y) / np.float32(follow))
        below = down * _follow((y - lower) / np.float32(FOLLOW_BELOW))
        return np.asarray(-np.where(y < middle, above, below) * _within_reach(y), np.float32)

    def share(self, x: Grid, y: Grid) -> Grid:
        """Return how far each pixel shows the eyeball: 0 skin to 1 between the moved lids."""
        upper, lower = self.lids(x)
        beyond = np.float32(BEYOND_LOWER) * np.maximum(1 - 4 * x * x, 0)  # not at the corners, which are flesh
        depth = np.minimum(y - upper - np.float32(INSET_UPPER), lower + beyond - y)
        return np.asarray(np.clip(depth / np.float32(FEATHER) + np.float32(0.5), 0, 1), np.float32)


def _within_reach(y: Grid) -> Grid:
    """Fall to 0 at the border of the eye's box; only very wide eyes reach that far."""
    inside = np.minimum(y + np.float32(REACH_UP), np.float32(REACH_DOWN) - y) / np.float32(BORDER) - np.float32(0.25)
    return np.asarray(np.clip(inside, 0, 1), np.float32)


def _follow(distance: Grid) -> Grid:
    """Fall from 1 at the lid (and inside it) to 0 at distance 1."""
    t = np.clip(1 - distance, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
