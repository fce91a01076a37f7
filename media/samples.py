"""The samples of one sound track, decoded, resampled and laid on the video's clock; silence where nothing is.

The one way in which sound is read: for the parts, for their loudness and for the pauses. The clock is the stream's own
time stamps; sound without a stamp follows what came before it, a hole stays a hole, and nothing is heard twice.
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

from media import channels, tracks
from media.chain import Block, Resampler
from media.channels import Labels
from media.opening import opened, packets, translated
from media.tracks import Track

LEAD_S = Fraction(3, 10)  # decoded before the window: codecs need up to 80 ms (Opus) to find their feet
SLACK_S = Fraction(1, 50)  # time stamps in whole milliseconds jitter; less than 20 ms is no gap


@dataclass(frozen=True, slots=True)
class Window:
    """From where to where sound is wanted, on the video's clock."""

    origin_s: Fraction  # the video's beginning on the file's own clock
    first: int  # samples after it
    end: int
    rate: int  # samples a second
    outputs: int  # channels, 1 or 2

    def place(self, frame: AudioFrame) -> int | None:
        """Return the sample at which a decoded frame begins; None when it has no time."""
        if frame.pts is None or frame.time_base is None:
            return None
        return round((frame.pts * frame.time_base - self.origin_s) * self.rate)


class Samples:
    """The samples of one window; iterate once, for blocks that together are exactly as long as it.

    `broken` and `heard` count the packets that could not and could be decoded so far, `unheard` the samples that are
    silent for that.

    Raises (while iterating):
        Refused: damaged: the file cannot be read on.
        MemoryError: libav could not allocate.
    """

    def __init__(self, path: Path, track: Track, window: Window, *, from_start: bool) -> None:
        """Prepare to read.

        Args:
            path: the upload.
            track: chosen in it.
            window: what is wanted.
            from_start: decode the track from its beginning instead of seeking to the window.
        """
        self._path = path
        self._track = track
        self._window = window
        self._from_start = from_start
        self.broken = 0
        self.heard = 0
        self.unheard = 0

    def __iter__(self) -> Iterator[Block]:
        window = self._window
        at = window.first
        broken = 0
        for position, block in self._runs():
            if position > at:
                yield from self._silence(at, min(position, window.end))
                self.unheard += min(position, window.end) - at if self.broken > broken else 0
                at = min(position, window.end)
            broken = self.broken
            part = block[:, at - position : window.end - position]
            if part.shape[1]:
                yield part
                at += part.shape[1]
            if at >= window.end:
                return
        self.unheard += window.end - at if self.broken > broken else 0
        yield from self._silence(at, window.end)

    def _silence(self, first: int, end: int) -> Iterator[Block]:
        step = self._window.rate
        for start in range(first, end, step):
            yield np.zeros((self._window.outputs, min(step, end - start)), np.float32)

    def _runs(self) -> Iterator[tuple[int, Block]]:
        """Give blocks with their place on the video's clock."""
        with translated(), opened(self._path) as container:
            run = _Run(self._window, self._track.labels)
            for frame in self._decode(container, tracks.stream_of(container, self._track)):
                try:
                    yield from run.take(frame)
                except MemoryError:
                    raise
                except av.error.FFmpegError:
                    self.broken += 1  # it took on a form in the middle that cannot be mixed
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
                self.heard += 1
            except MemoryError:
                raise
            except av.error.FFmpegError:
                self.broken += 1  # the next block's time shows the gap, and it becomes silence

    def _seek(self, container: InputContainer, stream: AudioStream, wanted: int) -> int:
        """Go to a time and say where that led: a file's index may be wrong."""
        container.seek(wanted, stream=stream)
        first = next((packet.pts for packet in packets(container, stream) if packet.pts is not None), wanted + 1)
        container.seek(wanted, stream=stream)
        return first


def together(sources: Sequence[Iterable[Block]]) -> Iterator[Block]:
    """Put sounds of the same length beside each other: the channels of the first, then those of the next."""
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
    """Resamples sound that belongs together; begins anew at every gap or change of form."""

    def __init__(self, window: Window, labels: Labels) -> None:
        self._window = window
        self._labels = labels
        self._resampler: Resampler | None = None
        self._form: tuple[str, str, int] = ("", "", 0)
        self._position = 0  # of the next sample that comes out
        self._began, self._taken = 0, 0  # where this run began, and how many samples of its own rate went in

    def take(self, frame: AudioFrame) -> Iterator[tuple[int, Block]]:
        place = self._window.place(frame)
        if self._resampler is None and place is None:
            return  # before the first time that is known there is none to put it at
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or form != self._form or self._is_gap(place):
            place = place if place is not None else self._due()
            yield from self.finish()
            self._begin(frame, form, place)
        self._taken += frame.samples
        assert self._resampler is not None
        yield from self._out(self._resampler.push(frame))

    def finish(self) -> Iterator[tuple[int, Block]]:
        if self._resampler is not None:
            yield from self._out(self._resampler.push(None))
            self._resampler = None

    def drop(self) -> None:
        """Give up the run; the next frame begins anew where it belongs."""
        self._resampler = None

    def _due(self) -> int:
        """Return where the next sample goes in, on the window's clock."""
        return self._began + self._taken * self._window.rate // max(self._form[2], 1)

    def _is_gap(self, place: int | None) -> bool:
        return place is not None and abs(place - self._due()) > SLACK_S * self._window.rate

    def _begin(self, frame: AudioFrame, form: tuple[str, str, int], place: int) -> None:
        labels = channels.labels_of(frame.layout, self._labels)
        weights = channels.matrix(labels, self._window.outputs)
        self._resampler = Resampler(frame, weights, self._window.rate)
        self._form = form
        self._position = self._began = place
        self._taken = 0

    def _out(self, blocks: Iterator[Block]) -> Iterator[tuple[int, Block]]:
        for block in blocks:
            yield self._position, block
            self._position += block.shape[1]
