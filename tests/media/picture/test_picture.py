"""Frames are upright, with square pixels, in the output size and in BT.709."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.frames import Planes
from media.picture import conversion, tone
from media.reading.frame_reader import FrameReader
from media.reading.inspection import inspect
from tests.media import films


def first_of(path: Path) -> Planes:
    return next(iter(FrameReader(path, inspect(path).timeline.grid())))


def quadrants(luma: NDArray[np.uint8]) -> list[list[int]]:
    """Return the mean of the four corners' quarters."""
    rows, columns = (side // 2 for side in luma.shape)
    return [
        [round(float(luma[there, side].mean()) / 10) * 10 for side in (np.s_[:columns], np.s_[columns:])]
        for there in (np.s_[:rows], np.s_[rows:])
    ]


@pytest.fixture(scope="module")
def corners(clip_dir: Path) -> Path:
    """Return a film of 128 x 64 whose corners have luma 40, 90, 140 and 190, row by row."""
    path = clip_dir / "corners.mp4"
    luma = np.repeat(np.repeat(np.array([[40, 90], [140, 190]], np.uint8), 32, axis=0), 64, axis=1)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "qp": "1"})
        video.width, video.height, video.pix_fmt = 128, 64, "yuv420p"
        for _ in range(76):
            frame = conversion.to_frame(Planes(luma, *(np.full((32, 64), 128, np.uint8),) * 2, 0, 0.0))
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize(
    ("arguments", "upright"),
    [
        (["-display_rotation", "0"], [[40, 90], [140, 190]]),
        (["-display_rotation", "-90"], [[140, 40], [190, 90]]),
        (["-display_rotation", "180"], [[190, 140], [90, 40]]),
        (["-display_rotation", "90"], [[90, 190], [40, 140]]),
        (["-display_hflip"], [[90, 40], [190, 140]]),
        (["-display_vflip"], [[140, 190], [40, 90]]),
        (["-display_rotation", "-90", "-display_hflip"], None),
    ],
)
def test_the_picture_is_shown_as_players_show_it(
    arguments: list[str], upright: list[list[int]] | None, corners: Path, tmp_path: Path
) -> None:
    """ffmpeg's own turning is the judge; the values are there to be read."""
    turned, judged = tmp_path / "turned.mp4", tmp_path / "judged.mkv"
    films.ffmpeg(*arguments, "-i", corners, "-c", "copy", turned)
    films.ffmpeg("-i", turned, "-frames:v", "1", "-c:v", "ffv1", judged)
    with av.open(str(judged)) as container:
        frame = next(container.decode(video=0))
        assert isinstance(frame, av.VideoFrame)
        wanted = np.frombuffer(bytes(frame.planes[0]), np.uint8).reshape(frame.height, -1)[:, : frame.width]
    shown = first_of(turned).y
    assert shown.shape == wanted.shape
    assert quadrants(shown) == quadrants(wanted)
    assert upright is None or quadrants(shown) == upright


def test_planes_may_be_changed_and_are_contiguous(corners: Path) -> None:
    frame = first_of(corners)
    for plane in (frame.y, frame.u, frame.v):
        assert plane.flags.writeable
        assert plane.flags.c_contiguous


@given(st.integers(2, 5000), st.integers(2, 5000))
def test_a_master_is_even_fits_and_keeps_its_shape(width: int, height: int) -> None:
    wide, high = conversion.output_size(width, height)
    assert (wide % 2, high % 2) == (0, 0)
    assert wide <= max(width, 2)
    assert high <= max(height, 2)
    assert max(wide, high) <= 1920
    assert min(wide, high) <= 1080
    if min(wide, high) > 100:
        assert wide / high == pytest.approx(width / height, rel=0.02)


def test_pixels_that_are_not_square_become_so(tmp_path: Path) -> None:
    path = tmp_path / "anamorphic.mp4"
    films.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=144x108:d=4:r=25", "-vf", "setsar=4/3", "-preset", "ultrafast", path)
    assert first_of(path).y.shape == (108, 192)
    assert (inspect(path).facts.width, inspect(path).facts.height) == (192, 108)


def test_odd_sizes_lose_a_row_and_are_not_scaled(tmp_path: Path) -> None:
    path = tmp_path / "odd.mkv"
    films.ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=101x75:d=4:r=25", "-pix_fmt", "yuv444p", "-c:v", "libx264",
        "-preset", "ultrafast", path,
    )  # fmt: skip
    frame = first_of(path)
    assert (frame.y.shape, frame.u.shape) == ((74, 100), (37, 50))


def test_four_k_is_scaled_down(tmp_path: Path) -> None:
    path = tmp_path / "4k.mp4"
    films.ffmpeg("-f", "lavfi", "-i", "color=gray:s=3840x2160:d=3:r=25", "-preset", "ultrafast", path)
    assert first_of(path).y.shape == (1080, 1920)


def test_full_range_and_the_old_matrix_become_what_the_tags_say(tmp_path: Path) -> None:
    """Pure red in BT.601 full range has other numbers than in BT.709 limited range; the colour must stay."""
    path = tmp_path / "red.mp4"
    films.ffmpeg(
        "-f", "lavfi", "-i", "color=red:s=128x128:d=4:r=25", "-vf", "scale=out_color_matrix=bt601:out_range=full",
        "-pix_fmt", "yuvj420p", "-colorspace", "smpte170m", "-color_range", "pc", "-preset", "ultrafast", path,
    )  # fmt: skip
    frame = first_of(path)
    # ITU-R BT.709-6, 3.3 to 3.5: Y' = 0.2126 R', limited range.
    assert (int(frame.y[64, 64]), int(frame.u[32, 32]), int(frame.v[32, 32])) == pytest.approx((63, 102, 240), abs=2)
    assert conversion.to_rgb(frame)[64, 64].tolist() == pytest.approx([255, 0, 0], abs=4)


@pytest.mark.parametrize(
    ("curve", "signal", "code"),
    [
        # ITU-R BT.2408-7, table 1: a grey card of 18 % is 38 % HLG or PQ, 26 cd/m2; in SDR 42 % (BT.1886).
        ("hlg", 0.38, 16 + 219 * 0.425),
        ("pq", 0.38, 16 + 219 * 0.425),
        ("hlg", 0.0, 16),
        ("hlg", 1.0, 235),
    ],
)
def test_high_dynamic_range_keeps_the_brightness_of_a_grey_card(
    curve: str, signal: float, code: float, tmp_path: Path
) -> None:
    transfer = {"hlg": 18, "pq": 16}[curve]
    frame = av.VideoFrame(64, 64, "yuv420p10le")
    for plane, value in zip(frame.planes, (64 + 876 * signal, 512, 512), strict=True):
        np.frombuffer(plane, np.uint16)[:] = round(value)  # type: ignore[call-overload]  # a plane is a buffer
    frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = 9, 9, transfer, 1
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    converted = conversion.FrameConverter((64, 64), conversion.Orientation(0, mirrored=False), None).convert(
        frame, 0, 0.0
    )
    assert float(converted.y.mean()) == pytest.approx(code, abs=2)
    assert float(converted.u.mean()) == pytest.approx(128, abs=1)


def test_the_curve_of_tones_rises_and_ends_at_white() -> None:
    nits = np.repeat(np.linspace(0, tone.PEAK_NITS, 500)[:, None], 3, axis=1)
    signal = tone.to_sdr(nits)[:, 0]
    assert np.all(np.diff(signal) > 0)
    assert signal[-1] == pytest.approx(1.0, abs=1e-3)


def test_a_phone_s_high_dynamic_range_is_told_and_rendered(tmp_path: Path) -> None:
    path = tmp_path / "hlg.mp4"
    films.ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=192x108:d=4:r=25",
        "-vf", "format=yuv420p10le,setparams=color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc",
        "-c:v", "libx265", "-preset", "ultrafast",
        "-x265-params", "log-level=error:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc", path,
    )  # fmt: skip
    assert (inspect(path).facts.hdr, inspect(path).facts.pixel_format) == ("hlg", "yuv420p10le")
    assert first_of(path).y.dtype == np.uint8
