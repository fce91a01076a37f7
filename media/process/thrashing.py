"""Finds a process that waits for its own pages: the kernel drops those of libraries when memory is short.

Such a process goes on, but a hundred times slower. With less memory for itself it would have been done long ago.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

WINDOW_S = 30.0
# Loading its libraries from a cold disk, a child waits fewer than 600 times, each for up to 128 KiB (measured
# 2026-11-29, of all processes of a machine that started and rendered a part).
MAX_MAJOR_FAULTS = 3000
MAJOR_FAULTS = 12 - 3  # field of /proc/PID/stat (proc(5) counts from 1), counted after the name


def major_faults(pid: int) -> int:
    """Return for how many pages a process has waited for the disk.

    Raises:
        OSError: the process has ended.
    """
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[MAJOR_FAULTS])


class FaultMonitor:
    """The major faults of one process within the last seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._counts: deque[tuple[float, int]] = deque()

    def is_thrashing(self, faults: int) -> bool:
        """Return whether there were too many within `WINDOW_S`.

        Args:
            faults: their number since the start of the process.
        """
        now_s = self._monotonic()
        self._counts.append((now_s, faults))
        while self._counts[0][0] < now_s - WINDOW_S:
            self._counts.popleft()
        return faults - self._counts[0][1] > MAX_MAJOR_FAULTS
