"""How much memory a render may take; no video library."""

from dataclasses import dataclass
from enum import StrEnum


class MemoryProfile(StrEnum):
    """How much memory a render may take, by the command line's names."""

    FULL = "full"
    LESS = "less"  # a smaller picture
    LEAST = "least"  # the smaller picture, and an encoder that looks at one picture at a time


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """What a profile allows a render."""

    long_side: int  # pixels of the picture that is corrected and encoded
    short_side: int
    lookahead: int  # pictures that the encoder sees before it decides
    references: int  # pictures that the encoder may refer to
    threads: int  # of the encoder, at most


# Measured 2026-11-28 on a recording of 1080 x 1920, own memory at the peak in MiB, as filmed and with eyes turned, in
# two runs: full 136 and 214, 139 and 245; less 103 and 182, 104 and 216; least 96 and 156, 94 and 170.
LIMITS = {
    MemoryProfile.FULL: MemoryLimits(1920, 1080, lookahead=2, references=1, threads=2),
    MemoryProfile.LESS: MemoryLimits(1280, 720, lookahead=2, references=1, threads=1),
    MemoryProfile.LEAST: MemoryLimits(1280, 720, lookahead=0, references=1, threads=1),
}
