"""Turns landscape pictures into vertical ones: cropped, or whole in front of a blurred background.

Applied after the gaze correction, which depends on the lens's position in the picture. Portrait and square pictures are
not changed. `media.reframing.following` finds the speaker.
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
BACKGROUND_SHRINK = 8  # divisor of the background's sides while it is blurred, which costs little CPU then
BLUR_SHARE = 0.04  # of the output's width
BACKGROUND_LIGHT, BACKGROUND_COLOUR = 0.6, 0.8  # gains of luma and chroma, to set the background apart

Plane = NDArray[np.uint8]
Framing = Callable[[Planes], Planes]
"""Returns the picture to encode for an upright picture; all of them have the same size."""


class Layout(StrEnum):
    """The layout of a landscape video's parts; the values of `--landscape`."""

    NONE = "none"  # landscape
    CROP = "crop"  # a vertical window that follows the speaker; `BLUR` if there is no single speaker
    BLUR = "blur"  # the whole picture in front of a blurred background


class Fallback(StrEnum):
    """The reason why `Layout.BLUR` is used instead of `Layout.CROP`; stable codes."""

    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    DETECTOR_FAILED = "detector_failed"


@dataclass(frozen=True, slots=True)
class FramingPlan:
    """The framing of a span's pictures."""

    layout: Layout
    apply: Framing
    reason: Fallback | None = None  # why the layout is not the requested one

    def to_json(self) -> dict[str, str | None]:
        """Return layout and reason as plain values."""
        return {"layout": self.layout, "reason": self.reason}


def is_landscape(width: int, height: int) -> bool:
    """Return whether a picture is wider than high."""
    return width > height


@dataclass(frozen=True)
class Crop:
    """A window as high as the picture, whose centre follows a path.

    Args:
        middles: x of the window's centre for each frame of the span, as a share of the picture's width.
    """

    middles: NDArray[np.float64]

    def __call__(self, frame: Planes) -> Planes:
        """Return the part of a frame in the window."""
        height, width = frame.y.shape
        wide = crop_width(width, height)
        # Whole pixels, so that nothing is resampled; chroma may be off by half a pixel, which is not visible.
        left = round(self.middles[min(frame.index, len(self.middles) - 1)] * width - wide / 2)
        left = min(max(left, 0), width - wide)
        half = min(left // 2, width // 2 - wide // 2)
        y = np.ascontiguousarray(frame.y[:, left : left + wide])
        u, v = (np.ascontiguousarray(plane[:, half : half + wide // 2]) for plane in (frame.u, frame.v))
        return Planes(y, u, v, frame.index, frame.time_s)


def crop_width(width: int, height: int) -> int:
    """Return the width of a vertical window in a landscape picture, in pixels; even."""
    return min(width, max(2, round(height * ASPECT / 2) * 2))


def blur(frame: Planes) -> Planes:
    """Return a vertical picture: the whole frame in front of its blurred and darkened middle."""
    height, width = frame.y.shape
    wide = min(1080, width)
    high = round(wide / ASPECT / 2) * 2
    front = max(4, min(high, round(height * wide / width / 4) * 4))
    top = (high - front) // 4 * 2
    y = _on_background(frame.y, (wide, high), (top, top + front), 16, BACKGROUND_LIGHT)
    half_size, half_rows = (wide // 2, high // 2), (top // 2, (top + front) // 2)
    u, v = (_on_background(plane, half_size, half_rows, 128, BACKGROUND_COLOUR) for plane in (frame.u, frame.v))
    return Planes(y, u, v, frame.index, frame.time_s)


def _on_background(plane: Plane, size: tuple[int, int], rows: tuple[int, int], neutral: int, gain: float) -> Plane:
    """Return one plane: the picture in some rows, and its blurred middle, drawn towards a value, behind it."""
    window = crop_width(plane.shape[1], plane.shape[0])
    left = (plane.shape[1] - window) // 2
    small = (max(size[0] // BACKGROUND_SHRINK, 2), max(size[1] // BACKGROUND_SHRINK, 2))
    shrunk = cv2.resize(plane[:, left : left + window], small, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur((shrunk.astype(np.float32) - neutral) * gain + neutral, (0, 0), BLUR_SHARE * small[0] + 0.5)
    filled = np.asarray(cv2.resize(soft.round().astype(np.uint8), size, interpolation=cv2.INTER_LINEAR), np.uint8)
    top, bottom = rows
    filled[top:bottom] = cv2.resize(plane, (size[0], bottom - top), interpolation=cv2.INTER_AREA)
    return filled
