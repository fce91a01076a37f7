"""How the head stands before the camera: a pose fitted to the rigid points of the face.

Camera coordinates as in OpenCV: x right, y down, z away from the camera, in cm. Angles: yaw + picture right,
pitch + up, in degrees, relative to the ray from the head to the camera; (0, 0) faces the lens.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.face.model import Head

# Phones' front cameras and webcams lie roughly between 0.65 and 0.95 (own estimate); an error of 20 % moves the
# head's yaw by less than two degrees for a face in the middle half of the picture.
FOCAL_PER_LONG_SIDE = 0.9
# The model's x runs to the picture's right, its y up and its z to the viewer; OpenCV's y and z run the other way.
_FLIP = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the head is and how it is turned."""

    rotation: NDArray[np.float64]  # (3, 3): model coordinates to camera coordinates
    position: NDArray[np.float64]  # (3,) of the model's origin, in camera coordinates
    focal_px: float
    centre_px: tuple[float, float]  # where the optical axis meets the picture

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Draw points of the model, (n, 3), into the picture: (n, 2) in pixels."""
        camera = points @ self.rotation.T + self.position
        flat: NDArray[np.float64] = camera[:, :2] / camera[:, 2:] * self.focal_px + np.array(self.centre_px)
        return flat

    def px_per_cm(self, point: NDArray[np.float64]) -> float:
        """Size of a centimetre, seen head-on, at a point of the model."""
        return self.focal_px / float(self.rotation[2] @ point + self.position[2])

    def angles_deg(self) -> tuple[float, float]:
        """Yaw and pitch of the nose's direction against the ray to the camera."""
        forward = self.rotation @ np.array([0.0, 0.0, 1.0])
        to_camera = -self.position
        yaw, pitch = _angles(forward)
        ray_yaw, ray_pitch = _angles(to_camera)
        return yaw - ray_yaw, pitch - ray_pitch


def _angles(direction: NDArray[np.float64]) -> tuple[float, float]:
    x, y, z = direction / np.linalg.norm(direction)
    return float(np.degrees(np.arctan2(x, -z))), float(np.degrees(np.arcsin(-y)))


def fit(points: NDArray[np.float32], head: Head, picture: tuple[int, int]) -> Pose | None:
    """Fit the head's pose to a face.

    Args:
        points: (478, 2) in pixels.
        head: the average head the points belong to.
        picture: (height, width) in pixels.

    Returns:
        None when the points are no face that stands before the camera.

    Source: SQPnP, Terzakis and Lourakis, ECCV 2020, as implemented in OpenCV.
    """
    height, width = picture
    focal = FOCAL_PER_LONG_SIDE * max(height, width)
    camera = np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    seen = points[head.rigid].astype(np.float64)
    found, turn, shift = cv2.solvePnP(head.vertices[head.rigid] @ _FLIP, seen, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    if not found or float(shift[2, 0]) <= 0:
        return None
    rotation = np.asarray(cv2.Rodrigues(turn)[0], np.float64) @ _FLIP
    return Pose(rotation, np.asarray(shift[:, 0], np.float64), focal, (width / 2, height / 2))
