"""The simplest correction, as a baseline: the iris is cut out as a disc and pasted midway between the corners.

Stands for the open tools that do just that; lids are not touched, the hole is filled by stretching what is around it.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.estimate.measure import IRISES, LOWER_LIDS, UPPER_LIDS
from media.gaze.face.faces import Face as Mesh
from media.gaze.face.landmarks import Landmarker

MOST = 0.7  # of the iris' radius: further it never moves
REACH = 2.2  # radii within which the picture is stretched
CALM = 0.42  # share of a new frame in the smoothed way
LEAST_OPENING = 0.15


def move(frames: Iterator[Planes]) -> Iterator[Planes]:
    """Change frames in place."""
    ways = [np.zeros(2), np.zeros(2)]
    with Landmarker() as finder:
        for frame in frames:
            faces = finder.find(frame)
            for side in (0, 1) if faces else ():
                ways[side] += CALM * (_way(faces[0], side) - ways[side])
                _paste(frame, faces[0].points[IRISES[side][0]], _radius(faces[0], side), ways[side])
            yield frame


def _radius(face: Mesh, side: int) -> float:
    ring = face.points[list(IRISES[side])]
    return float(np.linalg.norm(ring[1:] - ring[0], axis=1).mean())


def _way(face: Mesh, side: int) -> NDArray[np.float64]:
    upper, lower = face.points[UPPER_LIDS[side][4]], face.points[LOWER_LIDS[side][4]]
    left, right = face.points[UPPER_LIDS[side][0]], face.points[UPPER_LIDS[side][-1]]
    if np.linalg.norm(lower - upper) < LEAST_OPENING * np.linalg.norm(right - left):
        return np.zeros(2)
    target = np.array([(left[0] + right[0]) / 2, (upper[1] + lower[1]) / 2])
    way = target - face.points[IRISES[side][0]]
    most = MOST * _radius(face, side)
    return np.asarray(way * min(1.0, most / max(float(np.hypot(*way)), 1e-6)), np.float64)


def _paste(frame: Planes, iris: NDArray[np.float32], radius: float, way: NDArray[np.float64]) -> None:
    for plane, share in ((frame.y, 1), (frame.u, 2), (frame.v, 2)):
        reach = int(np.ceil((REACH + 1) * radius / share))
        left, top = (round(float(value) / share) - reach for value in iris)
        area = np.s_[max(top, 0) : top + 2 * reach, max(left, 0) : left + 2 * reach]
        patch = plane[area]
        if patch.size == 0:
            continue
        rows, columns = np.indices(patch.shape, dtype=np.float32)
        x, y = ((iris[axis] + way[axis]) / share - (area[1 - axis].start) for axis in (0, 1))
        distance = np.hypot(columns - x, rows - y) / (radius / share)
        follow = np.clip((REACH - distance) / (REACH - 1), 0, 1).astype(np.float32)
        maps = (columns - follow * np.float32(way[0] / share), rows - follow * np.float32(way[1] / share))
        plane[area] = cv2.remap(patch, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
