"""Finds the pauses in speech by loudness and a voice activity detector.

Loudness is measured on the differences between samples, in which the s and f of a word are louder than hum, rumble and
room noise. Over music, in a street or in a hall it is hardly lower between words than within them. The voice detector
separates these, but its resolution is about 50 ms. So both curves are normalized, to 0 at the local floor and 1 at the
local speech level, and their weighted mean is searched for dips. Sound is processed in chunks; 1 kB is kept of each
second.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.cutting.cuts import Pause
from media.cutting.voice_activity import SAMPLE_RATE, WINDOW_S, VoiceDetector

Curve = NDArray[np.float64]  # (steps,)

STEP_S = 0.01  # between two loudness values
SHORTEST_S = 0.12  # a shorter dip is the closure of a consonant
GUARD_S = 0.01  # kept from both ends of a pause: words begin and end below the threshold
BLIP_S = 0.04  # a shorter sound, such as a click, does not end a pause
NEAR_S = 15.0  # floor and speech level are taken from this much on either side
FLOOR_PERCENT, SPEECH_PERCENT = 4, 90  # percentiles; a fast speaker pauses for little more than 4 % of the time
SILENT_DB = -80.0

# Tuned on 2026-11-28 by the number of cuts inside words, with the sounds of tests/media/cutting/backgrounds.py. The
# report used other voices and backgrounds. Halving or doubling a weight changes the number by less than a fifth.
VOICE_WEIGHT = 2.0  # relative to loudness
VOICE_LAG_S = 0.03  # delay of the network's output
LOUDNESS_SMOOTH_S, DIP_SMOOTH_S = 0.09, 0.15
THRESHOLD = 0.35  # normalized level below which there may be a pause
CORE = 0.25  # share of the range from a dip's minimum to the threshold in which cuts are good
# Range from floor to speech level, in decibels and log-odds, at which a curve's weight is 0 and 1.
LOUDNESS_SPREAD = (3.0, 9.0)
VOICE_SPREAD = (2.0, 6.0)
SILENCE_DB, SILENCE_S = 30.0, 0.2  # no part of a word is so far below its loudest ones for so long
DEEPEST_DB = 40.0  # below speech; lowest floor, so that a noise gate between words does not lower it further
MUTED_S = 1.0  # a longer mute does not count for the local floor


@dataclass(frozen=True, slots=True)
class _NormalizedCurve:
    """A curve normalized to the local floor and speech level."""

    level: Curve  # 0 at the floor, 1 at the speech level
    weight: Curve  # 0 to 1, by the range between floor and speech level


class PauseFinder:
    """Finds the pauses of a sound that is given in chunks."""

    def __init__(self) -> None:
        self._voice = VoiceDetector()
        self._last_sample = 0.0
        self._rest = np.zeros(0, np.float32)
        self._levels: list[NDArray[np.float32]] = []
        self._log_odds: list[NDArray[np.float32]] = []

    def push(self, sound: NDArray[np.float32]) -> None:
        """Process the next chunk of the sound.

        Args:
            sound: (samples,) mono at `SAMPLE_RATE`, -1 to 1; of any length, contiguous with the previous chunk.
        """
        self._log_odds.append(self._voice.push(sound))
        sound = np.concatenate([self._rest, sound])
        whole = len(sound) - len(sound) % round(SAMPLE_RATE * STEP_S)
        self._rest = sound[whole:]
        if whole:
            self._levels.append(loudness(sound[:whole], self._last_sample))
            self._last_sample = float(sound[whole - 1])

    def pauses(self) -> list[Pause]:
        """Return the pauses in all chunks, in order, in seconds after the first sample."""
        log_odds = np.concatenate([*self._log_odds, self._voice.flush()])
        return find_pauses(np.concatenate([np.zeros((0, 2), np.float32), *self._levels]), log_odds)


def find_pauses(levels: NDArray[np.float32], log_odds: NDArray[np.float32]) -> list[Pause]:
    """Return the pauses of a sound, in order, each with its certainty.

    Args:
        levels: (steps, 2), decibels for each `STEP_S`, from `loudness`.
        log_odds: (windows,), log-odds of speech for each `WINDOW_S`, from `VoiceDetector`.
    """
    level = np.zeros(len(levels))
    certainty = np.ones(len(levels))
    audible = ~_muted(levels[:, 0])
    if audible.any():
        sound, times_s = levels[audible], np.asarray((np.flatnonzero(audible) + 0.5) * STEP_S, np.float64)
        mean, weight = _weighted_mean(_normalized_loudness(sound[:, 1]), _normalized_voice(log_odds, times_s))
        for start, end in _silences(sound):
            mean[start:end], weight[start:end] = 0.0, 1.0
        level[audible], certainty[audible] = mean, weight
    return _dips(level, certainty)


def loudness(sound: NDArray[np.float32], before: float = 0.0) -> NDArray[np.float32]:
    """Return the loudness of a sound and of its differences: (steps, 2), decibels relative to full scale.

    Args:
        sound: (samples,) at `SAMPLE_RATE`, -1 to 1, a whole number of steps.
        before: the sample before the first one.
    """
    per_step = round(SAMPLE_RATE * STEP_S)
    both = np.stack([sound, np.diff(sound, prepend=np.float32(before))])
    # The variance excludes what is slower than a step: rumble, wind, a microphone's offset.
    power = np.var(both.reshape(2, -1, per_step), axis=2)
    return np.asarray(np.maximum(10 * np.log10(power.T + 1e-12), SILENT_DB), np.float32)


def _normalized_loudness(levels: NDArray[np.float32]) -> _NormalizedCurve:
    return _normalized(_smooth(levels.astype(np.float64), LOUDNESS_SMOOTH_S), LOUDNESS_SPREAD, DEEPEST_DB)


def _muted(levels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mark digital silence at both ends, and longer mutes between: they have no room noise."""
    muted = np.zeros(len(levels), np.bool_)
    for start, end in _runs(levels <= SILENT_DB + 1):
        if start == 0 or end == len(levels) or (end - start) * STEP_S >= MUTED_S:
            muted[start:end] = True
    return muted


def _silences(levels: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Return the intervals that are far below the speech level; they are pauses regardless of the voice detector."""
    silent = np.ones(len(levels), np.bool_)
    for curve in levels.T.astype(np.float64):
        silent &= curve < _surroundings(curve)[1] - SILENCE_DB
    return [(start, end) for start, end in _joined(_runs(silent)) if (end - start) * STEP_S >= SILENCE_S]


def _normalized_voice(log_odds: NDArray[np.float32], times_s: Curve) -> _NormalizedCurve:
    """Interpolate the voice detector's windows at the times of the loudness curve."""
    centres = (np.arange(len(log_odds)) + 0.5) * WINDOW_S
    return _normalized(np.interp(times_s + VOICE_LAG_S, centres, log_odds), VOICE_SPREAD, np.inf)


def _normalized(curve: Curve, spread: tuple[float, float], widest: float) -> _NormalizedCurve:
    floor, speech = _surroundings(curve)
    least, full = spread
    level = 1 - (speech - curve) / np.clip(speech - floor, least, widest)
    return _NormalizedCurve(level, np.clip((speech - floor - least) / (full - least), 0, 1))


def _weighted_mean(loud: _NormalizedCurve, voice: _NormalizedCurve) -> tuple[Curve, Curve]:
    """Return the weighted mean level of both curves, 1 where both weights are 0, and its certainty, 0 to 1."""
    weight = VOICE_WEIGHT * voice.weight
    total = weight + loud.weight
    level = np.where(total > 0, (weight * voice.level + loud.weight * loud.level) / np.maximum(total, 1e-9), 1.0)
    # Where the voice detector has no weight, loudness alone can give full certainty.
    return level, total / (weight + 1)


def _surroundings(curve: Curve) -> tuple[Curve, Curve]:
    """Return the local floor and speech level at each step."""
    reach = round(NEAR_S / STEP_S)
    centres = np.arange(0, len(curve), reach // 3)
    windows = [curve[max(0, centre - reach) : centre + reach] for centre in centres]
    floors, speeches = np.array([np.percentile(window, (FLOOR_PERCENT, SPEECH_PERCENT)) for window in windows]).T
    steps = np.arange(len(curve))
    return np.interp(steps, centres, floors), np.interp(steps, centres, speeches)


def _dips(level: Curve, certainty: Curve) -> list[Pause]:
    """Return the cores of the intervals below the threshold."""
    smooth = _smooth(level, DIP_SMOOTH_S)
    pauses = []
    for start, end in _joined(_runs(level < THRESHOLD)):
        if (end - start) * STEP_S < SHORTEST_S:
            continue
        deepest = start + int(np.argmin(smooth[start:end]))
        depth = max(float(smooth[deepest]), 0.0)
        first, last = _core(smooth[start:end] < depth + CORE * (THRESHOLD - depth), deepest - start)
        first_s, last_s = (start + first) * STEP_S + GUARD_S, (start + last) * STEP_S - GUARD_S
        pauses.append(Pause(first_s, max(last_s, first_s), float(certainty[deepest]) * min(1.0, 1 - depth)))
    return pauses


def _core(deep: NDArray[np.bool_], deepest: int) -> tuple[int, int]:
    """Return the run of deep steps around the deepest one as (first, end)."""
    before, after = np.flatnonzero(~deep[:deepest]), np.flatnonzero(~deep[deepest + 1 :])
    return (int(before[-1]) + 1 if len(before) else 0), (deepest + 1 + int(after[0]) if len(after) else len(deep))


def _smooth(curve: Curve, width_s: float) -> Curve:
    width = round(width_s / STEP_S)
    if not len(curve):
        return curve
    return np.convolve(
        np.pad(curve, (width // 2, width - 1 - width // 2), mode="edge"), np.full(width, 1 / width), "valid"
    )


def _runs(low: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], low, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join runs that are separated by at most `BLIP_S`."""
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and (start - joined[-1][1]) * STEP_S <= BLIP_S:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
