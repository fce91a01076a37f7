"""A file read with some of its bytes replaced, so that a demuxer reads its structure as players take it."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType


@dataclass(frozen=True, slots=True)
class Patch:
    """Bytes that are read at a place instead of the file's own."""

    place: int
    data: bytes


class PatchedFile:
    """A file open for reading, with patches over it; the file itself is not changed.

    Args:
        path: the file.
        patches: they lie inside the file and do not overlap.
    """

    def __init__(self, path: Path, patches: Sequence[Patch]) -> None:
        self._file = path.open("rb")
        self._patches = sorted(patches, key=lambda patch: patch.place)
        self._places = [patch.place for patch in self._patches]

    def __enter__(self) -> "PatchedFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, length: int = -1) -> bytes:
        """Read as a file does."""
        start = self._file.tell()
        own = self._file.read(length)
        end = start + len(own)
        # The patch before the first one inside may reach into what was read.
        first = max(bisect_right(self._places, start) - 1, 0)
        last = bisect_right(self._places, end - 1)
        if first >= last:
            return own
        mixed = bytearray(own)
        for patch in self._patches[first:last]:
            begins, ends = max(patch.place, start), min(patch.place + len(patch.data), end)
            if begins < ends:
                mixed[begins - start : ends - start] = patch.data[begins - patch.place : ends - patch.place]
        return bytes(mixed)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place as a file does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place that is read next."""
        return self._file.tell()
