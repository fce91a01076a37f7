"""The types that decoding, gaze correction and encoding share: a frame as three planes, and a frame stage.

No decoding and no encoding. These packages need nothing else of each other.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Planes:
    """One upright frame with square pixels, in the size in which it will be encoded.

    Eight bits a sample, 4:2:0, BT.709, limited range (16 to 235 luma, 16 to 240 chroma). Rows are contiguous and
    the arrays are writable: the frame stage that has received the frame may change them.
    """

    y: NDArray[np.uint8]  # (H, W); H and W are even
    u: NDArray[np.uint8]  # (H / 2, W / 2), blue difference
    v: NDArray[np.uint8]  # (H / 2, W / 2), red difference
    index: int  # number of the frame within the span, from 0, without gaps
    time_s: float  # presentation time within the span; 0.0 is the span's start


class FrameStage(Protocol):
    """Changes the frames of a render; may buffer any number of frames, keeps their order and count."""

    def push(self, frame: Planes) -> list[Planes]:
        """Add a frame and return the finished ones, oldest first; the arrays may be changed in place."""
        ...

    def drain(self) -> list[Planes]:
        """Return the buffered frames at the end of the span, oldest first."""
        ...
