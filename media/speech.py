"""Finds the pauses in speech: by loudness, and by a voice detector where loudness cannot tell.

Loudness is taken of what changes from sample to sample, in which the s and f of a word stand out of hum, rumble and
room. Over music, in a street or in a hall it is hardly lower between words than within them; the voice detector hears
the difference, but only to about 50 ms. So both are brought to one scale, 0 at the floor and 1 at the level of speech
as heard around each moment, and a mean of them is searched for dips. Sound comes in chunks; of each second 1 kB is
kept.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.cuts import Pause
from media.voice import SAMPLE_RATE, WINDOW_S, VoiceDetector

Curve = NDArray[np.float64]  # (steps,)

STEP_S = 0.01  # loudness is measured this often
SHORTEST_S = 0.12  # a shorter dip is the closure of a consonant
GUARD_S = 0.01  # words begin and end more quietly than the threshold; stay this far away from them
BLIP_S = 0.04  # a click or a breath's edge that does not end a pause
NEAR_S = 15.0  # floor and speech level are taken from this much on either side
FLOOR_PERCENT, SPEECH_PERCENT = 4, 90  # a breathless speaker pauses in hardly more of the time
SILENT_DB = -80.0

# Chosen on 2026-11-28 by cuts inside words over tests/media/beds.py's sounds, with voices and beds that were not looked
# at while choosing kept for the report. Half or double of each weight changes the count by less than a fifth.
VOICE_WEIGHT = 2.0  # beside 1 for loudness
VOICE_LAG_S = 0.03  # the network's answers come that much late
LOUDNESS_SMOOTH_S, DIP_SMOOTH_S = 0.09, 0.15
THRESHOLD = 0.35  # of the way from floor to speech
CORE = 0.25  # of the way from a pause's deepest moment to the threshold: cuts are good within so much of it
# Decibels, and log-odds, from floor to speech: with the first or less a curve has no say, with the second a full one.
LOUDNESS_SPREAD = (3.0, 9.0)
VOICE_SPREAD = (2.0, 6.0)
SILENCE_DB, SILENCE_S = 30.0, 0.2  # no part of a word is so much below its loudest ones for so long
DEEPEST_DB = 40.0  # below speech; a gate that closes between words does not lower the floor further
MUTED_S = 1.0  # a microphone that was off for longer belongs to no surroundings


@dataclass(frozen=True, slots=True)
class _Told:
    """What one curve says: 0 at the floor to 1 at the level of speech, and how much it may be believed, 0 to 1."""

    place: Curve
    say: Curve


class PauseFinder:
    """Listens to a sound from beginning to end, chunk by chunk, then tells its pauses."""

    def __init__(self) -> None:
        self._voice = VoiceDetector()
        self._before = 0.0
        self._rest = np.zeros(0, np.float32)
        self._levels: list[NDArray[np.float32]] = []
        self._evidence: list[NDArray[np.float32]] = []

    def hear(self, sound: NDArray[np.float32]) -> None:
        """Take the next chunk of the sound.

        Args:
            sound: (samples,) mono at `SAMPLE_RATE`, -1 to 1; any length, follows the chunk before without a gap.
        """
        self._evidence.append(self._voice.hear(sound))
        sound = np.concatenate([self._rest, sound])
        whole = len(sound) - len(sound) % round(SAMPLE_RATE * STEP_S)
        self._rest = sound[whole:]
        if whole:
            self._levels.append(loudness(sound[:whole], self._before))
            self._before = float(sound[whole - 1])

    def pauses(self) -> list[Pause]:
        """Return the pauses in all that was heard, in order, in seconds after its first sample."""
        evidence = np.concatenate([*self._evidence, self._voice.end()])
        return find(np.concatenate([np.zeros((0, 2), np.float32), *self._levels]), evidence)


def find(levels: NDArray[np.float32], evidence: NDArray[np.float32]) -> list[Pause]:
    """Return the pauses of a sound, in order, each with its certainty.

    Args:
        levels: (steps, 2), decibels each `STEP_S`, as `loudness` gives them.
        evidence: (windows,), log-odds of speech each `WINDOW_S`, as `VoiceDetector` gives them.
    """
    place = np.zeros(len(levels))
    certainty = np.ones(len(levels))
    told = ~_muted(levels[:, 0])
    if told.any():
        heard, moments = levels[told], np.asarray((np.flatnonzero(told) + 0.5) * STEP_S, np.float64)
        near, sure = _weighed(_loudness(heard[:, 1]), _voice(evidence, moments))
        for start, end in _silences(heard):
            near[start:end], sure[start:end] = 0.0, 1.0
        place[told], certainty[told] = near, sure
    return _dips(place, certainty)


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


def _loudness(levels: NDArray[np.float32]) -> _Told:
    return _told(_smooth(levels.astype(np.float64), LOUDNESS_SMOOTH_S), LOUDNESS_SPREAD, DEEPEST_DB)


def _muted(levels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mark what is no sound at all at both ends and for long between: it tells nothing of the room."""
    muted = np.zeros(len(levels), np.bool_)
    for start, end in _runs(levels <= SILENT_DB + 1):
        if start == 0 or end == len(levels) or (end - start) * STEP_S >= MUTED_S:
            muted[start:end] = True
    return muted


def _silences(levels: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Return the stretches in which there is as good as nothing to hear, whatever the voice detector says."""
    silent = np.ones(len(levels), np.bool_)
    for curve in levels.T.astype(np.float64):
        silent &= curve < _surroundings(curve)[1] - SILENCE_DB
    return [(start, end) for start, end in _joined(_runs(silent)) if (end - start) * STEP_S >= SILENCE_S]


def _voice(evidence: NDArray[np.float32], moments: Curve) -> _Told:
    """Bring the voice detector's windows to the moments of the loudness curve, in seconds."""
    centres = (np.arange(len(evidence)) + 0.5) * WINDOW_S
    return _told(np.interp(moments + VOICE_LAG_S, centres, evidence), VOICE_SPREAD, np.inf)


def _told(curve: Curve, spread: tuple[float, float], widest: float) -> _Told:
    floor, speech = _surroundings(curve)
    least, full = spread
    place = 1 - (speech - curve) / np.clip(speech - floor, least, widest)
    return _Told(place, np.clip((speech - floor - least) / (full - least), 0, 1))


def _weighed(loud: _Told, voice: _Told) -> tuple[Curve, Curve]:
    """Return the mean place of both curves, 1 where neither has a say, and how much their say together is worth."""
    weight = VOICE_WEIGHT * voice.say
    total = weight + loud.say
    place = np.where(total > 0, (weight * voice.place + loud.say * loud.place) / np.maximum(total, 1e-9), 1.0)
    # A sound in which no voice is heard at all is left to loudness alone, at its full worth.
    return place, total / (weight + 1)


def _surroundings(curve: Curve) -> tuple[Curve, Curve]:
    """Return the floor and the level of speech around each moment."""
    reach = round(NEAR_S / STEP_S)
    centres = np.arange(0, len(curve), reach // 3)
    windows = [curve[max(0, centre - reach) : centre + reach] for centre in centres]
    floors, speeches = np.array([np.percentile(window, (FLOOR_PERCENT, SPEECH_PERCENT)) for window in windows]).T
    places = np.arange(len(curve))
    return np.interp(places, centres, floors), np.interp(places, centres, speeches)


def _dips(place: Curve, certainty: Curve) -> list[Pause]:
    """Return the cores of the stretches below the threshold."""
    smooth = _smooth(place, DIP_SMOOTH_S)
    pauses = []
    for start, end in _joined(_runs(place < THRESHOLD)):
        if (end - start) * STEP_S < SHORTEST_S:
            continue
        deepest = start + int(np.argmin(smooth[start:end]))
        depth = max(float(smooth[deepest]), 0.0)
        first, last = _core(smooth[start:end] < depth + CORE * (THRESHOLD - depth), deepest - start)
        first_s, last_s = (start + first) * STEP_S + GUARD_S, (start + last) * STEP_S - GUARD_S
        pauses.append(Pause(first_s, max(last_s, first_s), float(certainty[deepest]) * min(1.0, 1 - depth)))
    return pauses


def _core(deep: NDArray[np.bool_], deepest: int) -> tuple[int, int]:
    """Return the run of deep steps around the deepest one: its first step and the one after its last."""
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
    """Join runs that only a blip separates."""
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and (start - joined[-1][1]) * STEP_S <= BLIP_S:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
