"""From a decoded frame to the upright picture with square pixels that is encoded: orientation, size, colour, planes."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter
from numpy.typing import NDArray

from media.frames import Planes
from media.tone import ToneMapper

LONG_SIDE, SHORT_SIDE = 1920, 1080  # the biggest master, portrait or landscape; a square one is 1080 x 1080
HDR_CURVES = {int(ColorTrc.ARIB_STD_B67): "hlg", int(ColorTrc.SMPTE2084): "pq"}
SD_HEIGHT = 720  # below it an untagged picture is taken for BT.601, as players do
H273_BT709 = 1  # ITU-T H.273: primaries, transfer and matrix of BT.709 all have this number
PLAIN_FORMATS = {"yuv420p", "yuvj420p"}


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture is made upright: turned clockwise, then flipped left to right."""

    rotation: int  # 0, 90, 180 or 270
    mirrored: bool

    @property
    def lies(self) -> bool:
        """Say whether width and height change places."""
        return self.rotation in {90, 270}


def orientation_of(frame: VideoFrame) -> Orientation:
    """Read a frame's display matrix (ISO/IEC 14496-12, 6.2.2), rounded to quarter turns."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation(0, mirrored=False)
    # The stub calls it an object; it is a buffer of nine 32-bit numbers.
    a, b, _, c, d, *_ = struct.unpack("=9i", memoryview(cast("bytes", data)))
    # (x, y) is shown at (a x + c y, b x + d y), y down. A mirror has a negative determinant; take it out on the left.
    mirrored = a * d - b * c < 0
    if mirrored:
        a = -a
        c = -c
    if abs(a) >= abs(b):
        return Orientation(0 if a >= 0 else 180, mirrored)
    return Orientation(90 if b > 0 else 270, mirrored)


def square(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Return the size with square pixels; the longer way is stretched, so that nothing is lost."""
    if not aspect or aspect <= 0 or aspect == 1:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def output_size(
    width: int, height: int, *, long_side: int = LONG_SIDE, short_side: int = SHORT_SIDE
) -> tuple[int, int]:
    """Fit an upright picture into the biggest master: never bigger than it was, both sides even.

    Args:
        width: in square pixels.
        height: in square pixels.
        long_side: of the biggest master, in pixels.
        short_side: likewise.
    """
    wide, high = (long_side, short_side) if width > height else (short_side, long_side)
    scale = min(Fraction(1), Fraction(wide, width), Fraction(high, height))
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def upright_size(frame: VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """Return a frame's size once it stands upright with square pixels."""
    width, height = square(frame.width, frame.height, aspect)
    return (height, width) if orientation_of(frame).lies else (width, height)


class Developer:
    """Turns a stream of decoded frames into planes of one size; keeps libav's scaler between frames."""

    def __init__(self, size: tuple[int, int], orientation: Orientation, aspect: Fraction | None) -> None:
        self.size = size
        self._orientation = orientation
        self._aspect = aspect
        self._scaler = VideoReformatter()
        self._tone: ToneMapper | None = None

    def shrinks(self, frame: VideoFrame) -> bool:
        """Say whether a frame takes much more memory than what it becomes."""
        width, height = self.size
        return sum(plane.buffer_size for plane in frame.planes) > 3 * (width * height * 3 // 2)

    def develop(self, frame: VideoFrame, index: int, time_s: float) -> Planes:
        """Return the frame as planes of our own, upright, in the output size, BT.709 limited range."""
        width, height = self.size if not self._orientation.lies else self.size[::-1]
        ready = self._reformat(frame, width, height)
        y, u, v = (self._turn(plane) for plane in _planes(ready, width, height))
        return Planes(y, u, v, index, time_s)

    def _reformat(self, frame: VideoFrame, width: int, height: int) -> VideoFrame:
        if _is_ready(frame) and self._fits(frame, width, height):
            return frame
        if frame.color_trc in HDR_CURVES:
            self._tone = self._tone or ToneMapper(HDR_CURVES[frame.color_trc], width, height)
            return self._tone.develop(frame)
        return self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format="yuv420p",
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            src_colorspace=_matrix(frame),
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG if is_full(frame) else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )

    def _fits(self, frame: VideoFrame, width: int, height: int) -> bool:
        # One row or column too many is cut off instead of scaled away, which would blur the whole picture.
        plain = square(frame.width, frame.height, self._aspect) == (frame.width, frame.height)
        return plain and 0 <= frame.width - width <= 1 and 0 <= frame.height - height <= 1

    def _turn(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        turned = {
            90: cv2.ROTATE_90_CLOCKWISE,
            180: cv2.ROTATE_180,
            270: cv2.ROTATE_90_COUNTERCLOCKWISE,
        }.get(self._orientation.rotation)
        if turned is not None:
            plane = np.asarray(cv2.rotate(plane, turned), dtype=np.uint8)
        if self._orientation.mirrored:
            plane = np.asarray(cv2.flip(plane, 1), dtype=np.uint8)
        # The decoder still needs its own picture, so ours is always a copy.
        return plane if turned is not None or self._orientation.mirrored else plane.copy()


def to_frame(planes: Planes) -> VideoFrame:
    """Copy planes into a frame of libav's, tagged BT.709 limited range."""
    height, width = planes.y.shape
    frame = VideoFrame(width, height, "yuv420p")
    for plane, values in zip(frame.planes, (planes.y, planes.u, planes.v), strict=True):
        # A plane is a writable buffer; its stub does not say so.
        room = np.frombuffer(cast("bytearray", plane), np.uint8).reshape(plane.height, plane.line_size)
        room[:, : values.shape[1]] = values
    frame.colorspace = frame.color_primaries = frame.color_trc = H273_BT709
    frame.color_range = ColorRange.MPEG
    return frame


def to_rgb(planes: Planes) -> NDArray[np.uint8]:
    """Return the picture as (H, W, 3), red first, full range."""
    rgb = to_frame(planes).reformat(
        format="rgb24", src_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.JPEG, threads=1
    )
    return np.asarray(rgb.to_ndarray(), np.uint8)


def is_full(frame: VideoFrame) -> bool:
    """Say whether black is 0 and white is 255."""
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")


def _is_ready(frame: VideoFrame) -> bool:
    return frame.format.name in PLAIN_FORMATS and not is_full(frame) and _matrix(frame) == Colorspace.ITU709


def _matrix(frame: VideoFrame) -> Colorspace:
    # AVColorSpace numbers (ITU-T H.273, table 4): 1 BT.709, 5 and 6 BT.601, 7 SMPTE 240M, 9 and 10 BT.2020.
    known = {
        1: Colorspace.ITU709,
        4: Colorspace.FCC,
        5: Colorspace.ITU601,
        6: Colorspace.ITU601,
        7: Colorspace.SMPTE240M,
        9: Colorspace.BT2020,
        10: Colorspace.BT2020,
    }
    guess = Colorspace.ITU601 if min(frame.width, frame.height) < SD_HEIGHT else Colorspace.ITU709
    return known.get(frame.colorspace, guess)


def _planes(frame: VideoFrame, width: int, height: int) -> list[NDArray[np.uint8]]:
    sizes = ((width, height), (width // 2, height // 2), (width // 2, height // 2))
    return [
        # A plane is a buffer; its stub does not say so.
        np.frombuffer(cast("bytes", plane), np.uint8).reshape(plane.height, plane.line_size)[:high, :wide]
        for plane, (wide, high) in zip(frame.planes, sizes, strict=True)
    ]
