"""Synthesises the voice of the sample clip: syllables of harmonics, in sentences with pauses between them.

No words, but sufficient to find pauses. The same seed gives the same samples.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]  # (n,), -1 to 1

RATE = 48_000
SENTENCE_S = (2.8, 5.2)
PAUSE_S = (0.55, 0.95)
SYLLABLE_S = (0.14, 0.26)
PITCH_HZ = (165.0, 235.0)
# Resonances of the vocal tract for a few vowels: first and second, in hertz.
VOWELS_HZ = ((730, 1090), (530, 1840), (270, 2290), (570, 840), (300, 870))
LOUDNESS = 0.22
ROOM_NOISE = 0.0006  # -64 dB


def speak(seconds: float, seed: int = 1) -> Sound:
    """Return a voice with pauses: (samples,)."""
    rng = np.random.default_rng(seed)
    sound = rng.normal(0, ROOM_NOISE, round(seconds * RATE)).astype(np.float32)
    for start_s, end_s in _sentences(seconds, rng):
        at = start_s
        while at < end_s:
            syllable = _syllable(rng, float(rng.uniform(*SYLLABLE_S)))
            first = round(at * RATE)
            kept = syllable[: max(0, len(sound) - first)]
            sound[first : first + len(kept)] += kept
            at += len(syllable) / RATE * 0.92
    return np.clip(sound, -1, 1)


def _sentences(seconds: float, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    at = 0.35
    while at < seconds - 1:
        end = min(at + float(rng.uniform(*SENTENCE_S)), seconds - 0.4)
        yield at, end
        at = end + float(rng.uniform(*PAUSE_S))


def _syllable(rng: np.random.Generator, seconds: float) -> Sound:
    """Return the harmonics of a falling tone, weighted by the resonances of a vowel."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    low, high = VOWELS_HZ[int(rng.integers(len(VOWELS_HZ)))]
    pitch = float(rng.uniform(*PITCH_HZ))
    phase = 2 * np.pi * pitch * (time_s - 0.12 * time_s**2 / seconds)
    voice = np.zeros_like(time_s)
    for number in range(1, 16):
        loud = _through(number * pitch, low, 90) + 0.5 * _through(number * pitch, high, 130)
        voice += loud * np.sin(number * phase)
    shape = np.sin(np.pi * np.clip(time_s / seconds, 0, 1)) ** 0.7
    breath = rng.normal(0, 0.04, len(time_s)) * np.exp(-time_s / 0.03)
    voice = voice / max(float(np.abs(voice).max()), 1e-6)
    return np.asarray(LOUDNESS * shape * (voice + breath), np.float32)


def _through(frequency: float, resonance: float, width: float) -> float:
    return 1 / (1 + ((frequency - resonance) / width) ** 2)
