"""Measures the loudness of a video's sound, and the gain to a target level (ITU-R BS.1770-4).

All parts of a video get the same gain, so that their relative loudness stays.
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
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, 10.0  # annex 1: blocks below are left out of the mean
MAX_GAIN_DB = 20.0  # a higher gain would mostly raise room noise
MAX_PASSES, TOLERANCE_LU = 3, 0.2  # the limiter reduces the loudness, so the gain is corrected by measuring again
# Annex 1, tables 1 and 2, at 48 kHz: the two filters of K-weighting.
HIGH_SHELF = (1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585)
HIGH_PASS = (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621)


def gain_db(path: Path, whole: Span, target_lufs: float) -> float:
    """Return the gain in decibels that brings a video's sound to a loudness; 0 for silence.

    Raises:
        Refused: the sound cannot be read.
    """
    gain = 0.0
    for _ in range(MAX_PASSES):
        loud = integrated_lufs(Soundtrack(path, replace(whole, gain_db=gain)))
        if loud is None or abs(target_lufs - loud) < TOLERANCE_LU:
            break
        gain = min(gain + target_lufs - loud, MAX_GAIN_DB)
    return gain


def integrated_lufs(sound: Soundtrack) -> float | None:
    """Return the integrated loudness of a sound in LUFS; None if it is silent or shorter than 400 ms."""
    if sound.layout is None:
        return None
    steps = _powers(sound, sound.layout)
    if len(steps) < 4:
        return None
    blocks = np.convolve(steps, np.full(4, 0.25), mode="valid")
    audible = blocks[_lufs(blocks) > ABSOLUTE_GATE_LUFS]
    if not len(audible):
        return None
    gated = audible[_lufs(audible) > _lufs(audible.mean()) - RELATIVE_GATE_LU]
    return float(_lufs(gated.mean()))


def _powers(sound: Soundtrack, layout: str) -> NDArray[np.float64]:
    """Return the K-weighted power of each 100 ms, summed over the channels."""
    found: list[float] = []
    rest = np.zeros((1 if layout == "mono" else 2, 0), np.float32)
    for block in filtered(sound, layout, RATE, ("biquad", _biquad(HIGH_SHELF)), ("biquad", _biquad(HIGH_PASS))):
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
