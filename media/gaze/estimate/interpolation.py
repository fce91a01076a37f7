"""What the eyes do between two frames that were looked at: on the straight way from one to the other."""

import numpy as np

from media.gaze.estimate.eye import Eye
from media.gaze.estimate.measure import Look
from media.gaze.face.faces import Face


def halfway(one: Face, other: Face) -> Face:
    """Return the face that lies in the middle between two of the same person."""
    shapes = {name: (value + other.shapes[name]) / 2 for name, value in one.shapes.items()}
    return Face(np.asarray((one.points + other.points) / 2, np.float32), shapes, one.track)


def between(one: Look, other: Look, share: float) -> Look:
    """Mix two measurements of one face.

    Args:
        one: the earlier.
        other: the later.
        share: 0 is the earlier, 1 the later.
    """
    left, right = (_mixed(*pair, share) for pair in zip(one.eyes, other.eyes, strict=True))
    return Look.of(
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
