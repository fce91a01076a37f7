"""Face detection: the output of MediaPipe's short-range detector as regions of the frame.

Source: the layout of anchors and output as MediaPipe's face_detector_graph.cc configures them (read 2026-11-25); the
non-maximum suppression is our own.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.face.networks import DETECTOR_SIDE, Networks, Tensor
from media.gaze.face.region import TO_RGB, Region

LEAST_SCORE = 0.5
MOST_OVERLAP = 0.3  # intersection over union of the boxes of two different faces
# Columns of the output: centre, size, then six key points, of which the first two are the eyes, the picture's left one
# first.
CENTRE, SIZE, EYES = np.s_[0:2], np.s_[2:4], np.s_[4:8]


def _anchors() -> Tensor:
    """Return the centre of each anchor, (896, 2), in pixels: two in each cell of 16 × 16, then six in each of 8 × 8."""
    places = []
    for cells, in_each in ((16, 2), (8, 6)):
        rows, columns = (np.indices((cells, cells)) + 0.5) * (DETECTOR_SIDE / cells)
        places.append(np.repeat(np.stack([columns.ravel(), rows.ravel()], axis=1), in_each, axis=0))
    return np.concatenate(places).astype(np.float32)


ANCHORS = _anchors()


def detect(networks: Networks, frame: Planes, most: int) -> list[Region]:
    """Return at most `most` faces of a frame, the most likely first."""
    picture, scale, corner = _shrunk(frame)
    boxes, scores = networks.detect(picture)
    likely = 1 / (1 + np.exp(-np.clip(scores.astype(np.float64), -100, 100)))
    found = _distinct(boxes, likely, most)
    return [_region(box, scale, corner) for box in found]


def _shrunk(frame: Planes) -> tuple[Tensor, float, Tensor]:
    """Letterbox the frame into the network's square; return it, the scale, and the frame's corner in it."""
    height, width = frame.y.shape
    scale = DETECTOR_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (frame.y, frame.u, frame.v)]
    small = np.clip(np.asarray(cv2.transform(cv2.merge(planes).astype(np.float32), TO_RGB), np.float32), 0, 1)
    left, top = (DETECTOR_SIDE - size[0]) // 2, (DETECTOR_SIDE - size[1]) // 2
    square = np.zeros((DETECTOR_SIDE, DETECTOR_SIDE, 3), np.float32)
    square[top : top + size[1], left : left + size[0]] = small
    return square, scale, np.array([left, top], np.float32)


def _distinct(boxes: Tensor, likely: NDArray[np.float64], most: int) -> list[Tensor]:
    """Return the most likely boxes that do not overlap; each is the weighted mean of those that overlap with it."""
    places = boxes.copy()
    places[:, CENTRE] += ANCHORS
    for column in range(4, 16, 2):
        places[:, column : column + 2] += ANCHORS
    left = [int(index) for index in np.argsort(-likely) if likely[index] >= LEAST_SCORE]
    found: list[Tensor] = []
    while left and len(found) < most:
        overlaps = _overlap(places[left[0]], places[left])
        same = [index for index, overlap in zip(left, overlaps, strict=True) if overlap > MOST_OVERLAP] or left[:1]
        weights = likely[same]
        found.append(np.asarray(weights @ places[same] / weights.sum(), np.float32))
        left = [index for index in left if index not in same]
    return found


def _overlap(box: Tensor, others: Tensor) -> NDArray[np.float64]:
    """Return the intersection over union of a box with others, (n,)."""
    low = np.maximum(box[CENTRE] - box[SIZE] / 2, others[:, CENTRE] - others[:, SIZE] / 2)
    high = np.minimum(box[CENTRE] + box[SIZE] / 2, others[:, CENTRE] + others[:, SIZE] / 2)
    common = np.prod(np.maximum(high - low, 0), axis=1)
    both = np.prod(box[SIZE]) + np.prod(others[:, SIZE], axis=1) - common
    return np.asarray(common / np.maximum(both, 1e-6), np.float64)


def _region(box: Tensor, scale: float, corner: Tensor) -> Region:
    centre, half = (box[CENTRE] - corner) / scale, box[SIZE] / (2 * scale)
    eyes = (box[EYES].reshape(2, 2) - corner) / scale
    return Region.around(centre - half, centre + half, eyes)
