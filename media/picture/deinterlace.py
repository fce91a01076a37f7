"""Deinterlaces video: one progressive picture for each interlaced frame, at the frame's time.

The two fields of a frame show two moments, so moving edges look combed. libav's bwdif keeps what stands still and
interpolates the rest. One picture a field would move more smoothly, but 50 or 60 a second double the cost of encoding,
and the platforms show 25 and 30 as well.
"""

from collections import deque
from collections.abc import Iterator
from typing import cast

import av
import cv2
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from numpy.typing import NDArray

COMB_THRESHOLD = 12  # of luma's 255: how much brighter or darker than both its neighbours a combed line is
MAX_COMBED_SHARE = 0.12  # of a tile's pixels; a picture with more in any tile counts as combed
TILE = 16
# libav's filters with their options: one picture a frame; frames without the interlaced flag pass through.
ADAPTIVE = ("bwdif", "mode=send_frame:deint=interlaced")
SPATIAL = ("estdif", "mode=frame:deint=interlaced")
FIELD_KERNEL = np.array([[1], [-3], [4], [-3], [1]], np.float32)  # lines of one field minus lines of the other


def deinterlaced(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Yield all frames in order, with their times, the combed ones deinterlaced.

    Frames before the first one with the interlaced flag are neither copied nor delayed.
    """
    filter_: _Filter | None = None
    for frame in frames:
        waiting = [frame]
        del frame
        if filter_ is not None and not filter_.accepts(waiting[0]):
            yield from filter_.flush()
            filter_ = None
        if filter_ is None and not waiting[0].interlaced_frame:
            yield waiting.pop()
            continue
        filter_ = filter_ or _Filter(waiting[0])
        yield from filter_.push(waiting.pop())
    if filter_ is not None:
        yield from filter_.flush()


def deinterlaced_frame(frame: VideoFrame) -> VideoFrame:
    """Return a single frame, deinterlaced by its first field's lines if it is combed.

    bwdif needs the neighbouring frames: it leaves a single frame combed.
    """
    if not frame.interlaced_frame:
        return frame
    filter_ = _Filter(frame, SPATIAL)
    return [*filter_.push(frame), *filter_.flush()][-1]


class _Filter:
    """A libav filter for frames of one format, with the frames that it has not returned yet."""

    def __init__(self, frame: VideoFrame, filter_options: tuple[str, str] = ADAPTIVE) -> None:
        self._format = _format(frame)
        self._waiting: deque[VideoFrame] = deque()
        self._graph = graph = Graph()
        graph.threads = 1
        source = graph.add(
            "buffer",
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={frame.time_base}"
            f":colorspace={frame.colorspace}:range={frame.color_range}",
        )
        graph.link_nodes(source, graph.add(*filter_options), graph.add("buffersink")).configure()

    def accepts(self, frame: VideoFrame) -> bool:
        """Return whether a frame has the filter's format."""
        return _format(frame) == self._format

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Filter a frame and yield those that are finished."""
        if frame.pts is None:
            frame.pts = frame.dts
        self._graph.push(frame)
        self._waiting.append(frame)
        del frame
        yield from self._ready()

    def flush(self) -> Iterator[VideoFrame]:
        """Yield the remaining frames; nothing can be pushed afterwards."""
        self._graph.push(None)
        yield from self._ready()

    def _ready(self) -> Iterator[VideoFrame]:
        while True:
            try:
                output = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(output, VideoFrame)
            frame = self._waiting.popleft()
            # Many cameras flag progressive pictures as interlaced (25p in 50i). Those stay as sharp as they are.
            pair = [output if frame.interlaced_frame and is_combed(frame) else frame]
            del output, frame
            yield pair.pop()


def is_combed(frame: VideoFrame) -> bool:
    """Return whether any tile of a frame is combed: its two fields show different moments."""
    plane = frame.planes[0]
    bits = frame.format.components[0].bits
    data = cast("bytes", plane)  # a plane is a buffer, which its stub does not declare
    kind = np.uint8 if bits == 8 else np.uint16
    samples: NDArray[np.uint8 | np.uint16] = np.frombuffer(data, kind)
    rows = (samples >> (bits - 8)).astype(np.uint8, copy=False)
    return _largest_combed_share(rows.reshape(plane.height, -1)[:, : plane.width]) > MAX_COMBED_SHARE


def _largest_combed_share(rows: NDArray[np.uint8]) -> float:
    """Return the largest share of combed pixels in any tile.

    A combed pixel differs from both its vertical neighbours in the same direction, but not from its own field.
    """
    if min(rows.shape) < TILE:
        return 0.0
    above, line, below = rows[:-2], rows[1:-1], rows[2:]
    brighter = cv2.subtract(line, cv2.max(above, below))
    darker = cv2.subtract(cv2.min(above, below), line)
    alternating = np.abs(cv2.filter2D(rows, cv2.CV_16S, FIELD_KERNEL)[1:-1]) > 6 * COMB_THRESHOLD
    combed = (cv2.max(brighter, darker) > COMB_THRESHOLD) & alternating
    high, wide = (side // TILE for side in combed.shape)
    tiles = combed[: high * TILE, : wide * TILE].astype(np.uint8)
    return float(cv2.resize(tiles.astype(np.float32), (wide, high), interpolation=cv2.INTER_AREA).max())


def _format(frame: VideoFrame) -> tuple[object, ...]:
    return frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range
