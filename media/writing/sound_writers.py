"""The sound beside copied pictures: copied, too, where that is possible, else encoded, or none."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from media.container.opening import open_upload, packets, translate_errors
from media.reading.soundtrack import BLOCK, RATE, Soundtrack
from media.reading.spans import Span
from media.sound.audio_filter import Block
from media.sound.tracks import Sound, stream_of
from media.writing import aac
from media.writing.aac import Aac

IN_STEP = RATE // 100  # samples that copied sound may be off at either end; half of what is allowed
BITS_S = aac.BITS_S * 1.25  # what other encoders make of 128 kbit/s


class Track(Protocol):
    """A sound track being written."""

    @property
    def outcome(self) -> str | None:
        """Return what became of the sound, once it is closed."""
        ...

    def until(self, seconds: float) -> None:
        """Write the sound up to a time, so that the muxer need not hold the pictures."""
        ...

    def close(self) -> None:
        """Write the rest."""
        ...


def track_of(source: Path, writer: OutputContainer, span: Span) -> Track:
    """Begin the sound of a part; it is copied only when the part is the whole video and its sound fits as it is.

    Raises:
        Refused: the source cannot be played.
    """
    soundtrack = Soundtrack(source, span)
    if soundtrack.source is None or soundtrack.layout is None:
        return _Silence()
    may_be_copied = not span.gain_db and span.is_first and span.is_last
    if may_be_copied and _is_heard(soundtrack) and (chosen := _fitting(source, span, soundtrack.source)):
        return _Copied(source, writer, soundtrack.source, chosen)
    return _Encoded(Aac(writer, soundtrack.layout), soundtrack)


class _Silence:
    outcome: str | None = None

    def until(self, seconds: float) -> None:
        pass

    def close(self) -> None:
        pass


class _Encoded:
    def __init__(self, track: Aac, soundtrack: Soundtrack) -> None:
        self.track = track
        self.soundtrack = soundtrack
        self.blocks: Iterator[Block] = iter(soundtrack)

    @property
    def outcome(self) -> str | None:
        return self.soundtrack.outcome

    def until(self, seconds: float) -> None:
        while self.track.seconds < seconds and (block := next(self.blocks, None)) is not None:
            self.track.add(block)

    def close(self) -> None:
        self.until(float("inf"))
        self.track.close()


class _Copied:
    outcome: str | None = "copied"

    def __init__(self, source: Path, writer: OutputContainer, sound: Sound, chosen: range) -> None:
        self._writer = writer
        self._opened = open_upload(source)
        reader = self._opened.__enter__()
        stream = stream_of(reader, sound.tracks[0])
        self._target = writer.add_stream_from_template(stream)
        self._target.time_base = Fraction(1, RATE)
        whole = (packet for packet in packets(reader, stream) if packet.pts is not None)
        self._packets = itertools.islice(whole, chosen.start, chosen.stop)
        self._written = 0

    def until(self, seconds: float) -> None:
        while self._written * BLOCK < seconds * RATE and (packet := next(self._packets, None)) is not None:
            packet.pts = packet.dts = self._written * BLOCK
            packet.duration, packet.time_base, packet.stream = BLOCK, Fraction(1, RATE), self._target
            self._writer.mux(packet)
            self._written += 1

    def close(self) -> None:
        self.until(float("inf"))
        self._opened.__exit__(None, None, None)


def _is_heard(soundtrack: Soundtrack) -> bool:
    """Decode it once: what no decoder can read is not handed on as if it were sound."""
    for _ in soundtrack:
        pass
    return soundtrack.outcome == "encoded"


def _fitting(source: Path, span: Span, sound: Sound) -> range | None:
    """Return which packets of the sound are the video's own, or None when they have to be made anew."""
    if len(sound.tracks) > 1:
        return None
    with translate_errors(), open_upload(source) as container:
        stream = stream_of(container, sound.tracks[0])
        if not _has_form(stream):
            return None
        found = [(_place(packet, span), packet.size) for packet in packets(container, stream) if packet.pts is not None]
    length = span.frames / span.rate * RATE
    inside = [number for number, (place, _) in enumerate(found) if -IN_STEP <= place < length - BLOCK // 2]
    if not inside:
        return None
    chosen = range(inside[0], inside[-1] + 1)
    even = all(abs(found[n][0] - found[inside[0]][0] - (n - inside[0]) * BLOCK) <= 1 for n in chosen)
    begins, ends = found[inside[0]][0], found[inside[-1]][0] + BLOCK
    bits_s = sum(found[n][1] for n in chosen) * 8 / (len(chosen) * BLOCK / RATE)
    fits = even and abs(begins) <= IN_STEP and abs(ends - length) <= BLOCK // 2 + IN_STEP and bits_s <= BITS_S
    return chosen if fits else None


def _has_form(stream: AudioStream) -> bool:
    context = stream.codec_context
    return (context.name, context.profile, context.sample_rate) == ("aac", "LC", RATE) and context.channels <= 2


def _place(packet: "Packet[AudioStream]", span: Span) -> int:
    assert packet.pts is not None
    return round((packet.pts * Fraction(packet.time_base) - span.origin_s) * RATE)
