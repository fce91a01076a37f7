"""A square of the picture, turned with the head, as the networks want to see a face; and the way back from it.

Coordinates are of edges, not of indices: a pixel's centre is at +0.5, in the picture and in the square.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.face.networks import Tensor

LOOSE = 1.5  # the square against the face's extent, as MediaPipe's own graph frames faces
OUTER_CORNERS = (33, 263)  # of the eyes: they say how the head is turned
# BT.709, limited range, to red, green and blue from 0 to 1 (ITU-R BT.709-6, items 3.2 to 3.5).
_TO_RGB = np.array([
    [1.0, 0.0, 1.5748],
    [1.0, -0.187324, -0.468124],
    [1.0, 1.8556, 0.0],
]) @ np.diag([1 / 219, 1 / 224, 1 / 224])  # fmt: skip
TO_RGB = np.hstack([_TO_RGB, _TO_RGB @ np.array([[-16.0], [-128.0], [-128.0]])]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Region:
    """A turned square in a picture."""

    centre: tuple[float, float]  # pixels of the picture
    side: float
    turn: float  # radians, clockwise as seen

    @classmethod
    def around(cls, low: NDArray[np.float32], high: NDArray[np.float32], eyes: NDArray[np.float32]) -> "Region":
        """Frame a face.

        Args:
            low: (2,) left and top of its extent.
            high: (2,) right and bottom.
            eyes: (2, 2), the outer corners of both, the picture's left one first.
        """
        along = eyes[1] - eyes[0]
        middle = (low + high) / 2
        side = LOOSE * float(max(high - low))
        return cls((float(middle[0]), float(middle[1])), side, float(np.arctan2(along[1], along[0])))

    @classmethod
    def of(cls, points: NDArray[np.float32]) -> "Region":
        """Frame a face whose points (478, 2) are known."""
        return cls.around(points.min(axis=0), points.max(axis=0), points[list(OUTER_CORNERS)])

    def _axes(self, size: int) -> NDArray[np.float64]:
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        return np.array([[cos, -sin], [sin, cos]]) * self.side / size

    def to_picture(self, points: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Bring points (n, 2) from a square of so many pixels back into the picture."""
        return np.asarray((points - size / 2) @ self._axes(size).T + self.centre, np.float32)

    def look(self, frame: Planes, size: int) -> Tensor:
        """Return the square as a picture of that size, (size, size, 3), red first, 0 to 1; black beyond the edges."""
        y = self._plane(frame.y, size, 1)
        u, v = (self._plane(plane, size, 2) for plane in (frame.u, frame.v))
        return np.clip(np.asarray(cv2.transform(cv2.merge([y, u, v]).astype(np.float32), TO_RGB), np.float32), 0, 1)

    def _plane(self, plane: NDArray[np.uint8], size: int, subsampling: int) -> NDArray[np.uint8]:
        matrix = self._axes(size) / subsampling
        # From index to edge in the square, to the picture, and back from edge to index.
        shift = np.array(self.centre) / subsampling - matrix @ np.full(2, size / 2) + matrix @ (0.5, 0.5) - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        black = 16 if subsampling == 1 else 128
        whole = np.hstack([matrix, shift[:, None]])
        warped = cv2.warpAffine(plane, whole, (size, size), flags=flags, borderValue=(black,))
        return np.asarray(warped, np.uint8)
