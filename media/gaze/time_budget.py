"""Limits the work on one part to the time and memory that are left.

It reads clocks and counters, no pictures. All costs are CPU seconds of this process: its share of a core, which a
shared machine may cut to a sixteenth from one second to the next, says how long they take.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from media.errors import OutOfMemory
from media.gaze.reasons import Reason
from media.process import memory

WARM_UP_FRAMES = 45  # the first frames cost more than the later ones and predict little
BUFFERED_FRAMES = 15  # of the corrector and the encoder, rounded up
PLANNED_SHARE = 0.95  # of the deadline
# A frame for which this process got less than this share of a core, for so many seconds, was interrupted by a pause:
# the machine was suspended or the process was stopped. That says nothing about the frames to come.
PAUSE_S, PAUSED_SHARE = 10.0, 0.01
# Of the deadline: how far back costs and the share of a core are measured. Before that, nothing is decided.
WINDOW_SHARE = 0.1
INTERVALS = (1, 2, 3)  # every n-th frame is measured; at 3, a blink is still seen
# Memory that a part may need in addition to what it uses: a full HD child grows by 4 MiB after its first
# hundred frames (measured 2026-11-26). The parent kills a child that exceeds its limit.
RESERVE_BYTES = 6 << 20


class TimeStep(StrEnum):
    """A step that saves time; the values are part of the status document."""

    FEWER_MEASURED = "fewer_measured"  # not every frame is measured
    SMALLER_PICTURE = "smaller_picture"  # the part was begun anew with at most 720 x 1280 pixels
    WITHOUT_CORRECTION = "without_correction"  # of the rest of the part


class SmallerPictureFaster(Exception):
    """The part ends sooner if it is begun anew with a smaller picture."""


@dataclass(frozen=True, slots=True)
class _Costs:
    """The costs since the part began."""

    wall_s: float  # without pauses
    cpu_s: float  # of the whole process
    measuring_s: float  # of it, on measuring
    drawing_s: float  # of it, on deciding and drawing
    measured: int  # frames
    frames: int  # all

    def __sub__(self, earlier: "_Costs") -> "_Costs":
        return _Costs(
            self.wall_s - earlier.wall_s,
            self.cpu_s - earlier.cpu_s,
            self.measuring_s - earlier.measuring_s,
            self.drawing_s - earlier.drawing_s,
            self.measured - earlier.measured,
            self.frames - earlier.frames,
        )


@dataclass(frozen=True, slots=True)
class _Pace:
    """CPU seconds for each frame by purpose, and how many of them this process gets in a second."""

    measuring_s: float
    drawing_s: float
    other_s: float
    core_share: float

    def end_s(self, frames: int, interval: int, scale: float = 1.0) -> float:
        """Return how many seconds a number of frames take.

        Args:
            frames: still to be done.
            interval: every n-th is measured; 0 for no correction.
            scale: of all costs.
        """
        frame_s = self.other_s + (self.measuring_s / interval + self.drawing_s if interval else 0.0)
        return frames * frame_s * scale / self.core_share


@dataclass
class TimeBudget:
    """The deadline and the memory limit of one part.

    Args:
        deadline_s: for the whole part, from now; None for no limit.
        frames: in the part; None when unknown, then nothing is predicted and only the deadline itself counts.
        clock: returns seconds, never falling.
        cpu_clock: returns the CPU seconds of this process.
        memory_bytes: limit of this process; None for no limit.
        used_bytes: returns the memory that this process uses.
        has_smaller_settings: the part can be rendered again with less memory, and is before its correction ends.
        smaller_cost: CPU time of the part with a smaller picture, as a share of that in this size; None if this is the
            smallest.
    """

    deadline_s: float | None = None
    frames: int | None = None
    clock: Callable[[], float] = time.monotonic
    cpu_clock: Callable[[], float] = time.process_time
    memory_bytes: int | None = None
    used_bytes: Callable[[], int] = field(default_factory=lambda: memory.used_bytes)
    has_smaller_settings: bool = False
    smaller_cost: float | None = None

    stopped: Reason | None = field(init=False, default=None)  # why no further frame is measured
    _began: float = field(init=False)
    _cpu_began: float = field(init=False)
    _measuring_s: float = field(init=False, default=0.0)
    _drawing_s: float = field(init=False, default=0.0)
    _measured: int = field(init=False, default=0)
    _interval: int = field(init=False, default=INTERVALS[0])
    _paused_s: float = field(init=False, default=0.0)
    _last: tuple[float, float] = field(init=False)  # seconds and CPU seconds at the last question
    _spent: deque[_Costs] = field(init=False, default_factory=deque)  # oldest first

    def __post_init__(self) -> None:
        self._began, self._cpu_began = self._last = self.clock(), self.cpu_clock()

    @property
    def steps(self) -> list[TimeStep]:
        """Return the steps that were taken to save time."""
        fewer = [TimeStep.FEWER_MEASURED] if self._interval > INTERVALS[0] else []
        return [*fewer, TimeStep.WITHOUT_CORRECTION] if self.stopped is Reason.TIME_SHORT else fewer

    def interval(self, index: int) -> int:
        """Return n when every n-th frame is to be measured, 0 for none.

        The interval never shrinks and 0 is final, so that corrections do not flicker.

        Raises:
            OutOfMemory: memory is short, and there are settings that need less.
            SmallerPictureFaster: time is short, and a smaller picture saves enough of it.
        """
        if self.stopped is None and self.memory_bytes is not None:
            self._check_memory(self.memory_bytes)
        if self.stopped is None and self.deadline_s is not None:
            self._keep(index, PLANNED_SHARE * self.deadline_s)
        return 0 if self.stopped is not None else self._interval

    def record_measuring(self, cpu_s: float, frames: int = 1) -> None:
        """Add the cost of measuring some frames."""
        self._measuring_s += cpu_s
        self._measured += frames

    def record_drawing(self, cpu_s: float) -> None:
        """Add the cost of deciding on one frame and drawing it."""
        self._drawing_s += cpu_s

    def _check_memory(self, limit_bytes: int) -> None:
        if (used := self.used_bytes()) <= limit_bytes - RESERVE_BYTES:
            return
        if self.has_smaller_settings:
            raise OutOfMemory("memory is short", held_bytes=used, limit_bytes=limit_bytes)
        self.stopped = Reason.MEMORY_SHORT

    def _keep(self, index: int, allowed_s: float) -> None:
        """Take the first step with which the part ends in time, or the one that saves most."""
        now = self._costs(index)
        left_s = allowed_s - now.wall_s - self._paused_s
        pace = self._pace(now)
        if self.frames is not None and pace is not None:
            self._choose(pace, self.frames, index, left_s)
        elif left_s < 0:
            self.stopped = Reason.TIME_SHORT

    def _choose(self, pace: _Pace, frames: int, index: int, left_s: float) -> None:
        """Choose the smallest interval with which the part ends in time, or a smaller picture, or no correction."""
        left = frames - index
        for interval in (interval for interval in INTERVALS if interval >= self._interval):
            self._interval = interval
            if pace.end_s(left, interval) <= left_s:
                return
        without_s = pace.end_s(left, 0)
        if self.smaller_cost is not None and (
            pace.end_s(frames, INTERVALS[-1], self.smaller_cost) <= left_s
            or left_s < without_s > pace.end_s(frames, 0, self.smaller_cost)
        ):
            raise SmallerPictureFaster
        # Correction goes on for as long as the rest can be finished without it.
        if without_s > left_s:
            self.stopped = Reason.TIME_SHORT

    def _costs(self, index: int) -> _Costs:
        now_s, cpu_s = self.clock(), self.cpu_clock()
        waited_s, used_s = now_s - self._last[0], cpu_s - self._last[1]
        self._last = now_s, cpu_s
        if waited_s > PAUSE_S and used_s < PAUSED_SHARE * waited_s:
            self._paused_s += waited_s
        wall_s = now_s - self._began - self._paused_s
        return _Costs(wall_s, cpu_s - self._cpu_began, self._measuring_s, self._drawing_s, self._measured, index)

    def _pace(self, now: _Costs) -> _Pace | None:
        """Return the pace of the last frames; None at the beginning, when too few are known.

        The first frames are left out: they are buffered, so nothing is drawn and encoded beside them yet.
        """
        if now.frames < BUFFERED_FRAMES:
            return None
        self._spent.append(now)
        while len(self._spent) > 1 and self._is_enough(now - next(islice(self._spent, 1, None))):
            self._spent.popleft()
        spent = now - self._spent[0]
        if now.frames < WARM_UP_FRAMES or not self._is_enough(spent):
            return None
        measured = spent if spent.measured else now
        return _Pace(
            measuring_s=measured.measuring_s / max(measured.measured, 1),
            drawing_s=spent.drawing_s / spent.frames,
            other_s=max(0.0, spent.cpu_s - spent.measuring_s - spent.drawing_s) / spent.frames,
            core_share=max(spent.cpu_s, 1e-6) / max(spent.wall_s, 1e-6),
        )

    def _is_enough(self, spent: _Costs) -> bool:
        assert self.deadline_s is not None
        return spent.frames >= WARM_UP_FRAMES - BUFFERED_FRAMES and spent.wall_s >= WINDOW_SHARE * self.deadline_s
