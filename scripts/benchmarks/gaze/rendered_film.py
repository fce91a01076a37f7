"""A film whose true gaze is known in each frame: its script and its rendering.

Its parts: every direction at every angle from straight ahead; turned heads; eyes half as large. Looks into the lens lie
in between, as of a speaker who knows where it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from math import cos, radians, sin
from pathlib import Path

import cv2
import numpy as np

from media.frames import Planes
from media.process.files import atomic_write
from media.writing.encode import Master
from scripts.benchmarks.gaze.rendered_face import SIZE, Framing, RenderedFace

Angles = tuple[float, float]  # yaw and pitch

RATE = 30
GRAIN = 1.0  # standard deviation, grey levels
DEGREES = (5.0, 10.0, 15.0, 20.0)
DIRECTIONS = tuple((cos(radians(way)), sin(radians(way))) for way in range(0, 360, 45))
HEADS: tuple[Angles, ...] = ((-20, 0), (-10, 0), (10, 0), (20, 0), (0, -10), (0, 10))
TURNED_DEG = 10.0  # of the gaze with turned heads and with small eyes
FAR_PX = 380.0  # width of the framing with small eyes, 36 pixels wide
LENS_FIRST, HELD, EDGE = 45, 16, 5  # frames: the first look into the lens; each pose; of it, what filters may mix


@dataclass(frozen=True)
class Pose:
    """The true pose and gaze of one frame."""

    gaze_deg: Angles  # against the lens
    head_deg: Angles = (0.0, 0.0)  # against the portrait's
    wide_px: float = Framing.wide_px
    settled: bool = False  # held for long enough on both sides that no filter over time mixes it with another

    def framing(self, index: int) -> Framing:
        """The head sways a little, as a body does."""
        time_s = index / RATE
        return Framing(self.wide_px, 1.5 * sin(time_s * 0.9), 1.2 * sin(time_s * 1.3))


def script() -> list[Pose]:
    """Return the whole film."""
    into_lens = Pose((0.0, 0.0))
    held = [into_lens] * (LENS_FIRST // HELD)
    for step in DEGREES:
        held += [Pose((step * x, step * y)) for x, y in DIRECTIONS]
        held.append(into_lens)
    for head in HEADS:
        held += [Pose((TURNED_DEG * x, TURNED_DEG * y), head) for x, y in ((0, 0), *DIRECTIONS[::2])]
    held.append(into_lens)
    held += [Pose((TURNED_DEG * x, TURNED_DEG * y), wide_px=FAR_PX) for x, y in ((0, 0), *DIRECTIONS)]
    frames = [pose for pose in held for _ in range(HELD)]
    return [pose for _, alike in groupby(frames) for pose in _marked(list(alike))]


def _marked(held: list[Pose]) -> list[Pose]:
    return [
        Pose(pose.gaze_deg, pose.head_deg, pose.wide_px, settled=EDGE <= at < len(held) - EDGE)
        for at, pose in enumerate(held)
    ]


def film(path: Path, poses: list[Pose]) -> None:
    """Write it.

    Raises:
        Refused: the portrait is not installed.
        GazeError: the landmark engine does not start.
    """
    with atomic_write(path) as temporary:
        master = Master(temporary, size=SIZE, rate=Fraction(RATE), layout=None)
        for frame in frames(poses):
            master.add_frame(frame)
        master.close()


def frames(poses: list[Pose]) -> Iterator[Planes]:
    """Draw it frame by frame."""
    face, grain = RenderedFace(), np.random.default_rng(5)
    width, height = SIZE
    for index, pose in enumerate(poses):
        picture = face.look(pose.gaze_deg, pose.head_deg, pose.framing(index))
        planes = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
        y = planes[:height] + grain.standard_normal((height, width), np.float32) * np.float32(GRAIN)
        quarters = planes[height:].reshape(2, height // 2, width // 2)
        u, v = (np.ascontiguousarray(plane, np.uint8) for plane in quarters)
        yield Planes(np.clip(np.rint(y), 16, 235).astype(np.uint8), u, v, index, index / RATE)
