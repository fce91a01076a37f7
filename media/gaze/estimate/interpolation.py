"""What the eyes do between two frames that were looked at: on the straight way from one to the other."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Eye
from media.gaze.estimate.measure import GazeEstimate
from media.gaze.face.faces import Face

# The landmark engine's own noise from frame to frame is half of these (medians of five recordings: lids 0.004, gaze
# 1.0 degrees, head 0.3 degrees, corners 1 % of the eye's width; a blink closes lids by 0.1 within two frames).
LIDS = 0.02  # of the eye's width
GAZE_DEG, HEAD_DEG = 3.0, 2.0
CORNERS = 0.025  # of the eye's width, their mean way
LEVELS = 3.0  # that a picture may be further from its neighbour than that one from the next; shut lids are 15 and more
TALL = 0.25  # of the eye's width, above and below its middle


def midpoint(one: Face, other: Face) -> Face:
    """Return the face that lies in the middle between two of the same person."""
    shapes = {name: (value + other.shapes[name]) / 2 for name, value in one.shapes.items()}
    return Face(np.asarray((one.points + other.points) / 2, np.float32), shapes, one.track)


def interpolate(one: GazeEstimate, other: GazeEstimate, share: float) -> GazeEstimate:
    """Mix two measurements of one face.

    Args:
        one: the earlier.
        other: the later.
        share: 0 is the earlier, 1 the later.
    """
    left, right = (_mixed(*pair, share) for pair in zip(one.eyes, other.eyes, strict=True))
    return GazeEstimate.of(
        (left, right),
        _pair(one.gaze_deg, other.gaze_deg, share),
        _pair(one.head_deg, other.head_deg, share),
        one.radius_px + share * (other.radius_px - one.radius_px),
    )


def _mixed(one: Eye, other: Eye, share: float) -> Eye:
    return Eye(
        upper=one.upper + share * (other.upper - one.upper),
        lower=one.lower + share * (other.lower - one.lower),
        iris=one.iris + share * (other.iris - one.iris),
        iris_radius=one.iris_radius + share * (other.iris_radius - one.iris_radius),
    )


def _pair(one: tuple[float, float], other: tuple[float, float], share: float) -> tuple[float, float]:
    yaw, pitch = np.array(one) + share * (np.array(other) - one)
    return float(yaw), float(pitch)


def is_at_rest(one: GazeEstimate, other: GazeEstimate) -> bool:
    """Say that nothing moved but what lies between can be told from both ends."""
    return (
        abs(one.narrower - other.narrower) < LIDS
        and abs(one.opening - other.opening) < LIDS
        and _apart(one.gaze_deg, other.gaze_deg) < GAZE_DEG
        and _apart(one.head_deg, other.head_deg) < HEAD_DEG
        and _way(one, other) < CORNERS * one.eye_px
    )


def is_unchanged(pictures: Sequence[NDArray[np.uint8]], look: GazeEstimate) -> bool:
    """Say that the middle one of three pictures, (H, W) each, shows the same eyes as the others: no lids in between."""
    return all(_is_between(*(picture[cut] for picture in pictures)) for cut in map(_strip, look.eyes))


def _strip(eye: Eye) -> tuple[slice, slice]:
    (x, y), half = (eye.upper[0] + eye.upper[-1]) / 2, eye.width / 2
    rows = slice(max(0, int(y - TALL * eye.width)), max(2, int(y + TALL * eye.width)))
    return rows, slice(max(0, int(x - half)), max(2, int(x + half)))


def _is_between(before: NDArray[np.uint8], picture: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    if before.size == 0:
        return False  # beyond the picture's edge
    here, apart = (cv2.mean(cv2.absdiff(before, one))[0] for one in (picture, after))
    return here < apart + LEVELS


def _apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def _way(one: GazeEstimate, other: GazeEstimate) -> float:
    pairs = zip(one.eyes, other.eyes, strict=True)
    ways = [here.upper[end] - there.upper[end] for here, there in pairs for end in (0, -1)]
    return float(np.linalg.norm(ways, axis=1).mean())
