"""Where the eyes look: one face in one picture measured as angles, openings and outlines.

One frame at a time, nothing is smoothed and nothing decided here. Angles: yaw + picture right, pitch + up, in degrees,
relative to the ray from the eye to the camera; (0, 0) is into the lens.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.gaze import limbus
from media.gaze.eye import Eye
from media.gaze.faces import Face
from media.gaze.model import Head
from media.gaze.outline import Axes, Outline
from media.gaze.pose import Pose, fit

# Along each lid from the picture's left corner to its right one. First the eye on the picture's left.
UPPER_LIDS = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
IRISES = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))  # centre, then four points of the rim

# The eyeball in the model's head: its centre against the middle of the corners, and its radius, in cm; fitted
# to 17 recordings with an independent estimator of gaze.
EYEBALL_OUTWARD_CM, EYEBALL_UP_CM, EYEBALL_BACK_CM, EYEBALL_RADIUS_CM = 0.198, 0.337, 0.855, 1.205

# Gaze from blendshapes and head, fitted to the same recordings, leave-one-out error 2.9° and 4.8°.
SHAPE_YAW, HEAD_YAW, YAW_AT_REST = 34.0, 1.05, -3.8
SHAPE_PITCH, HEAD_PITCH, PITCH_AT_REST = 49.0, 0.89, 1.3

# Both ways err by 5 to 10° in pitch from person to person: iris points are held up by a lowered lid and swing with
# the head's pitch (by 0.8 of it while the eyes rest in the lens), blendshapes take narrow or laughing eyes for lowered
# ones. This mixture lies within 3° of an independent estimator's medians on five recordings (2026-11-22). Tried and
# dropped: equal shares (swings with the head), blendshapes alone when they say "down" (turned laughing eyes by 10°).
PITCH_BY_SHAPE, PITCH_BIAS = 0.65, 3.2


@dataclass(frozen=True, slots=True)
class Look:
    """What one face does with its eyes in one frame."""

    eyes: tuple[Eye, Eye]  # the picture's left one first
    outlines: tuple[Outline, Outline]  # the same as curves
    gaze_deg: tuple[float, float]
    head_deg: tuple[float, float]
    radius_px: float  # of the eyeball, seen head-on
    eye_px: float  # width of the eyes, their mean
    opening: float  # of both eyes, weighted by their width so that the far eye of a turned head counts less
    narrower: float  # opening of the eye that is shut more; a wink counts as a blink

    @classmethod
    def of(
        cls, eyes: tuple[Eye, Eye], gaze_deg: tuple[float, float], head_deg: tuple[float, float], radius_px: float
    ) -> "Look":
        """Add what follows from the eyes' outlines; filters ask for it again and again."""
        left, right = eyes
        widths, openings = (left.width, right.width), (left.opening, right.opening)
        return cls(
            eyes=eyes,
            outlines=(Outline.of(left, Axes.of(left)), Outline.of(right, Axes.of(right))),
            gaze_deg=gaze_deg,
            head_deg=head_deg,
            radius_px=radius_px,
            eye_px=sum(widths) / 2,
            opening=(openings[0] * widths[0] + openings[1] * widths[1]) / max(sum(widths), 1e-6),
            narrower=min(openings),
        )


def look(face: Face, head: Head, luma: NDArray[np.uint8]) -> Look | None:
    """Measure one face.

    Args:
        face: points in pixels of the picture.
        head: the model's average head.
        luma: (H, W), the picture itself.

    Returns:
        None when no head pose fits the points.
    """
    pose = fit(face.points, head, (luma.shape[0], luma.shape[1]))
    if pose is None:
        return None
    eyes = (limbus.refine(luma, _eye(face.points, 0)), limbus.refine(luma, _eye(face.points, 1)))
    by_iris = np.mean([_by_iris(eye, side, pose, head) for side, eye in enumerate(eyes)], axis=0)
    by_shape = _by_shape(face.shapes, pose.angles_deg())
    gaze = combine((float(by_iris[0]), float(by_iris[1])), by_shape)
    radius = EYEBALL_RADIUS_CM * pose.px_per_cm(_between_corners(0, head))
    return Look.of(eyes, gaze, pose.angles_deg(), radius)


def combine(by_iris: tuple[float, float], by_shape: tuple[float, float]) -> tuple[float, float]:
    """Join both ways of measuring: yaw as their mean, pitch mostly by the lids, freed of its common error."""
    pitch = PITCH_BY_SHAPE * by_shape[1] + (1 - PITCH_BY_SHAPE) * by_iris[1] + PITCH_BIAS
    return (by_iris[0] + by_shape[0]) / 2, pitch


def _eye(points: NDArray[np.float32], side: int) -> Eye:
    ring = points[list(IRISES[side])].astype(np.float64)
    return Eye(
        upper=points[list(UPPER_LIDS[side])].astype(np.float64),
        lower=points[list(LOWER_LIDS[side])].astype(np.float64),
        iris=ring[0],
        iris_radius=float(np.linalg.norm(ring[1:] - ring[0], axis=1).mean()),
    )


def _between_corners(side: int, head: Head) -> NDArray[np.float64]:
    middle: NDArray[np.float64] = (head.vertices[UPPER_LIDS[side][0]] + head.vertices[UPPER_LIDS[side][-1]]) / 2
    return middle


def _by_iris(eye: Eye, side: int, pose: Pose, head: Head) -> tuple[float, float]:
    """Gaze of one eye: how far the iris lies from where the eyeball's centre is seen."""
    middle = _between_corners(side, head)
    outward = EYEBALL_OUTWARD_CM * (1 if side else -1)
    centre = middle + np.array([outward, EYEBALL_UP_CM, -EYEBALL_BACK_CM])
    # The corners that are seen anchor the eyeball; only the short way from them to its centre comes from the pose.
    offset = np.diff(pose.project(np.stack([middle, centre])), axis=0)[0]
    x, y = (eye.iris - (eye.upper[0] + eye.upper[-1]) / 2 - offset) / (EYEBALL_RADIUS_CM * pose.px_per_cm(centre))
    return float(np.degrees(np.arcsin(np.clip(x, -0.9, 0.9)))), float(np.degrees(np.arcsin(np.clip(-y, -0.9, 0.9))))


def _by_shape(shapes: dict[str, float], head_deg: tuple[float, float]) -> tuple[float, float]:
    right = (
        shapes["eyeLookOutLeft"] - shapes["eyeLookInLeft"] + shapes["eyeLookInRight"] - shapes["eyeLookOutRight"]
    ) / 2
    up = (
        shapes["eyeLookUpLeft"] + shapes["eyeLookUpRight"] - shapes["eyeLookDownLeft"] - shapes["eyeLookDownRight"]
    ) / 2
    return (
        SHAPE_YAW * right + HEAD_YAW * head_deg[0] + YAW_AT_REST,
        SHAPE_PITCH * up + HEAD_PITCH * head_deg[1] + PITCH_AT_REST,
    )
