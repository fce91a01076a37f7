"""Where an upload's sound begins and ends, from the time stamps of its packets; nothing is decoded."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from media.opening import opened, packets
from media.tracks import Track, stream_of

# Sound that follows only after a longer hole is a stray time stamp. Recorders code silence as packets; the holes of a
# muted microphone or a call that was cut off are shorter.
LONGEST_HOLE_S = 30
MOST_RUNS = 1000  # stretches between such holes: three hours have room for 360
MOST_PACKETS = 5_000_000  # three hours of the shortest that Opus has, 2.5 ms, and a little


def extent_of(path: Path, track: Track, begin_s: Fraction, end_s: Fraction) -> tuple[Fraction, Fraction]:
    """Return where the sound begins and ends that belongs to some pictures.

    A header's duration is never believed. Packets that an edit list hides, and samples that the codec primes or pads
    with, do not count.

    Args:
        path: the upload.
        track: its chosen sound.
        begin_s: when the first picture is shown, on the source's clock.
        end_s: when the last one's time is over.

    Raises:
        Refused: the file cannot be read.
    """
    with opened(path) as container:
        stream = stream_of(container, track)
        unit = stream.time_base or Fraction(1)
        hole = round(LONGEST_HOLE_S / unit)
        first, last = round(begin_s / unit), round(end_s / unit)
        runs = _runs(container, stream, hole)
    for start, end in sorted(runs):
        if start <= last + hole:
            last = max(last, end)
    for start, end in sorted(runs, key=lambda run: -run[1]):
        if end >= first - hole:
            first = min(first, start)
    return first * unit, last * unit


def _runs(container: InputContainer, stream: AudioStream, hole: int) -> list[tuple[int, int]]:
    """Return the stretches of sound between long holes, in time stamps, in the order in which they are stored."""
    runs: list[tuple[int, int]] = []
    start = end = before = None
    step = 0  # the longest from one packet to the next; libav tells the last one of an edit to be much longer
    for packet in islice(packets(container, stream), MOST_PACKETS):
        if packet.pts is None or packet.is_discard:
            continue
        begins, ends = _heard(packet, stream)
        step = max(step, begins - before) if before is not None and begins - before < hole else step
        ends, before = min(ends, begins + step) if step else ends, begins
        if start is None or end is None or begins > end + hole or ends < start - hole:
            if start is not None and end is not None:
                runs.append((start, end))
            if len(runs) > MOST_RUNS:
                break
            start, end = begins, ends
        start, end = min(start, begins), max(end, ends)
    return [*runs, (start, end)] if start is not None and end is not None else runs


def _heard(packet: "Packet[AudioStream]", stream: AudioStream) -> tuple[int, int]:
    """Return the time stamps of a packet's beginning and end, without what its decoder is to leave out."""
    assert packet.pts is not None
    begins, ends = packet.pts, packet.pts + (packet.duration or 0)
    if packet.has_sidedata("skip_samples"):
        # libav's AV_PKT_DATA_SKIP_SAMPLES: two 32-bit numbers, to drop at the packet's beginning and at its end.
        left_out = bytes(packet.get_sidedata("skip_samples"))
        sample = Fraction(1, stream.codec_context.sample_rate) / (stream.time_base or Fraction(1))
        begins += round(int.from_bytes(left_out[:4], "little") * sample)
        ends -= round(int.from_bytes(left_out[4:8], "little") * sample)
    return begins, max(begins, ends)
