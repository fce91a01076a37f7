"""Memory profiles of a render; no video library."""

from dataclasses import dataclass
from enum import StrEnum


class MemoryProfile(StrEnum):
    """The memory profile of a render; the values of `--memory`."""

    FULL = "full"
    LESS = "less"  # a smaller picture
    LEAST = "least"  # the smaller picture, and an encoder without lookahead


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """The limits of a render in one profile."""

    long_side: int  # maximum in pixels, of the picture that is corrected and encoded
    short_side: int  # likewise
    lookahead: int  # pictures that the encoder analyses ahead
    threads: int  # maximum, of the encoder


# Private memory at the peak in MiB, without and with gaze correction, of a recording of 1080 x 1920 in two runs on
# 2026-11-28: full 136 and 214, 139 and 245; less 103 and 182, 104 and 216; least 96 and 156, 94 and 170.
LIMITS = {
    MemoryProfile.FULL: MemoryLimits(1920, 1080, lookahead=2, threads=2),
    MemoryProfile.LESS: MemoryLimits(1280, 720, lookahead=2, threads=1),
    MemoryProfile.LEAST: MemoryLimits(1280, 720, lookahead=0, threads=1),
}
