"""Finds the pauses in a video's sound.

The sound is read like that of the parts, so both are on the same clock, and in chunks, so that the memory needed does
not depend on the video's length.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.cutting.cuts import Pause
from media.cutting.speech import PauseFinder
from media.cutting.voice_activity import SAMPLE_RATE
from media.errors import Refused
from media.process.output import Progress
from media.reading.spans import Span
from media.sound import tracks
from media.sound.audio_filter import Block
from media.sound.samples import Samples, Window, merge_channels

CHUNK_S = 10
MAX_BROKEN_SHARE = 0.5  # of the sound's packets; with more, silence no longer means a pause


Sound = NDArray[np.float32]  # (samples,) in mono at `SAMPLE_RATE`, -1 to 1


def find(
    path: Path, whole: Span, progress: Progress, on_sound: Callable[[Sound], None] = lambda _: None
) -> list[Pause]:
    """Return the pauses in a video's sound, in order.

    Args:
        path: the upload, already inspected.
        whole: the span of the whole video.
        progress: called with the share of the sound that was read.
        on_sound: called with each chunk of the sound, from the video's beginning to its end.

    Raises:
        Refused: sound_unreadable, damaged: the sound cannot be read, so its pauses are unknown.
    """
    finder = PauseFinder()
    for chunk in _mono_chunks(path, whole, progress):
        finder.push(chunk)
        on_sound(chunk)
    return [
        replace(pause, end_s=min(pause.end_s, whole.duration_s))
        for pause in finder.pauses()
        if pause.start_s < whole.duration_s
    ]


def _mono_chunks(path: Path, whole: Span, progress: Progress) -> Iterator[Sound]:
    """Yield a video's sound in mono at `SAMPLE_RATE`, from the video's beginning to its end."""
    chosen = tracks.choose(path)
    if chosen is None:
        raise Refused("sound_unreadable", "The video has no sound that can be decoded.")
    end = round(whole.total * SAMPLE_RATE / whole.rate)
    window = Window(whole.origin_s, 0, end, SAMPLE_RATE, 1)
    sources = [Samples(path, track, window, from_start=True) for track in chosen.tracks]
    for number, chunk in enumerate(_chunks(merge_channels(sources)), start=1):
        yield chunk
        progress(min(1.0, number * CHUNK_S / whole.duration_s))
    for source in sources:
        if source.broken > MAX_BROKEN_SHARE * (source.broken + source.decoded):
            raise Refused("sound_unreadable", f"{source.broken} packets of the sound cannot be decoded.")


def _chunks(blocks: Iterable[Block]) -> Iterator[Sound]:
    """Join blocks into mono chunks of equal length."""
    size = CHUNK_S * SAMPLE_RATE
    buffered: list[Sound] = []
    count = 0
    for block in blocks:
        buffered.append(block.mean(axis=0))
        count += block.shape[1]
        while count >= size:
            joined = np.concatenate(buffered)
            yield joined[:size]
            buffered, count = [joined[size:]], count - size
    if count:
        yield np.concatenate(buffered)
