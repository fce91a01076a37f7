"""Small videos with numbered frames, and sounds whose position can be found in a copy."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 192, 108
COLUMNS = 16  # two that mark left and right, then fourteen bits, the highest first
DARK, BRIGHT = 40, 210
SOUND_RATE = 48_000
MILLISECOND = Fraction(1, 1000)


def ffmpeg(*arguments: str | Path) -> None:
    """Run the ffmpeg of the package imageio-ffmpeg; raise an error if it fails."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Draw a grey picture with its number in bits: (H, W)."""
    bits = [1, 0] + [(number >> place) & 1 for place in range(COLUMNS - 3, -1, -1)]
    columns = np.repeat(np.array(bits, np.uint8), width // COLUMNS)
    row = np.pad(columns, (0, width - len(columns)), mode="edge") * (BRIGHT - DARK) + DARK
    return np.repeat(row[None, :], height, axis=0).astype(np.uint8)


def number_of(luma: NDArray[np.uint8]) -> int:
    """Read the number of a picture."""
    width = luma.shape[1]
    middles = [round((column + 0.5) * width / COLUMNS) for column in range(COLUMNS)]
    bright = [int(luma[luma.shape[0] // 2 - 2 : luma.shape[0] // 2 + 2, x - 1 : x + 2].mean() > 125) for x in middles]
    assert bright[:2] == [1, 0], "the picture is upside down, or has no number"
    return int("".join(map(str, bright[2:])), 2)


def noise(seconds: float, seed: int = 7) -> NDArray[np.float32]:
    """Return noise, so that a position can be found by correlation: (samples,), low-passed so that codecs keep it."""
    white = np.random.default_rng(seed).normal(0, 0.2, round(seconds * SOUND_RATE))
    return np.convolve(white, np.hanning(9) / 4, mode="same").astype(np.float32)


def at_rate(rate: Fraction | int, frames: int) -> list[Fraction]:
    """Return the times of a constant rate."""
    return [number / Fraction(rate) for number in range(frames)]


def write(
    path: Path,
    times: Sequence[Fraction],
    *,
    sound: NDArray[np.float32] | None = None,
    sound_start_s: Fraction = Fraction(0),
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    unit: Fraction = Fraction(1, 90_000),
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Path:
    """Write numbered frames at given times, and a sound; the name's suffix determines the container."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, options=options or {"preset": "ultrafast", "bf": "2", "g": "40"})
        assert isinstance(video, av.VideoStream)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = unit
        audio = None
        if sound is not None:
            audio = container.add_stream(
                "libopus" if path.suffix == ".webm" else "aac", rate=SOUND_RATE, layout="mono", bit_rate=128_000
            )
        for number, time in enumerate(times):
            picture = av.VideoFrame.from_ndarray(numbered(number, *size), format="gray").reformat(
                format="yuv420p", src_color_range="JPEG", dst_color_range="JPEG"
            )
            picture.pts, picture.time_base = round(time / unit), unit
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            assert isinstance(audio, av.AudioStream)
            for block in _blocks(sound, round(sound_start_s * SOUND_RATE)):
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))
    return path


def _blocks(sound: NDArray[np.float32], place: int) -> Iterator[av.AudioFrame]:
    step = 960  # the frame size of Opus; libav splits it into AAC's frames
    for start in range(0, len(sound) - step + 1, step):
        block = av.AudioFrame.from_ndarray(sound[None, start : start + step], format="fltp", layout="mono")
        block.sample_rate, block.time_base, block.pts = SOUND_RATE, Fraction(1, SOUND_RATE), start + place
        yield block


def grey(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Return a decoded frame's luma as a full-range picture."""
    return np.asarray(frame.to_ndarray(format="gray"), np.uint8)


@dataclass(frozen=True)
class Copy:
    """The content of a finished file, decoded from its beginning as in a player."""

    numbers: list[int]
    times: list[float]
    sound: NDArray[np.float32]  # (samples,), first channel
    sound_start_s: float


def read(path: Path) -> Copy:
    """Decode a whole file."""
    numbers, times, blocks = [], [], []
    sound_start_s: float | None = None
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            numbers.append(number_of(grey(frame)))
            assert frame.time is not None
            times.append(frame.time)
    with av.open(str(path)) as container:
        for piece in container.decode(container.streams.audio[0]) if container.streams.audio else ():
            sound_start_s = piece.time if sound_start_s is None else sound_start_s
            blocks.append(piece.to_ndarray().astype(np.float32)[0])
    sound = np.concatenate([np.zeros(0, np.float32), *blocks])
    return Copy(numbers, times, sound, sound_start_s or 0.0)


def lag_of(copy: NDArray[np.float32], original: NDArray[np.float32], reach: int = 4800) -> int:
    """Return by how many samples the copy comes later than the original; both begin where they should agree."""
    count = min(len(copy), len(original)) - reach
    assert count > reach, "too short to compare"
    padded = np.pad(copy, (reach, reach))
    lags = range(-reach, reach + 1)
    length = 1 << (len(padded) + count).bit_length()
    spectrum = np.fft.rfft(padded[: count + 2 * reach], length) * np.conj(np.fft.rfft(original[:count], length))
    return lags[int(np.argmax(np.fft.irfft(spectrum, length)[: 2 * reach + 1]))]
