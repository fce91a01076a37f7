"""MediaPipe's three networks, run directly by LiteRT: tensors in, tensors out.

LiteRT is the runtime inside MediaPipe. Without MediaPipe's graph the same networks take 25 instead of 42 MB of private
memory (and 60 MB less of library pages) and 4 instead of 9 ms a frame at 1080 × 1920; they need no EGL and no threads,
and resolve no host name (measured 2026-11-25).
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.gaze.errors import EngineFailed

Tensor = NDArray[np.float32]

DETECTOR_SIDE, LANDMARKS_SIDE = 128, 256  # side of the square inputs, in pixels
DETECTOR, LANDMARKS, BLENDSHAPES = (
    f"{name}.tflite" for name in ("face_detector", "face_landmarks_detector", "face_blendshapes")
)
# The points that are the input of the blendshape network, in its order (kLandmarksSubsetIdxs in MediaPipe's
# face_blendshapes_graph.cc, read 2026-11-25).
SHAPE_POINTS = np.array([
    *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80),
    *(81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153),
    *(154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249),
    *(251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314),
    *(317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382),
    *(384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, *range(468, 478)),
])  # fmt: skip


class Networks:
    """The face detector, the landmark network and the blendshape network of one model file.

    Raises:
        EngineFailed: the runtime is missing, or the file holds no such networks.
    """

    def __init__(self, model_path: Path) -> None:
        try:
            with zipfile.ZipFile(model_path) as bundle:
                self._detector = _Network(bundle.read(DETECTOR))
                self._landmarks = _Network(bundle.read(LANDMARKS))
                self._blendshapes = _Network(bundle.read(BLENDSHAPES))
        except (ImportError, OSError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as exc:
            raise EngineFailed(f"the landmark networks did not start: {exc}") from exc

    def detect(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (896, 16), against their anchors in pixels of the picture, and raw scores (896,).

        Args:
            picture: (128, 128, 3), red first, 0 to 1.
        """
        boxes, scores = self._detector.run(picture[None] * 2 - 1, by_size=(896 * 16, 896))
        return boxes.reshape(896, 16), scores.ravel()

    def landmarks(self, picture: Tensor) -> tuple[Tensor, float]:
        """Return the face's points (478, 3) in pixels of the picture, and the probability of a face, 0 to 1.

        Args:
            picture: (256, 256, 3), red first, 0 to 1.
        """
        points, presence = self._landmarks.run(picture[None], by_size=(478 * 3, 1))
        return points.reshape(478, 3), float(1 / (1 + np.exp(-np.float64(presence.ravel()[0]))))

    def blendshapes(self, points: Tensor) -> Tensor:
        """Return the 52 blendshapes, 0 to 1, of a face's points (478, 2) in pixels of any picture."""
        (values,) = self._blendshapes.run(points[None, SHAPE_POINTS], by_size=(52,))
        return values.ravel()


class _Network:
    """One network, on one thread."""

    def __init__(self, content: bytes) -> None:
        # Imported here: only a process that searches faces should pay for the runtime.
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

        self._runtime: Any = Interpreter(model_content=content, num_threads=1)  # Any: its methods are untyped
        self._runtime.allocate_tensors()
        self._input = self._runtime.get_input_details()[0]["index"]
        self._outputs = self._runtime.get_output_details()

    def run(self, picture: Tensor, *, by_size: tuple[int, ...]) -> list[Tensor]:
        """Return the outputs with these numbers of elements; the first output of each size."""
        try:
            self._runtime.set_tensor(self._input, np.ascontiguousarray(picture, np.float32))
            self._runtime.invoke()
        except (RuntimeError, ValueError) as exc:
            raise EngineFailed(f"a landmark network failed: {exc}") from exc
        found = [next(one for one in self._outputs if np.prod(one["shape"]) == size) for size in by_size]
        return [np.asarray(self._runtime.get_tensor(one["index"]), np.float32) for one in found]
