"""Estimates of frames that were not measured: interpolated in a straight line between two that were.

Where the eyes rest between two frames, the face in the frame between them needs no networks of its own. The two
estimates show whether the eyes rest, the pictures whether anything happened in between.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.geometry import Eye
from media.gaze.estimate.measure import GazeEstimate
from media.gaze.face.faces import Face

# Greatest differences between two frames at rest: twice the landmark engine's own noise from frame to frame (medians of
# five recordings: lids 0.004, gaze 1.0 degrees, head 0.3 degrees; a blink closes the lids by 0.1 within two frames).
# Corners may go further, as heads and hand-held cameras do: halfway they are the mean but for half of their
# acceleration, which is a sixth of the way for a head that nods three times a second, and so 1 % of the eye's width,
# the landmarks' noise.
REST_OPENING = 0.02  # of the eye's width
REST_GAZE_DEG, REST_HEAD_DEG = 3.0, 2.0
REST_CORNERS = 0.06  # of the eye's width, mean distance
# Grey levels by which a picture may differ from the one before it more than the one after it does; closed lids differ
# by 15 and more.
UNCHANGED_LEVELS = 3.0
STRIP_HEIGHT = 0.25  # of the eye's width, above and below its middle


def midpoint(one: Face, other: Face) -> Face:
    """Return the mean of two faces of the same person."""
    shapes = {name: (value + other.blendshapes[name]) / 2 for name, value in one.blendshapes.items()}
    return Face(np.asarray((one.points + other.points) / 2, np.float32), shapes, one.track)


def interpolate(one: GazeEstimate, other: GazeEstimate, share: float) -> GazeEstimate:
    """Interpolate between two estimates of one face.

    Args:
        one: the earlier estimate.
        other: the later estimate.
        share: 0 gives the earlier, 1 the later.
    """
    left, right = (_interpolate_eye(*pair, share) for pair in zip(one.eyes, other.eyes, strict=True))
    return GazeEstimate.of(
        (left, right),
        _pair(one.gaze_deg, other.gaze_deg, share),
        _pair(one.head_deg, other.head_deg, share),
        one.radius_px + share * (other.radius_px - one.radius_px),
    )


def _interpolate_eye(one: Eye, other: Eye, share: float) -> Eye:
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
    """Return whether lids, gaze, head and eye corners differ by no more than noise."""
    return (
        abs(one.narrower - other.narrower) < REST_OPENING
        and abs(one.opening - other.opening) < REST_OPENING
        and _apart(one.gaze_deg, other.gaze_deg) < REST_GAZE_DEG
        and _apart(one.head_deg, other.head_deg) < REST_HEAD_DEG
        and _corner_distance(one, other) < REST_CORNERS * one.eye_px
    )


def is_unchanged(pictures: Sequence[NDArray[np.uint8]], estimate: GazeEstimate) -> bool:
    """Return whether the second of three lumas, (H, W) each, shows the same eyes as the others: no blink between."""
    return all(_is_between(*(picture[cut] for picture in pictures)) for cut in map(_strip, estimate.eyes))


def _strip(eye: Eye) -> tuple[slice, slice]:
    (x, y), half = (eye.upper[0] + eye.upper[-1]) / 2, eye.width / 2
    rows = slice(max(0, int(y - STRIP_HEIGHT * eye.width)), max(2, int(y + STRIP_HEIGHT * eye.width)))
    return rows, slice(max(0, int(x - half)), max(2, int(x + half)))


def _is_between(before: NDArray[np.uint8], picture: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    if before.size == 0:
        return False  # outside of the frame
    here, apart = (cv2.mean(cv2.absdiff(before, one))[0] for one in (picture, after))
    return here < apart + UNCHANGED_LEVELS


def _apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def _corner_distance(one: GazeEstimate, other: GazeEstimate) -> float:
    pairs = zip(one.eyes, other.eyes, strict=True)
    steps = [here.upper[end] - there.upper[end] for here, there in pairs for end in (0, -1)]
    return float(np.linalg.norm(steps, axis=1).mean())
