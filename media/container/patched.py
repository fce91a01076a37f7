"""A read-only file object with some bytes replaced, for files that the demuxer would misread."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from media.process.source_file import open_source


@dataclass(frozen=True, slots=True)
class Patch:
    """Replacement bytes for one range of a file."""

    offset: int
    data: bytes


class PatchedFile:
    """A file opened for reading with patches applied; the file itself is not changed.

    Args:
        path: the file.
        patches: inside the file, not overlapping.
    """

    def __init__(self, path: Path, patches: Sequence[Patch]) -> None:
        self._file = open_source(path)
        self._patches = sorted(patches, key=lambda patch: patch.offset)
        self._offsets = [patch.offset for patch in self._patches]

    def __enter__(self) -> "PatchedFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, length: int = -1) -> bytes:
        """Read like a file object."""
        start = self._file.tell()
        original = self._file.read(length)
        end = start + len(original)
        # The last patch that begins before the range may reach into it.
        first = max(bisect_right(self._offsets, start) - 1, 0)
        last = bisect_right(self._offsets, end - 1)
        if first >= last:
            return original
        patched = bytearray(original)
        for patch in self._patches[first:last]:
            begins, ends = max(patch.offset, start), min(patch.offset + len(patch.data), end)
            if begins < ends:
                patched[begins - start : ends - start] = patch.data[begins - patch.offset : ends - patch.offset]
        return bytes(patched)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Seek like a file object."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._file.tell()
