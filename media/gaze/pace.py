"""How much care the time allows: every frame looked at, every third, or none any more.

Knows clocks and counts, not pictures.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

WARM_UP_FRAMES = 45  # the first frames cost more and say little about the rest
SPARE = 0.95  # of the deadline is planned for
# Landmarks are a tenth of a part's time; if that much is not enough, nothing short of stopping is.
THINNED_SAVES = 1.08
THINNED = 3


@dataclass
class Pace:
    """Watches one part against its deadline.

    Args:
        deadline_s: the part's whole time; None for no limit.
        frames: in the part; None when unknown, then only the deadline itself counts.
        clock: seconds, rising.
    """

    deadline_s: float | None = None
    frames: int | None = None
    clock: Callable[[], float] = time.monotonic

    began: float = field(init=False)
    _stopped: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def every(self, index: int) -> int:
        """Say that every n-th frame shall be looked at, 0 for none; once 0, always 0, so that eyes do not flicker."""
        if self.deadline_s is None:
            return 1
        late = self._expected_s(index) / (SPARE * self.deadline_s)
        self._stopped = self._stopped or late > THINNED_SAVES
        if self._stopped:
            return 0
        return 1 if late <= 1 else THINNED

    def _expected_s(self, index: int) -> float:
        elapsed = self.clock() - self.began
        if self.frames is None or index < WARM_UP_FRAMES:
            return elapsed
        return elapsed * max(1.0, self.frames / index)
