"""Converts decoded frames to upright frames with square pixels: orientation, size, colour, planes."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from media.frames import Planes
from media.picture.matrix import FORMATS, MatrixConverter
from media.picture.plane_pool import PlanePool
from media.picture.tone import ToneMapper

LONG_SIDE, SHORT_SIDE = 1920, 1080  # of the largest master, portrait or landscape; a square one has 1080 x 1080
HDR_CURVES = {int(ColorTrc.ARIB_STD_B67): "hlg", int(ColorTrc.SMPTE2084): "pq"}
# ITU-T H.273, table 2: 9 is BT.2020, 11 and 12 are P3 (11 with cinema's white point, but phones mean 12). BT.601's
# primaries, 5 and 6, are not converted: they change skin by at most 1.5 codes of 255 (measured 2026-11-28), and many
# phones whose cameras have BT.709's primaries write them.
WIDE_GAMUTS = {9: "bt2020", 11: "p3", 12: "p3"}
SD_HEIGHT = 720  # untagged pictures with fewer lines are BT.601, as in players
H273_BT709 = 1  # ITU-T H.273: primaries, transfer and matrix of BT.709 all have this number
H273_BT601 = 6
SWSCALE_MATRICES = {  # ITU-T H.273, table 4
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
MATRIX_NAMES = {
    Colorspace.ITU709: "bt709",
    Colorspace.FCC: "fcc",
    Colorspace.ITU601: "bt601",
    Colorspace.SMPTE240M: "smpte240m",
    Colorspace.BT2020: "bt2020",
}
PLAIN_FORMATS = {"yuv420p", "yuvj420p"}
MIN_PIXEL_ASPECT = Fraction(1, 8)  # the widest pixels in use are 4:1 (VCD stills), those of anamorphic lenses 2:1
NEARLY_SQUARE = Fraction(1, 100)  # the least distorted pixels in use are PAL's 16:15; screen recorders write 1787:1789
BLACK_LUMA, NEUTRAL_CHROMA = 16, 128
ROUNDING_PX = 4


@dataclass(frozen=True, slots=True)
class Orientation:
    """The rotation, clockwise, and the horizontal flip after it that make a stored picture upright."""

    rotation: int  # 0, 90, 180 or 270
    mirrored: bool

    @property
    def swaps_sides(self) -> bool:
        """Return whether the rotation exchanges width and height."""
        return self.rotation in {90, 270}


def orientation_of(frame: VideoFrame) -> Orientation:
    """Read a frame's display matrix (ISO/IEC 14496-12, 6.2.2), rounded to quarter turns."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation(0, mirrored=False)
    # The stub calls it an object; it is a buffer of nine 32-bit numbers.
    a, b, _, c, d, *_ = struct.unpack("=9i", memoryview(cast("bytes", data)))
    # (x, y) is shown at (a x + c y, b x + d y), y down. A flip has a negative determinant; it is removed on the left.
    mirrored = a * d - b * c < 0
    if mirrored:
        a = -a
        c = -c
    if abs(a) >= abs(b):
        return Orientation(0 if a >= 0 else 180, mirrored)
    return Orientation(90 if b > 0 else 270, mirrored)


class PixelAspect:
    """The sample aspect ratio of a stream (width : height of a pixel), chosen as players do.

    The container's ratio comes before the coded stream's, as in libav's `av_guess_sample_aspect_ratio` (ffplay, VLC,
    mpv): MP4's `pasp`, else the track's size relative to the coded size; Matroska's display size. A ratio from a track
    size whose orientation differs from the sample entry's is ignored.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._context = stream.codec_context
        aspect = stream.sample_aspect_ratio
        # Before the first decoded picture, both attributes have the coded stream's ratio.
        is_known = aspect is not None and aspect > 0 and aspect != self._context.sample_aspect_ratio
        self._container = aspect if aspect and is_known and not self._is_of_turned_size(aspect) else None

    @property
    def current(self) -> Fraction | None:
        """Return the ratio for the last decoded picture; None if it is not specified."""
        return self._container or self._context.sample_aspect_ratio

    def _is_of_turned_size(self, aspect: Fraction) -> bool:
        width, height = self._context.width, self._context.height
        if not width or not height or width == height:
            return False
        turned = Fraction(height, width) ** 2  # libav uses the last sample entry, which need not be the decoded one
        return any(abs(aspect / ratio - 1) < NEARLY_SQUARE for ratio in (turned, 1 / turned))


def square(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Return the size with square pixels; one side is enlarged, so that no detail is lost.

    Ratios of nearly 1, which are rounding errors, and implausible ones are ignored.
    """
    if not aspect or not MIN_PIXEL_ASPECT <= aspect <= 1 / MIN_PIXEL_ASPECT or abs(aspect - 1) < NEARLY_SQUARE:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def output_size(
    width: int, height: int, *, long_side: int = LONG_SIDE, short_side: int = SHORT_SIDE
) -> tuple[int, int]:
    """Return the size of an upright picture in the largest master: never enlarged, both sides even.

    Args:
        width: in square pixels.
        height: in square pixels.
        long_side: of the largest master, in pixels.
        short_side: likewise.
    """
    wide, high = (long_side, short_side) if width > height else (short_side, long_side)
    scale = min(Fraction(1), Fraction(wide, width), Fraction(high, height))
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def upright_size(frame: VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """Return a frame's upright size in square pixels."""
    width, height = square(frame.width, frame.height, aspect)
    return (height, width) if orientation_of(frame).swaps_sides else (width, height)


def inner_size(upright: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of a picture that is scaled to fit into a size; that size if the aspect ratios agree."""
    scale = min(Fraction(size[0], upright[0]), Fraction(size[1], upright[1]))
    width, height = (max(2, round(side * scale / 2) * 2) for side in upright)
    # Rounding to even sides must not add a black line to a picture with the same aspect ratio.
    agrees = size[0] - width <= ROUNDING_PX and size[1] - height <= ROUNDING_PX
    return size if agrees else (min(width, size[0]), min(height, size[1]))


class FrameConverter:
    """Converts decoded frames of one format into planes of one size; keeps libav's scaler between frames.

    A frame with another aspect ratio is shown whole, with black bars.
    """

    def __init__(self, size: tuple[int, int], orientation: Orientation, aspect: Fraction | None) -> None:
        self.size = size
        self._orientation = orientation
        self._aspect = aspect
        self._scaler = VideoReformatter()
        self._tone: ToneMapper | None = None
        self._matrix_converter = MatrixConverter()
        self._pool = PlanePool()

    def shrinks(self, frame: VideoFrame) -> bool:
        """Return whether a frame takes more than three times the memory of its converted planes."""
        width, height = self.size
        return sum(plane.buffer_size for plane in frame.planes) > 3 * (width * height * 3 // 2)

    def convert(self, frame: VideoFrame, index: int, time_s: float) -> Planes:
        """Return a frame as newly allocated planes: upright, in the output size, BT.709 limited range."""
        upright = square(frame.width, frame.height, self._aspect)
        inner = inner_size(upright[::-1] if self._orientation.swaps_sides else upright, self.size)
        width, height = inner if not self._orientation.swaps_sides else inner[::-1]
        ready = self._reformat(frame, width, height)
        y, u, v = (self._rotate(plane) for plane in _planes(ready, width, height))
        if inner == self.size:
            return Planes(y, u, v, index, time_s)
        half = (self.size[0] // 2, self.size[1] // 2)
        y, u, v = (
            _letterboxed(y, self.size, BLACK_LUMA),
            _letterboxed(u, half, NEUTRAL_CHROMA),
            _letterboxed(v, half, NEUTRAL_CHROMA),
        )
        return Planes(y, u, v, index, time_s)

    def copy(self, planes: Planes, index: int, time_s: float) -> Planes:
        """Return a converted frame once more, for another tick."""
        y, u, v = (self._pool.copy(plane) for plane in (planes.y, planes.u, planes.v))
        return Planes(y, u, v, index, time_s)

    def _reformat(self, frame: VideoFrame, width: int, height: int) -> VideoFrame:
        if _needs_no_conversion(frame) and self._fits(frame, width, height):
            return frame
        if table := _table(frame):
            if self._tone is None or self._tone.table != table:
                matrix = "bt2020" if table in HDR_CURVES.values() else MATRIX_NAMES[_matrix(frame)]
                self._tone = ToneMapper(table, width, height, matrix)
            return self._tone.convert(frame)
        if _is_ycbcr(frame) and (is_full(frame) or _matrix(frame) != Colorspace.ITU709):
            return self._to_bt709(frame, width, height)
        return self._scaled(frame, width, height)

    def _to_bt709(self, frame: VideoFrame, width: int, height: int) -> VideoFrame:
        number, full = _matrix_number(frame), is_full(frame)
        if frame.format.name not in FORMATS or not self._fits(frame, width, height):
            depth = "yuv420p10le" if frame.format.components[0].bits > 8 else "yuv420p"
            frame = self._scaled(frame, width, height, depth, is_converted=False)
        return self._matrix_converter.convert(frame, width, height, number, is_full=full)

    def _scaled(
        self, frame: VideoFrame, width: int, height: int, pixel_format: str = "yuv420p", *, is_converted: bool = True
    ) -> VideoFrame:
        """Scale with swscale, whose conversion between matrices is not exact (`media.picture.matrix`)."""
        source = ColorRange.JPEG if is_full(frame) else ColorRange.MPEG
        return self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format=pixel_format,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            src_colorspace=_matrix(frame),
            dst_colorspace=Colorspace.ITU709 if is_converted else _matrix(frame),
            src_color_range=source,
            dst_color_range=ColorRange.MPEG if is_converted else source,
            threads=1,
        )

    def _fits(self, frame: VideoFrame, width: int, height: int) -> bool:
        # An odd row or column is cut off; scaling by one pixel would blur the whole picture.
        plain = square(frame.width, frame.height, self._aspect) == (frame.width, frame.height)
        return plain and 0 <= frame.width - width <= 1 and 0 <= frame.height - height <= 1

    def _rotate(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        turned = {
            90: cv2.ROTATE_90_CLOCKWISE,
            180: cv2.ROTATE_180,
            270: cv2.ROTATE_90_COUNTERCLOCKWISE,
        }.get(self._orientation.rotation)
        if turned is None:  # the decoder still needs its picture
            upright = self._pool.copy(plane)
        else:
            height, width = plane.shape[::-1] if self._orientation.swaps_sides else plane.shape
            upright = self._pool.empty(height, width)
            cv2.rotate(plane, turned, upright)
        if not self._orientation.mirrored:
            return upright
        mirrored = self._pool.empty(*upright.shape)
        cv2.flip(upright, 1, mirrored)
        return mirrored


class StreamConverter:
    """Converts the decoded frames of a stream, whose format may change, into planes of one size."""

    def __init__(
        self, size: tuple[int, int] | None = None, long_side: int = LONG_SIDE, short_side: int = SHORT_SIDE
    ) -> None:
        """Set the size of all planes.

        Args:
            size: width and height, reduced to fit into the sides; None: from the first frame.
            long_side: maximum, in pixels.
            short_side: likewise.
        """
        self._sides = long_side, short_side
        self._size = None if size is None else output_size(*size, long_side=long_side, short_side=short_side)
        self._format: tuple[int, int, int] | None = None
        self._converter: FrameConverter | None = None

    def is_new(self, frame: VideoFrame) -> bool:
        """Return whether a frame has another format than the previous one."""
        return self._format != self._format_of(frame)

    def converter_for(self, frame: VideoFrame, aspect: PixelAspect) -> FrameConverter:
        """Return the converter for frames of this format."""
        if self._converter is None or self.is_new(frame):
            self._format = self._format_of(frame)
            long_side, short_side = self._sides
            upright = upright_size(frame, aspect.current)
            self._size = self._size or output_size(*upright, long_side=long_side, short_side=short_side)
            self._converter = FrameConverter(self._size, orientation_of(frame), aspect.current)
        return self._converter

    def _format_of(self, frame: VideoFrame) -> tuple[int, int, int]:
        # A display orientation SEI message comes with a key frame and applies to the following frames (ITU-T H.264,
        # D.2.27), but libav attaches it to the key frame only. Side data keep their frame alive in PyAV; `rotation`
        # does not.
        rotation = frame.rotation if frame.key_frame or self._format is None else self._format[2]
        return frame.width, frame.height, rotation


def _letterboxed(plane: NDArray[np.uint8], size: tuple[int, int], black: int) -> NDArray[np.uint8]:
    """Centre a plane in a larger one; at even offsets, so that luma and chroma agree."""
    width, height = size
    whole = np.full((height, width), black, np.uint8)
    step = 2 if black == BLACK_LUMA else 1  # chroma has half the resolution
    top, left = (
        (available - side) // (2 * step) * step for available, side in zip((height, width), plane.shape, strict=True)
    )
    whole[top : top + plane.shape[0], left : left + plane.shape[1]] = plane
    return whole


def to_frame(planes: Planes) -> VideoFrame:
    """Return a libav frame with a copy of the planes, tagged BT.709 limited range."""
    height, width = planes.y.shape
    frame = VideoFrame(width, height, "yuv420p")
    fill_frame(frame, planes)
    return frame


def fill_frame(frame: VideoFrame, planes: Planes) -> None:
    """Copy planes into a libav frame of their size, and tag it BT.709 limited range."""
    for plane, values in zip(frame.planes, (planes.y, planes.u, planes.v), strict=True):
        # A plane is a writable buffer, which its stub does not declare.
        buffer = np.frombuffer(cast("bytearray", plane), np.uint8).reshape(plane.height, plane.line_size)
        buffer[:, : values.shape[1]] = values
    frame.colorspace = frame.color_primaries = frame.color_trc = H273_BT709
    frame.color_range = ColorRange.MPEG


def to_rgb(planes: Planes) -> NDArray[np.uint8]:
    """Return planes as an RGB picture: (H, W, 3), red first, full range."""
    rgb = to_frame(planes).reformat(
        format="rgb24", src_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.JPEG, threads=1
    )
    return np.asarray(rgb.to_ndarray(), np.uint8)


def is_full(frame: VideoFrame) -> bool:
    """Return whether a frame has full range: black is 0 and white is 255."""
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")


def _table(frame: VideoFrame) -> str | None:
    """Return the key of `media.picture.tone.TABLES` for a frame's colours; None if they need no conversion."""
    return HDR_CURVES.get(frame.color_trc) or WIDE_GAMUTS.get(frame.color_primaries)


def _needs_no_conversion(frame: VideoFrame) -> bool:
    if _table(frame):
        return False
    return frame.format.name in PLAIN_FORMATS and not is_full(frame) and _matrix(frame) == Colorspace.ITU709


def _is_ycbcr(frame: VideoFrame) -> bool:
    """Return whether a frame has chroma planes: it is neither RGB nor greyscale."""
    return not frame.format.is_rgb and len(frame.format.components) >= 3


def _matrix(frame: VideoFrame) -> Colorspace:
    return SWSCALE_MATRICES[_matrix_number(frame)]


def _matrix_number(frame: VideoFrame) -> int:
    if frame.colorspace in SWSCALE_MATRICES:
        return int(frame.colorspace)
    return H273_BT601 if min(frame.width, frame.height) < SD_HEIGHT else H273_BT709


def _planes(frame: VideoFrame, width: int, height: int) -> list[NDArray[np.uint8]]:
    sizes = ((width, height), (width // 2, height // 2), (width // 2, height // 2))
    return [
        # A plane is a buffer, which its stub does not declare.
        np.frombuffer(cast("bytes", plane), np.uint8).reshape(plane.height, plane.line_size)[:high, :wide]
        for plane, (wide, high) in zip(frame.planes, sizes, strict=True)
    ]
