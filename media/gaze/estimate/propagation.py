"""Propagation of an estimate into frames whose picture around the eyes is the same but for a movement of the head.

Everything moves with the picture (`media.gaze.estimate.alignment`), but the irises are searched in each frame's own.
"""

from dataclasses import replace

from media.gaze.estimate.alignment import Similarity
from media.gaze.estimate.geometry import Axes, Eye, Outline
from media.gaze.estimate.measure import GazeEstimate


def moved(estimate: GazeEstimate, by: Similarity) -> GazeEstimate:
    """Return an estimate that moved with the picture: in eye units nothing changes."""
    left, right = (_moved_eye(eye, by) for eye in estimate.eyes)
    scale = by.scale
    return replace(estimate, eyes=(left, right), radius_px=estimate.radius_px * scale, eye_px=estimate.eye_px * scale)


def _moved_eye(eye: Eye, by: Similarity) -> Eye:
    return replace(
        eye,
        upper=by.points(eye.upper),
        lower=by.points(eye.lower),
        iris=by.points(eye.iris),
        iris_radius=eye.iris_radius * by.scale,
    )


def with_irises(estimate: GazeEstimate, found: tuple[Eye, Eye]) -> GazeEstimate:
    """Return an estimate with the irises of other eyes in the same place."""
    left, right = (
        replace(eye, iris=other.iris, iris_radius=other.iris_radius, limbus_step=other.limbus_step)
        for eye, other in zip(estimate.eyes, found, strict=True)
    )
    outlines = _outline(estimate.outlines[0], left), _outline(estimate.outlines[1], right)
    return replace(estimate, eyes=(left, right), outlines=outlines)


def _outline(lids: Outline, eye: Eye) -> Outline:
    axes = Axes.of(eye)
    x, y = axes.point(eye.iris).tolist()
    return replace(lids, iris=(x, y), radius=eye.iris_radius / axes.width)
