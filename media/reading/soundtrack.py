"""Reads the sound of one span: sample-exact, 48 kHz, as long as its pictures, with silence in the gaps."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from media.reading.spans import Span
from media.sound import tracks
from media.sound.audio_filter import Block, filtered
from media.sound.samples import Samples, Window, merge_channels

RATE = 48_000
AAC_FRAME = 1024  # samples in a frame of AAC
FADE = RATE // 100  # 10 ms at a cut, against clicks

MAX_SILENCED_SHARE = 0.5  # of a part's samples; with more, its sound counts as unreadable
MAX_PEAK = 0.79  # -2 dB: between samples, and after coding, peaks are up to 2 dB higher


def coded_samples(samples: int) -> int:
    """Return how many samples of a sound are coded: a last AAC frame that is less than half full is left out."""
    return min(samples, (samples + AAC_FRAME // 2) // AAC_FRAME * AAC_FRAME)


class Soundtrack:
    """The sound of one span, in blocks that together are exactly as long as the span; can be iterated once.

    `layout` is "mono", "stereo", or None if the upload has no sound; then there are no blocks. If the span has a gain,
    a limiter keeps the peaks below `MAX_PEAK`. `outcome` is valid after the last block.
    """

    def __init__(self, path: Path, span: Span) -> None:
        self._path = path
        self._span = span
        # Both ends are rounded on the clock of the whole video, so neighbours neither overlap nor leave a gap.
        self.first = round(span.first * RATE / span.rate)
        self.end = round((span.first + span.frames) * RATE / span.rate)
        self.source = tracks.choose(path)
        self.layout = None if self.source is None else ("mono", "stereo")[self.source.outputs - 1]
        self._samples: list[Samples] = []

    @property
    def outcome(self) -> str | None:
        """Return "encoded", "unreadable" if most of it is silent because of broken packets, or None without sound."""
        if self.layout is None:
            return None
        silenced = min((samples.silenced for samples in self._samples), default=0)
        return "unreadable" if silenced > MAX_SILENCED_SHARE * (self.end - self.first) else "encoded"

    def __iter__(self) -> Iterator[Block]:
        if self.layout is None:
            return
        at = self.first
        blocks = self._read_blocks()
        if gain_db := self._span.gain_db:
            # With `latency=1` the filter compensates its own delay.
            limiter = ("alimiter", f"limit={MAX_PEAK}:attack=5:release=50:level=0:latency=1")
            blocks = filtered(blocks, self.layout, RATE, ("volume", f"{gain_db:.3f}dB:precision=float"), limiter)
        for block in blocks:
            yield self._faded(block, at)
            at += block.shape[1]

    def _read_blocks(self) -> Iterator[Block]:
        assert self.source is not None
        each = self.source.outputs // len(self.source.tracks)
        window = Window(self._span.origin_s, self.first, self.end, RATE, each)
        from_start = self._span.is_first
        self._samples = [Samples(self._path, track, window, from_start=from_start) for track in self.source.tracks]
        return merge_channels(self._samples)

    def _faded(self, block: Block, at: int) -> Block:
        places = np.arange(at, at + block.shape[1])
        gain = np.ones(block.shape[1], np.float32)
        if not self._span.is_first:
            gain = np.minimum(gain, (places - self.first + 0.5) / FADE)
        if not self._span.is_last:
            audible_end = self.first + coded_samples(self.end - self.first)
            gain = np.minimum(gain, (audible_end - places - 0.5) / FADE)
        return np.asarray(block * np.maximum(gain, 0), dtype=np.float32)
