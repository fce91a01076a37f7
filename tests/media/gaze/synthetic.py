"""Frames of a portrait with a known gaze, face finders without faces, and estimates made of numbers."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.corrector import Corrector
from media.gaze.errors import EngineFailed
from media.gaze.estimate.geometry import Eye
from media.gaze.estimate.measure import GazeEstimate
from media.gaze.face.faces import Face
from media.gaze.report import FrameResult
from media.sample.portrait import EYES, SCALE, Portrait

CLIPS = Path(__file__).parents[4] / "shared" / "clips"  # real recordings; never part of the project
LEFT, TOP, ZOOM = 118.0, 8.0, 3.4  # how the portrait is framed: its corner, and picture pixels a portrait pixel
SIZE = (720, 960)  # width and height


def to_frame_px(x: float, y: float) -> tuple[float, float]:
    """Say where a place of the portrait lies in the frames made here."""
    return (x - LEFT) * ZOOM, (y - TOP) * ZOOM


def portrait_frame(portrait: Portrait, gaze_deg: tuple[float, float], closed: float = 0.0, index: int = 0) -> Planes:
    """Draw one frame of the portrait with a known gaze."""
    step = SCALE / ZOOM
    framing = np.array([[step, 0, LEFT * SCALE], [0, step, TOP * SCALE]])
    flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
    return planes(cv2.warpAffine(portrait.pose(gaze_deg, closed), framing, SIZE, flags=flags), index)


def two_portraits(
    portrait: Portrait, left: tuple[float, float], right: tuple[float, float], *, scale: float = 1.0, index: int = 0
) -> Planes:
    """Draw two faces side by side; the one on the right may be smaller."""
    one, other = portrait_frame(portrait, left, index=index), portrait_frame(portrait, right, index=index)
    planes_of = []
    for name, size in (("y", SIZE), ("u", (SIZE[0] // 2, SIZE[1] // 2)), ("v", (SIZE[0] // 2, SIZE[1] // 2))):
        small = cv2.resize(getattr(other, name), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        beside = np.full((size[1], size[0]), 128, np.uint8)
        beside[: small.shape[0], : small.shape[1]] = small
        planes_of.append(np.hstack([getattr(one, name), beside]))
    return Planes(planes_of[0], planes_of[1], planes_of[2], index, index / 30)


def with_sunglasses(frame: Planes) -> Planes:
    """Put dark glasses on the portrait, in place."""
    for lids in EYES:
        (left, top), (right, bottom) = to_frame_px(*lids.upper[0]), to_frame_px(*lids.upper[-1])
        middle, width = ((left + right) / 2, (top + bottom) / 2), abs(right - left)
        for plane, size, shade in ((frame.y, 1, 32), (frame.u, 2, 128), (frame.v, 2, 128)):
            centre = (round(middle[0] / size), round((middle[1] + 0.1 * width) / size))
            cv2.ellipse(plane, centre, (round(0.8 * width / size), round(0.6 * width / size)), 0, 0, 360, shade, -1)
    return frame


def darkened(frame: Planes, share: float) -> Planes:
    """Take light away, in place, and let the camera's noise show."""
    noise = np.random.default_rng(frame.index).normal(0, 2, frame.y.shape)
    for plane, black in ((frame.y, 16), (frame.u, 128), (frame.v, 128)):
        plane[...] = np.clip((plane - np.float64(black)) * share + black + (noise if plane is frame.y else 0), 0, 255)
    return frame


def planes(bgr: object, index: int = 0) -> Planes:
    """Turn a colour picture into planes."""
    picture = np.asarray(bgr, np.uint8)
    height, width = picture.shape[:2]
    stacked = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)
    chroma = stacked[height:].reshape(2, height // 2, width // 2)
    return Planes(stacked[:height].copy(), chroma[0].copy(), chroma[1].copy(), index, index / 30)


def noise(index: int, height: int = 64, width: int = 96) -> Planes:
    """Draw a frame of noise that no other index has."""
    rng = np.random.default_rng(index)
    shapes = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    y, u, v = (rng.integers(16, 235, shape, dtype=np.uint8) for shape in shapes)
    return Planes(y, u, v, index, index / 30)


def copied(frame: Planes) -> Planes:
    """Copy a frame, so that it can be compared with what a stage makes of it."""
    return Planes(frame.y.copy(), frame.u.copy(), frame.v.copy(), frame.index, frame.time_s)


def same(one: Planes, other: Planes) -> bool:
    """Return whether two frames have the same samples."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("y", "u", "v"))


def iris_place(frame: Planes, side: int) -> NDArray[np.float64]:
    """Find an iris by the centre of gravity of what is dark between the lids, in pixels of the portrait.

    Knows the drawn lids of the portrait, nothing of landmarks.
    """
    lids = EYES[side]
    outline = [*lids.upper, *reversed(lids.lower)]
    polygon = np.array([to_frame_px(x, y) for x, y in outline]).round().astype(np.int32)
    between = cv2.fillPoly(np.zeros(frame.y.shape, np.uint8), [polygon], 1)
    between = cv2.erode(between, np.ones((5, 5), np.uint8))  # without lashes and lid edges
    darkness = np.clip(120 - frame.y.astype(np.float64), 0, None) * between
    rows, columns = np.indices(frame.y.shape)
    total = darkness.sum()
    centre = np.array([(darkness * columns).sum() / total, (darkness * rows).sum() / total])
    return np.asarray(centre / ZOOM + (LEFT, TOP), np.float64)


class NoFaces:
    """A finder that sees no face."""

    in_any_order = True

    def find(self, frame: Planes) -> list[Face]:
        return []

    def redetect(self, frame: Planes, face: Face) -> Face | None:
        return None

    def close(self) -> None:
        pass


class FailingFinder(NoFaces):
    """A finder that fails on every picture."""

    def find(self, frame: Planes) -> list[Face]:
        raise EngineFailed("no engine today")


def corrected(stage: Corrector, frames: Iterable[Planes]) -> list[Planes]:
    """Send frames through a stage."""
    out: list[Planes] = []
    for frame in frames:
        out += stage.push(frame)
    return out + stage.drain()


def an_eye(*, middle: tuple[float, float] = (100.0, 60.0), width: float = 60.0, opening: float = 0.3) -> Eye:
    """Make an eye of round numbers: lids are parabolas over the corners' line."""
    x = np.linspace(-0.5, 0.5, 9)
    arch = (0.25 - x**2) * 4
    upper = np.stack([x, -0.75 * opening * 1.4 * arch], axis=1) * width + middle
    lower = np.stack([x, 0.25 * opening * 1.4 * arch], axis=1) * width + middle
    return Eye(upper, lower, np.array(middle, np.float64) - (0, 0.1 * width), 0.2 * width)


def an_estimate(
    gaze_deg: tuple[float, float] = (0.0, 0.0),
    *,
    head_deg: tuple[float, float] = (0.0, 0.0),
    opening: float = 0.3,
    width: float = 60.0,
) -> GazeEstimate:
    """Make a measurement out of numbers."""
    eyes = (
        an_eye(middle=(100.0, 60.0), width=width, opening=opening),
        an_eye(middle=(200.0, 60.0), width=width, opening=opening),
    )
    return GazeEstimate.of(eyes, gaze_deg, head_deg, radius_px=27.0)


def shares(told: Sequence[FrameResult]) -> list[float]:
    """Return how far each frame was corrected."""
    return [one.applied for one in told]
