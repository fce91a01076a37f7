"""Encodes AAC-LC that begins with the first picture and ends with the last, without an edit list.

AAC's transform overlaps: a frame of 1024 samples is the sum of halves of two packets. Without an edit list nothing may
precede the first sound, so the encoder's priming packet is left out, and a player gets only one half of the first 1024
samples: a fade-in of 21 ms, in place of the fade of 10 ms at a cut. No coding can avoid that: the missing half cancels
the aliasing, a mirror image of the sound, in the other one. All following samples are exact and in step.

Tried, 2026-11-26: the real sound before the cut given to the encoder, its packet left out. The first 21 ms stay 2.8 dB
above their error on noise (2.5 without), 2.9 on tones (2.3); with the packet kept, and all sound late by 21 ms, 23 and
35.
"""

from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from media.reading.soundtrack import AAC_FRAME, RATE, coded_samples
from media.sound.audio_filter import Block

BITS_S = 128_000


class AacWriter:
    """Writes one AAC track: add blocks in order, then close."""

    def __init__(self, container: OutputContainer, layout: str) -> None:
        self._container = container
        self._stream = container.add_stream("aac", rate=RATE, layout=layout)
        self._stream.codec_context.bit_rate = BITS_S
        self._pending: list[Block] = []
        self._samples = 0  # added
        self._encoded = 0  # sent to the encoder
        self._last: Packet[AudioStream] | None = None

    @property
    def seconds(self) -> float:
        """Return the duration of the sound so far."""
        return self._samples / RATE

    def add(self, block: Block) -> None:
        """Add the next block of sound."""
        self._pending.append(block)
        self._samples += block.shape[1]
        if self._samples - self._encoded >= AAC_FRAME:
            waiting = np.concatenate(self._pending, axis=1)
            whole = waiting.shape[1] // AAC_FRAME * AAC_FRAME
            for start in range(0, whole, AAC_FRAME):
                self._encode(waiting[:, start : start + AAC_FRAME])
            self._pending = [waiting[:, whole:]]

    def close(self) -> None:
        """Encode the rest, padded with silence, and write the last packets."""
        if self._samples > self._encoded:
            rest = np.concatenate(self._pending, axis=1)
            self._encode(np.pad(rest, ((0, 0), (0, AAC_FRAME - rest.shape[1]))))
        self._mux(self._stream.encode(None))
        self._mux_last()

    def _encode(self, block: Block) -> None:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=self._stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._encoded, Fraction(1, RATE)
        self._encoded += AAC_FRAME
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: "list[Packet[AudioStream]]") -> None:
        """Write all packets but the last one, which `_mux_last` writes; leave out the priming."""
        for packet in packets:
            if packet.pts is None or packet.pts < 0:
                continue
            if self._last is not None:
                self._container.mux(self._last)
            self._last = packet

    def _mux_last(self) -> None:
        """Write the last packet with the duration that is left, or leave it out if that is less than half of it."""
        if self._last is None or self._last.pts is None:
            return
        if coded_samples(self._samples) > self._last.pts:
            self._last.duration = min(self._samples - self._last.pts, AAC_FRAME)
            self._container.mux(self._last)
