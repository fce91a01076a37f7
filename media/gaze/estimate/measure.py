"""Gaze estimation: one face in one frame, measured as angles, openings and outlines.

Nothing is smoothed or decided here. Angles in degrees, yaw + to the picture's right, pitch + up, relative to the ray
from the eye to the camera; (0, 0) is into the lens.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate import limbus, pitch_network, ring_light
from media.gaze.estimate.geometry import Axes, Eye, Outline
from media.gaze.estimate.head_pose import Pose, fit
from media.gaze.face.faces import Face
from media.gaze.face.model import Head

# Along each lid from the picture's left corner to its right one. First the eye on the picture's left.
UPPER_LIDS = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
LID_MIDDLE = slice(3, 6)  # of a lid's nine points
IRISES = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))  # centre, then four points of the limbus

# The eyeball in the average head: its centre relative to the middle of the corners, and its radius, in cm; fitted to 17
# recordings with an independent gaze estimator.
EYEBALL_OUTWARD_CM, EYEBALL_UP_CM, EYEBALL_BACK_CM, EYEBALL_RADIUS_CM = 0.198, 0.337, 0.855, 1.205

# Yaw from blendshapes and head, fitted to the same recordings, leave-one-out error 2.9°.
SHAPE_YAW, HEAD_YAW, YAW_AT_REST = 34.0, 1.05, -3.8

# Each cue shows only a part of a degree of gaze, as corners and lids move with the iris: of a rendered degree (gaze
# known, head straight) the iris shows 0.85 sideways and 0.2 vertically, blendshapes 0.74 sideways, the network 0.5
# vertically, and the middle between the lids rises by 0.15 % of the eye's width. The weights of the cues therefore sum
# to more than 1. Half-closed, laughing eyes close the lids around the same middle, so they are not measured as lowered.
#
# Sideways: fitted to the rendered film and, without each person's mean, to two networks' estimates on five recordings.
# Share of a rendered degree that is measured 1.01; bias of a person, standard deviation 2.8°.
#
# Vertically: lids and network; 0.8 of a rendered degree, as before with iris, blendshapes and lids. Blendshapes differ
# most between people: against two other networks' common opinion on eighteen people they had a bias of 7.7° (standard
# deviation), the iris 3.5°, the lids and the network 3.7°; the network's errors do not depend on the lids'
# (correlation 0.1). Before → after (2026-11-30):
#   bias of a person, standard deviation and greatest deviation: 6.3°, 13.4° → 4.5°, 7.3°
#   the same for eight people who look into the lens: 5.9°, 10.7° → 3.9°, 5.2°
#   noise within a recording, 1.48 × median deviation: 3.6° → 2.3°
# PITCH_BIAS makes the mean of those eight and the rendered portrait, which is measured at −6°, 0 in the lens. Tried:
# the iris as a third cue (bias 4.7°); MediaPipe's stand-alone iris network (as the iris, 3 ms); the limbus fitted with
# a known radius and all arcs between the lids (bias 4.0°, noise 3.0°, no more of a degree); the eyeball placed by the
# head instead of the corners (7°); the blendshapes with a small weight (4.8° to 5.6°).
YAW_BY_IRIS, YAW_BY_SHAPE, YAW_BIAS = 0.8, 0.4, 0.8
PITCH_BY_NETWORK, PITCH_BY_LIDS, PITCH_BIAS = 0.5, 176.0, -22.2
# Far down the lids sink faster than the gaze: a reader's lower line is measured 21° below the usual −31°, while the
# networks see 12° to 14°.
DEEP_DEG, DEEPER = -25.0, 0.6


@dataclass(frozen=True, slots=True)
class GazeEstimate:
    """The eyes of one face in one frame."""

    eyes: tuple[Eye, Eye]  # landmarks, the picture's left eye first
    outlines: tuple[Outline, Outline]  # the same eyes as curves
    gaze_deg: tuple[float, float]  # yaw and pitch of both eyes, not yet relative to the speaker's zero
    head_deg: tuple[float, float]  # yaw and pitch
    radius_px: float  # of the eyeball, parallel to the image plane
    eye_px: float  # mean width of the eyes
    opening: float  # share of the width, mean weighted by width: the far eye of a turned head counts less
    narrower: float  # opening of the less open eye
    wider: float  # of the other one

    @classmethod
    def of(
        cls, eyes: tuple[Eye, Eye], gaze_deg: tuple[float, float], head_deg: tuple[float, float], radius_px: float
    ) -> "GazeEstimate":
        """Build an estimate and compute what follows from the landmarks, as filters need it many times."""
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
            wider=max(openings),
        )


def estimate(face: Face, head: Head, luma: NDArray[np.uint8]) -> GazeEstimate | None:
    """Estimate the gaze of one face.

    Args:
        face: landmarks in pixels of the frame.
        head: the model's average head.
        luma: (H, W), of the frame.

    Returns:
        None when no head pose fits the landmarks.
    """
    pose = fit(face.points, head, (luma.shape[0], luma.shape[1]))
    if pose is None:
        return None
    eyes = (limbus.refine(luma, _eye(face.points, 0)), limbus.refine(luma, _eye(face.points, 1)))
    gaze = ring_light.gaze_deg(luma, eyes) or _gaze(face, eyes, luma, pose, head)
    radius = EYEBALL_RADIUS_CM * pose.px_per_cm(_corners_middle(0, head))
    return GazeEstimate.of(eyes, gaze, pose.angles_deg(), radius)


def _gaze(face: Face, eyes: tuple[Eye, Eye], luma: NDArray[np.uint8], pose: Pose, head: Head) -> tuple[float, float]:
    by_iris = float(np.mean([_yaw_by_iris(eye, side, pose, head) for side, eye in enumerate(eyes)]))
    head_deg = pose.angles_deg()
    by_network = pitch_network.pitch_deg(luma, eyes, head_deg)
    lids = float(np.mean([_lids_height(eye) for eye in eyes]))
    return yaw_deg(by_iris, _yaw_by_shape(face.blendshapes, head_deg[0])), pitch_deg(by_network, lids)


def yaw_deg(by_iris: float, by_shape: float) -> float:
    """Combine the yaw by the position of the iris on the eyeball with the one by blendshapes and head pose."""
    return YAW_BY_IRIS * by_iris + YAW_BY_SHAPE * by_shape + YAW_BIAS


def pitch_deg(by_network: float, lids_height: float) -> float:
    """Combine the cues of the vertical gaze.

    Args:
        by_network: degrees, by the pictures of the eyes.
        lids_height: height of the upper lid plus that of the lower lid over the line of the corners, in eye widths,
            mean of both eyes; about 0.1, less when the eyes are lowered.
    """
    pitch = PITCH_BY_NETWORK * by_network + PITCH_BY_LIDS * lids_height + PITCH_BIAS
    return max(pitch, DEEP_DEG + DEEPER * (pitch - DEEP_DEG))


def _lids_height(eye: Eye) -> float:
    along = (eye.upper[-1] - eye.upper[0]) / max(eye.width, 1e-6)
    above = eye.upper[LID_MIDDLE] + eye.lower[LID_MIDDLE] - eye.upper[0] - eye.upper[-1]
    return float(np.mean(above @ (along[1], -along[0]))) / max(eye.width, 1e-6)


def _eye(points: NDArray[np.float32], side: int) -> Eye:
    ring = points[list(IRISES[side])].astype(np.float64)
    return Eye(
        upper=points[list(UPPER_LIDS[side])].astype(np.float64),
        lower=points[list(LOWER_LIDS[side])].astype(np.float64),
        iris=ring[0],
        iris_radius=float(np.linalg.norm(ring[1:] - ring[0], axis=1).mean()),
    )


def _corners_middle(side: int, head: Head) -> NDArray[np.float64]:
    middle: NDArray[np.float64] = (head.vertices[UPPER_LIDS[side][0]] + head.vertices[UPPER_LIDS[side][-1]]) / 2
    return middle


def _yaw_by_iris(eye: Eye, side: int, pose: Pose, head: Head) -> float:
    """Return the yaw of one eye from the distance of the iris from the eyeball's projected centre."""
    middle = _corners_middle(side, head)
    outward = EYEBALL_OUTWARD_CM * (1 if side else -1)
    centre = middle + np.array([outward, EYEBALL_UP_CM, -EYEBALL_BACK_CM])
    # The eyeball is placed by the measured corners; only the short offset from them to its centre comes from the pose.
    offset = np.diff(pose.project(np.stack([middle, centre])), axis=0)[0]
    apart = eye.iris - (eye.upper[0] + eye.upper[-1]) / 2 - offset
    return float(np.degrees(np.arcsin(np.clip(apart[0] / (EYEBALL_RADIUS_CM * pose.px_per_cm(centre)), -0.9, 0.9))))


def _yaw_by_shape(shapes: dict[str, float], head_yaw_deg: float) -> float:
    right = (
        shapes["eyeLookOutLeft"] - shapes["eyeLookInLeft"] + shapes["eyeLookInRight"] - shapes["eyeLookOutRight"]
    ) / 2
    return SHAPE_YAW * right + HEAD_YAW * head_yaw_deg + YAW_AT_REST
