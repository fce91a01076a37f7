"""Painted eyes of known softness, lights, grain and place of the iris, with their true outlines."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.estimate.geometry import Axes, Eye, Outline
from tests.media.gaze.synthetic import an_eye

SKIN, SCLERA, IRIS, PUPIL, LASHES, LIGHT = 150.0, 205.0, 75.0, 30.0, 45.0, 240.0
BLUE, RED = 150.0, 112.0  # chroma of the iris; everything else is grey
FINE = 4  # painted this much larger


@dataclass(frozen=True)
class PaintedEye:
    """An eye as numbers, in pixels of the picture."""

    eye: Eye
    softness_px: float = 0.6  # sigma of the camera's blur
    light: str = ""  # "", "lamp", "ring", "wide" or "two"
    brightness: float = 1.0
    grain: float = 0.0  # standard deviation, grey levels
    lit: float = 0.0  # grey levels by which the sclera at the picture's right corner is brighter than at the left one
    rim_above_px: float | None = None  # of spectacles: a dark line so far above the corners

    @classmethod
    def of(
        cls, *, iris_x: float = 0.0, iris_y: float = -0.06, width: float = 60.0, opening: float = 0.34
    ) -> "PaintedEye":
        """Place the iris, in eye widths from the middle of the corners."""
        middle = (1.3 * width, 1.1 * width)
        eye = an_eye(middle=middle, width=width, opening=opening)
        return cls(replace(eye, iris=np.array(middle) + np.array([iris_x, iris_y]) * width))

    def moved(self, way: tuple[float, float]) -> "PaintedEye":
        """Return the eye as it is after a movement of its iris, right and down; the lids stay."""
        return replace(self, eye=replace(self.eye, iris=self.eye.iris + np.array(way)))

    @property
    def axes(self) -> Axes:
        return Axes.of(self.eye)

    @property
    def outline(self) -> Outline:
        return Outline.of(self.eye, self.axes)

    def picture(self) -> Planes:
        """Paint it; the picture has even sizes."""
        height, width = (2 * round(side * self.eye.width / 2) for side in (2.0, 2.6))
        rows, columns = (np.indices((height * FINE, width * FINE)) + 0.5) / FINE
        between, distance = self._between(rows, columns), self._distance(rows, columns)
        bright = np.full(rows.shape, SKIN)
        across = (columns - self.eye.upper[0, 0]) / self.eye.width
        bright[between] = SCLERA + self.lit * (across[between] - 0.5)
        bright[between & (distance < 1)] = IRIS
        bright[between & (distance < 0.4)] = PUPIL
        bright[between & self._lights(rows, columns)] = LIGHT
        lashes = np.asarray(bright, np.float32)
        points = (self.eye.upper * FINE).round().astype(np.int32)
        cv2.polylines(lashes, [points], False, LASHES, round(0.03 * self.eye.width * FINE))
        if self.rim_above_px is not None:
            lashes[np.abs(rows - self.eye.upper[0, 1] + self.rim_above_px) < 1.5] = LASHES
        blue, red = (np.where(between & (distance < 1), tone, 128.0) for tone in (BLUE, RED))
        noise = np.random.default_rng(1).normal(0, self.grain, (height, width))
        luma = 16 + self.brightness * (self._seen(lashes, (width, height)) - 16) + noise
        half = (width // 2, height // 2)
        planes = (luma, *(self._seen(plane, half) for plane in (blue, red)))
        y, u, v = (np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in planes)
        return Planes(y, u, v, 0, 0.0)

    def _seen(self, plane: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float64]:
        soft = cv2.GaussianBlur(np.asarray(plane, np.float32), (0, 0), self.softness_px * FINE)
        return np.asarray(cv2.resize(soft, size, interpolation=cv2.INTER_AREA), np.float64)

    def _between(self, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.bool_]:
        upper, lower = (np.interp(columns, lid[:, 0], lid[:, 1]) for lid in (self.eye.upper, self.eye.lower))
        return np.asarray((rows > upper) & (rows < lower), np.bool_)

    def _distance(
        self, rows: NDArray[np.float64], columns: NDArray[np.float64], aside: tuple[float, float] = (0.0, 0.0)
    ) -> NDArray[np.float64]:
        """In radii of the iris, from a place beside its centre."""
        x, y = self.eye.iris + np.array(aside) * self.eye.iris_radius
        return np.asarray(np.hypot(columns - x, rows - y) / self.eye.iris_radius, np.float64)

    def _lights(self, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.bool_]:
        middle = self._distance(rows, columns)
        shapes = {
            "": middle < 0,
            "lamp": self._distance(rows, columns, (0.1, -0.1)) < 0.14,
            "ring": (middle > 0.34) & (middle < 0.5),
            "wide": self._distance(rows, columns, (0.0, -0.1)) < 0.42,
            "two": (self._distance(rows, columns, (-0.4, -0.1)) < 0.16)
            | (self._distance(rows, columns, (0.4, -0.1)) < 0.16),
        }
        return np.asarray(shapes[self.light], np.bool_)
