"""Estimates of frames that were not measured: interpolated in a straight line between two that were."""

import numpy as np

from media.gaze.estimate.geometry import Eye, Outline
from media.gaze.estimate.measure import GazeEstimate


def interpolate(one: GazeEstimate, other: GazeEstimate, share: float) -> GazeEstimate:
    """Interpolate between two estimates of one face.

    Args:
        one: the earlier estimate.
        other: the later estimate.
        share: 0 gives the earlier, 1 the later.
    """
    shares = np.array([1 - share, share])
    yaw, pitch, head_yaw, head_pitch, *others = (shares @ np.array([_numbers(one), _numbers(other)])).tolist()
    left, right = (_interpolate_eye(*pair, share) for pair in zip(one.eyes, other.eyes, strict=True))
    left_outline, right_outline = (
        Outline.mean(pair, shares) for pair in zip(one.outlines, other.outlines, strict=True)
    )
    return GazeEstimate((left, right), (left_outline, right_outline), (yaw, pitch), (head_yaw, head_pitch), *others)


def _numbers(estimate: GazeEstimate) -> tuple[float, ...]:
    sizes = (estimate.radius_px, estimate.eye_px, estimate.opening, estimate.narrower, estimate.wider)
    return (*estimate.gaze_deg, *estimate.head_deg, *sizes, estimate.crossed_deg)


def _interpolate_eye(one: Eye, other: Eye, share: float) -> Eye:
    return Eye(
        upper=one.upper + share * (other.upper - one.upper),
        lower=one.lower + share * (other.lower - one.lower),
        iris=one.iris + share * (other.iris - one.iris),
        iris_radius=one.iris_radius + share * (other.iris_radius - one.iris_radius),
    )
