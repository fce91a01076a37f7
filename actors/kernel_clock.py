"""The synchronisation of the wall clock by NTP, as the kernel tells it: adjtimex(2)."""

from __future__ import annotations

import ctypes

UNSYNCHRONISED = 0x0040  # STA_UNSYNC
NANOSECONDS = 0x2000  # STA_NANO


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("rest", ctypes.c_byte * 256),
    )  # fmt: skip


def read() -> tuple[int, float] | None:
    """Return the status and the offset in seconds; None if that is forbidden, as in some containers."""
    value = _Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(value)) < 0:
        return None
    return value.status, value.offset / (1e9 if value.status & NANOSECONDS else 1e6)


def is_synchronised() -> bool:
    """Return whether the kernel says that NTP keeps the clock right."""
    found = read()
    return found is not None and not found[0] & UNSYNCHRONISED
