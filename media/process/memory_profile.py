"""Memory profiles of a render, and the steps by which its encoder takes less memory; no video library."""

from dataclasses import dataclass, replace
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


class MemoryStep(StrEnum):
    """A step by which the encoder takes less memory; the values are part of the status document."""

    SHORT_LOOKAHEAD = "short_lookahead"  # one picture is analysed ahead; 12 % fewer bits
    NO_LOOKAHEAD = "no_lookahead"  # none; 66 % more bits, as far as the peak rate allows


LOOKAHEADS = {MemoryStep.SHORT_LOOKAHEAD: 1, MemoryStep.NO_LOOKAHEAD: 0}
# What a render takes from its first encoded picture on, in bytes for each pixel of the picture: 75.3, 69.0 and 62.7 MiB
# with 2, 1 and 0 pictures ahead, in 1080 x 1920 (measured 2026-11-29). A second thread of the encoder takes nothing.
BYTES_A_PIXEL, AHEAD_BYTES_A_PIXEL = 31.7, 3.2
RESERVE_BYTES = 8 << 20  # for what a longer part takes later


def encoding_bytes(limits: MemoryLimits, pixels: int) -> int:
    """Return how much memory a render takes from its first encoded picture on."""
    return round(pixels * (BYTES_A_PIXEL + AHEAD_BYTES_A_PIXEL * limits.lookahead)) + RESERVE_BYTES


def fitted(limits: MemoryLimits, pixels: int, left_bytes: int | None) -> tuple[MemoryLimits, list[MemoryStep]]:
    """Return the limits with which the encoder fits into the memory that is left, and the steps to them.

    If all steps are too few, the render runs out of memory later, and is repeated with a smaller picture.

    Args:
        limits: without any step.
        pixels: of a picture.
        left_bytes: that the process may still take; None for no limit.
    """
    steps: list[MemoryStep] = []
    for step, lookahead in LOOKAHEADS.items():
        if left_bytes is None or encoding_bytes(limits, pixels) <= left_bytes:
            break
        if lookahead < limits.lookahead:
            limits = replace(limits, lookahead=lookahead)
            steps.append(step)
    return limits, steps
