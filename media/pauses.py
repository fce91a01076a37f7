"""Finds the pauses in speech: stretches of sound that are quiet beside what is around them.

By loudness alone, against a floor and a speech level that follow the recording; no model, no words. Loudness is taken
twice: of all the sound, and of what changes from sample to sample, in which the s and f of a word stand out of hum,
rumble and room. Sound is read through MoviePy in small chunks, so that memory does not grow with the video's length.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from moviepy.audio.io.readers import FFMPEG_AudioReader
from moviepy.config import FFMPEG_BINARY
from numpy.typing import NDArray

from media.child import Progress
from media.cuts import Pause
from media.facts import Audio

SAMPLE_RATE = 16_000
STEP_S = 0.01  # loudness is measured this often
CHUNK_S = 10
SHORTEST_S = 0.15  # a shorter dip is the closure of a consonant
GUARD_S = 0.03  # words begin and end more quietly than the threshold; stay this far away from them
BLIP_S = 0.04  # a click or a breath's edge that does not end a pause
NEAR_S = 15.0  # floor and speech level are taken from this much on either side
SPREAD_DB = 9.0  # with less between floor and speech there is noise or music throughout, and no telling
THRESHOLD = 0.35  # of the way from floor to speech
QUIETEST_DB = 30.0  # no part of a word is that much below the loudest ones; muted stretches do not lower this
SILENT_DB = -80.0
FLOOR_PERCENT, SPEECH_PERCENT = 8, 90


def find(path: Path, audio: Audio, duration_s: float, progress: Progress) -> list[Pause]:
    """Return the pauses in the video's sound, in order; none when the sound cannot be read.

    Args:
        path: the upload, already inspected.
        audio: its sound track.
        duration_s: length of the video.
        progress: told the share of the sound that was read.
    """
    levels = np.concatenate([np.zeros((0, 2), np.float32), *_levels(path, audio.stream, duration_s, progress)])
    return [
        Pause(max(start_s + audio.start_s, 0.0), min(end_s + audio.start_s, duration_s))
        for start_s, end_s in quiet(levels)
        if end_s + audio.start_s > 0 and start_s + audio.start_s < duration_s
    ]


def quiet(levels: NDArray[np.float32]) -> list[tuple[float, float]]:
    """Return the quiet stretches of loudness curves as (start, end) in seconds.

    Args:
        levels: (steps, 2), decibels relative to full scale each `STEP_S`, as `loudness` gives them.
    """
    low = np.ones(len(levels), np.bool_)
    heard = np.flatnonzero(levels[:, 0] > SILENT_DB + 1)
    if len(heard):
        # Before the sound begins and after its end there is silence that tells nothing about the room.
        inside = slice(heard[0], heard[-1] + 1)
        low[inside] = _is_quiet(levels[inside, 0]) & _is_quiet(levels[inside, 1], unless_steady=True)
    runs = _joined(_runs(low))
    return [
        (start * STEP_S + GUARD_S, end * STEP_S - GUARD_S)
        for start, end in runs
        if (end - start) * STEP_S >= SHORTEST_S
    ]


def loudness(sound: NDArray[np.float32], before: float = 0.0) -> NDArray[np.float32]:
    """Return the loudness of a sound and of its changes: (steps, 2), decibels relative to full scale.

    Args:
        sound: (samples,) at `SAMPLE_RATE`, -1 to 1, a whole number of steps.
        before: the sample before the first one.
    """
    per_step = round(SAMPLE_RATE * STEP_S)
    both = np.stack([sound, np.diff(sound, prepend=np.float32(before))])
    # The variance leaves out what is slower than a step: rumble, wind, a microphone's offset.
    power = np.var(both.reshape(2, -1, per_step), axis=2)
    return np.asarray(np.maximum(10 * np.log10(power.T + 1e-12), SILENT_DB), np.float32)


def _is_quiet(levels: NDArray[np.float32], *, unless_steady: bool = False) -> NDArray[np.bool_]:
    """Say for each step whether it is quiet; a curve without ups and downs is never, or always when it has no say."""
    smooth = np.convolve(np.pad(levels, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    floor, speech = _surroundings(smooth)
    limit = np.maximum(floor + THRESHOLD * (speech - floor), speech - QUIETEST_DB)
    lively = speech - floor > SPREAD_DB
    low = (smooth < limit) & lively
    return (low | ~lively if unless_steady else low) | (smooth <= SILENT_DB + 1)


def _surroundings(levels: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the noise floor and the speech level around each moment."""
    reach = round(NEAR_S / STEP_S)
    centres = np.arange(0, len(levels), reach // 3)
    windows = [levels[max(0, centre - reach) : centre + reach] for centre in centres]
    floors, speeches = np.array([np.percentile(window, (FLOOR_PERCENT, SPEECH_PERCENT)) for window in windows]).T
    places = np.arange(len(levels))
    return np.interp(places, centres, floors), np.interp(places, centres, speeches)


def _runs(low: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], low, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join runs that only a blip separates."""
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and (start - joined[-1][1]) * STEP_S <= BLIP_S:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _levels(path: Path, stream: int, duration_s: float, progress: Progress) -> Iterator[NDArray[np.float32]]:
    """Read the sound chunk by chunk and give its loudness."""
    try:
        reader = _Reader(str(path.absolute()), stream, SAMPLE_RATE, fps=SAMPLE_RATE, nbytes=2, nchannels=1)
    except (OSError, ValueError, KeyError):
        return  # MoviePy could not make sense of what ffmpeg says of the file; the cuts then go by the limit
    before = 0.0
    with contextlib.closing(reader):
        for number in range(int(duration_s / CHUNK_S) + 1):
            chunk = reader.read_chunk(CHUNK_S * SAMPLE_RATE)[:, 0].astype(np.float32)
            yield loudness(chunk, before)
            before = float(chunk[-1])
            progress(min(1.0, (number + 1) * CHUNK_S / duration_s))


class _Reader(FFMPEG_AudioReader):  # type: ignore[misc]  # moviepy ships no types
    """MoviePy's reader, started so that a stranger's file can neither point elsewhere nor block the pipe of errors."""

    proc: Any = None  # Any: what the base class closes and forgets

    def __init__(self, filename: str, stream: int, *arguments: int, **form: int) -> None:
        self._stream = stream  # before ffmpeg is started there
        super().__init__(filename, *arguments, **form)

    def initialize(self, start_time: float = 0) -> None:
        assert start_time == 0, "the sound is read once, from the beginning"
        self.close()
        shut = ["-nostdin", "-protocol_whitelist", "file,pipe", "-format_whitelist", "mov,matroska"]
        source = ["-i", f"file:{self.filename}", "-map", f"0:{self._stream}"]
        form = ["-loglevel", "quiet", "-threads", "1", "-f", self.format, "-acodec", self.codec]
        shape = ["-ar", str(self.fps), "-ac", str(self.nchannels), "pipe:1"]
        self.proc = subprocess.Popen(
            [FFMPEG_BINARY, *shut, *source, *form, *shape],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.pos = 0

    def close(self) -> None:
        """End ffmpeg, which may still be writing."""
        proc, self.proc = self.proc, None
        if proc is not None:
            proc.kill()
            proc.stdout.close()
            proc.wait()

    def buffer_around(self, frame_number: int) -> None:
        """Leave the stream where it is: the base class would read ahead, and we only ever read on."""
