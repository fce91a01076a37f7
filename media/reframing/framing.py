"""How a landscape picture becomes a vertical one: cropped around the speaker, or whole before a blurred background.

Comes after the gaze correction, which reckons with where the lens is in the picture. Portrait and square pictures
stay as they are. Where the speaker is, is for `media.reframing.following` to say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes

ASPECT = Fraction(9, 16)
BACKGROUND_SHRINK = 8  # the background is blurred in this size and costs next to nothing
BLUR_SHARE = 0.04  # of the output's width
BACKGROUND_LIGHT, BACKGROUND_COLOUR = 0.6, 0.8  # so that nobody takes it for the picture

Plane = NDArray[np.uint8]
Framing = Callable[[Planes], Planes]
"""Make one upright picture into the one that is encoded; all come out in the same size."""


class Layout(StrEnum):
    """What is made of a landscape video."""

    NONE = "none"  # stays landscape
    CROP = "crop"  # a vertical window follows the speaker; blur where there is no single speaker to follow
    BLUR = "blur"  # everything stays to be seen


class Fallback(StrEnum):
    """Why a video that was to be cropped is shown whole before a blurred background."""

    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    DETECTOR_FAILED = "detector_failed"


@dataclass(frozen=True, slots=True)
class Framed:
    """What is to be done with a span's pictures, and why not what was asked for."""

    layout: Layout
    framing: Framing
    reason: Fallback | None = None

    def to_json(self) -> dict[str, str | None]:
        """Return what a report tells of it."""
        return {"layout": self.layout, "reason": self.reason}


def is_landscape(width: int, height: int) -> bool:
    """Say whether a picture is one that would be made vertical."""
    return width > height


@dataclass(frozen=True)
class Crop:
    """A window as high as the picture whose middle follows a path.

    Args:
        middles: x of the window's middle for each frame of the span, as a share of the picture's width.
    """

    middles: NDArray[np.float64]

    def __call__(self, frame: Planes) -> Planes:
        """Return the window of a frame."""
        height, width = frame.y.shape
        wide = crop_width(width, height)
        # Whole pixels of luma: half a pixel of chroma beside it is not seen, and nothing gets softer.
        left = round(self.middles[min(frame.index, len(self.middles) - 1)] * width - wide / 2)
        left = min(max(left, 0), width - wide)
        half = min(left // 2, width // 2 - wide // 2)
        y = np.ascontiguousarray(frame.y[:, left : left + wide])
        u, v = (np.ascontiguousarray(plane[:, half : half + wide // 2]) for plane in (frame.u, frame.v))
        return Planes(y, u, v, frame.index, frame.time_s)


def crop_width(width: int, height: int) -> int:
    """Return how wide a vertical window of a landscape picture is; even."""
    return min(width, max(2, round(height * ASPECT / 2) * 2))


def blur(frame: Planes) -> Planes:
    """Put the whole picture before a blurred and darkened part of itself, which fills a vertical one."""
    height, width = frame.y.shape
    wide = min(1080, width)
    high = round(wide / ASPECT / 2) * 2
    front = max(4, min(high, round(height * wide / width / 4) * 4))
    top = (high - front) // 4 * 2
    y = _on_background(frame.y, (wide, high), (top, top + front), 16, BACKGROUND_LIGHT)
    half_size, half_rows = (wide // 2, high // 2), (top // 2, (top + front) // 2)
    u, v = (_on_background(plane, half_size, half_rows, 128, BACKGROUND_COLOUR) for plane in (frame.u, frame.v))
    return Planes(y, u, v, frame.index, frame.time_s)


def _on_background(plane: Plane, size: tuple[int, int], rows: tuple[int, int], zero: int, gain: float) -> Plane:
    """Return one plane: the whole picture in some rows, behind it its middle, blurred and drawn towards a value."""
    window = crop_width(plane.shape[1], plane.shape[0])
    left = (plane.shape[1] - window) // 2
    small = (max(size[0] // BACKGROUND_SHRINK, 2), max(size[1] // BACKGROUND_SHRINK, 2))
    shrunk = cv2.resize(plane[:, left : left + window], small, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur((shrunk.astype(np.float32) - zero) * gain + zero, (0, 0), BLUR_SHARE * small[0] + 0.5)
    filled = np.asarray(cv2.resize(soft.round().astype(np.uint8), size, interpolation=cv2.INTER_LINEAR), np.uint8)
    top, bottom = rows
    filled[top:bottom] = cv2.resize(plane, (size[0], bottom - top), interpolation=cv2.INTER_AREA)
    return filled
