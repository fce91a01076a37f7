"""Converts high dynamic range and wide gamuts, as phones record them, to BT.709.

A table of colours is computed once from the standards' formulas and looked up by libav for every pixel. At 1280 x 720,
decoding included, swscale's own conversion took 141 ms a frame and this one 15 ms (measured 2026-11-22).
"""

import functools
import itertools
from collections.abc import Callable

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from media.process.files import scratch_file

Light = NDArray[np.float64]

# Entries on a side of the table. Measured 2026-11-26: mean error of 4000 random colours in code values (HLG, PQ), and
# CPU a frame of full HD, decoding included: 33 steps 0.8, 1.2, 22.4 ms; 49 steps 0.5, 0.7, 23.2 ms; 65 steps 0.4, 0.6,
# 25.3 ms. The worst are 11 to 14 off with each: at the edge of BT.709's gamut, in a channel that is nearly dark.
STEPS = 49
WHITE_NITS = 203.0  # where diffuse white lies in HDR (ITU-R BT.2408-7, table 1)
PEAK_NITS = 1000.0  # HLG's nominal display; what phones master PQ for
KNEE = 0.5  # of white: all light below is kept as it is, the rest rolled off up to the peak
SDR_GAMMA = 2.4  # ITU-R BT.1886
# Linear light from BT.2020's primaries to BT.709's (ITU-R BT.2087-0, 4.1: the inverse of its matrix M2).
TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
LUMA_2020 = np.array([0.2627, 0.6780, 0.0593])
# x and y of red, green and blue; white is D65 for all (SMPTE EG 432-1 and RP 431-2, ITU-R BT.2020-2 and BT.709-6).
Primaries = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
P3: Primaries = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
BT2020: Primaries = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
BT709: Primaries = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
D65 = (0.3127, 0.3290)


class ToneMapper:
    """Converts the frames of one stream by a table; sets up the filters again when their format changes."""

    def __init__(self, table: str, width: int, height: int, matrix: str = "bt2020") -> None:
        """Set up the conversion.

        Args:
            table: a key of `TABLES`.
            width: of the output, before rotation.
            height: likewise.
            matrix: of the frames, by swscale's name.
        """
        self.table = table
        self._matrix = matrix
        self._size = (width, height)
        self._graph: Graph | None = None
        self._kind: tuple[object, ...] = ()

    def convert(self, frame: VideoFrame) -> VideoFrame:
        """Return a frame as yuv420p, BT.709, limited range, scaled but not rotated."""
        kind = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if self._graph is None or kind != self._kind:
            self._graph, self._kind = self._built(frame), kind
        self._graph.push(frame)
        converted = self._graph.pull()
        assert isinstance(converted, VideoFrame)
        return converted

    def _built(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        graph.threads = 1
        width, height = self._size
        with scratch_file(cube(self.table)) as table:
            scale = "flags=bicubic+accurate_rnd"
            steps = [
                graph.add(
                    "buffer",
                    f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1000"
                    f":colorspace={frame.colorspace}:range={frame.color_range}",
                ),
                graph.add("scale", f"{width}:{height}:in_color_matrix={self._matrix}:{scale}"),
                graph.add("format", "gbrpf32le"),
                graph.add("lut3d", f"file={table}:interp=tetrahedral"),
                graph.add("scale", f"out_color_matrix=bt709:out_range=tv:{scale}"),
                graph.add("format", "yuv420p"),
                graph.add("buffersink"),
            ]
            for step, following in itertools.pairwise(steps):
                step.link_to(following)
            graph.configure()
        return graph


def hlg(signal: Light) -> Light:
    """Return display light in nits for an HLG signal (ITU-R BT.2100-2, table 5), (..., 3), 0 to 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luma = np.maximum(scene @ LUMA_2020, 1e-9)[..., None]
    return np.asarray(PEAK_NITS * luma**0.2 * scene, np.float64)


def pq(signal: Light) -> Light:
    """Return display light in nits for a PQ signal (ITU-R BT.2100-2, table 4), (..., 3), 0 to 1."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = signal ** (1 / m2)
    return np.asarray(10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1), np.float64)


def to_sdr(nits: Light) -> Light:
    """Return the BT.709 signal, (..., 3), 0 to 1, for display light in BT.2020's primaries.

    Light below the knee keeps its brightness relative to white; above, the brightest of the three is rolled off so
    that the peak just reaches white, and the others follow, so that hues stay.
    """
    light = np.maximum(nits / WHITE_NITS @ TO_709.T, 0)
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-9)
    return np.asarray(np.clip(light * (_rolled_off(brightest) / brightest), 0, 1) ** (1 / SDR_GAMMA), np.float64)


def _rolled_off(light: Light) -> Light:
    """Bend a straight line so that it leaves the knee in its own direction and ends at 1 for the peak.

    Above the knee k it is k + x / (1 + x / s) with x = light - k: slope 1 at the knee, and s chosen for the peak.
    """
    over, room = PEAK_NITS / WHITE_NITS - KNEE, 1 - KNEE
    soft = over * room / (over - room)
    above = np.clip(light - KNEE, 0, over)
    return np.asarray(np.where(light <= KNEE, light, KNEE + above / (1 + above / soft)), np.float64)


def primaries_to_709(primaries: Primaries) -> NDArray[np.float64]:
    """Return the matrix for linear light from some primaries to BT.709's (SMPTE RP 177, 3.3)."""
    return np.asarray(np.linalg.inv(_to_xyz(BT709)) @ _to_xyz(primaries), np.float64)


def _to_xyz(primaries: Primaries) -> NDArray[np.float64]:
    red, green, blue, white = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in (*primaries, D65))
    columns = np.stack([red, green, blue], axis=-1)
    return np.asarray(columns * np.linalg.solve(columns, white), np.float64)


def gamut_conversion(primaries: Primaries) -> Callable[[Light], Light]:
    """Return the function from an SDR signal, (..., 3), 0 to 1, to BT.709.

    The gamma is that of a BT.1886 display, whatever curve the file names, so neutral colours do not change. Colours
    outside BT.709 are clipped.
    """
    matrix = primaries_to_709(primaries)

    def convert(signal: Light) -> Light:
        return np.asarray(np.clip(signal**SDR_GAMMA @ matrix.T, 0, 1) ** (1 / SDR_GAMMA), np.float64)

    return convert


TABLES: dict[str, Callable[[Light], Light]] = {
    "hlg": lambda signal: to_sdr(hlg(signal)),
    "pq": lambda signal: to_sdr(pq(signal)),
    "p3": gamut_conversion(P3),
    "bt2020": gamut_conversion(BT2020),
}


@functools.cache
def cube(name: str) -> str:
    """Return a table in the .cube format: red changes fastest."""
    steps = np.linspace(0, 1, STEPS)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    table = TABLES[name](np.stack([red, green, blue], axis=-1)).reshape(-1, 3)
    lines = "".join(f"{r:.6f} {g:.6f} {b:.6f}\n" for r, g, b in table.tolist())
    return f"LUT_3D_SIZE {STEPS}\n{lines}"
