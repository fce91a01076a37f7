"""The time since the machine booted: a clock that nobody sets, that counts suspension, and that all processes share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # random(4)


@dataclass(frozen=True)
class BootTime:
    """A moment of one boot; moments of different boots cannot be compared."""

    boot: str  # identity of the boot
    seconds: float  # since it


def boot_time() -> BootTime:
    """Return the present moment."""
    return BootTime(_boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME))


@cache
def _boot_id() -> str:
    return _BOOT_ID.read_text().strip()
