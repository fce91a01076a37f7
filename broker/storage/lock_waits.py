"""The histogram of waits for the write lock, of all processes together, in the lock file behind the holder's record.

Only waits for a lock that was not free at once are counted, so the usual transaction pays nothing. A process writes its
waits while it holds the lock, so no update is lost; those that ended without the lock follow with the next one.
"""

from __future__ import annotations

import math
import os
import struct
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

__all__ = ["BOUNDS_S", "LockWaits", "add_waits", "read_waits"]

BOUNDS_S = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 30.0)  # upper bounds; above the last one there is one more count
OFFSET = 128  # in the lock file
_LAYOUT = struct.Struct(f"<{len(BOUNDS_S) + 1}Qd")  # counts, then the sum in seconds


@dataclass(frozen=True, slots=True)
class LockWaits:
    """The numbers of waits up to each of `BOUNDS_S` and above, each wait in one of them, and their sum."""

    counts: tuple[int, ...]
    sum_s: float

    def cumulative(self) -> list[tuple[float, int]]:
        """Return the number of waits up to each upper bound in seconds; the last one is infinite."""
        return list(zip((*BOUNDS_S, math.inf), accumulate(self.counts), strict=True))


def read_waits(path: Path) -> LockWaits:
    """Return the waits that the lock file of a database records; none if there is no such file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return _parsed(b"")
    try:
        return _parsed(os.pread(fd, _LAYOUT.size, OFFSET))
    finally:
        os.close(fd)


def add_waits(fd: int, waits_s: Iterable[float]) -> None:
    """Add waits to the record. The caller holds the lock.

    Raises:
        OSError: it cannot be written.
    """
    known = _parsed(os.pread(fd, _LAYOUT.size, OFFSET))
    counts, sum_s = list(known.counts), known.sum_s
    for wait_s in waits_s:
        counts[bisect_left(BOUNDS_S, wait_s)] += 1
        sum_s += wait_s
    os.pwrite(fd, _LAYOUT.pack(*counts, sum_s), OFFSET)


def _parsed(record: bytes) -> LockWaits:
    if len(record) < _LAYOUT.size:  # an older version has written none
        return LockWaits((0,) * (len(BOUNDS_S) + 1), 0.0)
    *counts, sum_s = _LAYOUT.unpack(record)
    return LockWaits(tuple(counts), sum_s)
