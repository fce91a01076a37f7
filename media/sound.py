"""The sound of one span of an upload: sample-exact, 48 kHz, as long as its pictures, silent where there is none."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from media.chain import Block, filtered
from media.opening import audio_of, opened, packets, translated
from media.spans import Span

RATE = 48_000
BLOCK = 1024  # samples that AAC codes at a time
FADE = RATE // 100  # 10 ms at a cut, so that it does not click
LEAD_S = Fraction(3, 10)  # decoded before the span: codecs need up to 80 ms (Opus) to find their feet
SLACK = RATE // 50  # time stamps in whole milliseconds jitter; less than 20 ms is no gap

CEILING = 0.79  # -2 dB: between the samples, and after coding, peaks are up to 2 dB higher


def kept(samples: int) -> int:
    """Return how many of so many samples a track of whole blocks has room for: half a block or more gets a block."""
    return min(samples, (samples + BLOCK // 2) // BLOCK * BLOCK)


class Soundtrack:
    """The sound of one span; iterate once, for blocks that together are exactly the span's length.

    `layout` is "mono", "stereo" or None when the upload has no sound; then there are no blocks. With a gain the peaks
    that would be too high are held back.
    """

    def __init__(self, path: Path, span: Span) -> None:
        self._path = path
        self._span = span
        # Both ends are rounded on the clock of the whole video, so neighbours neither overlap nor leave a gap.
        self.first = round(span.first * RATE / span.rate)
        self.end = round((span.first + span.frames) * RATE / span.rate)
        self.layout = self._look()

    def __iter__(self) -> Iterator[Block]:
        if self.layout is None:
            return
        at = self.first
        blocks = self._laid_out()
        if gain_db := self._span.gain_db:
            # The limiter looks ahead and back; what it holds back it gives out in its place.
            limiter = ("alimiter", f"limit={CEILING}:attack=5:release=50:level=0:latency=1")
            blocks = filtered(blocks, self.layout, RATE, ("volume", f"{gain_db:.3f}dB:precision=float"), limiter)
        for block in blocks:
            yield self._faded(block, at)
            at += block.shape[1]

    def _look(self) -> str | None:
        with opened(self._path) as container:
            stream = audio_of(container)
            if stream is None:
                return None
            return "mono" if stream.codec_context.channels == 1 else "stereo"

    def _laid_out(self) -> Iterator[Block]:
        """Put the runs of sound on the span's clock: silence where nothing is, nothing twice."""
        at = self.first
        for position, block in self._runs():
            if position > at:
                yield from self._silence(min(position, self.end) - at)
                at = min(position, self.end)
            part = block[:, at - position : self.end - position]
            if part.shape[1]:
                yield part
                at += part.shape[1]
            if at >= self.end:
                return
        yield from self._silence(self.end - at)

    def _silence(self, samples: int) -> Iterator[Block]:
        channels = 1 if self.layout == "mono" else 2
        for start in range(0, samples, RATE):
            yield np.zeros((channels, min(RATE, samples - start)), np.float32)

    def _faded(self, block: Block, at: int) -> Block:
        places = np.arange(at, at + block.shape[1])
        gain = np.ones(block.shape[1], np.float32)
        if not self._span.is_first:
            gain = np.minimum(gain, (places - self.first + 0.5) / FADE)
        if not self._span.is_last:
            heard_until = self.first + kept(self.end - self.first)
            gain = np.minimum(gain, (heard_until - places - 0.5) / FADE)
        return np.asarray(block * np.maximum(gain, 0), dtype=np.float32)

    def _runs(self) -> Iterator[tuple[int, Block]]:
        """Decode from a little before the span; give blocks with their place on the video's clock."""
        with translated(), opened(self._path) as container:
            stream = audio_of(container)
            assert stream is not None
            run = _Run(self.layout or "stereo")
            for frame in self._decode(container, stream):
                yield from run.take(frame, self._place(frame))
            yield from run.finish()

    def _place(self, frame: AudioFrame) -> int | None:
        if frame.pts is None or frame.time_base is None:
            return None
        return round((frame.pts * frame.time_base - self._span.origin_s) * RATE)

    def _decode(self, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
        unit = stream.time_base or Fraction(1, RATE)
        wanted = round((self._span.origin_s + Fraction(self.first, RATE) - LEAD_S) / unit)
        if not self._span.is_first and self._seek(container, stream, wanted) > wanted:
            container.seek(min(stream.start_time or 0, 0), stream=stream)
        for packet in packets(container, stream):
            if packet.pts is not None and packet.pts < wanted and not self._span.is_first:
                continue
            try:
                yield from packet.decode()
            except MemoryError:
                raise
            except av.error.FFmpegError:
                continue  # the next block's time shows the gap, and it becomes silence

    def _seek(self, container: InputContainer, stream: AudioStream, wanted: int) -> int:
        """Go to a time and say where that led: a file's index may be wrong."""
        container.seek(wanted, stream=stream)
        first = next((packet.pts for packet in packets(container, stream) if packet.pts is not None), wanted + 1)
        container.seek(wanted, stream=stream)
        return first


class _Run:
    """Resamples sound that belongs together; begins anew at every gap or change of format."""

    def __init__(self, layout: str) -> None:
        self._layout = layout
        self._resampler: AudioResampler | None = None
        self._format: tuple[str, str, int] = ("", "", 0)
        self._position = 0  # of the next sample that comes out
        self._came_in = Fraction(0)  # where the next sample goes in, on the same clock

    def take(self, frame: AudioFrame, place: int | None) -> Iterator[tuple[int, Block]]:
        if self._resampler is None and place is None:
            return  # before the first time that is known there is none to put it at
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        gap = place is not None and abs(place - self._came_in) > SLACK
        if self._resampler is None or gap or kind != self._format:
            yield from self.finish()
            self._begin(kind, place if place is not None else round(self._came_in))
        assert self._resampler is not None
        self._came_in += Fraction(frame.samples * RATE, frame.sample_rate)
        frame.pts = None  # the resampler would otherwise mind the jitter
        yield from self._out(self._resampler.resample(frame))

    def finish(self) -> Iterator[tuple[int, Block]]:
        if self._resampler is not None:
            yield from self._out(self._resampler.resample(None))
            self._resampler = None

    def _begin(self, kind: tuple[str, str, int], place: int) -> None:
        # Down-mixing five channels must not exceed full scale.
        self._resampler = AudioResampler("fltp", self._layout, RATE, options={"rematrix_maxval": "1.0"})
        self._format = kind
        self._position = place
        self._came_in = Fraction(place)

    def _out(self, frames: list[AudioFrame]) -> Iterator[tuple[int, Block]]:
        for frame in frames:
            block = np.asarray(frame.to_ndarray(), dtype=np.float32)
            yield self._position, block
            self._position += block.shape[1]
