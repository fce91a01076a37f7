"""The frames of one span of an upload, decoded and laid on the output's grid of time."""

import gc
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from media.container.opening import opened, packets, translated, video_of
from media.errors import Refused
from media.frames import Planes
from media.picture import conversion, deinterlace
from media.picture.colour_tags import ColourTags
from media.picture.deinterlace import deinterlaced
from media.process.memory_profile import LIMITS, MemoryLimits, MemoryProfile
from media.reading.inspection import check_pixels
from media.reading.spans import Span

DECODER_THREADS = 1  # each one more keeps further pictures in memory: 14 MB each at 4K
MISSING_S, MISSING_SHARE = 1, 0.1  # more pictures than both of these gone: refuse instead of showing a still


class Reel:
    """The pictures of one span, exactly as many as the span has ticks; iterate once.

    Raises (while iterating):
        Refused: damaged, no_video, too_many_pixels.
        MemoryError: libav could not allocate.
    """

    def __init__(self, path: Path, span: Span, limits: MemoryLimits = LIMITS[MemoryProfile.FULL]) -> None:
        self._path = path
        self._span = span
        self.held = 0  # pictures shown again though each tick should have had its own
        self.broken = 0  # packets that could not be decoded
        self._converter = conversion.FrameConverter(span.shape, limits.long_side, limits.short_side)
        self._aspect: conversion.PixelAspect | None = None

    def __iter__(self) -> Iterator[Planes]:
        with translated():
            if self._span.seek is not None:
                with opened(self._path) as container:
                    frames = deinterlaced(self._decode(container, self._span.seek))
                    ahead = list(islice(frames, 1))
                    if ahead and self._tick(ahead[0]) <= self._span.first:
                        yield from self._on_grid(_taken(ahead, frames))
                        return
                    ahead.clear()
            # The span is the first, or the file's index led us past its beginning: go through everything.
            with opened(self._path) as container:
                yield from self._on_grid(deinterlaced(self._decode(container, None)))

    def glances(self, every_s: float, keys_every_s: float) -> Iterator[Planes]:
        """Yield pictures of the span about so far apart, the first one perhaps from just before it.

        Args:
            every_s: how far apart.
            keys_every_s: with a key frame as often as this only key frames are decoded.
        """
        end = self._span.first + self._span.frames
        keys_only = self._keys() * keys_every_s >= self._span.duration_s
        due = before_all = -self._span.total
        with translated(), opened(self._path) as container:
            for frame in self._decode(container, self._span.seek, keys_only=keys_only):
                tick = self._tick(frame)
                if tick >= end and due > before_all:
                    return
                if tick >= due:
                    due = tick + round(every_s * self._span.rate)
                    since = min(tick, end - 1) - self._span.first  # a span before all pictures shows the first one
                    progressive = deinterlace.deinterlaced_frame(frame)
                    yield self._developer(progressive).develop(
                        progressive, max(since, 0), float(since / self._span.rate)
                    )

    def _keys(self) -> int:
        """Count the key frames from which the span can be decoded."""
        with translated(), opened(self._path) as container:
            stream = video_of(container)
            if self._span.seek is not None:
                container.seek(self._span.seek, stream=stream)
            found = 0
            for packet in packets(container, stream):
                if packet.pts is not None and packet.is_keyframe:
                    if self._span.tick_of(packet.pts * packet.time_base) >= self._span.first + self._span.frames:
                        break
                    found += 1
            return found

    def _decode(
        self, container: InputContainer, seek: int | None, *, keys_only: bool = False
    ) -> Iterator[VideoFrame]:  # fmt: skip
        stream = video_of(container)
        check_pixels(stream.codec_context.width, stream.codec_context.height)
        self._aspect = conversion.PixelAspect(stream)
        tags = ColourTags(stream)
        stream.codec_context.thread_count = DECODER_THREADS
        stream.codec_context.skip_frame = "NONKEY" if keys_only else "DEFAULT"
        if seek is not None:
            container.seek(seek, stream=stream)
        for packet in packets(container, stream):
            try:
                # Matroska cannot tell a time before zero; what lies there is not part of the film, nor of its plan.
                frames = [frame for frame in packet.decode() if frame.pts is not None or frame.dts is not None]
                while frames:
                    yield tags.apply(frames.pop(0))  # held nowhere here while the next one is decoded
            except MemoryError:
                raise
            except av.error.FFmpegError:
                # Players go on after a broken packet, too; too many are noticed when the span is complete.
                self.broken += 1

    def _on_grid(self, frames: Iterator[VideoFrame]) -> Iterator[Planes]:
        """Show at each tick the newest frame whose time has come; the first one also stands in for missing ones."""
        span, tick = self._span, self._span.first
        end = span.first + span.frames
        newest: _Shot | None = None
        for frame in frames:
            at = self._tick(frame)
            if newest is not None:
                if at < newest.tick:
                    continue  # a decoder that delivers out of order has lost its way
                yield from self._show(newest, tick, min(at, end))
                tick = max(tick, min(at, end))
            if tick >= end:
                break
            is_new = self._converter.is_new(frame)
            newest = _Shot(self._developer(frame), frame, at, is_wanted=at >= span.first)
            # At 4K a picture takes 17 MB with what its decoder knows of it, and a decoder never gives one back: each
            # that is held while the next is decoded makes it take one more. Asked for its orientation, a picture and
            # the answer hold each other.
            del frame
            if is_new:
                gc.collect()
        if newest is None:
            raise Refused("damaged", f"No picture can be decoded at {span.start_s:.1f} s.")
        yield from self._show(newest, tick, end)
        self._check_missing()

    def _show(self, shot: "_Shot", tick: int, until: int) -> Iterator[Planes]:
        for number in range(tick, until):
            index = number - self._span.first
            yield shot.planes(index, float(index / self._span.rate), is_last=number + 1 == until)
        # Before the first picture and after the last one, no picture is missing.
        first, end = self._span.picture_first, self._span.picture_end
        self.held += max((until if end is None else min(until, end)) - max(tick, first) - 1, 0)

    def _developer(self, frame: VideoFrame) -> conversion.Developer:
        if self._converter.is_new(frame):
            check_pixels(frame.width, frame.height)
        assert self._aspect is not None, "set while decoding"
        return self._converter.developer(frame, self._aspect)

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


class _Shot:
    """One decoded picture until its time is over; developed at once when that makes it smaller."""

    def __init__(self, developer: conversion.Developer, frame: VideoFrame, tick: int, *, is_wanted: bool) -> None:
        self.tick = tick
        self._developer = developer
        at_once = is_wanted and developer.shrinks(frame)
        self._developed = developer.develop(frame, 0, 0.0) if at_once else None
        self._frame = None if at_once else frame

    def planes(self, index: int, time_s: float, *, is_last: bool) -> Planes:
        """Return the picture for one tick; the last one asked for needs no copy."""
        if self._frame is not None:
            if is_last:
                return self._developer.develop(self._frame, index, time_s)
            self._developed, self._frame = self._developer.develop(self._frame, index, time_s), None
        assert self._developed is not None
        y, u, v = self._developed.y, self._developed.u, self._developed.v
        if is_last:
            self._developed = None
            return Planes(y, u, v, index, time_s)
        return Planes(y.copy(), u.copy(), v.copy(), index, time_s)


def _taken(ahead: list[VideoFrame], frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Give what was looked at ahead, then the rest, and hold on to neither."""
    while ahead:
        yield ahead.pop(0)
    yield from frames
