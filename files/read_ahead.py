"""Decides how many blocks to fetch at once for a reader that asks for one after the other."""

from __future__ import annotations

MAX_BLOCKS = 4
RUN_BLOCKS = 8


class ReadAhead:
    """The requests of one reader.

    Matroska files, and MP4 files in fragments, are read from the beginning; most others are read in one short run. One
    block more is fetched at once for each `RUN_BLOCKS` that were read in a row: of what a reader fetches, at most an
    eighth is too much.
    """

    def __init__(self) -> None:
        self._run = 0
        self._expected = 0

    def count(self, block: int) -> int:
        """Return how many blocks to fetch from a missing block on, this one included."""
        self._run = self._run if block == self._expected else 0
        found = min(MAX_BLOCKS, 1 + self._run // RUN_BLOCKS)
        self._run += found
        self._expected = block + found
        return found
