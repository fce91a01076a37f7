"""The sample's portrait with spherical eyeballs, moving lids and a head that turns, so that the gaze is known.

NASA's portrait lends skin, lids, white and iris; the iris lies on a sphere that turns by the true angles, so that it is
foreshortened and moves as geometry says. The upper lid follows the iris' height by 0.9, the lower one by 0.4. Places
are pixels of the portrait unless they say otherwise.
"""

from dataclasses import dataclass
from math import cos, radians, sin
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.head_pose import FOCAL_PER_LONG_SIDE
from media.sample.portrait import EYES, IRIS_RADIUS, TO_LENS_DEG, EyeContour, locate
from scripts.benchmarks.gaze.depth_map import DepthMap, angles_deg, direction, rotation

Layer = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]
Picture = NDArray[np.uint8]

SIZE = (720, 1280)
MIDDLE = (224.0, 160.0)  # of the framing
SCALE = 6  # eyes are drawn on a copy this much larger
MM = IRIS_RADIUS / 5.85  # an iris has 11.7 mm
BALL_RADIUS, BALL_BACK = 12.05 * MM, 8.55 * MM  # of the eyeball; its centre behind the corners of the lids
UPPER, LOWER, LIGHT = 0.9, 0.4, 0.5  # share of the iris' way that lids and catch-light go
FOLD, LASHES, BELOW = 6.0, 1.5, 7.0  # skin this far above and below goes along; the lashes' band goes as one
SOFT = 0.45


@dataclass(frozen=True)
class Framing:
    """The section of the portrait that fills the picture."""

    wide_px: float = 200.0  # 200 show the head and shoulders, with eyes 68 px wide
    right: float = 0.0  # of the usual middle
    down: float = 0.0

    def zoom(self) -> float:
        """Return the number of the picture's pixels for one of the portrait."""
        return SIZE[0] / self.wide_px

    def distance(self) -> float:
        """Return the distance from the eyes to the camera in pixels of the portrait: 46 cm for the usual framing."""
        return FOCAL_PER_LONG_SIDE * max(SIZE) / self.zoom()

    def corner(self) -> tuple[float, float]:
        """Return where the picture's upper left corner lies in the portrait."""
        return (
            MIDDLE[0] + self.right - SIZE[0] / 2 / self.zoom(),
            MIDDLE[1] + self.down - SIZE[1] / 2 / self.zoom(),
        )


class RenderedFace:
    """The portrait with eyes and a head that turn.

    Raises:
        Refused: the portrait is not installed.
        GazeError: the landmark engine, which finds the face's depth, does not start.
    """

    def __init__(self) -> None:
        portrait = np.asarray(cv2.imread(str(locate())), np.uint8)
        self._large = cv2.resize(portrait, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_LANCZOS4)
        soft = cv2.GaussianBlur(self._large, (0, 0), 3.0)
        self._large = cv2.addWeighted(self._large, 1.5, soft, -0.5, 0)
        self._eyes = [_Eye(np.asarray(self._large, np.uint8), lids) for lids in EYES]
        self._looks_deg: tuple[float, ...] = ()  # at which the eyes of the large copy look, against the head
        rows, columns = np.indices((SIZE[1], SIZE[0]), dtype=np.float32)
        self._columns, self._rows = columns + np.float32(0.5), rows + np.float32(0.5)  # centres of the picture's pixels
        self._relief = DepthMap(portrait, EYES, [eye.ball for eye in self._eyes], (BALL_RADIUS, BALL_BACK))

    def look(
        self, gaze_deg: tuple[float, float], head_deg: tuple[float, float] = (0, 0), framing: Framing | None = None
    ) -> Picture:
        """Draw one moment.

        Args:
            gaze_deg: yaw and pitch against the lens, whatever the head does.
            head_deg: how far the head is turned from where it is in the portrait.
            framing: the usual one without.

        Returns:
            (H, W, 3), blue green red.
        """
        framing = framing or Framing()
        in_head = angles_deg(rotation(*head_deg).T @ direction(*gaze_deg))
        if in_head != self._looks_deg:
            for eye in self._eyes:
                self._large[eye.area] = eye.draw(*in_head)
            self._looks_deg = in_head
        left, top = framing.corner()
        step = 1 / framing.zoom()
        # The pixels in the portrait, then where the turned head shows what.
        x, y = self._columns * step + left, self._rows * step + top
        x, y = self._relief.shown_at(head_deg, framing.distance(), np.asarray(x, np.float32), np.asarray(y, np.float32))
        maps = (np.asarray(x * SCALE - 0.5, np.float32), np.asarray(y * SCALE - 0.5, np.float32))
        return np.asarray(cv2.remap(self._large, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.uint8)

    def corners(self, head_deg: tuple[float, float] = (0, 0), framing: Framing | None = None) -> list[Numbers]:
        """Return the corners of each eye in the picture, (2, 2), the picture's left one first."""
        framing = framing or Framing()
        places = [np.array([lids.upper[0], lids.upper[-1]]) for lids in EYES]
        return [
            (self._relief.turned(head_deg, framing.distance(), place) - framing.corner()) * framing.zoom()
            for place in places
        ]


class _Eye:
    """One eye: layers taken from the portrait, put together anew for each pose."""

    def __init__(self, picture: NDArray[np.uint8], lids: EyeContour) -> None:
        left, right = int(lids.upper[0][0]) - 6, int(lids.upper[-1][0]) + 7
        top, bottom = int(min(y for _, y in lids.upper)) - 10, int(max(y for _, y in lids.lower)) + 10
        self.area = np.s_[top * SCALE : bottom * SCALE, left * SCALE : right * SCALE]
        self._corner = (left, top)
        self._skin = picture[self.area].astype(np.float32)
        rows, columns = np.indices(self._skin.shape[:2], dtype=np.float32)
        self._x: Layer = np.asarray((columns + 0.5) / SCALE + left, np.float32)
        self._y: Layer = np.asarray((rows + 0.5) / SCALE + top, np.float32)
        self._upper, self._lower = _curve(lids.upper, self._x), _curve(lids.lower, self._x)
        self._ends = (lids.upper[0][0], lids.upper[-1][0])
        self._iris = lids.iris
        self._whole_iris, self._white = self._complete(), self._without_iris()
        self._whole_iris, self._light = _without_light(self._whole_iris, self._x, self._y, lids.iris)
        # Her eyes rest a little off the lens; the eyeball's centre is where the iris would be if they did not.
        away = np.radians(TO_LENS_DEG)
        self.ball = (self._iris[0] + BALL_RADIUS * sin(away[0]), self._iris[1] - BALL_RADIUS * sin(away[1]))

    def draw(self, yaw_deg: float, pitch_deg: float) -> NDArray[np.uint8]:
        """Return the eye's area."""
        yaw, pitch = radians(yaw_deg), radians(pitch_deg)
        along, across, depth = self._turned(yaw, pitch)
        distance = np.hypot(along, across)
        shown = np.clip((IRIS_RADIUS * 1.06 - distance) / 0.7 + 0.5, 0, 1) * (depth > 0)
        iris = self._sample(self._whole_iris, self._iris[0] + along, self._iris[1] + across)
        way = (
            self.ball[0] + BALL_RADIUS * sin(yaw) * cos(pitch) - self._iris[0],
            self.ball[1] - BALL_RADIUS * sin(pitch) - self._iris[1],
        )
        ball = _over(self._white, iris, shown)
        ball += self._sample(self._light, self._x - LIGHT * way[0], self._y - LIGHT * way[1])
        return self._under_lids(ball, way[1])

    def _turned(self, yaw: float, pitch: float) -> tuple[Layer, Layer, Layer]:
        """Return where each pixel's ray meets the eyeball, in the eye's own axes, in pixels; depth is towards us."""
        x, y = (self._x - self.ball[0]) / BALL_RADIUS, (self._y - self.ball[1]) / BALL_RADIUS
        z = np.sqrt(np.maximum(1 - x * x - y * y, 0))
        turned_x = cos(yaw) * x - sin(yaw) * z
        middle = sin(yaw) * x + cos(yaw) * z
        turned_y = cos(pitch) * y + sin(pitch) * middle
        depth = cos(pitch) * middle - sin(pitch) * y
        return tuple(np.asarray(value * BALL_RADIUS, np.float32) for value in (turned_x, turned_y, depth))  # type: ignore[return-value]  # three of them

    def _under_lids(self, ball: Layer, down: float) -> NDArray[np.uint8]:
        half = (self._ends[1] - self._ends[0]) / 2
        bump = np.maximum(1 - ((self._x - np.mean(self._ends)) / half) ** 2, 0)
        opening = self._lower - self._upper
        drop = np.minimum(UPPER * down * bump, 0.9 * opening + LOWER * down * bump)
        sink = LOWER * down * bump
        edge, top = self._upper - LASHES, self._upper - LASHES - FOLD
        stretch = np.clip((self._y - top) / np.maximum(edge + drop - top, 0.1), 0, 1)
        above = np.where(self._y < edge + drop, top + stretch * (edge - top), self._y - drop)
        end = self._lower + BELOW
        share = np.clip((end - self._y) / np.maximum(end - self._lower - sink, 0.1), 0, 1)
        below = end - share * BELOW
        source = np.where(self._y < self._upper + drop + 0.5 * (opening + sink - drop), above, below)
        source = np.where((self._y < top) | (self._y > end), self._y, source)
        skin = self._sample(self._skin, self._x, source)
        inside = np.minimum(self._y - self._upper - drop - SOFT, self._lower + sink - self._y)
        shown = np.clip(inside / SOFT + 0.5, 0, 1) * (opening > 0.3)
        return np.asarray(np.clip(np.rint(_over(skin, ball, shown)), 0, 255), np.uint8)

    def _sample(self, layer: Layer, x: Numbers, y: Numbers) -> Layer:
        columns, rows = ((value - start) * SCALE - 0.5 for value, start in zip((x, y), self._corner, strict=True))
        maps = (np.asarray(columns, np.float32), np.asarray(rows, np.float32))
        return np.asarray(cv2.remap(layer, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)

    def _complete(self) -> Layer:
        """Show the whole iris: what lids hide is its lower or upper part upside down."""
        mirrored = self._sample(self._skin, self._x, 2 * np.float32(self._iris[1]) - self._y)
        hidden = np.clip((self._upper + 1.8 - self._y) / 0.8 + 0.5, 0, 1)
        return _over(self._skin, mirrored, np.asarray(hidden, np.float32))

    def _without_iris(self) -> Layer:
        """Take the iris out: each row runs from the white on its one side to the white on its other."""
        white = self._skin.copy()
        x = self._x[0]
        gap = np.flatnonzero(np.abs(x - self._iris[0]) < IRIS_RADIUS * 1.35)
        first, last = gap[0] - 1, gap[-1] + 1
        share = ((x[gap] - x[first]) / (x[last] - x[first]))[None, :, None]
        ends = [cv2.GaussianBlur(self._skin[:, end - 4 : end + 5], (0, 0), 3.0)[:, 4:5] for end in (first, last)]
        white[:, gap] = ends[0] * (1 - share) + ends[1] * share
        # Rows beside the lids have lashes at their ends; the white is taken from the rows in the middle there.
        middle = (self._upper[0] + self._lower[0]) / 2
        rows = np.clip(self._y, self._upper + 2.2, np.maximum(self._lower - 1.0, middle))
        return self._sample(white, self._x, np.asarray(rows, np.float32))


def _curve(line: tuple[tuple[float, float], ...], x: Layer) -> Layer:
    points = np.array(line)
    fitted = np.polynomial.Polynomial.fit(points[:, 0], points[:, 1], 4)
    return np.asarray(fitted(np.clip(x, points[0, 0], points[-1, 0])), np.float32)


def _over(below: Layer, above: Layer, share: Numbers) -> Layer:
    return np.asarray(below + np.asarray(share, np.float32)[..., None] * (above - below), np.float32)


def _without_light(layer: Layer, x: Layer, y: Layer, iris: tuple[float, float]) -> tuple[Layer, Layer]:
    """Part the lamp's image from the iris."""
    grey = layer.mean(axis=2)
    within = np.hypot(x - iris[0], y - iris[1]) < IRIS_RADIUS
    bright = (within & (grey > np.median(grey[within]) + 45)).astype(np.uint8)
    bright = cv2.dilate(bright, np.ones((7, 7), np.uint8)) * within.astype(np.uint8)
    plain = cv2.inpaint(np.clip(layer, 0, 255).astype(np.uint8), bright, 6, cv2.INPAINT_TELEA).astype(np.float32)
    soft = cv2.GaussianBlur(bright.astype(np.float32), (0, 0), 1.5)[..., None]
    return np.asarray(plain, np.float32), np.asarray(np.maximum(layer - plain, 0) * soft, np.float32)
