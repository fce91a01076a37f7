"""The seam between decoding, gaze correction and encoding: one picture as three planes, and what may stand in between.

No decoding and no encoding here; whoever handles frames imports these types and nothing else of its neighbours.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Planes:
    """One upright picture with square pixels, in the size in which it will be encoded.

    Eight bits a sample, 4:2:0, BT.709, limited range (16 to 235 luma, 16 to 240 chroma). Rows are contiguous and
    the arrays are writable; they belong to whoever holds the frame last.
    """

    y: NDArray[np.uint8]  # (H, W); H and W are even
    u: NDArray[np.uint8]  # (H / 2, W / 2), blue difference
    v: NDArray[np.uint8]  # (H / 2, W / 2), red difference
    index: int  # number of the frame within the span, from 0, without gaps
    time_s: float  # presentation time within the span; 0.0 is the span's start


class FrameStage(Protocol):
    """What a render may be given to change frames: looks ahead as far as it likes, keeps order and count."""

    def push(self, frame: Planes) -> list[Planes]:
        """Take one frame and return the ones that are finished, oldest first; pushed arrays may be changed in place."""
        ...

    def drain(self) -> list[Planes]:
        """Return all frames still held back, oldest first; the span is over."""
        ...
