"""What every landmark engine gives: the points of each face in a picture, and what its expression says of the eyes.

Values and one contract; the engines live next door. What the points mean is measured elsewhere.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from media.frames import Planes

# Blendshapes used here, by MediaPipe's names; left and right are the subject's own. The number is the place in the
# network's answer (kBlendshapeNames in MediaPipe's face_blendshapes_graph.cc, read 2026-11-25).
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
}


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one picture."""

    points: NDArray[np.float32]  # (478, 2) x right, y down, in pixels; a pixel's centre is at +0.5
    shapes: dict[str, float]  # the ten of SHAPES, 0 to 1
    track: int = 0  # the same number for the same face from frame to frame


class FaceFinder(Protocol):
    """Whatever finds faces; a test may give its own."""

    def find(self, frame: Planes) -> list[Face]:
        """Return the speakers' faces in a picture, the main one first; none when there is none."""
        ...

    def close(self) -> None:
        """Give memory and threads back; may be called twice, and nothing is found any more."""
        ...


class FaceTracker(FaceFinder, Protocol):
    """A finder that can judge what was made of a face."""

    @property
    def in_any_order(self) -> bool:
        """Say whether a picture may be looked at after a later one."""
        ...

    def redetect(self, frame: Planes, face: Face) -> Face | None:
        """Look once more at a face in its picture, which was changed since; None when it cannot be found in it.

        Following goes on as if nobody had looked.
        """
        ...


class Mode(Enum):
    """How pictures follow one another."""

    VIDEO = "video"  # consecutive frames of one scene: faces are followed
    SPARSE = "sparse"  # pictures far apart: each is searched anew
