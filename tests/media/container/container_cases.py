"""Random but valid upload files: container, codecs, edit list, other boxes, clock, and truncation."""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.media import films
from tests.media.container import box_editing

RATE, FRAMES, GOP = 25, 150, 25
SECONDS = FRAMES / RATE
SIZE = (96, 64)
VIDEO = {
    "h264": ("libx264", {"preset": "ultrafast", "bf": "2", "g": str(GOP)}),
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": f"log-level=none:keyint={GOP}:min-keyint={GOP}"}),
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "g": str(GOP)}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "g": str(GOP)}),
    "mpeg4": ("mpeg4", {"g": str(GOP), "qscale": "5"}),
    "mjpeg": ("mjpeg", {}),
    "prores": ("prores_ks", {}),
}
PIXELS = {"mjpeg": "yuvj420p", "prores": "yuv422p10le"}
SOUND = {
    "aac": "aac", "mp3": "libmp3lame", "opus": "libopus", "vorbis": "vorbis", "flac": "flac", "ac3": "ac3",
    "alac": "alac", "pcm": "pcm_s16le",
}  # fmt: skip
LAYOUTS = ("mono", "stereo", "5.1")
MORE_LAYOUTS = {
    "aac": ("3.0", "4.0", "5.0"), "opus": ("quad", "7.1"), "flac": ("quad", "7.1"), "ac3": ("2.1", "quad"),
    "pcm": ("2.1", "octagonal", "7.1(wide)", "hexadecagonal"),
}  # fmt: skip
"""Further layouts that an encoder supports; layouts that no encoder writes are in `channel_layouts`."""

FORMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "mp4": (("h264", "hevc", "vp9", "mpeg4", "mjpeg"), ("aac", "mp3", "opus", "flac", "ac3", "alac")),
    "mov": (("h264", "hevc", "mpeg4", "mjpeg", "prores"), ("aac", "alac", "pcm", "ac3")),
    "fragmented": (("h264", "hevc", "vp9"), ("aac", "opus", "flac")),
    "mkv": (tuple(VIDEO), tuple(SOUND)),
    "webm": (("vp8", "vp9"), ("opus", "vorbis")),
}
MISSING_S = 1.1  # seconds that may be missing of a truncated file without an error
PRIMING = 2500  # samples of codec priming, which these files do not mark as skipped
# Samples: reordered pictures begin late without an edit list, and after a cut libavformat begins with the next whole
# packet of sound, up to 4608.
SHIFTED = 5000
TEN_S, FIFTY_HOURS = 10, 50 * 3600


@dataclass(frozen=True)
class Case:
    """A file and the expected result."""

    name: str
    data: bytes
    seconds: float  # that the film lasts
    shown: tuple[int, ...]  # numbers of its pictures
    priming: int = PRIMING
    is_cut: bool = False
    has_declared_length: bool = True


# Edit lists of six seconds of media: rows of (seconds, media seconds or None, rate), and the presented duration.
Rows = list[tuple[float, float | None, int]]
EDITS: dict[str, tuple[Rows, float]] = {
    "all": ([(SECONDS, 0.0, 1)], 6.0),
    "hides two groups at the beginning": ([(3.6, 2.4, 1)], 3.6),
    "hides two groups at the end": ([(3.6, 0.0, 1)], 3.6),
    "both ends": ([(3.2, 1.2, 1)], 3.2),
    "to the end by duration 0": ([(0.0, 0.0, 1)], 6.0),
    "from 2 s to the end by duration 0": ([(0.0, 2.0, 1)], 4.0),
    "beyond the end": ([(60.0, 1.0, 1)], 5.0),
    "begins late": ([(0.4, None, 1), (SECONDS, 0.0, 1)], 6.0),
    "begins with a dwell": ([(0.4, 0.0, 0), (SECONDS, 0.0, 1)], 6.0),
    "the middle cut out": ([(2.0, 0.0, 1), (2.4, 3.6, 1)], 4.4),
    "a rest in the middle": ([(2.0, 0.0, 1), (0.4, None, 1), (2.4, 3.6, 1)], 4.8),
    "shows nothing": ([(3.0, 100.0, 1)], 6.0),
    "is not possible": ([(3.0, -7.0, 1)], 6.0),
    "no entry": ([], 6.0),
}
IGNORED = {"shows nothing", "is not possible", "no entry"}  # invalid lists: everything is presented
ALL = tuple(range(FRAMES))
FREE = box_editing.box(b"free", bytes(24))
PREFIXES = {
    "nothing": b"",
    "free": FREE,
    "skip": box_editing.box(b"skip", b"x" * 9),
    "wide": box_editing.box(b"wide", b""),
    "uuid": box_editing.box(b"uuid", bytes(range(40))),
    "styp": box_editing.box(b"styp", b"msdh\0\0\0\0msdh"),
    "unknown": box_editing.box(b"beam", b"\1\2\3\4" * 4),
    "a preview": box_editing.box(b"pnot", bytes(12)) + box_editing.box(b"PICT", b"\0" * 60),
    "prft": box_editing.box(b"prft", bytes(24)),
    "emsg": box_editing.box(b"emsg", b"\0\0\0\0urn:x\0\0" + bytes(20)),
    "meta": box_editing.box(b"meta", bytes(4) + box_editing.box(b"hdlr", bytes(24))),
    "broken meta": box_editing.box(b"meta", bytes(4) + box_editing.box(b"iloc", b"\xff" * 12)),
    "mdat": box_editing.box(b"mdat", b"nothing of the film"),
}
TRAILERS = {
    "nothing": b"",
    "multipart": b"\r\n--boundary7MA4YWxkTrZu0gW--\r\n",
    "line end": b"\r\n",
    "zeros": bytes(3000),
    "ID3v1": b"TAG" + b"A title".ljust(125, b"\0"),
    "APE": b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 0, 1 << 31),
    "camera": bytes(np.random.default_rng(5).integers(0, 256, 2000, np.uint8)) + b"8db42d694ccc418790edff439fe026bf",
    "text": b'{"gyro": [1, 2, 3], "lens": "wide"}\n' * 20,
    "broken moof": box_editing.box(b"moof", box_editing.box(b"traf", box_editing.box(b"trun", b"\xff" * 40))),
    "broken trak": box_editing.box(b"trak", box_editing.box(b"mdia", b"\xff" * 30)),
    "broken uuid": box_editing.box(b"uuid", b"\x01"),
    "broken sidx": box_editing.box(b"sidx", b"\xff" * 10),
    "a huge box": struct.pack(">I4s", 0x7FFF_FFFF, b"free") + b"xyz",
    "half a header": b"\0\0\1",
}
MDAT_LENGTHS: dict[str, Callable[[int], int]] = {
    "true": lambda own: own,
    "8 too many": lambda own: own + 8,
    "3 too many": lambda own: own + 3,
    "5 too few": lambda own: own - 5,
    "half": lambda own: own // 2,
    "to the end": lambda _: 0,
    "too big for the file": lambda own: own + (1 << 30),
}


class CaseBuilder:
    """Builds cases from streams that are encoded once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def case(self, seed: int) -> Case:
        """Build the case of a seed."""
        chance = random.Random(seed)
        form = chance.choice(list(FORMS))
        codec, sound = chance.choice(FORMS[form][0]), chance.choice((*FORMS[form][1], None))
        layout = chance.choice((*LAYOUTS, *MORE_LAYOUTS.get(sound or "", ())))
        name = f"{seed} {form} {codec} {sound} {layout}"
        make = self._matroska if form in {"mkv", "webm"} else self._fragmented if form == "fragmented" else self._whole
        return make(chance, name, form, codec, (sound, layout))

    def _whole(self, chance: random.Random, name: str, form: str, codec: str, sound: tuple[str | None, str]) -> Case:
        data = self._muxed("x." + form, codec, sound, {})
        kind, version = chance.choice(list(EDITS)), chance.choice([0, 0, 1])
        rows, seconds = EDITS[kind]
        shown = ALL if kind in IGNORED else _shown(rows)
        movie = box_editing.movie_scale(data)
        data = box_editing.with_edits(
            data, lambda scale, origin: _entries(rows, scale, origin, movie, version), version
        )
        first_box, trailer, length = (chance.choice(list(table)) for table in (PREFIXES, TRAILERS, MDAT_LENGTHS))
        if chance.random() < 0.5:
            length = "true"
        if front := chance.random() < 0.5:
            data = box_editing.index_first(data)
        data = box_editing.media_data_says(box_editing.prefixed(data, PREFIXES[first_box]), MDAT_LENGTHS[length])
        name += f" edit={kind!r}{version} first={first_box!r} mdat={length!r} trailer={trailer!r} front={front}"
        if chance.random() < 0.25:
            share = chance.uniform(0.2, 0.97)
            return Case(f"{name} cut={share:.3f}", data[: int(len(data) * share)], seconds, shown, is_cut=True)
        slack = PRIMING + SHIFTED * (kind in IGNORED or kind == "the middle cut out")
        return Case(name, data + TRAILERS[trailer], seconds, shown, priming=slack)

    def _fragmented(
        self, chance: random.Random, name: str, form: str, codec: str, sound: tuple[str | None, str]
    ) -> Case:
        flags = chance.choice(
            ["frag_keyframe+empty_moov+default_base_moof", "cmaf", "dash+global_sidx", "frag_keyframe"]
        )
        start = chance.choice([0, 0, TEN_S, FIFTY_HOURS])
        data = self._muxed("x.mp4", codec, sound, {"movflags": flags, "frag_duration": "1000000"}, start)
        first_box, trailer = (chance.choice(list(table)) for table in (PREFIXES, TRAILERS))
        if flags == "frag_keyframe":
            first_box = "nothing"  # its offsets are the file's
        name += f" {flags} start={start} first={first_box!r} trailer={trailer!r}"
        data = PREFIXES[first_box] + data
        if chance.random() < 0.25:
            share = chance.uniform(0.2, 0.97)
            cut = data[: int(len(data) * share)]
            return Case(f"{name} cut={share:.3f}", cut, SECONDS, ALL, is_cut=True, has_declared_length=False)
        return Case(name, data + TRAILERS[trailer], SECONDS, ALL, priming=PRIMING + SHIFTED)

    def _matroska(self, chance: random.Random, name: str, form: str, codec: str, sound: tuple[str | None, str]) -> Case:
        live = chance.random() < 0.3
        start = chance.choice([0, 0, TEN_S, FIFTY_HOURS])
        options = {"live": "1"} if live else {"cluster_time_limit": "1000"}
        data = self._muxed("x." + form, codec, sound, options, start)
        outer = chance.choice(
            ["as it is", "Void first", "CRC first", "unknown length", "5 too many", "7 too few", "half"]
        )
        trailer = chance.choice(["nothing", "nothing", "multipart", "zeros", "ID3v1", "camera"])
        name += f" live={live} start={start} outer={outer!r} trailer={trailer!r}"
        data = _segment_changed(data, outer)
        if chance.random() < 0.25:
            share = chance.uniform(0.2, 0.97)
            cut = data[: int(len(data) * share)]
            tells = not live and outer not in {"unknown length", "half"}
            return Case(f"{name} cut={share:.3f}", cut, SECONDS, ALL, is_cut=True, has_declared_length=tells)
        return Case(name, data + TRAILERS[trailer], SECONDS, ALL)

    def _muxed(
        self, name: str, codec: str, sound: tuple[str | None, str], options: dict[str, str], start_s: int = 0
    ) -> bytes:
        key = "-".join([codec, *map(str, sound), *options.values(), str(start_s)]).replace("+", "_")
        path = self._folder / f"{key}{Path(name).suffix}"
        if path.exists():
            return path.read_bytes()
        sources = [self._video(codec)] + ([self._sound(sound[0], sound[1])] if sound[0] else [])
        with av.open(str(path), "w", options=options) as out:
            readers = [av.open(str(source)) for source in sources]
            streams = [reader.streams[0] for reader in readers]
            added = {id(stream): out.add_stream_from_template(stream) for stream in streams}
            packets = [packet for reader in readers for packet in reader.demux() if packet.dts is not None]
            packets.sort(key=lambda packet: (packet.dts or 0) * packet.time_base)
            for packet in packets:
                shift = round(start_s / packet.time_base)
                packet.pts, packet.dts = (packet.pts or 0) + shift, (packet.dts or 0) + shift
                packet.stream = added[id(packet.stream)]
                out.mux(packet)
        return path.read_bytes()

    def _video(self, codec: str) -> Path:
        path = self._folder / f"{codec}.{'webm' if codec.startswith('vp') else 'mov'}"
        if path.exists():
            return path
        encoder, options = VIDEO[codec]
        with av.open(str(path), "w") as out:
            stream = out.add_stream(encoder, rate=RATE, options=options)
            assert isinstance(stream, av.VideoStream)
            (stream.width, stream.height), stream.pix_fmt = SIZE, PIXELS.get(codec, "yuv420p")
            for number in range(FRAMES):
                picture = av.VideoFrame.from_ndarray(films.numbered(number, *SIZE), format="gray").reformat(
                    format=stream.pix_fmt, src_color_range="JPEG", dst_color_range="JPEG"
                )
                picture.pts, picture.time_base = number, Fraction(1, RATE)
                out.mux(stream.encode(picture))
            out.mux(stream.encode(None))
        return path

    def _sound(self, codec: str, layout: str) -> Path:
        path = self._folder / f"{codec}-{layout}.mka"
        if path.exists():
            return path
        if (codec == "mp3" and layout == "5.1") or (codec == "vorbis" and layout != "stereo"):
            return self._sound(codec, "stereo")  # all that the encoder can
        with av.open(str(path), "w") as out:
            stream = out.add_stream(SOUND[codec], rate=films.SOUND_RATE, layout=layout, options={"strict": "-2"})
            assert isinstance(stream, av.AudioStream)
            channels = av.AudioLayout(layout).nb_channels
            resampler = av.AudioResampler(stream.format, layout, films.SOUND_RATE, frame_size=stream.frame_size or 1024)
            # Interleaved: PyAV reaches eight planes only.
            samples = np.repeat(films.noise(SECONDS), channels)[None]
            block = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
            block.sample_rate, block.pts, block.time_base = films.SOUND_RATE, 0, Fraction(1, films.SOUND_RATE)
            for piece in [*resampler.resample(block), *resampler.resample(None)]:
                out.mux(stream.encode(piece))
            out.mux(stream.encode(None))
        return path


def _shown(rows: Rows) -> tuple[int, ...]:
    """Return the numbers of the pictures that rows of an edit list show."""
    numbers: list[int] = []
    for seconds, media, rate in rows:
        if media is not None and rate:
            end = FRAMES if seconds == 0 else min(round((media + seconds) * RATE), FRAMES)
            numbers += range(round(media * RATE), end)
    return tuple(numbers)


def _entries(rows: Rows, scale: int, origin: int, movie: int, version: int) -> list[tuple[int, int, int]]:
    """Write rows in time scales; a duration of 0 in version 1 as the negative one that some write."""
    until_end = -1 if version else 0
    return [
        (
            round(seconds * movie) or until_end,
            -1 if media is None else round(media * scale) + origin,
            rate,
        )
        for seconds, media, rate in rows
    ]


def _segment_changed(data: bytes, how: str) -> bytes:
    at = data.index(bytes.fromhex("18538067"))
    length = int.from_bytes(data[at + 4 : at + 12]) & ((1 << 56) - 1)
    is_known = data[at + 4 : at + 12] != b"\x01" + b"\xff" * 7
    head, tail = data[:at], data[at + 12 :]
    if how in {"Void first", "CRC first"}:
        between = b"\xec\x84abcd" if how == "Void first" else b"\xbf\x84abcd"
        return head + between + data[at:]
    change = {"5 too many": 5, "7 too few": -7, "half": -(length // 2)}.get(how)
    if how == "unknown length" or change is None or not is_known:
        field = b"\x01" + b"\xff" * 7 if how == "unknown length" else data[at + 4 : at + 12]
    else:
        field = ((length + change) | 1 << 56).to_bytes(8)
    return head + data[at : at + 4] + field + tail
