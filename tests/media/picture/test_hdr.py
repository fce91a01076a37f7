"""Recordings in high dynamic range are rendered in the colours of the scene's light.

The truth is computed here from the light itself, by the formulas of ITU-R BT.2100 and BT.1886 in their direction from
light to signal, the other way round than the renderer goes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from media.process import runner
from media.reading.inspection import inspect
from media.writing.render import render
from tests.media import films

Light = NDArray[np.float64]  # (..., 3): red, green, blue

WHITE_NITS, PEAK_NITS = 203.0, 1000.0  # diffuse white in HDR (BT.2408-7, table 1), HLG's nominal display
PATCH, COLUMNS, ROWS = 32, 6, 4
CODES_OFF = 2.5  # of 255: ten bits, two conversions and the encoder's own loss
# Light of BT.709 primaries as shares of diffuse white: skin, walls, leaves, sky, shirts, all below half of white.
LIT = np.array([
    *([grey] * 3 for grey in (0.0, 0.005, 0.02, 0.05, 0.09, 0.18, 0.3, 0.48)),
    (0.36, 0.20, 0.14), (0.13, 0.07, 0.05), (0.48, 0.32, 0.25), (0.05, 0.10, 0.03), (0.12, 0.20, 0.45),
    (0.40, 0.03, 0.03), (0.03, 0.35, 0.05), (0.02, 0.03, 0.30), (0.45, 0.42, 0.04), (0.30, 0.05, 0.35),
])  # fmt: skip
# Brighter than that: a white shirt, a window, the sun on chrome, a red sunset.
BRIGHT = np.array([[1.0] * 3, [2.0] * 3, [3.5] * 3, [PEAK_NITS / WHITE_NITS] * 3, [3.0, 0.9, 0.3], [0.8, 0.5, 0.35]])
# From BT.709's primaries to BT.2020's (BT.2087-0, 4.1, matrix M2).
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
LUMA_2020, LUMA_709 = np.array([0.2627, 0.6780, 0.0593]), np.array([0.2126, 0.7152, 0.0722])


def hlg(nits: Light) -> Light:
    """Return the HLG signal of display light: BT.2100-2, table 5, the inverse OOTF with gamma 1.2, then the OETF."""
    shown = np.maximum(nits / PEAK_NITS, 0)
    luma = np.maximum(shown @ LUMA_2020, 1e-12)[..., None]
    scene = shown / luma ** (0.2 / 1.2)
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    bright = a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright), np.float64)


def pq(nits: Light) -> Light:
    """Return the PQ signal of display light: BT.2100-2, table 4, the inverse EOTF."""
    power = np.maximum(nits / 10_000, 0) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375, np.float64)


def coded(signal: Light, luma: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Return Y, Cb, Cr in limited range for a signal of 0 to 1."""
    y = signal @ luma
    blue = (signal[..., 2] - y) / (2 - 2 * luma[2])
    red = (signal[..., 0] - y) / (2 - 2 * luma[0])
    eight = np.stack([16 + 219 * y, 128 + 224 * blue, 128 + 224 * red], axis=-1)
    return np.asarray(eight * 2 ** (bits - 8), np.float64)


@dataclass(frozen=True)
class Camera:
    """A kind of HDR recording."""

    signal: str
    transfer: str  # by x265's name
    container: str
    more: str  # of x265's parameters

    def film(self, folder: Path) -> Path:
        """Record the patches for four seconds, the phone held upright, and tell where."""
        light = np.concatenate([LIT, BRIGHT]).reshape(ROWS, COLUMNS, 3) * WHITE_NITS @ TO_2020.T
        codes = np.round(coded({"hlg": hlg, "pq": pq}[self.signal](light), LUMA_2020, 10)).astype("<u2")
        full = codes.repeat(PATCH, axis=0).repeat(PATCH, axis=1)
        half = full[::2, ::2]
        raw, coded_raw, path = folder / "raw", folder / "in.hevc.mp4", folder / f"in.{self.container}"
        raw.write_bytes(b"".join(plane.tobytes() for plane in (full[..., 0], half[..., 1], half[..., 2])) * 40)
        tags = f"colorprim=bt2020:transfer={self.transfer}:colormatrix=bt2020nc:range=limited"
        films.ffmpeg(
            "-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", f"{COLUMNS * PATCH}x{ROWS * PATCH}", "-r", "10",
            "-i", raw, "-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1",
            "-x265-params", f"log-level=error:lossless=1:{tags}{self.more}", coded_raw,
        )  # fmt: skip
        place = ["-movflags", "use_metadata_tags", "-metadata", "com.apple.quicktime.location.ISO6709=+52.51+013.40/"]
        films.ffmpeg("-display_rotation", "90", "-i", coded_raw, "-c", "copy", *place, path)
        return path


CAMERAS = {
    "an iPhone's HLG": Camera("hlg", "arib-std-b67", "mov", ""),
    "a camera's PQ": Camera(
        "pq", "smpte2084", "mp4",
        ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400",
    ),
}  # fmt: skip


def patches(path: Path) -> NDArray[np.float64]:
    """Return the mean code values of a rendered film's patches, (24, 3)."""
    with av.open(str(path)) as container:
        *_, frame = container.decode(video=0)
    assert (frame.width, frame.height) == (ROWS * PATCH, COLUMNS * PATCH), "it stands upright"
    found = []
    for plane, size in zip(frame.planes, (PATCH, PATCH // 2, PATCH // 2), strict=True):
        values = np.frombuffer(cast("bytes", plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        values = np.rot90(values, -1)  # lying again, as it was recorded
        middle = slice(size // 4, -size // 4)
        squares = values.reshape(ROWS, size, COLUMNS, size)[:, middle, :, middle]
        found.append(squares.mean(axis=(1, 3)).ravel())
    return np.stack(found, axis=-1).astype(np.float64)


@pytest.mark.parametrize("name", CAMERAS)
def test_lit_surfaces_keep_their_colours(name: str, tmp_path: Path) -> None:
    source = CAMERAS[name].film(tmp_path)
    assert (inspect(source).facts.hdr, inspect(source).facts.pixel_format) == (CAMERAS[name].signal, "yuv420p10le")
    render(source, tmp_path / "out.mp4")
    seen = patches(tmp_path / "out.mp4")
    should = coded(LIT ** (1 / 2.4), LUMA_709, 8)  # BT.1886
    assert np.abs(seen[: len(LIT)] - should).max() <= CODES_OFF, np.round(seen[: len(LIT)] - should, 1)


def test_a_child_that_may_make_no_file_converts_as_well(tmp_path: Path) -> None:
    """libav reads the table of colours from a file only."""
    source, target = CAMERAS["an iPhone's HLG"].film(tmp_path), tmp_path / "out.mp4"
    runner.run("gaze", [str(source), str(target), "--intensity", "0"], deadline_s=60, outputs=[target])
    render(source, tmp_path / "here.mp4")
    assert np.array_equal(patches(target), patches(tmp_path / "here.mp4"))


@pytest.mark.parametrize("name", CAMERAS)
def test_what_is_brighter_than_white_keeps_its_order_and_its_hue(name: str, tmp_path: Path) -> None:
    render(CAMERAS[name].film(tmp_path), tmp_path / "out.mp4")
    seen = patches(tmp_path / "out.mp4")[len(LIT) :]
    greys = seen[:4]
    assert np.all(np.diff(greys[:, 0]) >= 3), "a window is brighter than a shirt"
    assert 200 <= greys[0, 0] <= 225, "a white shirt is nearly white"
    assert greys[3, 0] == pytest.approx(235, abs=CODES_OFF)
    assert np.abs(greys[:, 1:] - 128).max() <= CODES_OFF
    for lit, (y, blue, red) in zip(BRIGHT[4:], seen[4:], strict=True):
        # The same proportions of light, only dimmed: read back by the formula of every BT.709 screen.
        signal = np.array([
            (y - 16) / 219 + 1.5748 * (red - 128) / 224,
            (y - 16) / 219 - 0.1873 * (blue - 128) / 224 - 0.4681 * (red - 128) / 224,
            (y - 16) / 219 + 1.8556 * (blue - 128) / 224,
        ])  # fmt: skip
        light = np.maximum(signal, 0) ** 2.4
        assert light / light.max() == pytest.approx(lit / lit.max(), abs=0.03)


@pytest.mark.parametrize("name", CAMERAS)
def test_the_master_says_bt709_and_nothing_of_what_it_was(name: str, tmp_path: Path) -> None:
    source = CAMERAS[name].film(tmp_path)
    assert b"+52.51+013.40" in source.read_bytes()
    render(source, tmp_path / "out.mp4")
    data = (tmp_path / "out.mp4").read_bytes()
    assert not any(word in data for word in (b"+52.51", b"mdcv", b"clli", b"dvcC", b"dvvC"))
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert frame.format.name == "yuv420p"
        assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)
        assert all(frame.side_data.get(kind) is None for kind in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"))
