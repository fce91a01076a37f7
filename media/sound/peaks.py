"""Measures the peaks of a sound for a picture of its waveform, in chunks and in bounded memory."""

import base64
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.limits import MAX_PEAKS

STEP_S = Fraction(1, 100)  # 4.3 MB for three hours
MIN_STEPS = 2  # in a peak: 50 a second are enough for a part of a few seconds as wide as a screen


@dataclass(frozen=True, slots=True)
class Peaks:
    """The peaks of a sound, in equal steps from its beginning."""

    per_s: Fraction  # peaks a second
    values: bytes  # one byte each: 255 is the loudest sample of the sound, 0 is silence

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return the peaks as plain values, the bytes in Base64."""
        return {"per_s": round(float(self.per_s), 9), "values": base64.b64encode(self.values).decode()}


class PeakMeter:
    """Measures the peaks of a sound that is given in chunks."""

    def __init__(self, sample_rate: int) -> None:
        self._step = round(sample_rate * STEP_S)
        self._rest = np.zeros(0, np.float32)
        self._steps: list[NDArray[np.float32]] = []

    def push(self, sound: NDArray[np.float32]) -> None:
        """Measure the next chunk of the sound: (samples,), -1 to 1, contiguous with the previous one."""
        sound = np.concatenate([self._rest, sound])
        whole = len(sound) - len(sound) % self._step
        self._rest = sound[whole:]
        self._steps.append(_maxima(sound[:whole], self._step))

    def peaks(self) -> Peaks | None:
        """Return the peaks of all chunks, at most `MAX_PEAKS`; None without a sound."""
        rest = np.abs(self._rest).max(initial=0, keepdims=True) if len(self._rest) else self._rest
        steps = np.concatenate([*self._steps, rest])
        if not len(steps):
            return None
        each = max(MIN_STEPS, -(-len(steps) // MAX_PEAKS))
        merged = _maxima(np.pad(steps, (0, -len(steps) % each)), each)
        loudest = max(float(merged.max()), 1e-9)
        return Peaks(1 / (each * STEP_S), np.ceil(merged / loudest * 255).clip(0, 255).astype(np.uint8).tobytes())


def _maxima(values: NDArray[np.float32], each: int) -> NDArray[np.float32]:
    return np.asarray(np.abs(values).reshape(-1, each).max(axis=1), np.float32)
