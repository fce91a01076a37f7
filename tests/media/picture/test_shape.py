"""All parts of a job have one size; a picture of another size is neither distorted nor cropped."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from media.container import bitstream
from media.picture import conversion
from media.reading.facts import MediaWarning
from media.reading.inspection import inspect
from media.stages.plan import partition
from media.writing.render import render
from media.writing.stream_copy import Obstacle, obstacle
from tests.media import films

BLACK = 14  # of a full-range picture; a film's own darkest is 28
ROUNDING = 4  # pixels: sides are made even, and edges are blurred by scaling
Size = tuple[int, int]
PORTRAIT, LANDSCAPE = (180, 320), (320, 180)
TAGS = "keyint=50:min-keyint=50:scenecut=0:bframes=0:colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv"
X264 = {"preset": "ultrafast", "profile": "high", "x264-params": TAGS}


def piece(path: Path, size: Size, first: int, frames: int, codec: str, options: dict[str, str]) -> Path:
    """Write frames that carry their number in a form that can be joined to others."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.codec_context.thread_count = 1  # libvpx's threads wait for each other in loops
        stream.pix_fmt = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}.get(codec, "yuv420p")
        for number in range(first, first + frames):
            gray = av.VideoFrame.from_ndarray(films.numbered(number, *size), format="gray")
            frame = gray.reformat(format=stream.pix_fmt, src_color_range="JPEG", dst_color_range="JPEG")
            frame.pts, frame.time_base = number - first, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def joined(target: Path, sizes: Sequence[tuple[Size, int]], codec: str, suffix: str, **options: str) -> Path:
    """Write pictures of several sizes as one stream, as a recorder does whose picture changes."""
    first, pieces = 0, []
    for number, (size, frames) in enumerate(sizes):
        pieces.append(piece(target.parent / f"piece-{number}.{suffix}", size, first, frames, codec, options))
        first += frames
    if suffix in {"h264", "hevc"}:
        raw = target.parent / f"all.{suffix}"
        raw.write_bytes(b"".join(one.read_bytes() for one in pieces))
        films.ffmpeg("-r", "25", "-i", raw, "-c", "copy", target)
    else:
        names = target.parent / "pieces.txt"
        names.write_text("".join(f"file '{one.name}'\n" for one in pieces))
        films.ffmpeg("-f", "concat", "-safe", "0", "-i", names, "-c", "copy", target)
    return target


@dataclass(frozen=True)
class Kind:
    """A way to store a stream whose pictures change their size."""

    codec: str
    suffix: str
    container: str
    options: dict[str, str]


KINDS = {
    "a browser's VP8": Kind("libvpx", "webm", "webm", {"deadline": "realtime", "cpu-used": "8"}),
    "a browser's VP9": Kind("libvpx-vp9", "webm", "webm", {"deadline": "realtime", "cpu-used": "8"}),
    "H.264 with new parameter sets": Kind("libx264", "h264", "mp4", X264),
    "H.264 in Matroska": Kind("libx264", "h264", "mkv", X264),
    "HEVC": Kind("libx265", "hevc", "mp4", {"preset": "ultrafast", "x265-params": "log-level=error:bframes=0"}),
    "ProRes": Kind("prores_ks", "mov", "mkv", {}),
}


def shown(path: Path) -> list[tuple[Size, int]]:
    """Return size and number of each picture within its black, and see that it stands in the middle."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            luma = films.grey(frame)
            rows, columns = (np.flatnonzero(luma.max(axis=axis) > BLACK) for axis in (1, 0))
            inner = luma[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            for edges, side in ((rows, luma.shape[0]), (columns, luma.shape[1])):
                assert abs(edges[0] - (side - 1 - edges[-1])) <= ROUNDING
            found.append(((inner.shape[1], inner.shape[0]), films.number_of(inner)))
    return found


@pytest.mark.parametrize("name", KINDS)
def test_every_size_is_shown_whole_in_one_shape(name: str, tmp_path: Path) -> None:
    """The second part begins where the picture has its other size."""
    kind = KINDS[name]
    sizes = [(PORTRAIT, 100), (LANDSCAPE, 90)]
    source = joined(tmp_path / f"in.{kind.container}", sizes, kind.codec, kind.suffix, **kind.options)
    found = inspect(source)
    assert found.facts.warnings == (MediaWarning.SIZE_CHANGES,)
    assert (found.facts.width, found.facts.height) == PORTRAIT
    whole = found.timeline.grid()
    pictures: list[tuple[Size, int]] = []
    for first, end in ((0, 110), (110, whole.total)):
        span = found.timeline.span(whole, first, end - first)
        result = render(source, tmp_path / "out.mp4", span=span)
        assert (result.width, result.height) == PORTRAIT
        assert result.picture == "encoded"
        pictures += shown(tmp_path / "out.mp4")
    assert [number for _, number in pictures] == list(range(190))
    for size, number in pictures:
        wide = PORTRAIT[0]
        should = PORTRAIT if number < 100 else (wide, round(wide * LANDSCAPE[1] / LANDSCAPE[0]))
        assert size == pytest.approx(should, abs=ROUNDING)


SHAPES: list[tuple[list[tuple[Size, int]], Size]] = [
    ([(PORTRAIT, 90), (LANDSCAPE, 90)], PORTRAIT),  # the first of two that are equally frequent
    ([(PORTRAIT, 80), (LANDSCAPE, 100)], LANDSCAPE),
    ([(PORTRAIT, 60), (LANDSCAPE, 70), (PORTRAIT, 40)], PORTRAIT),
    ([(LANDSCAPE, 20), ((480, 270), 30), ((640, 360), 100)], (640, 360)),  # a call that begins with few pixels
    ([(LANDSCAPE, 100), ((640, 360), 5)], LANDSCAPE),
]


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize(("sizes", "should"), SHAPES)
def test_the_shape_is_the_one_of_most_pictures_in_its_biggest_size(
    sizes: list[tuple[Size, int]], should: Size, rotation: int, tmp_path: Path
) -> None:
    source = joined(tmp_path / "in.mp4", sizes, "libx264", "h264", **X264)
    if rotation:
        films.ffmpeg("-display_rotation", str(rotation), "-i", source, "-c", "copy", tmp_path / "turned.mp4")
        source, should = tmp_path / "turned.mp4", should[::-1]
    assert inspect(source).timeline.shape == should


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize(("size", "aspect", "should"), [
    ((180, 320), "1:1", (320, 320)), ((240, 180), "16:9", (320, 180)), ((180, 320), "9:20", (180, 400)),
    ((180, 320), "180:321", (180, 320)),
])  # fmt: skip
def test_the_container_s_pixel_aspect_counts(
    container: str, size: Size, aspect: str, should: Size, tmp_path: Path
) -> None:
    plain = films.write(tmp_path / "plain.mp4", films.at_rate(25, 90), size=size)
    source = tmp_path / f"in.{container}"
    films.ffmpeg("-i", plain, "-c", "copy", "-aspect", aspect, source)
    found = inspect(source)
    result = render(source, tmp_path / "out.mp4")
    assert (found.facts.width, found.facts.height) == (result.width, result.height) == should
    assert {number for _, number in shown(tmp_path / "out.mp4")} == set(range(90))


def test_an_aspect_that_no_lens_has_is_ignored() -> None:
    assert conversion.square(640, 360, Fraction(65535, 1)) == (640, 360)
    assert conversion.square(640, 360, Fraction(0)) == (640, 360)
    assert conversion.square(640, 360, None) == (640, 360)
    assert conversion.square(1302, 1080, Fraction(1787, 1789)) == (1302, 1080)
    assert conversion.square(720, 576, Fraction(64, 45)) == (1024, 576)
    assert conversion.square(1440, 1080, Fraction(4, 3)) == (1920, 1080)


@pytest.mark.parametrize("change", ["sizes", "profile", "in-band"])
def test_a_stream_that_one_sample_entry_does_not_describe_is_encoded(change: str, tmp_path: Path) -> None:
    second = X264 if change == "sizes" else X264 | {"x264-params": f"{TAGS}:cabac=0:ref=2"}
    size = LANDSCAPE if change == "sizes" else PORTRAIT
    pieces = [
        piece(tmp_path / "a.h264", PORTRAIT, 0, 100, "libx264", X264),
        piece(tmp_path / "b.h264", size, 100, 100, "libx264", second),
    ]
    raw = tmp_path / "all.h264"
    raw.write_bytes(b"".join(one.read_bytes() for one in pieces))
    source = tmp_path / ("in.mkv" if change == "in-band" else "in.mp4")
    films.ffmpeg("-r", "25", "-i", raw, "-c", "copy", source)
    found = inspect(source)
    whole = found.timeline.grid()
    for first, end in ((0, 100), (100, 200)):
        span = found.timeline.span(whole, first, end - first)
        assert obstacle(source, span) is Obstacle.PARAMETERS
        assert render(source, tmp_path / "out.mp4", span=span).picture == "encoded"
    assert len(partition(source, found, 6, exact=False, progress=lambda share: None, copies=True)) == 2


def test_parameter_sets_that_are_merely_repeated_are_copied(tmp_path: Path) -> None:
    options = X264 | {"x264-params": f"{TAGS}:repeat-headers=1"}
    raw = piece(tmp_path / "a.h264", PORTRAIT, 0, 100, "libx264", options)
    films.ffmpeg("-r", "25", "-i", raw, "-c", "copy", tmp_path / "in.mp4")
    assert render(tmp_path / "in.mp4", tmp_path / "out.mp4").picture == "copied"


def test_a_phone_that_is_turned_while_it_streams_stays_upright(tmp_path: Path) -> None:
    """The stream says at each key frame how the pictures up to the next one are turned."""
    turned = "h264_metadata=display_orientation=insert:rotate="
    pieces = []
    for number, angle in enumerate(("0", "90", "0")):
        plain = piece(tmp_path / f"plain-{number}.h264", LANDSCAPE, number * 50, 50, "libx264", X264)
        films.ffmpeg("-i", plain, "-c", "copy", "-bsf:v", turned + angle, tmp_path / f"{number}.h264")
        pieces.append(tmp_path / f"{number}.h264")
    (tmp_path / "all.h264").write_bytes(b"".join(one.read_bytes() for one in pieces))
    source = tmp_path / "in.mp4"
    films.ffmpeg("-r", "25", "-i", tmp_path / "all.h264", "-c", "copy", source)
    found = inspect(source)
    assert (found.timeline.shape, found.facts.warnings) == (LANDSCAPE, (MediaWarning.SIZE_CHANGES,))
    whole = found.timeline.grid()
    assert obstacle(source, whole) is Obstacle.PARAMETERS
    lies = []
    for first in (0, 75):  # in the middle of the turned ones
        render(source, tmp_path / "out.mp4", span=found.timeline.span(whole, first, 75))
        with av.open(str(tmp_path / "out.mp4")) as container:
            for frame in container.decode(video=0):
                columns = np.flatnonzero(films.grey(frame).max(axis=0) > BLACK)
                lies.append(bool(np.ptp(columns) < LANDSCAPE[0] / 2))
    assert lies == [False] * 50 + [True] * 50 + [False] * 50


def vp9_header(size: Size | None, *, is_key: bool = False) -> bytes:
    """Return the header of a VP9 frame with its size, or with the size of its third reference (6.2)."""
    bits = "10" + "00" + "0" + ("0" if is_key else "1") + "1" + "0" + "00" + "1" * 8 + "0000" * 3
    told = "001" if size is None else "000" + "".join(f"{side - 1:016b}" for side in size)
    return int((bits + told).ljust(192, "0"), 2).to_bytes(24)


def test_a_call_s_size_is_read_from_pictures_that_are_no_key_frames() -> None:
    assert bitstream.vp9_inter_frame_size(memoryview(vp9_header((640, 360)))) == (640, 360)
    assert bitstream.vp9_inter_frame_size(memoryview(vp9_header(None))) is None
    assert bitstream.vp9_inter_frame_size(memoryview(vp9_header((640, 360), is_key=True))) is None
    assert bitstream.vp9_inter_frame_size(memoryview(b"\x80")) is None


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8", "vp9", "av1", "mjpeg", "prores", "mpeg4"])
def test_headers_of_rubbish_harm_nobody(codec: str) -> None:
    for seed in range(200):
        data = memoryview(np.random.default_rng(seed).bytes(seed))
        for width in (None, 1, 2, 4):
            bitstream.format_header(codec, data, width)
        bitstream.vp9_inter_frame_size(data)
        bitstream.allows_frames_only(bytes(data))
        bitstream.avcc_parameter_sets(bytes(data))
    assert bitstream.format_header(codec, memoryview(b""), None) == b""


@pytest.mark.parametrize("pixel_format", ["yuv422p10le", "yuv444p", "yuva444p10le", "yuvj420p", "yuv420p10le"])
def test_every_form_of_samples_becomes_a_part(pixel_format: str, tmp_path: Path) -> None:
    """Ten bits, all colours, transparency, full range."""
    source = tmp_path / "in.mov"
    talk = films.write(tmp_path / "talk.mp4", films.at_rate(25, 90))
    codec = {"yuv422p10le": "prores_ks", "yuva444p10le": "prores_ks", "yuvj420p": "mjpeg"}.get(pixel_format, "libx264")
    films.ffmpeg("-i", talk, "-c:v", codec, "-pix_fmt", pixel_format, "-strict", "-2", source)
    render(source, tmp_path / "out.mp4")
    assert films.read(tmp_path / "out.mp4").numbers == list(range(90))


def test_a_track_size_that_is_turned_against_the_pictures_tells_no_aspect(tmp_path: Path) -> None:
    """As of a phone that is turned while it records, or that writes the size as it is shown."""
    source = films.write(tmp_path / "turned.mp4", films.at_rate(25, 100), size=PORTRAIT)
    data, sizes = source.read_bytes(), [struct.pack(">II", w << 16, h << 16) for w, h in (PORTRAIT, LANDSCAPE)]
    assert data.count(sizes[0]) == 1, "the track header's"
    source.write_bytes(data.replace(sizes[0], sizes[1]))
    with av.open(str(source)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 9) ** 2
    found = inspect(source).facts
    assert (found.width, found.height) == PORTRAIT
