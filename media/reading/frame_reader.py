"""Reads the frames of one span of an upload: decoded, converted, and laid on the output's grid of ticks."""

import gc
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from media.container.opening import open_upload, packets, select_video, translate_errors
from media.errors import Refused
from media.frames import Planes
from media.picture import conversion, deinterlace
from media.picture.colour_tags import ColourTags
from media.picture.deinterlace import deinterlaced
from media.process.memory_profile import LIMITS, MemoryLimits, MemoryProfile
from media.reading.inspection import check_pixels
from media.reading.spans import Span

DECODER_THREADS = 1  # each further thread keeps more pictures in memory: 14 MB each at 4K
# With more missing frames than both of these, the span is refused instead of showing a still.
MISSING_S, MISSING_SHARE = 1, 0.1


class FrameReader:
    """The frames of one span, one for each of its ticks; can be iterated once.

    Raises (while iterating):
        Refused: damaged, no_video, too_many_pixels.
        MemoryError: libav could not allocate.
    """

    def __init__(self, path: Path, span: Span, limits: MemoryLimits = LIMITS[MemoryProfile.FULL]) -> None:
        self._path = path
        self._span = span
        self.held = 0  # ticks that repeat the previous frame although the source should have one for each
        self.broken = 0  # packets that could not be decoded
        self._converter = conversion.StreamConverter(span.shape, limits.long_side, limits.short_side)
        self._aspect: conversion.PixelAspect | None = None

    def __iter__(self) -> Iterator[Planes]:
        with translate_errors():
            if self._span.seek is not None:
                with open_upload(self._path) as container:
                    frames = deinterlaced(self._decode(container, self._span.seek))
                    first = list(islice(frames, 1))
                    if first and self._tick(first[0]) <= self._span.first:
                        yield from self._on_grid(_chained(first, frames))
                        return
                    first.clear()
            # The span is the first one, or the file's index led past the span's beginning: decode from the start.
            with open_upload(self._path) as container:
                yield from self._on_grid(deinterlaced(self._decode(container, None)))

    def samples(self, every_s: float, keys_every_s: float) -> Iterator[Planes]:
        """Yield frames of the span at intervals; the first one may lie just before the span.

        Args:
            every_s: interval between two frames, at least.
            keys_every_s: if the span has a key frame at least this often, only key frames are decoded.
        """
        end = self._span.first + self._span.frames
        keys_only = self._count_keys() * keys_every_s >= self._span.duration_s
        due = before_all = -self._span.total
        with translate_errors(), open_upload(self._path) as container:
            for frame in self._decode(container, self._span.seek, keys_only=keys_only):
                tick = self._tick(frame)
                if tick >= end and due > before_all:
                    return
                if tick >= due:
                    due = tick + round(every_s * self._span.rate)
                    index = min(tick, end - 1) - self._span.first  # a span before all frames shows the first one
                    progressive = deinterlace.deinterlaced_frame(frame)
                    yield self._converter_for(progressive).convert(
                        progressive, max(index, 0), float(index / self._span.rate)
                    )

    def _count_keys(self) -> int:
        """Count the key frames from the one at which decoding begins to the span's end."""
        with translate_errors(), open_upload(self._path) as container:
            stream = select_video(container)
            if self._span.seek is not None:
                container.seek(self._span.seek, stream=stream)
            count = 0
            for packet in packets(container, stream):
                if packet.pts is not None and packet.is_keyframe:
                    if self._span.tick_of(packet.pts * packet.time_base) >= self._span.first + self._span.frames:
                        break
                    count += 1
            return count

    def _decode(
        self, container: InputContainer, seek: int | None, *, keys_only: bool = False
    ) -> Iterator[VideoFrame]:  # fmt: skip
        stream = select_video(container)
        check_pixels(stream.codec_context.width, stream.codec_context.height)
        self._aspect = conversion.PixelAspect(stream)
        tags = ColourTags(stream)
        stream.codec_context.thread_count = DECODER_THREADS
        stream.codec_context.skip_frame = "NONKEY" if keys_only else "DEFAULT"
        if seek is not None:
            container.seek(seek, stream=stream)
        for packet in packets(container, stream):
            try:
                # Matroska has no negative times; frames before zero have no time stamp, and the plan does not count
                # them.
                frames = [frame for frame in packet.decode() if frame.pts is not None or frame.dts is not None]
                while frames:
                    yield tags.apply(frames.pop(0))  # no reference remains here while the next frame is decoded
            except MemoryError:
                raise
            except av.error.FFmpegError:
                # Players continue after a broken packet, too; `_check_missing` refuses a span with too many of them.
                self.broken += 1

    def _on_grid(self, frames: Iterator[VideoFrame]) -> Iterator[Planes]:
        """Yield for each tick the newest frame at or before it; the first frame also fills the ticks before it."""
        span, tick = self._span, self._span.first
        end = span.first + span.frames
        newest: _DecodedFrame | None = None
        for frame in frames:
            at = self._tick(frame)
            if newest is not None:
                if at < newest.tick:
                    continue  # out of order: the decoder has lost its position
                yield from self._repeat(newest, tick, min(at, end))
                tick = max(tick, min(at, end))
            if tick >= end:
                break
            is_new = self._converter.is_new(frame)
            newest = _DecodedFrame(self._converter_for(frame), frame, at, is_wanted=at >= span.first)
            # At 4K a frame takes 17 MB with the data of its decoder, and a decoder never frees one: for each that is
            # referred to while the next is decoded it allocates one more. After a frame's orientation was read, the
            # frame and its side data refer to each other, so garbage is collected.
            del frame
            if is_new:
                gc.collect()
        if newest is None:
            raise Refused("damaged", f"No picture can be decoded at {span.start_s:.1f} s.")
        yield from self._repeat(newest, tick, end)
        self._check_missing()

    def _repeat(self, frame: "_DecodedFrame", tick: int, until: int) -> Iterator[Planes]:
        for number in range(tick, until):
            index = number - self._span.first
            yield frame.planes(index, float(index / self._span.rate), is_last=number + 1 == until)
        # Before the first picture and after the last one, no picture is missing.
        first, end = self._span.picture_first, self._span.picture_end
        self.held += max((until if end is None else min(until, end)) - max(tick, first) - 1, 0)

    def _converter_for(self, frame: VideoFrame) -> conversion.FrameConverter:
        if self._converter.is_new(frame):
            check_pixels(frame.width, frame.height)
        assert self._aspect is not None, "set by _decode"
        return self._converter.converter_for(frame, self._aspect)

    def _tick(self, frame: VideoFrame) -> int:
        at = frame.pts if frame.pts is not None else frame.dts
        assert at is not None
        return self._span.tick_of(at * Fraction(frame.time_base or 0))

    def _check_missing(self) -> None:
        allowed = max(MISSING_S * float(self._span.rate), MISSING_SHARE * self._span.frames)
        if not self._span.hold and self.held > allowed:
            raise Refused(
                "damaged",
                f"{self.held} of {self._span.frames} pictures from {self._span.start_s:.1f} s on cannot be decoded.",
            )


class _DecodedFrame:
    """A decoded frame until its last tick; converted at once if that takes less memory."""

    def __init__(self, converter: conversion.FrameConverter, frame: VideoFrame, tick: int, *, is_wanted: bool) -> None:
        self.tick = tick
        self._converter = converter
        at_once = is_wanted and converter.shrinks(frame)
        self._converted = converter.convert(frame, 0, 0.0) if at_once else None
        self._frame = None if at_once else frame

    def planes(self, index: int, time_s: float, *, is_last: bool) -> Planes:
        """Return the frame for one tick; the last call needs no copy."""
        if self._frame is not None:
            if is_last:
                return self._converter.convert(self._frame, index, time_s)
            self._converted, self._frame = self._converter.convert(self._frame, index, time_s), None
        assert self._converted is not None
        if not is_last:
            return self._converter.copy(self._converted, index, time_s)
        converted, self._converted = self._converted, None
        return replace(converted, index=index, time_s=time_s)


def _chained(first: list[VideoFrame], frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Yield the frames of a list, then those of an iterator; keep no reference to a frame (`itertools.chain` would)."""
    while first:
        yield first.pop(0)
    yield from frames
