"""The depth of the portrait, so that its head can turn: an average head under the face, spheres under the lids.

Places are pixels of the portrait: x to its right, y down, depth towards the viewer. Angles in degrees: yaw + picture
right, pitch + up.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import cos, radians, sin
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.errors import EngineFailed
from media.gaze.estimate import head_pose
from media.gaze.face import model
from media.gaze.face.faces import Mode
from media.gaze.face.landmarks import Landmarker
from media.sample.portrait import EyeContour

Layer = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]

CORNERS = ((33, 133), (362, 263))  # the model's points
COARSE = 2  # pixels from one known depth to the next
NEAR_PX2, SMOOTH_PX = 0.5, 1.0  # a point's own depth holds around it; what is left of steps is smoothed
AROUND_LIDS = 1.5  # pixels over which an eyeball's depth becomes the skin's
ROUNDS = 10  # of the search for what is seen at a place


def rotation(yaw_deg: float, pitch_deg: float) -> Numbers:
    """Return the matrix that turns a head: first up, then to the right."""
    yaw, pitch = radians(yaw_deg), radians(pitch_deg)
    up = np.array([[1, 0, 0], [0, cos(pitch), -sin(pitch)], [0, sin(pitch), cos(pitch)]])
    right = np.array([[cos(yaw), 0, sin(yaw)], [0, 1, 0], [-sin(yaw), 0, cos(yaw)]])
    return np.asarray(right @ up)


def direction(yaw_deg: float, pitch_deg: float) -> Numbers:
    """Return the unit vector of a gaze."""
    return rotation(yaw_deg, pitch_deg)[:, 2]


def angles_deg(way: Numbers) -> tuple[float, float]:
    """Return yaw and pitch of a unit vector."""
    return float(np.degrees(np.arctan2(way[0], way[2]))), float(np.degrees(np.arcsin(np.clip(-way[1], -1, 1))))


class DepthMap:
    """The depth of every pixel of the portrait.

    Args:
        portrait: (H, W, 3), blue green red.
        eyes: outlines of the lids.
        balls: the eyeballs' centres.
        ball: their radius, and how far behind the lids' corners their centres lie.

    Raises:
        EngineFailed: no face is found, or the engine does not start.
    """

    def __init__(
        self,
        portrait: NDArray[np.uint8],
        eyes: Sequence[EyeContour],
        balls: Sequence[tuple[float, float]],
        ball: tuple[float, float],
    ) -> None:
        points, depths = _face(portrait)
        self._depth = _spread(points, depths, portrait.shape[:2])
        centres = [depths[list(pair)].mean() - ball[1] for pair in CORNERS]
        for lids, centre, behind in zip(eyes, balls, centres, strict=True):
            self._put_ball(lids, centre, behind, ball)
        self._pivot = np.array([*np.mean(balls, axis=0), np.mean(centres)])
        self._apart = lru_cache(maxsize=4)(self._displacement)

    def _put_ball(
        self, lids: EyeContour, centre: tuple[float, float], behind: float, size: tuple[float, float]
    ) -> None:
        radius, back = size
        rows, columns = np.indices(self._depth.shape, dtype=np.float32)
        x, y = (columns + 0.5 - centre[0]) / radius, (rows + 0.5 - centre[1]) / radius
        # Where the ball falls back behind the corners, flesh goes on from them.
        ball = behind + np.maximum(radius * np.sqrt(np.maximum(1 - x * x - y * y, 0)), back)
        outline = np.rint((np.array([*lids.upper, *reversed(lids.lower)]) - 0.5) * 16).astype(np.int32)
        share = cv2.fillPoly(np.zeros(self._depth.shape, np.float32), [outline], 1.0, shift=4)
        share = cv2.GaussianBlur(cv2.dilate(share, np.ones((3, 3))), (0, 0), AROUND_LIDS)
        self._depth = np.asarray(self._depth + share * (ball - self._depth), np.float32)

    def turned(self, head_deg: tuple[float, float], distance: float, places: Numbers) -> Numbers:
        """Return where points of the face, (n, 2), appear when the head is turned, at a distance in pixels."""
        x, y = (np.asarray(places[:, axis], np.float32) for axis in (0, 1))
        depth = _read(self._depth, x, y) - self._pivot[2]
        flat = (places - self._pivot[:2]) * (1 - depth / distance)[:, None]
        space = np.column_stack([flat, depth]) @ rotation(*head_deg).T
        return np.asarray(space[:, :2] / (1 - space[:, 2:] / distance) + self._pivot[:2])

    def shown_at(self, head_deg: tuple[float, float], distance: float, x: Layer, y: Layer) -> tuple[Layer, Layer]:
        """Return which points of the face appear at these positions when the head is turned."""
        if not any(head_deg):
            return x, y
        right, down = (_read(layer, x, y) for layer in self._apart(head_deg, distance))
        return np.asarray(x + right, np.float32), np.asarray(y + down, np.float32)

    def _displacement(self, head_deg: tuple[float, float], distance: float) -> tuple[Layer, Layer]:
        turn = rotation(*head_deg)
        back = np.linalg.inv(turn[:2, :2])
        rows, columns = np.indices(self._depth.shape, dtype=np.float32)
        wanted = np.stack([columns + 0.5 - self._pivot[0], rows + 0.5 - self._pivot[1]])
        found = wanted
        for _ in range(ROUNDS):
            x, y = (np.asarray(found[axis] + self._pivot[axis], np.float32) for axis in (0, 1))
            depth = _read(self._depth, x, y) - self._pivot[2]
            near = 1 - depth / distance
            towards = np.tensordot(turn[2, :2], found * near, axes=1) + turn[2, 2] * depth
            flat = wanted * (1 - towards / distance) - turn[:2, 2, None, None] * depth
            # Half a step at a time: where the face is steep, whole ones jump to and fro.
            found = 0.5 * found + 0.5 * np.tensordot(back, flat, axes=1) / near
        right, down = (np.asarray(found[axis] - wanted[axis], np.float32) for axis in (0, 1))
        return right, down


def _read(layer: Layer, x: Layer, y: Layer) -> Layer:
    columns, rows = (np.asarray(np.atleast_2d(value) - 0.5, np.float32) for value in (x, y))
    found = cv2.remap(layer, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(x.shape), np.float32)


def _face(portrait: NDArray[np.uint8]) -> tuple[Numbers, Numbers]:
    """Find the face's points, (468, 2), and the average head's depth under them."""
    height, width = portrait.shape[:2]
    planes = np.asarray(cv2.cvtColor(portrait, cv2.COLOR_BGR2YUV_I420), np.uint8)
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    with Landmarker(mode=Mode.SPARSE) as finder:
        found = finder.find(Planes(planes[:height], chroma[0].copy(), chroma[1].copy(), 0, 0.0))
    if not found:
        raise EngineFailed("no face is found in the portrait")
    head = model.average_head(model.locate())
    fitted = head_pose.fit(found[0].points, head, (height, width))
    if fitted is None:
        raise EngineFailed("no head fits the portrait")
    away = head.vertices @ fitted.rotation[2]
    return found[0].points[: len(away)], -away * fitted.px_per_cm(head.vertices[head.rigid].mean(axis=0))


def _spread(points: Numbers, depths: Numbers, shape: tuple[int, ...]) -> Layer:
    """Fill the picture with depths known at some places: near ones count most, far from all the rim goes on."""
    rows, columns = (np.arange(COARSE / 2, side, COARSE) for side in shape[:2])
    aside = (columns[:, None] - points[:, 0]) ** 2
    weights = (1 / (aside + (row - points[:, 1]) ** 2 + NEAR_PX2) ** 2 for row in rows)
    coarse = np.stack([share @ depths / share.sum(axis=1) for share in weights])
    full = cv2.resize(coarse.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.GaussianBlur(full, (0, 0), SMOOTH_PX), np.float32)
