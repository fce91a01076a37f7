"""Finds where an upload's sound begins and ends, by its packets' time stamps, without decoding."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from media.container.opening import open_upload, packets
from media.sound.tracks import Track, stream_of

# A packet after a longer gap has a stray time stamp. Recorders encode silence as packets, and the gaps of a muted
# microphone or an interrupted call are shorter.
MAX_GAP_S = 30
MAX_RUNS = 1000  # between such gaps; three hours have room for 360
MAX_PACKETS = 5_000_000  # three hours of Opus's shortest packets, 2.5 ms, have 4,320,000


def find(path: Path, track: Track, begin_s: Fraction, end_s: Fraction) -> tuple[Fraction, Fraction]:
    """Return when the sound begins and ends, on the source's clock.

    The header's duration is not used. Packets hidden by an edit list, and samples of the codec's priming or padding, do
    not count.

    Args:
        path: the upload.
        track: its chosen sound track.
        begin_s: when the first picture begins, on the source's clock.
        end_s: when the last picture ends.

    Raises:
        Refused: the file cannot be read.
    """
    with open_upload(path) as container:
        stream = stream_of(container, track)
        unit = stream.time_base or Fraction(1)
        gap = round(MAX_GAP_S / unit)
        first, last = round(begin_s / unit), round(end_s / unit)
        runs = _runs(container, stream, gap)
    for start, end in sorted(runs):
        if start <= last + gap:
            last = max(last, end)
    for start, end in sorted(runs, key=lambda run: -run[1]):
        if end >= first - gap:
            first = min(first, start)
    return first * unit, last * unit


def _runs(container: InputContainer, stream: AudioStream, gap: int) -> list[tuple[int, int]]:
    """Return the intervals of sound between long gaps, in time stamps and storage order."""
    runs: list[tuple[int, int]] = []
    start = end = previous = None
    step = 0  # the longest distance between packets; libav reports a much longer last packet of an edit
    for packet in islice(packets(container, stream), MAX_PACKETS):
        if packet.pts is None or packet.is_discard:
            continue
        begins, ends = _audible_interval(packet, stream)
        step = max(step, begins - previous) if previous is not None and begins - previous < gap else step
        ends, previous = min(ends, begins + step) if step else ends, begins
        if start is None or end is None or begins > end + gap or ends < start - gap:
            if start is not None and end is not None:
                runs.append((start, end))
            if len(runs) > MAX_RUNS:
                break
            start, end = begins, ends
        start, end = min(start, begins), max(end, ends)
    return [*runs, (start, end)] if start is not None and end is not None else runs


def _audible_interval(packet: "Packet[AudioStream]", stream: AudioStream) -> tuple[int, int]:
    """Return the time stamps of a packet's beginning and end, without the samples its decoder skips."""
    assert packet.pts is not None
    begins, ends = packet.pts, packet.pts + (packet.duration or 0)
    if packet.has_sidedata("skip_samples"):
        # libav's AV_PKT_DATA_SKIP_SAMPLES: two 32-bit sample counts, at the packet's beginning and at its end.
        skipped = bytes(packet.get_sidedata("skip_samples"))
        sample = Fraction(1, stream.codec_context.sample_rate) / (stream.time_base or Fraction(1))
        begins += round(int.from_bytes(skipped[:4], "little") * sample)
        ends -= round(int.from_bytes(skipped[4:8], "little") * sample)
    return begins, max(begins, ends)
