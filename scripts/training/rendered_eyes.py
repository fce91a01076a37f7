"""Eyes rendered in large numbers from random anatomy, light and gaze: training data whose gaze is known.

Nothing is taken from recordings. Geometry in millimetres in the head's coordinates: x to the picture's right, y down, z
to the viewer, origin midway between the corners of the lids. Grey levels from 0 to 1. Angles in degrees, yaw + to the
picture's right, pitch + up. All eyes are the one on the picture's right; the other one is its mirror image.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.estimate.eye_patch import EYE_PX, SIZE

Numbers = NDArray[np.floating[Any]]

IRIS_PLANE_MM = 10.4  # from the eyeball's centre
CORNEA_CENTRE_MM, CORNEA_RADIUS_MM = 5.6, 7.8
YAW_DEG, PITCH_DEG = 14.0, (-6.0, 11.0)  # of the gaze: deviation, and mean and deviation
HEAD_DEG = (9.0, 8.0)


@dataclass(frozen=True)
class Batch:
    """Rendered eyes and what is known about them."""

    patches: NDArray[np.uint8]  # (n, rows, columns)
    gaze_deg: Numbers  # (n, 2) against the lens
    head_deg: Numbers  # (n, 2) as a head pose is measured: with noise


class _Draw:
    """Random numbers, one for each eye of a batch, broadcast over its pixels."""

    def __init__(self, rng: np.random.Generator, count: int) -> None:
        self._rng, self._count = rng, count

    def normal(self, mean: float, deviation: float) -> Numbers:
        return np.asarray(mean + deviation * self._rng.standard_normal((self._count, 1, 1)), np.float32)

    def uniform(self, low: float, high: float) -> Numbers:
        return np.asarray(self._rng.uniform(low, high, (self._count, 1, 1)), np.float32)

    def chance(self, share: float) -> Numbers:
        return np.asarray(self._rng.random((self._count, 1, 1)) < share, np.float32)

    def texture(self, cells: tuple[int, int]) -> Numbers:
        """Return smooth noise of deviation 1 over the patch."""
        coarse = self._rng.standard_normal((self._count, *cells)).astype(np.float32)
        rows, columns = SIZE
        return np.array([cv2.resize(one, (columns, rows), interpolation=cv2.INTER_CUBIC) for one in coarse], np.float32)

    def fine(self) -> Numbers:
        return self._rng.standard_normal((self._count, *SIZE)).astype(np.float32)


def render(rng: np.random.Generator, count: int) -> Batch:
    """Render eyes."""
    draw = _Draw(rng, count)
    gaze = np.concatenate([draw.normal(0, YAW_DEG), draw.normal(*PITCH_DEG)], axis=1)[..., 0]
    gaze = np.clip(gaze, (-35, -34), (35, 24))
    head = np.concatenate([draw.normal(0, HEAD_DEG[0]), draw.normal(-2, HEAD_DEG[1])], axis=1)[..., 0]
    head = np.clip(head, gaze - 28, gaze + 28)
    eye = _Geometry(draw, gaze[..., None, None], head[..., None, None])
    picture = _painted(draw, eye)
    noisy_head = head + rng.normal(0, (2.0, 3.5), head.shape)
    return Batch(
        np.asarray(np.clip(np.rint(255 * picture), 0, 255), np.uint8),
        gaze.astype(np.float32),
        noisy_head.astype(np.float32),
    )


class _Geometry:
    """Places in the picture, for each pixel of each eye, in millimetres against the corners' middle."""

    def __init__(self, draw: _Draw, gaze: Numbers, head: Numbers) -> None:
        self.width = draw.normal(28.5, 1.8)  # from corner to corner
        rows, columns = SIZE
        right = (np.arange(columns, dtype=np.float32) + 0.5 - columns / 2) / EYE_PX
        down = (np.arange(rows, dtype=np.float32) + 0.5 - rows / 2)[:, None] / EYE_PX
        head_yaw, head_pitch = np.radians(head[:, 0]), np.radians(head[:, 1])
        yaw, pitch = np.radians(gaze[:, 0]), np.radians(gaze[:, 1])
        flat = self.width * np.cos(head_yaw)  # the corners' distance as it is seen
        # Landmarks of the corners are not exact, and not the same for all people.
        x = (right * draw.normal(1, 0.035) + draw.normal(0, 0.025)) * flat
        y = (down * draw.normal(1, 0.03) + draw.normal(0, 0.022) + draw.normal(0, 0.05) * right) * flat
        self.x, self.y = x, y
        self.along = np.clip(x / flat, -0.5, 0.5)
        arch = 1 - 4 * self.along**2
        # The eyeball turns with the gaze; its centre with the head.
        centre = (draw.normal(1.6, 0.9), draw.normal(-1.2, 1.2), -draw.normal(8.6, 1.0))
        ball_x = centre[0] * np.cos(head_yaw) + centre[2] * np.sin(head_yaw)
        ball_y = centre[1] * np.cos(head_pitch) - centre[2] * np.sin(head_pitch)
        look_x, look_y = np.sin(yaw) * np.cos(pitch), -np.sin(pitch)
        reach = draw.normal(IRIS_PLANE_MM, 0.5)
        self.iris_x, self.iris_y = ball_x + reach * look_x, ball_y + reach * look_y
        self.radius = draw.normal(5.85, 0.3)
        self.across = (look_x, look_y)
        self.cornea_x = ball_x + CORNEA_CENTRE_MM * look_x
        self.cornea_y = ball_y + CORNEA_CENTRE_MM * look_y
        # Lids follow the eye in the head, not the gaze; how far they cover the iris differs from person to person.
        in_head = 10.4 * np.sin(pitch - head_pitch)
        rest_y = centre[1]
        upper = rest_y - (5.85 - draw.normal(1.3, 1.1)) - draw.normal(0.85, 0.12) * in_head
        lower = rest_y + (5.85 - draw.normal(0.1, 0.8)) - draw.normal(0.45, 0.12) * in_head
        squint = draw.chance(0.35) * draw.uniform(-0.15, 0.5)
        middle = 0.4 * upper + 0.6 * lower
        upper, lower = upper + squint * (middle - upper), lower + squint * (middle - lower)
        lower = np.maximum(lower, upper + draw.uniform(1.5, 4.0))
        bulge = draw.normal(4.5, 1.0)  # lids lie on the eyeball, before the corners
        shift = bulge * np.sin(head_pitch)
        self.upper = self._lid(draw, upper * np.cos(head_pitch) - shift, arch, 0.25)
        self.lower = self._lid(draw, lower * np.cos(head_pitch) - shift, arch, 0.2)

    def _lid(self, draw: _Draw, middle: Numbers, arch: Numbers, skew: float) -> Numbers:
        shape = draw.uniform(0.75, 1.15)
        lean = 1 + draw.normal(0, skew) * 2 * self.along
        return np.asarray(middle * np.maximum(arch, 0) ** shape * np.maximum(lean, 0.3), np.float32)

    def iris_distance(self) -> Numbers:
        """Return the distance from the iris' centre in its own plane, over its radius."""
        x, y = self.x - self.iris_x, self.y - self.iris_y
        tilt = self.across[0] ** 2 + self.across[1] ** 2
        aside = (x * self.across[0] + y * self.across[1]) ** 2 / np.maximum(1 - tilt, 0.2)
        return np.asarray(np.sqrt(x * x + y * y + aside) / self.radius, np.float32)


def _edge(inside_mm: Numbers, soft_mm: Numbers | float) -> Numbers:
    return np.asarray(np.clip(inside_mm / soft_mm + 0.5, 0, 1), np.float32)


def _painted(draw: _Draw, eye: _Geometry) -> Numbers:
    skin = _skin(draw, eye)
    ball = _eyeball(draw, eye)
    open_ = _edge(np.minimum(eye.y - eye.upper, eye.lower - eye.y), 0.7) * (np.abs(eye.x) < 0.5 * eye.width)
    picture: Numbers = skin + open_ * (ball - skin)
    picture = _lashes(draw, eye, picture)
    picture = _glasses(draw, eye, picture)
    return _filmed(draw, picture)


def _eyeball(draw: _Draw, eye: _Geometry) -> Numbers:
    white = draw.uniform(0.45, 0.9)
    ball: Numbers = white * (1 - draw.uniform(0, 0.5) * (2 * eye.along) ** 2) + 0.02 * draw.texture((6, 9))
    # The corner at the nose is flesh.
    flesh = _edge(-(eye.along + draw.uniform(0.36, 0.46)) * eye.width, 2.0)
    ball = ball + flesh * (draw.uniform(0.35, 0.7) - ball)
    distance = eye.iris_distance()
    level = draw.uniform(0.08, 0.55) * white
    iris: Numbers = level * (
        1 + draw.uniform(0, 0.3) * (distance - 0.6) + draw.uniform(0, 0.15) * draw.texture((12, 18))
    )
    iris = iris * (1 - draw.uniform(0, 0.6) * _edge(distance - 0.86, 0.15))
    size = draw.uniform(0.25, 0.6)
    iris = iris + _edge((size - distance) * eye.radius, 0.5) * (draw.uniform(0.2, 0.8) * np.minimum(level, 0.2) - iris)
    ball = ball + _edge((1 - distance) * eye.radius, draw.uniform(0.4, 1.2)) * (iris - ball)
    ball = _lights(draw, eye, ball)
    # The upper lid and its lashes throw a shadow.
    depth = np.maximum(eye.y - eye.upper, 0)
    return np.asarray(ball * (1 - draw.uniform(0, 0.6) * np.exp(-depth / draw.uniform(0.7, 2.5))), np.float32)


def _lights(draw: _Draw, eye: _Geometry, ball: Numbers) -> Numbers:
    """Add reflections on the cornea: lamps, windows, screens, ring lights."""
    for share in (0.8, 0.35, 0.2):
        x = eye.x - eye.cornea_x - CORNEA_RADIUS_MM * np.sin(draw.normal(0, 0.22))
        y = eye.y - eye.cornea_y + CORNEA_RADIUS_MM * np.sin(draw.normal(0.15, 0.25))
        wide, high = draw.uniform(0.2, 1.3), draw.uniform(0.2, 1.3)
        box = np.maximum(np.abs(x) - wide, np.abs(y) - high)
        disc = np.hypot(x, y) - wide
        ring = np.abs(np.hypot(x, y) - draw.uniform(1.2, 2.8)) - draw.uniform(0.2, 0.5)
        kind = draw.uniform(0, 1)
        inside = -np.where(kind < 0.45, disc, np.where(kind < 0.85, box, ring))
        strength = draw.chance(share) * draw.uniform(0.2, 1)
        ball = ball + _edge(inside, 0.4) * strength * (draw.uniform(0.7, 1.1) - ball)
    return ball


def _skin(draw: _Draw, eye: _Geometry) -> Numbers:
    level = draw.uniform(0.15, 0.8)
    skin = level * (1 + draw.uniform(0, 0.12) * draw.texture((3, 4)) + draw.uniform(0, 0.06) * draw.texture((9, 14)))
    above = eye.upper - eye.y
    # Lid in make-up or shade, its crease, and the brow.
    skin = skin * (1 - draw.chance(0.4) * draw.uniform(0, 0.5) * np.exp(-np.maximum(above, 0) / 3) * (above > 0))
    crease = draw.uniform(1.5, 6.0) + draw.normal(0, 1.5) * eye.along
    skin = skin * (1 - draw.uniform(0, 0.5) * np.exp(-(((above - crease) / draw.uniform(0.3, 0.9)) ** 2)))
    brow = _edge(above - draw.uniform(8.0, 16.0), 2.5)
    skin = skin * (1 - brow * draw.uniform(0, 0.7))
    below = eye.y - eye.lower
    bag = draw.uniform(2.0, 6.0)
    skin = skin * (1 + draw.uniform(-0.25, 0.15) * np.exp(-(((below - bag) / draw.uniform(0.8, 2.0)) ** 2)))
    return np.asarray(skin, np.float32)


def _lashes(draw: _Draw, eye: _Geometry, picture: Numbers) -> Numbers:
    dark = draw.uniform(0.02, 0.3) * np.minimum(draw.uniform(0.3, 1), 1)
    thick = draw.uniform(0.2, 1.6)
    off = eye.y - eye.upper + draw.uniform(-0.3, 0.9)
    line = np.exp(-((off / thick) ** 2)) * (np.abs(eye.along) < 0.49)
    hairs = np.clip(0.5 + draw.uniform(0, 1.2) * draw.texture((5, 26)), 0, 1)
    long = np.exp(-np.maximum(-off, 0) / draw.uniform(0.5, 3.0)) * (off < 0) * hairs * (np.abs(eye.along) < 0.49)
    picture = picture + draw.uniform(0.2, 1) * line * (dark - picture)
    picture = picture + draw.uniform(0, 0.8) * long * (dark - picture)
    low = np.exp(-(((eye.y - eye.lower) / draw.uniform(0.3, 0.8)) ** 2)) * (np.abs(eye.along) < 0.49)
    wet = draw.chance(0.5)
    return np.asarray(
        picture + draw.uniform(0, 0.5) * low * (np.where(wet > 0, draw.uniform(0.4, 0.9), dark) - picture), np.float32
    )


def _glasses(draw: _Draw, eye: _Geometry, picture: Numbers) -> Numbers:
    has = draw.chance(0.3)
    for side in (-1, 1):
        place = side * draw.uniform(6.0, 16.0) + draw.normal(0, 2) * eye.along
        rim = _edge(draw.uniform(0.5, 2.0) - np.abs(eye.y - place), 0.6)
        picture = picture + has * draw.chance(0.8) * rim * (draw.uniform(0.03, 0.9) - picture)
    x = eye.x - draw.uniform(-14, 14)
    slope = draw.normal(0, 0.6)
    veil = _edge(draw.uniform(1.0, 6.0) - np.abs(x + slope * eye.y), 1.5)
    return np.asarray(picture + has * draw.chance(0.4) * veil * draw.uniform(0.05, 0.5) * (0.95 - picture), np.float32)


def _filmed(draw: _Draw, picture: Numbers) -> Numbers:
    """Light from a side, contrast, and the blur and noise of a camera with eyes 16 to 120 pixels wide."""
    rows, columns = SIZE
    right, down = np.linspace(-1, 1, columns, dtype=np.float32), np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    picture = picture * (1 + draw.normal(0, 0.15) * right + draw.normal(0, 0.12) * down)
    picture = np.maximum(picture, 0.004) ** draw.uniform(0.6, 1.3)
    picture = picture * draw.uniform(0.5, 1.1) + draw.uniform(0, 0.08)
    eye_px = np.exp(draw.uniform(np.log(16), np.log(120)))
    sigma = np.sqrt((draw.uniform(0.35, 0.9) * EYE_PX / eye_px) ** 2 + 0.3**2)
    soft = np.array([cv2.GaussianBlur(one, (0, 0), float(s)) for one, s in zip(picture, sigma[:, 0, 0], strict=True)])
    noise = draw.fine()
    grain = np.array([
        one if s < 0.7 else cv2.GaussianBlur(one, (0, 0), float(0.6 * s)) * float(1.5 * s)
        for one, s in zip(noise, sigma[:, 0, 0], strict=True)
    ])  # fmt: skip
    return np.asarray(soft + draw.uniform(0, 0.02) * grain, np.float32)
