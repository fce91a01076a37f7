"""The contract of a landmark engine: the points and blendshapes of each face in a frame.

The engines are `media.gaze.face.landmarks` and `media.gaze.face.mediapipe_graph`.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from media.frames import Planes

# Blendshapes used here, by MediaPipe's names; left and right are the subject's own. The number is the index in the
# network's output (kBlendshapeNames in MediaPipe's face_blendshapes_graph.cc, read 2026-11-25).
SHAPES = {
    "eyeBlinkLeft": 9,
    "eyeBlinkRight": 10,
    "eyeLookDownLeft": 11,
    "eyeLookDownRight": 12,
    "eyeLookInLeft": 13,
    "eyeLookInRight": 14,
    "eyeLookOutLeft": 15,
    "eyeLookOutRight": 16,
    "eyeLookUpLeft": 17,
    "eyeLookUpRight": 18,
    "eyeSquintLeft": 19,
    "eyeSquintRight": 20,
    "mouthSmileLeft": 44,
    "mouthSmileRight": 45,
}


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one frame."""

    points: NDArray[np.float32]  # (478, 2) x right, y down, in pixels; a pixel's centre is at +0.5
    blendshapes: dict[str, float]  # those of SHAPES, 0 to 1
    track: int = 0  # number of the track: the same for the same person from frame to frame


class FaceFinder(Protocol):
    """Finds the speakers' faces in frames."""

    def find(self, frame: Planes) -> list[Face]:
        """Return the speakers' faces in a frame, the main speaker's first."""
        ...

    def close(self) -> None:
        """Free memory and threads; may be called twice. `find` must not be called afterwards."""
        ...


class FaceTracker(FaceFinder, Protocol):
    """A finder that tracks faces and can measure a face again in a changed frame."""

    @property
    def in_any_order(self) -> bool:
        """Return whether a frame may be searched after a later one."""
        ...

    def redetect(self, frame: Planes, face: Face) -> Face | None:
        """Find a face again in its frame, which was changed since; None when it is not found.

        The state of tracking does not change.
        """
        ...


class Mode(Enum):
    """The order of the frames that a finder receives."""

    VIDEO = "video"  # consecutive frames: faces are tracked
    SPARSE = "sparse"  # frames far apart: each is searched anew
