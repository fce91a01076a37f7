"""Interlaced pictures are deinterlaced, and progressive pictures with the interlaced flag stay as they are."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from media.picture.deinterlace import is_combed
from media.reading.frame_reader import FrameReader
from media.reading.inspection import inspect
from media.writing.render import render
from media.writing.stream_copy import Obstacle, obstacle
from tests.media import films

WIDTH, HEIGHT, FRAMES = 320, 180, 80
STEP_PX = 4  # that the bar moves from field to field
BAR_PX = 40
DARK, BRIGHT = 60, 180
Picture = NDArray[np.uint8]


def bar(moment: int) -> Picture:
    """Draw a bright bar that moves to the right, over a picture with fine detail that stands still."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = np.where(rows < 40, 100 + 40 * (columns // 3 % 2), DARK)
    left = (moment * STEP_PX) % (WIDTH - BAR_PX)
    picture[60:, left : left + BAR_PX] = BRIGHT
    return picture.astype(np.uint8)


def interlaced(number: int, *, top_first: bool = True) -> Picture:
    """Interlace two moments in one frame."""
    frame, second = bar(2 * number), bar(2 * number + 1)
    frame[int(top_first) :: 2] = second[int(top_first) :: 2]
    return frame


def film(path: Path, pictures: list[Picture], codec: str, options: dict[str, str], pixel_format: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        for number, picture in enumerate(pictures):
            gray = av.VideoFrame.from_ndarray(picture, format="gray")
            frame = gray.reformat(format=pixel_format, src_color_range="JPEG", dst_color_range="JPEG")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


KINDS = {
    "a camcorder's H.264": ("libx264", {"preset": "ultrafast", "x264-params": "tff=1:qp=12"}, "yuv420p", True, "mp4"),
    "bottom field first": ("libx264", {"preset": "ultrafast", "x264-params": "bff=1:qp=12"}, "yuv420p", False, "mp4"),
    "MPEG-4": ("mpeg4", {"flags": "+ilme+ildct", "qmin": "2", "qmax": "2"}, "yuv420p", True, "mp4"),
    "ProRes": ("prores_ks", {"flags": "+ildct"}, "yuv422p10le", True, "mov"),
}


def bars(luma: Picture) -> NDArray[np.bool_]:
    """Return which pixels of the rows with the bar are bright."""
    return np.asarray(luma[70:-10] > (DARK + BRIGHT) / 2)


@pytest.mark.parametrize("name", KINDS)
def test_combs_are_gone_and_every_frame_stays_at_its_time(name: str, tmp_path: Path) -> None:
    codec, options, pixel_format, top_first, suffix = KINDS[name]
    woven = [interlaced(number, top_first=top_first) for number in range(FRAMES)]
    source = film(tmp_path / f"in.{suffix}", woven, codec, options, pixel_format)
    with av.open(str(source)) as container:
        frames = list(container.decode(video=0))
        assert all(frame.interlaced_frame for frame in frames)
        assert all(is_combed(frame) for frame in frames[1:])
    timeline = inspect(source).timeline
    whole = timeline.grid()
    assert obstacle(source, whole) is Obstacle.CODEC
    for first, end in ((0, 33), (33, FRAMES)):
        pictures = list(FrameReader(source, timeline.span(whole, first, end - first)))
        assert len(pictures) == end - first
        for planes in pictures:
            moment = 2 * (first + planes.index)
            edges = np.diff(bars(planes.y).astype(np.int8), axis=1)
            left, right = edges.argmax(axis=1), edges.argmin(axis=1)
            assert np.ptp(left) <= 1
            assert np.ptp(right) <= 1
            should = (moment * STEP_PX) % (WIDTH - BAR_PX)
            # The picture is that of the first field; between the fields it may be the second's.
            assert should - 2 <= np.median(left) + 1 <= should + STEP_PX + 1
            assert np.abs(planes.y[4:36].astype(int) - pictures[0].y[4:36]).mean() < 2


def test_progressive_pictures_that_say_interlaced_stay_sharp(tmp_path: Path) -> None:
    """25p in a 50i stream, as many camcorders write it: moving pictures and fine detail, but no combs."""
    options = {"preset": "ultrafast", "x264-params": "tff=1:qp=6"}
    fine = [bar(number) for number in range(FRAMES)]
    for number, picture in enumerate(fine):
        picture[40:56] = 100 + 40 * ((np.arange(WIDTH) + number) // 2 % 2)
    source = film(tmp_path / "in.mp4", fine, "libx264", options, "yuv420p")
    with av.open(str(source)) as container:
        frames = list(container.decode(video=0))
        assert all(frame.interlaced_frame for frame in frames)
        decoded = [frame.to_ndarray()[:HEIGHT].astype(int) for frame in frames]
    for planes, should in zip(FrameReader(source, inspect(source).timeline.grid()), decoded, strict=True):
        assert np.abs(planes.y - should).max() <= 2  # nothing but the matrix of its colours is changed


@pytest.mark.parametrize("suffix", ["h264", "mkv"])
def test_interlaced_pictures_may_begin_on_the_way(suffix: str, tmp_path: Path) -> None:
    pieces = [
        film(tmp_path / "a.h264", [bar(2 * n) for n in range(40)], "libx264", {"bf": "0"}, "yuv420p"),
        film(
            tmp_path / "b.h264",
            [interlaced(n) for n in range(40, 80)],
            "libx264",
            {"bf": "0", "x264-params": "tff=1"},
            "yuv420p",
        ),
    ]
    raw = tmp_path / "all.h264"
    raw.write_bytes(b"".join(one.read_bytes() for one in (pieces if suffix == "mkv" else pieces[::-1])))
    films.ffmpeg("-r", "25", "-i", raw, "-c", "copy", tmp_path / "in.mkv")
    source = tmp_path / "in.mkv"
    whole = inspect(source).timeline.grid()
    assert obstacle(source, whole) is not None
    pictures = list(FrameReader(source, whole))
    assert len(pictures) == 80
    for planes in pictures:
        edges = np.diff(bars(planes.y).astype(np.int8), axis=1)
        assert np.ptp(edges.argmax(axis=1)) <= 1


def test_looks_and_covers_see_no_combs(tmp_path: Path) -> None:
    codec, options, pixel_format, _, _ = KINDS["a camcorder's H.264"]
    source = film(tmp_path / "in.mp4", [interlaced(n) for n in range(FRAMES)], codec, options, pixel_format)
    samples = list(FrameReader(source, inspect(source).timeline.grid()).samples(0.5, 2.5))
    assert len(samples) >= 6
    for planes in samples:
        edges = np.diff(bars(planes.y).astype(np.int8), axis=1)
        assert np.ptp(edges.argmax(axis=1)) <= 1


def test_a_recorded_camcorder_file_is_deinterlaced(recorded: Path, tmp_path: Path) -> None:
    source = recorded / "interl.mp4"
    result = render(source, tmp_path / "out.mp4")
    assert (result.frames, result.frames_held) == (88, 0)
    combed = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            combed.append(sum(is_combed(without_counter(frame)) for frame in container.decode(video=0)))
    assert combed == [88, 0]


def without_counter(frame: av.VideoFrame) -> av.VideoFrame:
    """Cover the test pattern's counter, whose small print looks like a comb."""
    rows = np.asarray(frame.to_ndarray(format="gray"), np.uint8).copy()
    rows[:48, :128] = 128
    return av.VideoFrame.from_ndarray(rows, format="gray")
