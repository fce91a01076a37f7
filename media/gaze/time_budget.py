"""How much care time and memory allow: every frame looked at, every second or third, or none any more.

Knows clocks and counts, not pictures.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from media.gaze.reasons import Reason

WARM_UP_FRAMES = 45  # the first frames cost more and say little about the rest
SPARE = 0.95  # of the deadline is planned for
STEPS = (1, 2, 3)  # every n-th frame is looked at; between two looks that far apart a blink is still seen
# What a part may yet need beside what it holds: measured 2026-11-26, a full HD child grows by 4 MiB after its first
# hundred frames. The parent ends a child that holds more than it may.
SPARE_BYTES = 6 << 20


@dataclass
class Pace:
    """Watches one part against its deadline and this process's memory.

    Args:
        deadline_s: the part's whole time; None for no limit.
        frames: in the part; None when unknown, then only the deadline itself counts.
        clock: seconds, rising.
        memory_bytes: that this process may hold; None for no limit.
        held_bytes: says how much it holds.
    """

    deadline_s: float | None = None
    frames: int | None = None
    clock: Callable[[], float] = time.monotonic
    memory_bytes: int | None = None
    held_bytes: Callable[[], int] = field(default_factory=lambda: _own_bytes)

    stopped: Reason | None = field(init=False, default=None)  # why nothing is looked at any more
    _began: float = field(init=False)
    _looking_s: float = field(init=False, default=0.0)
    _drawing_s: float = field(init=False, default=0.0)
    _looks: int = field(init=False, default=0)
    _step: int = field(init=False, default=STEPS[0])

    def __post_init__(self) -> None:
        self._began = self.clock()

    def every(self, index: int) -> int:
        """Say that every n-th frame shall be looked at, 0 for none.

        It never goes back to more, so that eyes do not flicker.
        """
        if self.stopped is None and self.memory_bytes is not None:
            self.stopped = Reason.MEMORY_SHORT if self.held_bytes() > self.memory_bytes - SPARE_BYTES else None
        if self.stopped is None and self.deadline_s is not None:
            self._step_down(index, SPARE * self.deadline_s)
        return 0 if self.stopped is not None else self._step

    def looked(self, seconds: float, frames: int = 1) -> None:
        """Take what a look cost, or one at several frames."""
        self._looking_s += seconds
        self._looks += frames

    def drew(self, seconds: float) -> None:
        """Take what deciding on a frame and drawing it cost."""
        self._drawing_s += seconds

    def _step_down(self, index: int, allowed_s: float) -> None:
        elapsed = self.clock() - self._began
        if self.frames is None or index < WARM_UP_FRAMES:
            if elapsed > allowed_s:
                self.stopped = Reason.TIME_SHORT
            return
        # What is left takes as long as what was, but for the looks that are left out.
        look_s = self._looking_s / max(self._looks, 1)
        beside_s = max(0.0, elapsed - self._looking_s) / index
        left = self.frames - index
        for step in (step for step in STEPS if step >= self._step):
            self._step = step
            if elapsed + left * (beside_s + look_s / step) <= allowed_s:
                return
        # Not even that is enough: as much as possible is corrected, as long as the rest can be finished without.
        if elapsed + left * (beside_s - self._drawing_s / index) > allowed_s:
            self.stopped = Reason.TIME_SHORT


def _own_bytes() -> int:
    """Return what this process holds that the kernel cannot drop, as its parent counts it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
