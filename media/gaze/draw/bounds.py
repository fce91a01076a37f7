"""Bounds of a movement that keep the iris whole: what both eyes may move, and what the lids leave of it.

Eye units, see `media.gaze.estimate.geometry`; no picture is read.
"""

from collections.abc import Sequence

import numpy as np

from media.gaze.easing import fade
from media.gaze.estimate.geometry import Axes, Outline, height

# Sclera between the corner and the iris on the side that the iris leaves, in eye widths: enough to be stretched (the
# iris is 28 degrees aside) … none (33 degrees). Out of a corner without any, lashes and skin were drawn as triangles.
ROOM = (0.07, 0.01)
RIM = 1.15  # radii at which the sclera begins
SIDEWAYS = 0.03  # eye widths; a smaller movement needs less room
COVERED_MORE = 0.15  # radii by which a lid may cover more of the iris than before


def share_for_all(eyes: Sequence[tuple[Axes, Outline]], shift_px: tuple[float, float]) -> float:
    """Return the share of a shift, 0 to 1, for which every eye has room: eyes that move by unlike amounts squint.

    Args:
        eyes: axes and outlines of one person's eyes.
        shift_px: movement of the irises, x right, y down.
    """
    return min((_room_share(axes, outline, shift_px) for axes, outline in eyes), default=1.0)


def _room_share(axes: Axes, outline: Outline, shift_px: tuple[float, float]) -> float:
    """Return the share of a shift that the sclera beside an iris allows, 0 to 1."""
    right = float(axes.vector(np.asarray(shift_px, np.float64))[0])
    room = 0.5 + (outline.iris[0] if right > 0 else -outline.iris[0]) - RIM * outline.radius
    return 1 - min(1.0, abs(right) / SIDEWAYS) * (1 - fade(room, ROOM))


def under_lids(outline: Outline, wanted: tuple[float, float], lid_shifts: tuple[float, float]) -> float:
    """Return a shift down that leaves the iris as whole as it was, but for COVERED_MORE on either side.

    Args:
        outline: shape of the eye before the movement.
        wanted: shift of the iris, right and down.
        lid_shifts: of the upper and the lower lid at their middle, down.
    """
    before, after = outline.iris[0], outline.iris[0] + wanted[0]
    x = np.array([before, after], np.float32)
    more, arch = COVERED_MORE * outline.radius, max(1 - 4 * after * after, 0)
    above, below = (height(curve, x).tolist() for curve in (outline.upper, outline.lower))
    top, bottom = outline.iris[1] - outline.radius, outline.iris[1] + outline.radius
    least = above[1] + arch * lid_shifts[0] - top - max(above[0] - top, 0) - more
    most = below[1] + arch * lid_shifts[1] - bottom + max(bottom - below[0], 0) + more
    return float(min(max(wanted[1], min(least, 0)), max(most, 0)))
