"""Makes whole pictures of interlaced ones: one for each frame, at the frame's own time.

A frame of two fields shows two moments, and whatever moved between them has combs. libav's bwdif keeps what stood still
and interpolates the rest. Twice as many pictures, one a field, would move more smoothly; but 50 or 60 a second take
twice the encoding, and platforms show 25 and 30 as well.
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

COMB_STEP = 12  # of luma's 255: a line this much brighter or darker than both its neighbours may be a comb's tooth
TEETH_SHARE = 0.12  # of a tile; more teeth than that are seen as a comb
TILE = 16
# libav's filters and their settings: one picture a frame, and frames that do not say they are interlaced pass through.
ADAPTIVE = ("bwdif", "mode=send_frame:deint=interlaced")
SPATIAL = ("estdif", "mode=frame:deint=interlaced")
ALTERNATING = np.array([[1], [-3], [4], [-3], [1]], np.float32)  # a line and its own field, less the other field


def deinterlaced(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Give the frames, combed ones made whole; as many as came, in order, with their times.

    Nothing is touched, copied or held back before the first frame that says it is interlaced.
    """
    filter_: _Filter | None = None
    for frame in frames:
        waiting = [frame]
        del frame
        if filter_ is not None and not filter_.takes(waiting[0]):
            yield from filter_.rest()
            filter_ = None
        if filter_ is None and not waiting[0].interlaced_frame:
            yield waiting.pop()
            continue
        filter_ = filter_ or _Filter(waiting[0])
        yield from filter_.push(waiting.pop())
    if filter_ is not None:
        yield from filter_.rest()


def alone(frame: VideoFrame) -> VideoFrame:
    """Return one frame made whole from the lines of its first field; itself when it is not combed.

    bwdif takes a frame without neighbours for one that stands still, and leaves it combed.
    """
    if not frame.interlaced_frame:
        return frame
    filter_ = _Filter(frame, SPATIAL)
    return [*filter_.push(frame), *filter_.rest()][-1]


class _Filter:
    """libav's filter for frames of one form, and the frames of which it has given nothing back yet."""

    def __init__(self, frame: VideoFrame, how: tuple[str, str] = ADAPTIVE) -> None:
        self._form = _form(frame)
        self._waiting: deque[VideoFrame] = deque()
        self._graph = graph = Graph()
        graph.threads = 1
        source = graph.add(
            "buffer",
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={frame.time_base}"
            f":colorspace={frame.colorspace}:range={frame.color_range}",
        )
        graph.link_nodes(source, graph.add(*how), graph.add("buffersink")).configure()

    def takes(self, frame: VideoFrame) -> bool:
        """Say whether a frame has the form of those before."""
        return _form(frame) == self._form

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Take a frame and give those that are finished."""
        if frame.pts is None:
            frame.pts = frame.dts
        self._graph.push(frame)
        self._waiting.append(frame)
        del frame
        yield from self._ready()

    def rest(self) -> Iterator[VideoFrame]:
        """Give what is still held back; nothing can be pushed any more."""
        self._graph.push(None)
        yield from self._ready()

    def _ready(self) -> Iterator[VideoFrame]:
        while True:
            try:
                whole = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(whole, VideoFrame)
            frame = self._waiting.popleft()
            # Many cameras say interlaced of pictures taken at once (25p in 50i): those stay as sharp as they are.
            pair = [whole if frame.interlaced_frame and is_combed(frame) else frame]
            del whole, frame
            yield pair.pop()


def is_combed(frame: VideoFrame) -> bool:
    """Say whether the two fields of a frame show different moments anywhere."""
    plane = frame.planes[0]
    bits = frame.format.components[0].bits
    data = cast("bytes", plane)  # a plane is a buffer; its stub does not say so
    kind = np.uint8 if bits == 8 else np.uint16
    samples: NDArray[np.uint8 | np.uint16] = np.frombuffer(data, kind)
    rows = (samples >> (bits - 8)).astype(np.uint8, copy=False)
    return _most_teeth(rows.reshape(plane.height, -1)[:, : plane.width]) > TEETH_SHARE


def _most_teeth(rows: NDArray[np.uint8]) -> float:
    """Return in how much of the tile with the most of them a line stands out of both its neighbours, and not its own
    field."""
    if min(rows.shape) < TILE:
        return 0.0
    above, line, below = rows[:-2], rows[1:-1], rows[2:]
    brighter = cv2.subtract(line, cv2.max(above, below))
    darker = cv2.subtract(cv2.min(above, below), line)
    alternating = np.abs(cv2.filter2D(rows, cv2.CV_16S, ALTERNATING)[1:-1]) > 6 * COMB_STEP
    teeth = (cv2.max(brighter, darker) > COMB_STEP) & alternating
    high, wide = (side // TILE for side in teeth.shape)
    tiles = teeth[: high * TILE, : wide * TILE].astype(np.uint8)
    return float(cv2.resize(tiles.astype(np.float32), (wide, high), interpolation=cv2.INTER_AREA).max())


def _form(frame: VideoFrame) -> tuple[object, ...]:
    return frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range
