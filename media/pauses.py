"""Reads a video's sound for the search for pauses, as the parts read it, so that both are on one clock.

In small chunks, so that memory does not grow with the video's length.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
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
from media.speech import PauseFinder
from media.voice import SAMPLE_RATE

CHUNK_S = 10
MOST_BROKEN = 0.5  # of the sound's packets; more, and what is silent says nothing about the speech


def find(path: Path, whole: Span, progress: Progress) -> list[Pause]:
    """Return the pauses in a video's sound, in order.

    Args:
        path: the upload, already inspected.
        whole: the span that is the whole video.
        progress: told the share of the sound that was read.

    Raises:
        Refused: sound_unreadable, damaged: the sound cannot be read, so that nothing is known about its pauses.
    """
    finder = PauseFinder()
    for chunk in _heard(path, whole, progress):
        finder.hear(chunk)
    return [
        replace(pause, end_s=min(pause.end_s, whole.duration_s))
        for pause in finder.pauses()
        if pause.start_s < whole.duration_s
    ]


def _heard(path: Path, whole: Span, progress: Progress) -> Iterator[NDArray[np.float32]]:
    """Give a video's sound in mono at `SAMPLE_RATE`, from the video's beginning to its end."""
    chosen = tracks.choose(path)
    if chosen is None:
        raise Refused("sound_unreadable", "The video has no sound that can be decoded.")
    end = round(whole.total * SAMPLE_RATE / whole.rate)
    window = Window(whole.origin_s, 0, end, SAMPLE_RATE, 1)
    sources = [Samples(path, track, window, from_start=True) for track in chosen.tracks]
    for number, chunk in enumerate(_chunks(together(sources)), start=1):
        yield chunk
        progress(min(1.0, number * CHUNK_S / whole.duration_s))
    for source in sources:
        if source.broken > MOST_BROKEN * (source.broken + source.heard):
            raise Refused("sound_unreadable", f"{source.broken} packets of the sound cannot be decoded.")


def _chunks(blocks: Iterable[Block]) -> Iterator[NDArray[np.float32]]:
    """Join blocks to chunks of the same length, in mono."""
    size = CHUNK_S * SAMPLE_RATE
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
        yield np.concatenate(waiting)
