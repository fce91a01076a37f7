"""Writes the sound of a stream-copied part: copied where possible, else encoded, or none."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from media.container.opening import open_upload, packets, translate_errors
from media.reading.soundtrack import AAC_FRAME, RATE, Soundtrack
from media.reading.spans import Span
from media.sound.audio_filter import Block
from media.sound.tracks import Sound, stream_of
from media.writing import aac
from media.writing.aac import AacWriter

TOLERANCE = RATE // 100  # samples; how far copied sound may be off at either end: half of what is allowed
MAX_BITS_S = aac.BITS_S * 1.25  # other encoders exceed 128 kbit/s by this much


class SoundWriter(Protocol):
    """Writes the sound track of a part."""

    @property
    def outcome(self) -> str | None:
        """Return "copied", "encoded", "unreadable" or None; valid after `close`."""
        ...

    def write_until(self, seconds: float) -> None:
        """Write the sound up to a time, so that the muxer need not buffer the pictures."""
        ...

    def close(self) -> None:
        """Write the rest of the sound."""
        ...


def open_sound_writer(source: Path, writer: OutputContainer, span: Span) -> SoundWriter:
    """Return the writer for a part's sound; the sound is copied only if the part is the whole video and it fits.

    Raises:
        Refused: the source cannot be played.
    """
    soundtrack = Soundtrack(source, span)
    if soundtrack.source is None or soundtrack.layout is None:
        return _NoSound()
    may_be_copied = not span.gain_db and span.is_first and span.is_last
    if may_be_copied and _is_decodable(soundtrack) and (chosen := _packets_to_copy(source, span, soundtrack.source)):
        return _CopiedSound(source, writer, soundtrack.source, chosen)
    return _EncodedSound(AacWriter(writer, soundtrack.layout), soundtrack)


class _NoSound:
    outcome: str | None = None

    def write_until(self, seconds: float) -> None:
        pass

    def close(self) -> None:
        pass


class _EncodedSound:
    def __init__(self, track: AacWriter, soundtrack: Soundtrack) -> None:
        self.track = track
        self.soundtrack = soundtrack
        self.blocks: Iterator[Block] = iter(soundtrack)

    @property
    def outcome(self) -> str | None:
        return self.soundtrack.outcome

    def write_until(self, seconds: float) -> None:
        while self.track.seconds < seconds and (block := next(self.blocks, None)) is not None:
            self.track.add(block)

    def close(self) -> None:
        self.write_until(float("inf"))
        self.track.close()


class _CopiedSound:
    outcome: str | None = "copied"

    def __init__(self, source: Path, writer: OutputContainer, sound: Sound, indices: range) -> None:
        self._writer = writer
        self._opened = open_upload(source)
        reader = self._opened.__enter__()
        stream = stream_of(reader, sound.tracks[0])
        self._target = writer.add_stream_from_template(stream)
        self._target.time_base = Fraction(1, RATE)
        whole = (packet for packet in packets(reader, stream) if packet.pts is not None)
        self._packets = itertools.islice(whole, indices.start, indices.stop)
        self._written = 0

    def write_until(self, seconds: float) -> None:
        while self._written * AAC_FRAME < seconds * RATE and (packet := next(self._packets, None)) is not None:
            packet.pts = packet.dts = self._written * AAC_FRAME
            packet.duration, packet.time_base, packet.stream = AAC_FRAME, Fraction(1, RATE), self._target
            self._writer.mux(packet)
            self._written += 1

    def close(self) -> None:
        self.write_until(float("inf"))
        self._opened.__exit__(None, None, None)


def _is_decodable(soundtrack: Soundtrack) -> bool:
    """Decode the sound once: sound that cannot be decoded must not be copied."""
    for _ in soundtrack:
        pass
    return soundtrack.outcome == "encoded"


def _packets_to_copy(source: Path, span: Span, sound: Sound) -> range | None:
    """Return the indices of the packets to copy; None if the sound must be encoded."""
    if len(sound.tracks) > 1:
        return None
    with translate_errors(), open_upload(source) as container:
        stream = stream_of(container, sound.tracks[0])
        if not _is_platform_format(stream):
            return None
        timed = (packet for packet in packets(container, stream) if packet.pts is not None)
        found = [(_position(packet, span), packet.size) for packet in timed]
    positions, sizes = [at for at, _ in found], [size for _, size in found]
    length = span.frames / span.rate * RATE
    inside = [number for number, at in enumerate(positions) if -TOLERANCE <= at < length - AAC_FRAME // 2]
    if not inside:
        return None
    chosen = range(inside[0], inside[-1] + 1)
    begins, ends = positions[inside[0]], positions[inside[-1]] + AAC_FRAME
    is_contiguous = all(abs(positions[n] - begins - (n - inside[0]) * AAC_FRAME) <= 1 for n in chosen)
    bits_s = sum(sizes[n] for n in chosen) * 8 / (len(chosen) * AAC_FRAME / RATE)
    is_in_step = abs(begins) <= TOLERANCE and abs(ends - length) <= AAC_FRAME // 2 + TOLERANCE
    return chosen if is_contiguous and is_in_step and bits_s <= MAX_BITS_S else None


def _is_platform_format(stream: AudioStream) -> bool:
    context = stream.codec_context
    return (context.name, context.profile, context.sample_rate) == ("aac", "LC", RATE) and context.channels <= 2


def _position(packet: "Packet[AudioStream]", span: Span) -> int:
    assert packet.pts is not None
    return round((packet.pts * Fraction(packet.time_base) - span.origin_s) * RATE)
