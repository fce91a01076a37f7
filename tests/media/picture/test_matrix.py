"""Every matrix, range, depth and subsampling becomes BT.709, limited range, without a tint.

The truth is computed here from the signal: R'G'B' is coded with the source's coefficients and with BT.709's.
"""

from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from media.frames import Planes
from media.picture import conversion

Values = NDArray[np.float64]  # (..., 3)

# Kr and Kb by number of ITU-T H.273, table 4.
COEFFICIENTS = {
    1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593),
}  # fmt: skip
# Formats by libav's name: bits, and divisors of the chroma planes' sides.
FORMATS = {
    "yuv420p": (8, 2, 2), "yuvj420p": (8, 2, 2), "yuv422p": (8, 2, 1), "yuvj422p": (8, 2, 1), "yuv444p": (8, 1, 1),
    "yuv420p10le": (10, 2, 2), "yuv422p10le": (10, 2, 1), "yuv444p12le": (12, 1, 1),
}  # fmt: skip
PATCHES = np.array([
    (0.9, 0.1, 0.1), (0.1, 0.8, 0.1), (0.15, 0.1, 0.85), (0.8, 0.6, 0.5), (0.5, 0.35, 0.3), (0.2, 0.7, 0.7),
    (0.7, 0.2, 0.7), (0.8, 0.8, 0.1), (0.35, 0.5, 0.3), (0.5, 0.6, 0.8),
])  # fmt: skip
CODES_OFF = 1.5
SIDE = 64


def coded(signal: Values, matrix: int, bits: int = 8, *, is_full: bool = False) -> Values:
    """Return Y, Cb, Cr in code values, not rounded, for R'G'B' of 0 to 1 (ITU-T H.273, 8.3)."""
    kr, kb = COEFFICIENTS[matrix]
    y = signal @ np.array([kr, 1 - kr - kb, kb])
    chroma = [(signal[..., 2] - y) / (2 - 2 * kb), (signal[..., 0] - y) / (2 - 2 * kr)]
    if is_full:
        top = 2**bits - 1
        return np.stack([y * top, *(each * top + 2 ** (bits - 1) for each in chroma)], axis=-1)
    return np.stack([16 + 219 * y, *(128 + 224 * each for each in chroma)], axis=-1) * 2.0 ** (bits - 8)


def flat(codes: Values, matrix: int, form: str, size: tuple[int, int], *, is_full: bool) -> av.VideoFrame:
    """Return a decoded frame of one colour."""
    bits = FORMATS[form][0]
    frame = av.VideoFrame(*size, form)
    for plane, code in zip(frame.planes, codes, strict=True):
        np.frombuffer(plane, np.uint16 if bits > 8 else np.uint8)[:] = round(code)  # type: ignore[call-overload]
    frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = matrix, 2, 2, 2 if is_full else 1
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


def converted(frame: av.VideoFrame, size: tuple[int, int]) -> Planes:
    return conversion.FrameConverter(size, conversion.Orientation(0, mirrored=False), None).convert(frame, 0, 0.0)


def colours(planes: Planes) -> Values:
    """Return the mean colour of a picture whose samples differ by no more than dithering."""
    for plane in (planes.y, planes.u, planes.v):
        assert int(plane.max()) - int(plane.min()) <= 1
    return np.array([plane.mean() for plane in (planes.y, planes.u, planes.v)])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("matrix", [*COEFFICIENTS, 2])
def test_greys_have_no_tint_and_keep_their_brightness(form: str, matrix: int) -> None:
    bits, is_full = FORMATS[form][0], form.startswith("yuvj")
    converter = conversion.FrameConverter((SIDE, SIDE), conversion.Orientation(0, mirrored=False), None)
    for luma in (16, 17, 64, 92, 110, 126, 128, 180, 200, 235):
        signal = np.full(3, (luma - 16) / 219)
        frame = flat(coded(signal, 1, bits, is_full=is_full), matrix, form, (SIDE, SIDE), is_full=is_full)
        y, *chroma = colours(converter.convert(frame, 0, 0.0)).tolist()
        assert chroma == [128, 128]
        assert y == pytest.approx(luma, abs=0.5 if is_full else 0)  # full range has no code for every grey


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("matrix", COEFFICIENTS)
def test_colours_become_those_of_bt709(form: str, matrix: int) -> None:
    bits, is_full = FORMATS[form][0], form.startswith("yuvj")
    converter = conversion.FrameConverter((SIDE, SIDE), conversion.Orientation(0, mirrored=False), None)
    for signal in PATCHES:
        frame = flat(coded(signal, matrix, bits, is_full=is_full), matrix, form, (SIDE, SIDE), is_full=is_full)
        found = colours(converter.convert(frame, 0, 0.0))
        assert np.abs(found - coded(signal, 1)).max() <= CODES_OFF, signal


@pytest.mark.parametrize(
    ("size", "output"),
    [((65, 65), (64, 64)), ((65, 64), (64, 64)), ((64, 65), (64, 64)), ((128, 96), (64, 48)), ((129, 97), (64, 48)),
     ((2, 2), (2, 2)), ((3, 3), (2, 2)), ((3840, 2160), (1920, 1080))],
)  # fmt: skip
@pytest.mark.parametrize("form", FORMATS)
def test_every_size_is_converted(form: str, size: tuple[int, int], output: tuple[int, int]) -> None:
    bits, is_full = FORMATS[form][0], form.startswith("yuvj")
    frame = flat(coded(PATCHES[3], 5, bits, is_full=is_full), 5, form, size, is_full=is_full)
    planes = converted(frame, output)
    assert planes.y.shape == output[::-1]
    assert np.abs(colours(planes) - coded(PATCHES[3], 1)).max() <= CODES_OFF


def test_an_odd_row_and_column_are_cut_off_and_nothing_is_blurred() -> None:
    frame = av.VideoFrame(65, 33, "yuv420p")
    stripes = np.tile(np.array([40, 200], np.uint8), 33)[:65]
    for plane, values in zip(frame.planes, (stripes, np.full(33, 128), np.full(33, 128)), strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
        rows[:, : plane.width] = values
    frame.colorspace, frame.color_range, frame.pts, frame.time_base = 6, 1, 0, Fraction(1, 25)
    planes = converted(frame, (64, 32))
    assert np.array_equal(planes.y, np.tile(stripes[:64], (32, 1)))


def test_a_change_of_matrix_in_the_middle_is_followed() -> None:
    converter = conversion.FrameConverter((SIDE, SIDE), conversion.Orientation(0, mirrored=False), None)
    for matrix in (5, 1, 7, 5, 9, 1):
        frame = flat(coded(PATCHES[0], matrix), matrix, "yuv420p", (SIDE, SIDE), is_full=False)
        assert np.abs(colours(converter.convert(frame, 0, 0.0)) - coded(PATCHES[0], 1)).max() <= CODES_OFF


def test_bt709_in_limited_range_stays_bit_for_bit() -> None:
    frame = av.VideoFrame(SIDE, SIDE, "yuv420p")
    random = np.random.default_rng(5)
    for plane in frame.planes:
        np.frombuffer(plane, np.uint8)[:] = random.integers(0, 256, plane.buffer_size)  # type: ignore[call-overload]
    frame.colorspace, frame.color_range = 1, 1
    planes = converted(frame, (SIDE, SIDE))
    samples = np.concatenate([plane.ravel() for plane in (planes.y, planes.u, planes.v)])
    assert np.array_equal(frame.to_ndarray().ravel(), samples)


@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv420p10le"])
@pytest.mark.parametrize("matrix", [1, 5])
def test_full_range_is_read_from_the_tag(form: str, matrix: int) -> None:
    bits = FORMATS[form][0]
    for signal in PATCHES:
        frame = flat(coded(signal, matrix, bits, is_full=True), matrix, form, (SIDE, SIDE), is_full=True)
        found = colours(converted(frame, (SIDE, SIDE)))
        assert np.abs(found - coded(signal, 1)).max() <= CODES_OFF
