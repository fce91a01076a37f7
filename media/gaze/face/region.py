"""A square crop of the frame that is rotated with the head, the input of the landmark network, and its inverse.

Coordinates count from the edge: a pixel's centre is at +0.5, in the frame and in the crop.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.face.networks import Tensor

MARGIN = 1.5  # side of the square over the extent of the face, as in MediaPipe's own graph
OUTER_CORNERS = (33, 263)  # landmarks of the eyes: they give the rotation
# BT.709, limited range, to red, green and blue from 0 to 1 (ITU-R BT.709-6, items 3.2 to 3.5).
_TO_RGB = np.array([
    [1.0, 0.0, 1.5748],
    [1.0, -0.187324, -0.468124],
    [1.0, 1.8556, 0.0],
]) @ np.diag([1 / 219, 1 / 224, 1 / 224])  # fmt: skip
TO_RGB = np.hstack([_TO_RGB, _TO_RGB @ np.array([[-16.0], [-128.0], [-128.0]])]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Region:
    """A rotated square in a frame."""

    centre: tuple[float, float]  # pixels of the frame
    side: float  # pixels of the frame
    angle_rad: float  # clockwise

    @classmethod
    def around(cls, low: NDArray[np.float32], high: NDArray[np.float32], eyes: NDArray[np.float32]) -> "Region":
        """Return the crop of a face.

        Args:
            low: (2,) left and top of its extent.
            high: (2,) right and bottom.
            eyes: (2, 2), the outer corners of both, the picture's left one first.
        """
        along = eyes[1] - eyes[0]
        middle = (low + high) / 2
        side = MARGIN * float(max(high - low))
        return cls((float(middle[0]), float(middle[1])), side, float(np.arctan2(along[1], along[0])))

    @classmethod
    def of(cls, points: NDArray[np.float32]) -> "Region":
        """Return the crop of a face with known points, (478, 2)."""
        return cls.around(points.min(axis=0), points.max(axis=0), points[list(OUTER_CORNERS)])

    def _rotation(self, size: int) -> NDArray[np.float64]:
        """Return the matrix (2, 2) from pixels of a crop of this size to pixels of the frame."""
        cos, sin = np.cos(self.angle_rad), np.sin(self.angle_rad)
        return np.array([[cos, -sin], [sin, cos]]) * self.side / size

    def to_frame(self, points: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Map points (n, 2) in pixels of a crop of this size to pixels of the frame."""
        return np.asarray((points - size / 2) @ self._rotation(size).T + self.centre, np.float32)

    def crop(self, frame: Planes, size: int) -> Tensor:
        """Return the crop at this size, (size, size, 3), red first, 0 to 1; black outside of the frame."""
        y = self._plane(frame.y, size, 1)
        u, v = (self._plane(plane, size, 2) for plane in (frame.u, frame.v))
        rgb = np.asarray(cv2.transform(cv2.merge([y, u, v]).astype(np.float32), TO_RGB), np.float32)
        return np.clip(rgb, 0, 1, out=rgb)

    def _plane(self, plane: NDArray[np.uint8], size: int, subsampling: int) -> NDArray[np.uint8]:
        matrix = self._rotation(size) / subsampling
        # From index to edge coordinates in the crop, to the frame, and back from edge to index.
        shift = np.array(self.centre) / subsampling - matrix @ np.full(2, size / 2) + matrix @ (0.5, 0.5) - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        black = 16 if subsampling == 1 else 128
        whole = np.hstack([matrix, shift[:, None]])
        warped = cv2.warpAffine(plane, whole, (size, size), flags=flags, borderValue=(black,))
        return np.asarray(warped, np.uint8)
