"""MediaPipe's own face landmarker behind the same contract: the reference in tests, and an alternative engine.

The only module that imports mediapipe.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.errors import EngineFailed
from media.gaze.face import model
from media.gaze.face.faces import SHAPES, Face, Mode
from media.gaze.face.region import Region
from media.gaze.face.tracking import SpeakerTracker

# With several speakers, so many more faces are tracked, to choose among. With one speaker MediaPipe chooses, as it
# smooths its points only then.
MORE_FACES = 2
LEAP_MS = 1000  # after such a step in time the engine's smoothing starts anew


@contextmanager
def _without_drawing() -> Iterator[None]:
    """Import mediapipe without matplotlib.

    MediaPipe imports matplotlib.pyplot at its top for one function that draws points in 3-D, which nothing here
    calls. An empty module stands in for it during the import and is taken away again, so that no other code
    takes it for the real one. Installing matplotlib would cost six packages of 75 MB and, measured on
    2026-11-22, 0.3 s and 31 MB in every child process.
    """
    if "matplotlib" in sys.modules:
        yield
        return
    names = ("matplotlib", "matplotlib.pyplot")
    stand_ins = {name: ModuleType(name, "An empty stand-in; see media.gaze.face.mediapipe_graph.") for name in names}
    stand_ins["matplotlib"].__path__ = []
    stand_ins["matplotlib"].pyplot = stand_ins["matplotlib.pyplot"]  # type: ignore[attr-defined]  # an attribute of an empty module
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)


class MediaPipeLandmarker:
    """MediaPipe's face landmarker with blendshapes, on the CPU.

    Frames are passed at full size: copies below 960 px save no time and shift the points by up to 2 % of the eye's
    width; moving crops lose the face, as the tracker works in coordinates of the frame.
    """

    in_any_order = False  # it smooths over time

    def __init__(self, *, mode: Mode = Mode.VIDEO, faces: int = 1, model_path: Path | None = None) -> None:
        path = model.locate(model_path)
        try:
            with _without_drawing():
                # Imported here: it costs memory and time, and needs the stand-in modules.
                import mediapipe  # noqa: PLC0415
                from mediapipe.tasks import python as tasks  # noqa: PLC0415
                from mediapipe.tasks.python import vision  # noqa: PLC0415
            options = vision.FaceLandmarkerOptions(
                base_options=tasks.BaseOptions(model_asset_path=str(path)),
                running_mode=vision.RunningMode.VIDEO,
                num_faces=faces + MORE_FACES if faces > 1 else 1,
                output_face_blendshapes=True,
            )
            self._engine: Any = vision.FaceLandmarker.create_from_options(options)  # mediapipe ships no types
        except (ImportError, OSError, RuntimeError, ValueError) as exc:
            raise EngineFailed(f"the face landmarker did not start: {exc}") from exc
        self._mediapipe: Any = mediapipe
        self._mode = mode
        self._is_closed = False
        self._most = faces
        self._speakers = SpeakerTracker(faces)
        self._frames = 0
        self._last_ms = -1
        self._rgb: NDArray[np.uint8] | None = None

    def find(self, frame: Planes) -> list[Face]:
        """Return the speakers' faces in a frame, the main speaker's first; frames come in the order of their times.

        Raises:
            EngineFailed: the engine failed on this frame.
        """
        rgb = self._to_rgb(frame)
        picture = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=rgb)
        try:
            if self._mode is Mode.SPARSE:
                # The detector's crop is wider than the tracker's, which moves the measured gaze by 2°: the first
                # call finds the face, the second one measures it.
                self._engine.detect_for_video(picture, self._next_ms(frame.time_s) + LEAP_MS)
                self._last_ms += LEAP_MS
            result = self._engine.detect_for_video(picture, self._next_ms(frame.time_s))
        except (RuntimeError, ValueError) as exc:
            raise EngineFailed(f"the face landmarker failed at frame {frame.index}: {exc}") from exc
        height, width = frame.y.shape
        return self._choose(
            [
                _face(points, shapes, width, height)
                for points, shapes in zip(result.face_landmarks, result.face_blendshapes, strict=True)
            ],
            (height, width),
        )

    def redetect(self, frame: Planes, face: Face) -> None:
        """Return None: every frame that MediaPipe receives becomes part of its tracking."""

    def _choose(self, faces: list[Face], picture: tuple[int, int]) -> list[Face]:
        if self._mode is Mode.SPARSE:
            self._speakers = SpeakerTracker(self._most)
        self._frames += 1
        places = {Region.of(face.points): face for face in faces}
        found = self._speakers.update(self._frames, list(places), picture)
        chosen = [person for person in self._speakers.chosen if person.number in found]
        for person in chosen:
            person.region = found[person.number]
        return [replace(places[person.region], track=person.number) for person in chosen]

    def _next_ms(self, time_s: float) -> int:
        """Return a rising time stamp; those of a damaged file may fall."""
        self._last_ms = max(self._last_ms + 1, round(time_s * 1000))
        return self._last_ms

    def _to_rgb(self, frame: Planes) -> NDArray[np.uint8]:
        """Convert to RGB, (H, W, 3), in a reused buffer: new pages for 6 MB a frame take a millisecond."""
        height, width = frame.y.shape
        if self._rgb is None or self._rgb.shape[:2] != (height, width):
            self._rgb = np.empty((height, width, 3), np.uint8)
        chroma = cv2.merge([frame.u, frame.v])
        return np.asarray(cv2.cvtColorTwoPlane(frame.y, chroma, cv2.COLOR_YUV2RGB_NV12, dst=self._rgb), np.uint8)

    def close(self) -> None:
        """End the engine's threads; may be called twice."""
        if not self._is_closed:
            self._engine.close()
        self._is_closed = True

    def __enter__(self) -> "MediaPipeLandmarker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _face(points: Any, shapes: Any, width: int, height: int) -> Face:  # Any: mediapipe ships no types
    scale = np.array([width, height], np.float32)
    pixels = np.array([(point.x, point.y) for point in points], np.float32) * scale
    wanted = {shape.category_name: float(shape.score) for shape in shapes if shape.category_name in SHAPES}
    return Face(pixels, wanted)
