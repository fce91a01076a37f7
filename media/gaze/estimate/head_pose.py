"""Head pose: rotation and position fitted to the rigid points of the face.

Camera coordinates as in OpenCV: x right, y down, z away from the camera, in cm. Angles in degrees, yaw + to the
picture's right, pitch + up, relative to the ray from the head to the camera; (0, 0) faces the lens.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.face.model import Head

# Phones' front cameras and webcams lie roughly between 0.65 and 0.95 (own estimate); an error of 20 % moves the
# head's yaw by less than two degrees for a face in the middle half of the picture.
FOCAL_PER_LONG_SIDE = 0.9
# The model's y points up and its z to the viewer; OpenCV's y and z point the other way.
_FLIP = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True, slots=True)
class Pose:
    """Rotation and position of the head, and the camera."""

    rotation: NDArray[np.float64]  # (3, 3): model coordinates to camera coordinates
    position: NDArray[np.float64]  # (3,) of the model's origin, in camera coordinates
    focal_px: float
    centre_px: tuple[float, float]  # principal point

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Project points of the model, (n, 3) in cm, into the frame: (n, 2) in pixels."""
        camera = points @ self.rotation.T + self.position
        flat: NDArray[np.float64] = camera[:, :2] / camera[:, 2:] * self.focal_px + np.array(self.centre_px)
        return flat

    def px_per_cm(self, point: NDArray[np.float64]) -> float:
        """Return the size of a centimetre at a point of the model, parallel to the image plane."""
        return self.focal_px / float(self.rotation[2] @ point + self.position[2])

    def angles_deg(self) -> tuple[float, float]:
        """Return yaw and pitch of the face's forward axis against the ray to the camera, in degrees."""
        forward = self.rotation @ np.array([0.0, 0.0, 1.0])
        to_camera = -self.position
        yaw, pitch = _angles(forward)
        ray_yaw, ray_pitch = _angles(to_camera)
        return yaw - ray_yaw, pitch - ray_pitch


def _angles(direction: NDArray[np.float64]) -> tuple[float, float]:
    x, y, z = direction / np.linalg.norm(direction)
    return float(np.degrees(np.arctan2(x, -z))), float(np.degrees(np.arcsin(-y)))


def fit(points: NDArray[np.float32], head: Head, picture: tuple[int, int]) -> Pose | None:
    """Fit the head pose to the landmarks of a face.

    Args:
        points: (478, 2) in pixels.
        head: the average head that the points belong to.
        picture: (height, width) in pixels.

    Returns:
        None when no pose in front of the camera fits the points.

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
