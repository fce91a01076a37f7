"""The pauses, waveform and key frames that a plan keeps, so that a person can move its cuts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from media.cutting.cuts import RELIABLE, Pause
from media.limits import MAX_KEY_FRAMES, MAX_PAUSES
from media.reading.spans import Span
from media.reading.timeline import Timeline
from media.sound.peaks import Peaks


@dataclass(frozen=True, slots=True)
class CutMaterial:
    """The facts about a video by which its cuts can be moved; bounded in size."""

    pauses: Sequence[Pause]  # reliable ones, in order
    peaks: Peaks | None  # None if the sound cannot be read, or there is none
    key_frames: Sequence[tuple[int, int]]  # tick and time stamp of key frames after the first, in order

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return the facts as plain values."""
        return {
            "pauses": [[round(pause.start_s, 3), round(pause.end_s, 3)] for pause in self.pauses],
            "peaks": None if self.peaks is None else self.peaks.to_json(),
            "key_frames": [list(key) for key in self.key_frames],
        }


def collect(timeline: Timeline, whole: Span, pauses: Sequence[Pause], peaks: Peaks | None) -> CutMaterial:
    """Return the facts to keep of a video.

    Args:
        timeline: of the video.
        whole: its span.
        pauses: all of them, in order.
        peaks: of its sound.
    """
    return CutMaterial(_longest(pauses), peaks, _key_frames(timeline, whole))


def _longest(pauses: Sequence[Pause]) -> list[Pause]:
    reliable = [pause for pause in pauses if pause.certainty >= RELIABLE]
    longest = sorted(reliable, key=lambda pause: pause.start_s - pause.end_s)[:MAX_PAUSES]
    return sorted(longest, key=lambda pause: pause.start_s)


def _key_frames(timeline: Timeline, whole: Span) -> list[tuple[int, int]]:
    """Return key frames, thinned out to one in a second, or to fewer in a long video."""
    apart = max(int(whole.rate), -(-whole.total // MAX_KEY_FRAMES))
    kept: list[tuple[int, int]] = []
    last = 0
    stamps = timeline.keys[(timeline.keys >= timeline.times[0]) & (timeline.keys <= timeline.times[-1])].tolist()
    for tick, stamp in zip(timeline.key_ticks(whole), stamps, strict=True):
        if tick >= last + apart and stamp > timeline.keys[0]:
            kept.append((tick, stamp))
            last = tick
    return kept
