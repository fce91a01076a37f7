"""Gaze estimation: one face in one frame, measured as angles, openings and outlines.

Nothing is smoothed or decided here. Angles in degrees, yaw + to the picture's right, pitch + up, relative to the ray
from the eye to the camera; (0, 0) is into the lens.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from media.gaze.easing import fade
from media.gaze.estimate import eye_network, limbus, ring_light
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
# known, head straight) the iris shows 0.84 sideways and 0.2 vertically, blendshapes 0.7 sideways, the network 0.9
# sideways and 0.45 vertically, and the middle between the lids rises by 0.15 % of the eye's width. The weights of the
# cues therefore sum to more than 1. Half-closed, laughing eyes close the lids around the same middle, so they are not
# measured as lowered.
#
# Sideways: iris and blendshapes, near the lens also the network, 1.0 of a rendered degree. All three follow the head:
# while the eyes rest on a point and the head turns, the gaze must not change, but a degree of the head's yaw changes
# the sum by 0.16 to 0.23 (22 recordings, windows of half a second without a saccade). Of fourteen people who look
# into the lens, with heads turned by up to 18°, the slope is 0.16. HEAD_YAW_SEEN takes it away. Without the network →
# with it, and with the head's share (2026-11-30): bias of those people, standard deviation 2.2° → 1.4°, noise within
# a recording 0.65° → 0.54°. The rendered head says the opposite (−0.2), but its eyes lie in a relief that is only
# estimated. Far aside the network shows ever less of a person's gaze, so that with it eyes 30° aside were measured at
# 21° and drawn anew. Of lowered eyes it sees little: rendered 20° below the lens it says 4° aside of them, so that as
# much was added by the correction.
#
# Vertically: lids and network; below the lens 0.9 of a rendered degree, above it 0.7. Blendshapes differ
# most between people: against two other networks' common opinion on eighteen people they had a bias of 7.7° (standard
# deviation), the iris 3.5°, the lids and the network 3.7°; the network's errors do not depend on the lids'
# (correlation 0.1). Before → after (2026-11-30):
#   bias of a person, standard deviation and greatest deviation: 6.3°, 13.4° → 4.5°, 7.3°
#   the same for eight people who look into the lens: 5.9°, 10.7° → 3.9°, 5.2°
#   noise within a recording, 1.48 × median deviation: 3.6° → 2.3°
# PITCH_BIAS makes the mean of those eight and the rendered portrait, which is measured at −6°, 0 in the lens. Tried:
# the iris as a third cue (bias 4.7°); MediaPipe's stand-alone iris network (as the iris, 3 ms); the limbus fitted with
# a known radius and all arcs between the lids (bias 4.0°, noise 3.0°, no more of a degree); the eyeball placed by the
# head instead of the corners (7°); the blendshapes with a small weight (4.8° to 5.6°); twice the network with half the
# lids (bias in the lens 4.1° instead of 5.5°, but a reader's lines are measured at half of what the lids say).
#
# The network of 200,000 eyes reads the eyes of people above more than below: weighed
# by 0.75 as a whole, a man who looks into the lens was turned in 8 % of the frames. With both weights, of rendered
# looks of 10 to 20° down, straight and aside, at most 3.8° are left, with 0.5 up to 7.0°. Of a degree of the head's
# pitch, nods of people in the lens change the sum by 0 to 0.3, turns with resting eyes by 0.07; between people the
# slope is 0.2. HEAD_PITCH_SEEN takes some of it away. Fourteen people in the lens, before → after: bias 5.4° → 4.5°
# (without an old man with hanging lids 3.7° → 4.0°), noise 0.69° → 0.75° in a measure that shows more of a degree.
YAW_BY_IRIS, YAW_BY_SHAPE, HEAD_YAW_SEEN, YAW_BIAS = 0.8, 0.4, 0.18, 0.3
NETWORK_SHARE, NETWORK_SHOWS = 0.6, 0.8  # of the yaw near the lens; of a degree
# Up to the first the network has its whole share, from the second none: aside, and of the measured pitch down.
NETWORK_UNTIL_DEG, NETWORK_UNTIL_DEG_DOWN = (6.0, 14.0), (7.0, 13.0)
PITCH_BY_NETWORK, PITCH_BY_LIDS, HEAD_PITCH_SEEN, PITCH_BIAS = (0.8, 0.5), 176.0, 0.1, -22.2  # network: below, above
# The lids of some people hang low whatever they look at: of an old man near the lens they said −17°, the network 1°.
# Where the lids are further below what the network lets expect, they count as far as that. Of lowered eyes they say
# more than the network does (−21° and −8° of a reader, in the median).
LIDS_FROM_NETWORK_DEG, LIDS_FOR_NETWORK_BELOW, MOST_BELOW_DEG = -3.5, 1.7, 8.0
# Far down the lids sink faster than the gaze: a reader's lower line is measured 21° below the usual −31°, while other
# networks see 12° to 14°.
DEEP_DEG, DEEPER = -22.0, 0.6
# Eyes that squint, frown or laugh close their lids, too, and were opened to the lens. Neither the network nor the iris'
# height tells them from lowered eyes, but blendshapes do: squinting and a share of smiling, less looking down, all over
# the speaker's usual value. In a squint, a frown and a laugh of three people this is 0.35 to 0.47 in the mean; of the
# frames in which four people read, it changes none (2026-11-30). From the second figure on, the eyes count as not
# lowered. Somebody who always laughs is not told apart.
SQUINT, SMILE_SHARE = (0.1, 0.3), 0.6


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
    # How far the eyes turn towards each other; of a speaker that is known, further than usual (see `as_usual`).
    crossed_deg: float = 0.0
    squint: float = 0.0  # −1 to 1.6, by blendshapes: how far the eyes squint or laugh, less how far they look down
    # What eyes, lids and expression say of the gaze, less what the reflections of a ring light say, which counts; yaw
    # and pitch. None where none is seen.
    apart_deg: tuple[float, float] | None = None

    @classmethod
    def of(
        cls,
        eyes: tuple[Eye, Eye],
        gaze_deg: tuple[float, float],
        head_deg: tuple[float, float],
        radius_px: float,
        crossed_deg: float = 0.0,
        squint: float = 0.0,
        apart_deg: tuple[float, float] | None = None,
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
            crossed_deg=crossed_deg,
            squint=squint,
            apart_deg=apart_deg,
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
    eyes = limbus.refine(luma, (eye_of(face.points, 0), eye_of(face.points, 1)))
    by_irises = _yaw_by_iris(eyes[0], 0, pose, head), _yaw_by_iris(eyes[1], 1, pose, head)
    gaze, by_light = _gaze(face, eyes, luma, pose, by_irises), ring_light.gaze_deg(luma, eyes)
    apart = None if by_light is None else (gaze[0] - by_light[0], gaze[1] - by_light[1])
    radius = EYEBALL_RADIUS_CM * pose.px_per_cm(_corners_middle(0, head))
    crossed = by_irises[0] - by_irises[1]
    return GazeEstimate.of(eyes, by_light or gaze, pose.angles_deg(), radius, crossed, _squint(face.blendshapes), apart)


@dataclass(frozen=True, slots=True)
class Usual:
    """The values that are usual for one speaker."""

    squint: float  # `GazeEstimate.squint` of open eyes
    crossed_deg: float  # `GazeEstimate.crossed_deg` of open eyes: how the measurement places this speaker's eyeballs
    bias_deg: tuple[float, float] = (0.0, 0.0)  # `GazeEstimate.apart_deg` where a ring light is seen


def as_usual(estimate: GazeEstimate, usual: Usual, lens_pitch_deg: float) -> GazeEstimate:
    """Return the estimate of a speaker of whom it is known what is usual.

    Args:
        estimate: as measured.
        usual: for this speaker.
        lens_pitch_deg: measured pitch of this speaker when looking into the lens.
    """
    found = without_squint(without_bias(estimate, usual.bias_deg), usual.squint, lens_pitch_deg)
    return replace(found, crossed_deg=estimate.crossed_deg - usual.crossed_deg)


def without_bias(estimate: GazeEstimate, bias_deg: tuple[float, float]) -> GazeEstimate:
    """Return the estimate without the bias that a ring light has shown, where none is seen.

    A ring light is seen in two of three frames of a woman who looks into it: she was measured at (0°, 0°) in these, at
    22° below the lens in some between, and her eyes were lifted for a sixth of a second.

    Args:
        estimate: as measured.
        bias_deg: `GazeEstimate.apart_deg` of this speaker in the median.
    """
    if estimate.apart_deg is not None:
        return estimate
    yaw, pitch = estimate.gaze_deg
    return replace(estimate, gaze_deg=(yaw - bias_deg[0], pitch - bias_deg[1]))


def without_squint(estimate: GazeEstimate, usual_squint: float, lens_pitch_deg: float) -> GazeEstimate:
    """Return the estimate with eyes that squint not lowered by it.

    Args:
        estimate: as measured.
        usual_squint: of this speaker's open eyes.
        lens_pitch_deg: measured pitch of this speaker when looking into the lens.
    """
    yaw, pitch = estimate.gaze_deg
    share = 1 - fade(estimate.squint - usual_squint, SQUINT)
    return replace(estimate, gaze_deg=(yaw, pitch + share * max(lens_pitch_deg - pitch, 0.0)))


def _gaze(
    face: Face, eyes: tuple[Eye, Eye], luma: NDArray[np.uint8], pose: Pose, by_irises: tuple[float, float]
) -> tuple[float, float]:
    by_iris = sum(by_irises) / 2
    head_deg = pose.angles_deg()
    by_shape = _yaw_by_shape(face.blendshapes, head_deg[0])
    network_yaw, network_pitch = eye_network.gaze_deg(luma, eyes, head_deg)
    lids = float(np.mean([_lids_height(eye) for eye in eyes]))
    pitch = pitch_deg(network_pitch, lids, head_deg[1])
    return yaw_deg(by_iris, by_shape, network_yaw, head_yaw_deg=head_deg[0], gaze_pitch_deg=pitch), pitch


def yaw_deg(by_iris: float, by_shape: float, by_network: float, *, head_yaw_deg: float, gaze_pitch_deg: float) -> float:
    """Combine the cues of the sideways gaze, all in degrees.

    Args:
        by_iris: by the position of the iris on the eyeball.
        by_shape: by blendshapes and head pose.
        by_network: by the pictures of the eyes.
        head_yaw_deg: of the head.
        gaze_pitch_deg: measured; the lids of lowered eyes hide what the network looks at.
    """
    cues = YAW_BY_IRIS * by_iris + YAW_BY_SHAPE * by_shape
    share = NETWORK_SHARE * fade(abs(cues), NETWORK_UNTIL_DEG) * fade(-gaze_pitch_deg, NETWORK_UNTIL_DEG_DOWN)
    return cues + share * (by_network / NETWORK_SHOWS - cues) - HEAD_YAW_SEEN * head_yaw_deg + YAW_BIAS


def pitch_deg(by_network: float, lids_height: float, head_pitch_deg: float) -> float:
    """Combine the cues of the vertical gaze.

    Args:
        by_network: degrees, by the pictures of the eyes.
        lids_height: height of the upper lid plus that of the lower lid over the line of the corners, in eye widths,
            mean of both eyes; about 0.1, less when the eyes are lowered.
        head_pitch_deg: of the head.
    """
    usual = max(by_network, 0.0) + LIDS_FOR_NETWORK_BELOW * min(by_network, 0.0) + LIDS_FROM_NETWORK_DEG
    by_lids = max(PITCH_BY_LIDS * lids_height + PITCH_BIAS, usual - MOST_BELOW_DEG)
    weight = PITCH_BY_NETWORK[by_network > 0]
    pitch = weight * by_network + by_lids - HEAD_PITCH_SEEN * head_pitch_deg
    return max(pitch, DEEP_DEG + DEEPER * (pitch - DEEP_DEG))


def _lids_height(eye: Eye) -> float:
    along = (eye.upper[-1] - eye.upper[0]) / max(eye.width, 1e-6)
    above = eye.upper[LID_MIDDLE] + eye.lower[LID_MIDDLE] - eye.upper[0] - eye.upper[-1]
    return float(np.mean(above @ (along[1], -along[0]))) / max(eye.width, 1e-6)


def eye_of(points: NDArray[np.float32], side: int) -> Eye:
    """Return the landmarks of one eye, 0 for the picture's left one, of a face's points (478, 2)."""
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


def _squint(shapes: dict[str, float]) -> float:
    squint, smile, down = (
        (shapes[f"{name}Left"] + shapes[f"{name}Right"]) / 2 for name in ("eyeSquint", "mouthSmile", "eyeLookDown")
    )
    return squint + SMILE_SHARE * smile - down


def _yaw_by_shape(shapes: dict[str, float], head_yaw_deg: float) -> float:
    right = (
        shapes["eyeLookOutLeft"] - shapes["eyeLookInLeft"] + shapes["eyeLookInRight"] - shapes["eyeLookOutRight"]
    ) / 2
    return SHAPE_YAW * right + HEAD_YAW * head_yaw_deg + YAW_AT_REST
