"""Limits the number of measured frames to the time and memory that are left.

It reads clocks and counters, no pictures.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from media.errors import OutOfMemory
from media.gaze.reasons import Reason
from media.process import memory

WARM_UP_FRAMES = 45  # the first frames cost more than the later ones and predict little
PLANNED_SHARE = 0.95  # of the deadline
INTERVALS = (1, 2, 3)  # every n-th frame is measured; at 3, a blink is still seen
# Memory that a part may need in addition to what it uses: a full HD child grows by 4 MiB after its first
# hundred frames (measured 2026-11-26). The parent kills a child that exceeds its limit.
RESERVE_BYTES = 6 << 20


@dataclass
class TimeBudget:
    """The deadline and the memory limit of one part.

    Args:
        deadline_s: for the whole part, from now; None for no limit.
        frames: in the part; None when unknown, then nothing is predicted and only the deadline itself counts.
        clock: returns seconds, never falling.
        memory_bytes: limit of this process; None for no limit.
        used_bytes: returns the memory that this process uses.
        has_smaller_settings: the part can be rendered again with less memory, and is before its correction ends.
    """

    deadline_s: float | None = None
    frames: int | None = None
    clock: Callable[[], float] = time.monotonic
    memory_bytes: int | None = None
    used_bytes: Callable[[], int] = field(default_factory=lambda: memory.used_bytes)
    has_smaller_settings: bool = False

    stopped: Reason | None = field(init=False, default=None)  # why no further frame is measured
    _began: float = field(init=False)
    _measuring_s: float = field(init=False, default=0.0)
    _drawing_s: float = field(init=False, default=0.0)
    _measured: int = field(init=False, default=0)
    _interval: int = field(init=False, default=INTERVALS[0])

    def __post_init__(self) -> None:
        self._began = self.clock()

    def interval(self, index: int) -> int:
        """Return n when every n-th frame is to be measured, 0 for none.

        The interval never shrinks and 0 is final, so that corrections do not flicker.

        Raises:
            OutOfMemory: memory is short, and there are settings that need less.
        """
        if self.stopped is None and self.memory_bytes is not None:
            self._check_memory(self.memory_bytes)
        if self.stopped is None and self.deadline_s is not None:
            self._widen(index, PLANNED_SHARE * self.deadline_s)
        return 0 if self.stopped is not None else self._interval

    def record_measuring(self, seconds: float, frames: int = 1) -> None:
        """Add the cost of measuring some frames."""
        self._measuring_s += seconds
        self._measured += frames

    def record_drawing(self, seconds: float) -> None:
        """Add the cost of deciding on one frame and drawing it."""
        self._drawing_s += seconds

    def _check_memory(self, limit_bytes: int) -> None:
        if (used := self.used_bytes()) <= limit_bytes - RESERVE_BYTES:
            return
        if self.has_smaller_settings:
            raise OutOfMemory("memory is short", held_bytes=used, limit_bytes=limit_bytes)
        self.stopped = Reason.MEMORY_SHORT

    def _widen(self, index: int, allowed_s: float) -> None:
        """Choose the smallest interval with which the part ends in time; stop when there is none."""
        elapsed = self.clock() - self._began
        if self.frames is None or index < WARM_UP_FRAMES:
            if elapsed > allowed_s:
                self.stopped = Reason.TIME_SHORT
            return
        # Each frame to come costs as much as each one so far, but for the measuring that is skipped.
        measuring_s = self._measuring_s / max(self._measured, 1)
        other_s = max(0.0, elapsed - self._measuring_s) / index
        left = self.frames - index
        for interval in (interval for interval in INTERVALS if interval >= self._interval):
            self._interval = interval
            if elapsed + left * (other_s + measuring_s / interval) <= allowed_s:
                return
        # The widest interval is too slow, too. Correction goes on for as long as the rest can be finished without it.
        if elapsed + left * (other_s - self._drawing_s / index) > allowed_s:
            self.stopped = Reason.TIME_SHORT
