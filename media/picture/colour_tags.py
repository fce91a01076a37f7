"""The colour tags of a stream's frames: matrix, primaries, transfer and range, as numbers of ITU-T H.273.

Container (`colr` box, Matroska's Colour) and bit stream both carry them. The rule for each tag:

1. The bit stream's, if specified, else the container's. So do Chromium and libav for H.264. For HEVC and VP9, libav
   drops the container's tags when the bit stream says "unspecified"; they are put back here.
2. The container's, if specified, else the bit stream's: VP8, VP9 and Motion JPEG. The bit streams of VP8 (RFC 6386,
   9.2) and JPEG have no choice of matrix, so libav reports BT.601 for all. VP9's has one number for all three tags.
   Chromium does the same for VP8 and VP9 (media/filters/ffmpeg_video_decoder.cc and vpx_video_decoder.cc).
3. Range: as 2 for VP8 only, else as 1. Game consoles record VP9 whose bit stream says "full", rightly, and whose
   container says "limited" (MediaInfoLib, issue 1737).

Both orders were measured in Chromium 156 for H.264, VP8 and VP9 (2026-11-28). ISO/IEC 14496-12, 12.1.5.1, gives `colr`
precedence for all codecs, but browsers and libav do not follow it for H.264.
"""

from dataclasses import dataclass

from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

CONTAINER_FIRST = {"vp8", "vp9", "mjpeg"}  # libav's decoder names
CONTAINER_RANGE_FIRST = {"vp8"}
UNSPECIFIED = 2  # of matrix, primaries and transfer (ITU-T H.273, tables 2 to 4)
RESERVED = {0, 3}  # of primaries and transfer; of matrices only 3
MATRIX_RGB, MATRIX_BT709 = 0, 1


@dataclass(frozen=True, slots=True)
class _Tags:
    """Four tags of a stream or a frame; None if not specified."""

    matrix: int | None
    primaries: int | None
    transfer: int | None
    range: int | None  # libav's number: 1 limited, 2 full

    @classmethod
    def of(cls, tagged: VideoCodecContext | VideoFrame) -> "_Tags":
        matrix = int(tagged.colorspace)
        return cls(
            matrix if matrix == MATRIX_RGB else _specified(matrix),
            _specified(int(tagged.color_primaries)),
            _specified(int(tagged.color_trc)),
            int(tagged.color_range) or None,
        )


class ColourTags:
    """Chooses the colour tags for a stream's frames; created before the first frame is decoded."""

    def __init__(self, stream: VideoStream) -> None:
        context = stream.codec_context
        # Until the first frame is decoded, the context has the container's tags.
        self._container = _Tags.of(context)
        self._is_container_first = context.name in CONTAINER_FIRST
        self._is_container_range_first = context.name in CONTAINER_RANGE_FIRST

    def apply(self, frame: VideoFrame) -> VideoFrame:
        """Set the chosen tags on a decoded frame and return the frame."""
        coded, container = _Tags.of(frame), self._container
        first, second = (container, coded) if self._is_container_first else (coded, container)
        matrix = _first_of(first.matrix, second.matrix, UNSPECIFIED)
        if matrix == MATRIX_RGB and not frame.format.is_rgb:
            matrix = MATRIX_BT709  # a writer's error that Chromium reads so, too (ffmpeg_video_decoder.cc)
        frame.colorspace = matrix
        frame.color_primaries = _first_of(first.primaries, second.primaries, UNSPECIFIED)
        frame.color_trc = _first_of(first.transfer, second.transfer, UNSPECIFIED)
        ranges = (container.range, coded.range) if self._is_container_range_first else (coded.range, container.range)
        frame.color_range = _first_of(*ranges, 0)
        return frame

    def agree_with(self, frame: VideoFrame) -> bool:
        """Return whether the container contradicts no tag of a frame."""
        mine, other = self._container, _Tags.of(frame)
        pairs = (
            (mine.matrix, other.matrix),
            (mine.primaries, other.primaries),
            (mine.transfer, other.transfer),
            (mine.range, other.range),
        )
        return all(one is None or one == another for one, another in pairs)


def _specified(number: int) -> int | None:
    return None if number == UNSPECIFIED or number in RESERVED else number


def _first_of(first: int | None, second: int | None, default: int) -> int:
    return next((number for number in (first, second) if number is not None), default)
