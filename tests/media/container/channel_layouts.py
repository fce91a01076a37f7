"""Sound tracks with all kinds of channel layouts, written with PyAV and a few edited boxes."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.media.container import box_editing

CHAN_LABELS = [
    0, *range(1, 19), 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 49, 50, 51, 100, 200, 201, 202, 203, 204,
    205, 206, 207, 208, 209, 210, 211, 301, 302, 303, 304, 305, 400, 401, 0x10000, 0x10003, 0x1FFFF, 0x20000, 0x20003,
    0xFFFFFFFF,
]  # fmt: skip  # CoreAudioBaseTypes.h, AudioChannelLabel
BY_DESCRIPTIONS, BY_BITMAP = 0, 0x10000  # AudioChannelLayoutTag


@dataclass(frozen=True)
class Case:
    """A file to be written, with the changes of its boxes."""

    name: str
    codec: str
    layout: str  # as libav spells it
    suffix: str = ".mov"
    box: bytes = b""  # put into the sample entry in place of `chan`
    patch: tuple[bytes, int, bytes] | None = None  # mark, places after it, bytes written there
    options: tuple[tuple[str, str], ...] = ()  # of the encoder


def chan(labels: Sequence[int] = (), *, tag: int = BY_DESCRIPTIONS, bitmap: int = 0) -> bytes:
    """Write QuickTime's box of a channel layout (QuickTime File Format, "Audio Channel Layout Atom")."""
    descriptions = b"".join(struct.pack(">IIfff", label, 0, 0, 0, 0) for label in labels)
    return box_editing.box(b"chan", struct.pack(">IIII", 0, tag, bitmap, len(labels)) + descriptions)


def chnl(positions: Sequence[int], *, defined: int = 0, omitted: int = 0, structure: int = 1) -> bytes:
    """Write ISO's box of a channel layout (ISO/IEC 14496-12, 12.2.4, version 0)."""
    body = struct.pack(">IB", 0, structure)
    if structure & 1:
        body += bytes([defined])
        body += struct.pack(">Q", omitted) if defined else b"".join(_position(place) for place in positions)
    return box_editing.box(b"chnl", body + (b"\1" if structure & 2 else b""))


def write(folder: Path, case: Case, *, seconds: float = 0.4) -> Path:
    """Write a case's file; each channel has its own tone, the first one the lowest."""
    path = folder / f"{case.name}{case.suffix}"
    with av.open(str(path), "w") as container:
        rate = 48_000
        stream = container.add_stream(
            case.codec, rate=rate, layout=case.layout, options={"strict": "-2"} | dict(case.options)
        )
        assert isinstance(stream, av.AudioStream)
        for block in _tones(stream, rate, seconds):
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    if case.box:
        data = _with_box(data, case.box)
    if case.patch is not None:
        mark, after, value = case.patch
        at = data.index(mark) + after
        data = data[:at] + value + data[at + len(value) :]
    path.write_bytes(data)
    return path


def cases(count: int, seed: int = 3) -> Iterator[Case]:
    """Yield layouts of all families: some chosen ones, then random ones."""
    random = np.random.default_rng(seed)
    yield from _chosen()
    for number in range(count):
        channels = int(random.integers(1, 25))
        kind = number % 5
        name = f"drawn{number}"
        layout = f"{channels} channels"
        codec = ("pcm_s16le", "pcm_s24be", "pcm_f32le", "pcm_mulaw")[number % 4]
        if kind == 0:
            box = chan([int(random.choice(CHAN_LABELS)) for _ in range(channels)])
        elif kind == 1:
            bits = random.choice(18, min(channels, 18), replace=False)
            box = chan(tag=BY_BITMAP, bitmap=int(sum(1 << int(bit) for bit in bits)))
        elif kind == 2:
            box = chan(tag=(int(random.integers(100, 200)) << 16) | channels)
        elif kind == 3:
            box = chnl([int(random.integers(0, 128)) for _ in range(channels)], structure=int(random.integers(0, 4)))
        else:
            box = box_editing.box(b"chnl" if number % 2 else b"chan", random.bytes(int(random.integers(0, 60))))
        yield Case(name, codec, layout, box=box)


def _chosen() -> Iterator[Case]:
    yield from _in_boxes()
    yield from _in_codecs()
    yield from _in_opus()


def _in_boxes() -> Iterator[Case]:
    for first in CHAN_LABELS:
        for second in (1, 2, 3, first):
            yield Case(f"pair-{first:x}-{second}", "pcm_s16le", "stereo", box=chan([first, second]))
    for number in range(1, 21):
        yield Case(f"chnl{number}", "pcm_s16le", f"{number} channels", box=chnl([], defined=number))


def _in_codecs() -> Iterator[Case]:
    for layout in ("3.0(back)", "6.0(front)", "7.1(wide)", "octagonal", "hexadecagonal"):  # in a program config element
        yield Case(f"aac-{layout}", "aac", layout, ".mp4")
    for layout in ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1(back)", "7.1", "quad", "FL+FR+LFE", "hexagonal"):
        yield Case(f"aac-{layout}", "aac", layout, ".mp4")
        yield Case(f"aac-chan-{layout}", "aac", layout, box=chan([2, 1, 3, 3, 5, 6, 9, 10][: _count(layout)]))
    for layout in ("mono", "stereo", "5.1", "FL+FR+LFE", "TFL+TFR", "FC+LFE", "BL+BR", "7.1"):
        yield Case(f"flac-{layout}", "flac", layout, ".mkv")
        yield Case(f"pcm-{layout}", "pcm_s16le", layout, ".mkv")
    for layout in ("mono", "stereo", "5.1(side)", "3.0(back)", "FL+FR+LFE"):
        yield Case(f"ac3-{layout}", "ac3", layout, ".mp4")


def _in_opus() -> Iterator[Case]:
    for layout in ("mono", "stereo", "5.1", "7.1"):
        for family in (0, 1, 2, 3, 4, 254, 255):
            patch = (b"OpusHead", 18, bytes([family]))  # RFC 7845, 5.1
            yield Case(f"opus-{layout}-{family}", "libopus", layout, ".mkv", patch=patch)
    for number, counts in ((2, (1, 4, 6, 9, 11, 16, 18)), (255, (1, 2, 3, 8, 12, 24, 25))):
        for count in counts:
            options = (("mapping_family", str(number)),)
            yield Case(f"opus-family{number}-{count}", "libopus", f"{count} channels", ".mkv", options=options)
    for count in (1, 2, 3, 4, 9, 16, 255):
        yield Case(f"opus-count-{count}", "libopus", "stereo", ".mkv", patch=(b"OpusHead", 9, bytes([count])))


def _count(layout: str) -> int:
    return av.AudioLayout(layout).nb_channels


def _tones(stream: av.AudioStream, rate: int, seconds: float) -> Iterator[av.AudioFrame]:
    count = stream.layout.nb_channels
    time = np.arange(round(rate * seconds)) / rate
    # Packed 16 bits: PyAV reads past the planes of more than seven channels.
    tones = np.stack([8000 * np.sin(2 * np.pi * (300 + 150 * number) * time) for number in range(count)], axis=1)
    frame_size = 960
    for start in range(0, len(time) - frame_size + 1, frame_size):
        part = np.ascontiguousarray(tones[start : start + frame_size].astype(np.int16).reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout=stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        yield frame


def _position(place: int) -> bytes:
    return bytes([place]) + (struct.pack(">hb", 30, 0) if place == 126 else b"")


def _with_box(data: bytes, box: bytes) -> bytes:
    """Put a box at the end of the sound's sample entry, in place of a `chan` that is there."""
    edited = bytearray(data.replace(b"chan", b"skip"))
    entry = edited.index(b"stsd") + 12
    end = entry + int.from_bytes(edited[entry : entry + 4])
    parents = [edited.index(kind) - 4 for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")]
    for start in [*parents, entry]:
        size = int.from_bytes(edited[start : start + 4]) + len(box)
        edited[start : start + 4] = struct.pack(">I", size)
    edited[end:end] = box
    return bytes(edited)
