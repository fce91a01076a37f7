"""Finds the pauses in speech: stretches of sound that are quiet beside what is around them.

By loudness alone, against a floor and a speech level that follow the recording; no model, no words. Loudness is taken
twice: of all the sound, and of what changes from sample to sample, in which the s and f of a word stand out of hum,
rumble and room. Sound is read as the parts read it, so that both are on one clock, and in small chunks, so that memory
does not grow with the video's length.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media import tracks
from media.chain import Block
from media.child import Progress
from media.cuts import Pause
from media.errors import Refused
from media.samples import Samples, Window, together
from media.spans import Span

SAMPLE_RATE = 16_000
STEP_S = 0.01  # loudness is measured this often
CHUNK_S = 10
MOST_BROKEN = 0.5  # of the sound's packets; more, and what is silent says nothing about the speech
SHORTEST_S = 0.15  # a shorter dip is the closure of a consonant
GUARD_S = 0.03  # words begin and end more quietly than the threshold; stay this far away from them
BLIP_S = 0.04  # a click or a breath's edge that does not end a pause
NEAR_S = 15.0  # floor and speech level are taken from this much on either side
SPREAD_DB = 9.0  # with less between floor and speech there is noise or music throughout, and no telling
THRESHOLD = 0.35  # of the way from floor to speech
QUIETEST_DB = 30.0  # no part of a word is that much below the loudest ones; muted stretches do not lower this
SILENT_DB = -80.0
FLOOR_PERCENT, SPEECH_PERCENT = 8, 90


def find(path: Path, whole: Span, progress: Progress) -> list[Pause]:
    """Return the pauses in a video's sound, in order.

    Args:
        path: the upload, already inspected.
        whole: the span that is the whole video.
        progress: told the share of the sound that was read.

    Raises:
        Refused: sound_unreadable, damaged: the sound cannot be read, so that nothing is known about its pauses.
    """
    heard = Hearing(path, whole, progress)
    levels = np.concatenate([np.zeros((0, 2), np.float32), *_levels(heard)])
    return [
        Pause(max(start_s, 0.0), min(end_s, whole.duration_s))
        for start_s, end_s in quiet(levels, heard.missing(len(levels)))
        if start_s < whole.duration_s
    ]


class Hearing:
    """A video's sound in mono at `SAMPLE_RATE`, from the video's beginning to its end.

    Iterate once, for (samples,), -1 to 1, `CHUNK_S` seconds each; the last chunk ends with silence up to a whole step.

    Raises:
        Refused: sound_unreadable, damaged.
    """

    def __init__(self, path: Path, whole: Span, progress: Progress) -> None:
        self._duration_s, self._progress = whole.duration_s, progress
        chosen = tracks.choose(path)
        if chosen is None:
            raise Refused("sound_unreadable", "The video has no sound that can be decoded.")
        end = round(whole.total * SAMPLE_RATE / whole.rate)
        window = Window(whole.origin_s, 0, end, SAMPLE_RATE, 1)
        self._sources = [Samples(path, track, window, from_start=True) for track in chosen.tracks]

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for number, chunk in enumerate(_chunks(together(self._sources)), start=1):
            yield chunk
            self._progress(min(1.0, number * CHUNK_S / self._duration_s))
        for source in self._sources:
            if source.broken > MOST_BROKEN * (source.broken + source.heard):
                raise Refused("sound_unreadable", f"{source.broken} packets of the sound cannot be decoded.")

    def missing(self, steps: int) -> NDArray[np.bool_]:
        """Say for each step that was read whether the file has no sound for it, in any track."""
        per_step, found = SAMPLE_RATE * STEP_S, np.ones(steps, np.bool_)
        for source in self._sources:
            holes = np.zeros(steps, np.bool_)
            for first, end in source.holes:
                holes[int(first / per_step) : int(end / per_step) + 1] = True
            found &= holes
        return found


def quiet(levels: NDArray[np.float32], missing: NDArray[np.bool_] | None = None) -> list[tuple[float, float]]:
    """Return the quiet stretches of loudness curves as (start, end) in seconds.

    Args:
        levels: (steps, 2), decibels relative to full scale each `STEP_S`, as `loudness` gives them.
        missing: (steps,), where the file has no sound: a pause that tells nothing about the room.
    """
    low = np.ones(len(levels), np.bool_)
    heard = np.flatnonzero(levels[:, 0] > SILENT_DB + 1)
    if len(heard):
        # Before the sound begins and after its end there is silence that tells nothing about the room, either.
        inside = np.zeros(len(levels), np.bool_)
        inside[heard[0] : heard[-1] + 1] = True
        inside &= True if missing is None else ~missing
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


def _levels(chunks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    before = 0.0
    for chunk in chunks:
        yield loudness(chunk, before)
        before = float(chunk[-1])


def _chunks(blocks: Iterable[Block]) -> Iterator[NDArray[np.float32]]:
    """Join blocks to chunks of the same length, in mono; the last is filled up to a whole step."""
    size, step = CHUNK_S * SAMPLE_RATE, round(SAMPLE_RATE * STEP_S)
    waiting: list[NDArray[np.float32]] = []
    held = 0
    for block in blocks:
        waiting.append(block.mean(axis=0))
        held += block.shape[1]
        while held >= size:
            joined = np.concatenate(waiting)
            yield joined[:size]
            waiting, held = [joined[size:]], held - size
    if held:
        yield np.pad(np.concatenate(waiting), (0, -held % step))
