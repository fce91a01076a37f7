"""Planes of pictures in memory that is used again.

Freed and allocated between decoders, encoders and networks, planes leave holes in the heap that nothing else fills: up
to 51 MiB after seven seconds of full HD (measured 2026-11-29).
"""

import weakref
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray


class PlanePool:
    """Allocates planes; the memory of one that is no longer referred to is given to the next of its size."""

    def __init__(self) -> None:
        self._free: defaultdict[int, list[bytearray]] = defaultdict(list)  # by size in bytes

    def empty(self, height: int, width: int) -> NDArray[np.uint8]:
        """Return a plane with any content, which no other array shares."""
        free = self._free[height * width]
        memory = free.pop() if free else bytearray(height * width)
        owner = np.frombuffer(memory, np.uint8)  # every view of it, of any shape, refers to it
        weakref.finalize(owner, free.append, memory).atexit = False
        return owner.reshape(height, width)

    def copy(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a copy of a plane."""
        copied = self.empty(*plane.shape)
        copied[:] = plane
        return copied
