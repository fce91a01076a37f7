"""Decodes and resamples a sound track onto the video's clock, with silence in the gaps.

Parts, loudness and pauses all read sound through this module. The clock is that of the stream's time stamps. A packet
without a time stamp follows the one before it, gaps are kept, and overlapping samples are used once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from media.container.channel_layouts import Labels
from media.container.opening import open_upload, packets, translate_errors
from media.sound import mixing, tracks
from media.sound.audio_filter import Block, Resampler
from media.sound.tracks import Track

LEAD_S = Fraction(3, 10)  # decoded before the window: codecs converge within 80 ms (Opus)
SLACK_S = Fraction(1, 50)  # time stamps in whole milliseconds jitter; less than 20 ms is no gap


@dataclass(frozen=True, slots=True)
class Window:
    """A range of samples on the video's clock."""

    origin_s: Fraction  # the video's beginning on the source's clock
    first: int  # samples after the origin
    end: int
    rate: int  # samples a second
    outputs: int  # channels, 1 or 2

    def place(self, frame: AudioFrame) -> int | None:
        """Return the position of a decoded frame in samples; None if it has no time stamp."""
        if frame.pts is None or frame.time_base is None:
            return None
        return round((frame.pts * frame.time_base - self.origin_s) * self.rate)


class Samples:
    """The samples of one window; can be iterated once. The blocks together are exactly as long as the window.

    `broken` and `decoded` count the packets so far that could not and could be decoded; `silenced` counts the samples
    that are silent because of the former.

    Raises (while iterating):
        Refused: damaged: the file cannot be read any further.
        MemoryError: libav could not allocate.
    """

    def __init__(self, path: Path, track: Track, window: Window, *, from_start: bool) -> None:
        """Prepare to read.

        Args:
            path: the upload.
            track: of the upload, from `tracks.choose`.
            window: the range to read.
            from_start: decode the track from its beginning instead of seeking to the window.
        """
        self._path = path
        self._track = track
        self._window = window
        self._from_start = from_start
        self.broken = 0
        self.decoded = 0
        self.silenced = 0

    def __iter__(self) -> Iterator[Block]:
        window = self._window
        at = window.first
        broken = 0
        for position, block in self._runs():
            if position > at:
                yield from self._silence(at, min(position, window.end))
                self.silenced += min(position, window.end) - at if self.broken > broken else 0
                at = min(position, window.end)
            broken = self.broken
            part = block[:, at - position : window.end - position]
            if part.shape[1]:
                yield part
                at += part.shape[1]
            if at >= window.end:
                return
        self.silenced += window.end - at if self.broken > broken else 0
        yield from self._silence(at, window.end)

    def _silence(self, first: int, end: int) -> Iterator[Block]:
        step = self._window.rate
        for start in range(first, end, step):
            yield np.zeros((self._window.outputs, min(step, end - start)), np.float32)

    def _runs(self) -> Iterator[tuple[int, Block]]:
        """Yield blocks with their positions on the video's clock."""
        with translate_errors(), open_upload(self._path) as container:
            run = _Run(self._window, self._track.labels)
            for frame in self._decode(container, tracks.stream_of(container, self._track)):
                try:
                    yield from run.take(frame)
                except MemoryError:
                    raise
                except av.error.FFmpegError:
                    self.broken += 1  # a new format within the stream that cannot be mixed
                    run.drop()
            yield from run.finish()

    def _decode(self, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
        unit = stream.time_base or Fraction(1, self._window.rate)
        wanted = round((self._window.origin_s + Fraction(self._window.first, self._window.rate) - LEAD_S) / unit)
        if not self._from_start and self._seek(container, stream, wanted) > wanted:
            container.seek(min(stream.start_time or 0, 0), stream=stream)
        for packet in packets(container, stream):
            if packet.pts is not None and packet.pts < wanted and not self._from_start:
                continue
            try:
                yield from tracks.decoded(packet)
                self.decoded += 1
            except MemoryError:
                raise
            except av.error.FFmpegError:
                self.broken += 1  # the next block's time shows the gap, and it becomes silence

    def _seek(self, container: InputContainer, stream: AudioStream, wanted: int) -> int:
        """Seek, and return the time stamp of the next packet: a file's index may be wrong."""
        container.seek(wanted, stream=stream)
        first = next((packet.pts for packet in packets(container, stream) if packet.pts is not None), wanted + 1)
        container.seek(wanted, stream=stream)
        return first


def merge_channels(sources: Sequence[Iterable[Block]]) -> Iterator[Block]:
    """Merge sounds of equal length into one: the channels of the first, then those of the next."""
    if len(sources) == 1:
        yield from sources[0]
        return
    readers = [iter(source) for source in sources]
    waiting = [next(reader, None) for reader in readers]
    while all(block is not None for block in waiting):
        count = min(block.shape[1] for block in waiting if block is not None)
        yield np.concatenate([block[:, :count] for block in waiting if block is not None])
        rest = [block[:, count:] for block in waiting if block is not None]
        waiting = [block if block.shape[1] else next(reader, None) for block, reader in zip(rest, readers, strict=True)]


class _Run:
    """Resamples continuous sound; restarts at every gap and change of format."""

    def __init__(self, window: Window, labels: Labels) -> None:
        self._window = window
        self._labels = labels
        self._resampler: Resampler | None = None
        self._format: tuple[str, str, int] = ("", "", 0)
        self._position = 0  # of the next output sample
        self._began, self._taken = 0, 0  # position of the run's beginning; input samples since, at the frame's rate

    def take(self, frame: AudioFrame) -> Iterator[tuple[int, Block]]:
        place = self._window.place(frame)
        if self._resampler is None and place is None:
            return  # no position is known before the first time stamp
        frame_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or frame_format != self._format or self._is_gap(place):
            place = place if place is not None else self._expected()
            yield from self.finish()
            self._begin(frame, frame_format, place)
        self._taken += frame.samples
        assert self._resampler is not None
        yield from self._out(self._resampler.push(frame))

    def finish(self) -> Iterator[tuple[int, Block]]:
        if self._resampler is not None:
            yield from self._out(self._resampler.push(None))
            self._resampler = None

    def drop(self) -> None:
        """Drop the resampler; the next frame starts a new one at its own position."""
        self._resampler = None

    def _expected(self) -> int:
        """Return the expected position of the next frame if there is no gap."""
        return self._began + self._taken * self._window.rate // max(self._format[2], 1)

    def _is_gap(self, place: int | None) -> bool:
        return place is not None and abs(place - self._expected()) > SLACK_S * self._window.rate

    def _begin(self, frame: AudioFrame, frame_format: tuple[str, str, int], place: int) -> None:
        labels = mixing.labels_of(frame.layout, self._labels)
        weights = mixing.matrix(labels, self._window.outputs)
        self._resampler = Resampler(frame, weights, self._window.rate)
        self._format = frame_format
        self._position = self._began = place
        self._taken = 0

    def _out(self, blocks: Iterator[Block]) -> Iterator[tuple[int, Block]]:
        for block in blocks:
            yield self._position, block
            self._position += block.shape[1]
