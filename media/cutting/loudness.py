"""How loud a video's sound is as a whole, and what brings it to the level that one wants (ITU-R BS.1770-4).

One gain for all parts of a video, so that none is louder than another.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.reading.soundtrack import RATE, Soundtrack
from media.reading.spans import Span
from media.sound.audio_filter import filtered

STEP = RATE // 10  # blocks of 400 ms begin each 100 ms (annex 1)
OFFSET_DB = -0.691
SILENT_LUFS, BELOW_MEAN_LU = -70.0, 10.0  # what is left out of the mean: nothing at all, and pauses
MOST_GAIN_DB = 20.0  # more would only bring up the room
LOOKS, CLOSE_LU = 3, 0.2  # holding back the peaks takes some of the loudness away again
# Annex 1, tables 1 and 2, at 48 kHz: what a head does to sound, and how little we hear of the lowest.
HEAD = (1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585)
LOW_CUT = (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621)


def gain_db(path: Path, whole: Span, wanted_lufs: float) -> float:
    """Return by how much a video's sound is to be raised or lowered to be as loud as wanted; 0 for silence.

    Raises:
        Refused: the sound cannot be read.
    """
    gain = 0.0
    for _ in range(LOOKS):
        loud = integrated_lufs(Soundtrack(path, replace(whole, gain_db=gain)))
        if loud is None or abs(wanted_lufs - loud) < CLOSE_LU:
            break
        gain = min(gain + wanted_lufs - loud, MOST_GAIN_DB)
    return gain


def integrated_lufs(sound: Soundtrack) -> float | None:
    """Return the loudness of a sound as a whole; None when there is none to be heard."""
    if sound.layout is None:
        return None
    steps = _powers(sound, sound.layout)
    if len(steps) < 4:
        return None
    blocks = np.convolve(steps, np.full(4, 0.25), mode="valid")
    heard = blocks[_lufs(blocks) > SILENT_LUFS]
    if not len(heard):
        return None
    speech = heard[_lufs(heard) > _lufs(heard.mean()) - BELOW_MEAN_LU]
    return float(_lufs(speech.mean()))


def _powers(sound: Soundtrack, layout: str) -> NDArray[np.float64]:
    """Return the weighted power of each 100 ms, the channels' sum."""
    found: list[float] = []
    rest = np.zeros((1 if layout == "mono" else 2, 0), np.float32)
    for block in filtered(sound, layout, RATE, ("biquad", _biquad(HEAD)), ("biquad", _biquad(LOW_CUT))):
        waiting = np.concatenate([rest, block], axis=1)
        whole = waiting.shape[1] // STEP
        power = (waiting[:, : whole * STEP].astype(np.float64) ** 2).reshape(len(waiting), whole, STEP).mean(axis=2)
        found += power.sum(axis=0).tolist()
        rest = waiting[:, whole * STEP :]
    return np.array(found)


def _biquad(coefficients: tuple[float, ...]) -> str:
    names = ("b0", "b1", "b2", "a1", "a2")
    values = ":".join(f"{name}={value!r}" for name, value in zip(names, coefficients, strict=True))
    return f"{values}:a0=1:precision=f64"


def _lufs(power: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(OFFSET_DB + 10 * np.log10(np.maximum(power, 1e-12)), np.float64)
