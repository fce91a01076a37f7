"""Colours of a wider gamut are rendered as the BT.709 colours that look the same.

The truth is computed here from the light itself: a patch's light in BT.709's primaries is turned into the signal that a
camera of another gamut records for it, and must come back.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from media.reading.inspection import inspect
from media.writing.render import render
from media.writing.stream_copy import Obstacle, obstacle
from tests.media import films

Light = NDArray[np.float64]  # (..., 3): red, green, blue, 0 to 1

PATCH, COLUMNS, ROWS = 32, 6, 3
CODES_OFF = 2.5  # of 255: two conversions and the encoder's own loss
DISPLAY_GAMMA = 2.4  # BT.1886
# Light of BT.709's primaries: greys, skin, walls, leaves, sky, shirts, traffic lights.
LIT = np.array([
    *([grey] * 3 for grey in (0.0, 0.02, 0.09, 0.18, 0.5, 1.0)),
    (0.36, 0.20, 0.14), (0.13, 0.07, 0.05), (0.48, 0.32, 0.25), (0.05, 0.10, 0.03), (0.12, 0.20, 0.45),
    (0.40, 0.03, 0.03), (0.03, 0.35, 0.05), (0.02, 0.03, 0.30), (0.45, 0.42, 0.04), (0.30, 0.05, 0.35),
    (0.05, 0.40, 0.45), (0.70, 0.60, 0.55),
])  # fmt: skip
# From BT.709's primaries to others' (BT.2087-0, 4.1, matrix M2; for P3 from the chromaticities of SMPTE EG 432-1).
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
TO_P3 = np.array([[0.82246, 0.17754, 0.0], [0.03319, 0.96681, 0.0], [0.01708, 0.07240, 0.91052]])
LUMA = {"bt709": (0.2126, 0.7152, 0.0722), "smpte170m": (0.299, 0.587, 0.114), "bt2020nc": (0.2627, 0.6780, 0.0593)}


@dataclass(frozen=True)
class Camera:
    """A kind of recording: primaries, transfer and matrix by x265's names, bits and range of the signal."""

    to_own: Light
    primaries: str
    transfer: str
    matrix: str
    bits: int = 8
    is_full: bool = False

    def film(self, path: Path) -> Path:
        """Record the patches for three seconds."""
        signal = np.clip(LIT @ self.to_own.T, 0, 1).reshape(ROWS, COLUMNS, 3) ** (1 / DISPLAY_GAMMA)
        codes = np.round(coded(signal, LUMA[self.matrix], self.bits, is_full=self.is_full))
        full = codes.astype("<u2" if self.bits > 8 else "u1").repeat(PATCH, axis=0).repeat(PATCH, axis=1)
        half = full[::2, ::2]
        raw = path.with_suffix(".yuv")
        raw.write_bytes(b"".join(plane.tobytes() for plane in (full[..., 0], half[..., 1], half[..., 2])) * 30)
        tags = f"colorprim={self.primaries}:transfer={self.transfer}:colormatrix={self.matrix}"
        films.ffmpeg(
            "-f", "rawvideo", "-pix_fmt", "yuv420p10le" if self.bits == 10 else "yuv420p",
            "-s", f"{COLUMNS * PATCH}x{ROWS * PATCH}", "-r", "10", "-i", raw,
            "-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1",
            "-x265-params", f"log-level=error:lossless=1:{tags}:range={'full' if self.is_full else 'limited'}", path,
        )  # fmt: skip
        return path


def coded(signal: Light, luma: tuple[float, float, float], bits: int, *, is_full: bool) -> NDArray[np.float64]:
    """Return Y, Cb, Cr for a signal of 0 to 1."""
    y = signal @ np.array(luma)
    blue = (signal[..., 2] - y) / (2 - 2 * luma[2])
    red = (signal[..., 0] - y) / (2 - 2 * luma[0])
    if is_full:
        return np.asarray(np.stack([y, blue + 0.5, red + 0.5], axis=-1) * (2**bits - 1), np.float64)
    eight = np.stack([16 + 219 * y, 128 + 224 * blue, 128 + 224 * red], axis=-1)
    return np.asarray(eight * 2 ** (bits - 8), np.float64)


CAMERAS = {
    "an iPhone's Display P3": Camera(TO_P3, "smpte432", "bt709", "bt709"),
    "an Android's Display P3": Camera(TO_P3, "smpte432", "iec61966-2-1", "smpte170m", is_full=True),
    "P3 with ten bits": Camera(TO_P3, "smpte432", "bt709", "bt709", bits=10),
    "cinema's P3": Camera(TO_P3, "smpte431", "bt709", "bt709"),
    "a television's BT.2020": Camera(TO_2020, "bt2020", "bt2020-10", "bt2020nc", bits=10),
    "BT.2020 with eight bits": Camera(TO_2020, "bt2020", "bt709", "bt2020nc"),
    "BT.709, as most": Camera(np.eye(3), "bt709", "bt709", "bt709"),
}


def patches(path: Path) -> NDArray[np.float64]:
    """Return the mean code values of a rendered film's patches, (18, 3)."""
    with av.open(str(path)) as container:
        *_, frame = container.decode(video=0)
    tags = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
    assert tags == (1, 1, 1, 1)
    found = []
    for plane, size in zip(frame.planes, (PATCH, PATCH // 2, PATCH // 2), strict=True):
        values = np.frombuffer(cast("bytes", plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        middle = slice(size // 4, -size // 4)
        found.append(values.reshape(ROWS, size, COLUMNS, size)[:, middle, :, middle].mean(axis=(1, 3)).ravel())
    return np.stack(found, axis=-1).astype(np.float64)


@pytest.mark.parametrize("name", CAMERAS)
def test_colours_look_as_they_were_recorded(name: str, tmp_path: Path) -> None:
    source = CAMERAS[name].film(tmp_path / "in.mp4")
    render(source, tmp_path / "out.mp4")
    should = coded(LIT ** (1 / DISPLAY_GAMMA), LUMA["bt709"], 8, is_full=False)
    assert np.abs(patches(tmp_path / "out.mp4") - should).max() <= CODES_OFF


def test_a_wide_gamut_is_never_copied(tmp_path: Path) -> None:
    options = {"x264-params": "keyint=25:colorprim=smpte432:transfer=bt709:colormatrix=bt709:range=tv"}
    source = films.write(tmp_path / "in.mp4", films.at_rate(25, 100), options=options)
    assert obstacle(source, inspect(source).timeline.grid()) is Obstacle.COLOUR
