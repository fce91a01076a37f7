"""The time since the machine booted: a clock that nobody sets, that counts suspension, and that all processes share."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

__all__ = ["boot_id", "boot_ms"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # random(4)


@cache
def boot_id() -> str:
    """Return the kernel's identity of this boot: times of another boot cannot be compared with `boot_ms`."""
    return _BOOT_ID.read_text().strip()


def boot_ms() -> int:
    """Return the milliseconds since the machine booted."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
